import json

import numpy as np
import pytest
from instances import INSTANCES
from measured import measured
from page import page
from predict import prediction
from score import ceiling_row, results, row
from truth import reliability, truth_of
from working import read, write

DIABETES = 66


@pytest.fixture(scope="module")
def record():
    return truth_of(DIABETES, steps=3, seeds=2)


def test_a_small_network_goes_through_truth_prediction_and_scoring(record, tmp_path):
    assert json.loads(json.dumps(record)) == record
    assert record["data"] == INSTANCES[DIABETES].data
    assert [(place["site"], place["position"]) for place in record["places"]] == [
        ("0", "after"),
        ("2", "before"),
        ("2", "after"),
        ("4", "before"),
        ("4", "after"),
        ("6", "before"),
    ]
    for arm in (record["none"], record["all"], record["affine"], *record["places"]):
        assert len(arm["areas"]) >= 5
        assert all(len(areas) == 2 for areas in arm["areas"].values())
    predicted = prediction(DIABETES, "forward")
    known = {(place["site"], place["position"]) for place in predicted["places"]}
    assert known == {(place["site"], place["position"]) for place in record["places"]}
    assert predicted["forwards"] > 0
    assert all(place["gradients"]["ckpt-40"]["gradient_norm"] > 0 for place in predicted["places"])
    found = results({DIABETES: record}, {"forward": {DIABETES: predicted}})
    assert found["truth"]["all"]["instances"] == 1
    assert set(found["ranking"]) == {"all", "mlp"}
    assert "| forward |" in page(found)
    write({DIABETES: record}, tmp_path / "truth.jsonl")
    with (tmp_path / "truth.jsonl").open("a") as file:
        file.write('{"number": 3, "cut')
    assert read(tmp_path / "truth.jsonl") == {DIABETES: record}


def test_who_knows_the_gains_is_perfect_and_who_says_nothing_comes_last(record):
    gains = [0.5, 0.4, 0.3, 0.2, 0.01, 0.0]
    for place, gain in zip(record["places"], gains, strict=True):
        place["gain"] = {**place["gain"], "value": gain, "by_seed": [gain, gain]}
    network = measured(record)
    assert network.rankable
    assert not network.healthy
    perfect = row(network, dict(zip(network.places, gains, strict=True)))
    assert perfect.ranking == {"spearman": pytest.approx(1), "regret": 0, "ndcg": pytest.approx(1)}
    assert perfect.positive == (True,) * 4 + (False,) * 2
    silent_on_the_best = row(network, dict(zip(network.places[1:], gains[1:], strict=True)))
    assert silent_on_the_best.scores[0] < min(silent_on_the_best.scores[1:])
    assert ceiling_row(network).ranking["spearman"] == pytest.approx(1)


def test_reliability_is_1_where_the_seeds_agree_and_about_0_where_they_do_not():
    agreeing = [[0.1, 0.2], [0.3, 0.5], [0.6, 0.9]]
    assert reliability(agreeing) == 1
    noise = np.random.default_rng(0).normal(size=(400, 3)).tolist()
    assert abs(reliability(noise)) < 0.1
