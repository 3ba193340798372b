"""The full protocol for one place, its journal, and what is said of both."""

import json
import math
from dataclasses import replace

import pytest
from gradient_testing import MemorySource
from training_testing import bench_of, digits, plain, states

from covscan.config import Settings
from covscan.data import open_samples
from covscan.errors import UsageError
from covscan.prove import proof as module
from covscan.prove.gains import Gain
from covscan.prove.journal import Journal
from covscan.prove.proof import Plan, prove, verdict
from covscan.prove.runs import AS_IT_IS, Arm, Bench, Curve
from covscan.surgery.types import Insertion

DEEP = Insertion("8", "after", "BatchNorm1d", 16, 1)
SETTINGS = Settings(data=digits(), target="y", loss="cross_entropy", optimizer="sgd", lr=0.1)
PLAN = Plan(seeds=2, steps=4, rungs=3)


def proved(plan=PLAN, settings=SETTINGS, told=lambda *words: None, depth=1):
    model = plain(depth=depth)
    insertion = replace(DEEP, site=str(2 * depth - 2))
    return prove(MemorySource(model, states(model)), settings, open_samples(settings), insertion, plan, told)


def gain(low, high):
    return Gain((low + high) / 2, low, high, ())


UNKNOWN = Gain(0.5, None, None, (0.5,))


@pytest.mark.parametrize(
    ("found", "over", "answer"),
    [
        (gain(0.1, 0.3), gain(0.01, 0.1), "helps"),
        (gain(0.1, 0.3), gain(-0.01, 0.1), "helps, as constants would"),
        (gain(0.1, 0.3), UNKNOWN, "helps, as constants would"),
        (gain(-0.01, 0.015), gain(0.1, 0.2), "makes no difference"),
        (gain(-0.3, -0.1), gain(-0.2, -0.1), "harms"),
        (gain(-0.1, 0.3), gain(0.1, 0.2), "unresolved"),
        (gain(0.0, 0.3), gain(0.1, 0.2), "unresolved"),
        (gain(-0.3, 0.0), gain(0.1, 0.2), "unresolved"),
        (UNKNOWN, UNKNOWN, "unresolved"),
    ],
)
def test_an_answer_holds_for_the_whole_interval(found, over, answer):
    assert verdict(found, over) == answer


def test_the_ladder_lies_evenly_around_the_first_rate():
    assert Plan(rungs=7).ladder == (-3, -2, -1, 0, 1, 2, 3)
    assert Plan(rungs=4).ladder == (-2, -1, 0, 1)


@pytest.fixture(scope="module")
def deep():
    """A network that loses its signal, with BatchNorm before its head, and what progress was told."""
    told = []
    return proved(Plan(seeds=3, steps=20, rungs=3), told=lambda *words: told.append(words), depth=5), told


def test_a_normalization_helps_a_network_that_loses_its_signal(deep):
    found, _ = deep
    assert found.verdict.startswith("helps")
    base, norm, affine, warm = found.arms
    assert [arm.name for arm in found.arms] == ["as it is", "BatchNorm1d", "fixed affine", "warm-up"]
    assert norm.gain.value > 0.1
    assert norm.gain.low > 0.02
    assert norm.speed_up > 1
    assert norm.speed_up_low < norm.speed_up < norm.speed_up_high
    assert base.gain is base.speed_up is None
    assert affine.gain is not None
    assert warm.gain is not None
    assert norm.gain_at_rate is not None
    assert found.over_fixed_affine is not None


def test_a_proof_says_what_it_was_made_with(deep):
    found, told = deep
    assert (found.site, found.position, found.norm) == ("8", "after", "BatchNorm1d")
    assert (found.seeds, found.steps, found.rate, found.batch_size) == (3, 20, 0.1, 32)
    assert (found.samples, found.held_out) == (205, 51)
    assert (found.intervention, found.start) == ("from the start", "the weights of step-0 (step 0)")
    assert (found.expected, found.met) == (None, None)
    stages, steps, most = zip(*told, strict=True)
    assert set(stages) == {"paired trainings"}
    assert list(steps) == sorted(steps)
    assert steps[-1] <= most[-1]


def test_each_arm_has_its_curves_and_its_best_rate_among_them(deep):
    for arm in deep[0].arms:
        assert all(len(rung.curve) == 20 and len(rung.areas) == len(rung.held_out) == 3 for rung in arm.rungs)
        areas = {rung.rate: sum(rung.areas) for rung in arm.rungs}
        assert areas[arm.best_rate] <= min(areas.values()) * 1.001
        best = next(rung for rung in arm.rungs if rung.rate == arm.best_rate)
        assert None not in best.held_out


def test_an_expected_gain_is_met_where_the_interval_lies_above_it():
    low = proved(replace(PLAN, expected=-50.0))
    assert (low.expected, low.met) == (-50.0, True)
    assert proved(replace(PLAN, expected=0.999)).met is False


def test_one_seed_proves_nothing_and_says_so():
    found = proved(replace(PLAN, seeds=1, expected=0.0))
    assert found.verdict == "unresolved"
    assert found.met is False
    assert "fewer than three seeds give no interval worth the name" in found.notes


def test_a_best_rate_at_the_end_of_the_ladder_is_noted():
    tiny = proved(replace(PLAN, steps=10), replace(SETTINGS, lr=0.01))
    assert [note.split(",")[0] for note in tiny.notes[:2]] == [
        "without the normalization the highest learning rate tried",
        "with the normalization the highest learning rate tried",
    ]


def test_without_a_rate_of_the_users_none_is_compared():
    found = proved(settings=replace(SETTINGS, lr=None))
    assert found.rate is None
    assert all(arm.gain_at_rate is None for arm in found.arms)
    assert found.arms[1].gain_at_base_rate is not None


# The journal.


@pytest.fixture
def trained(monkeypatch):
    """Every training that is really run: (arm, warm-up, rate, seed)."""
    run, original = [], Bench._train

    def train(bench, arm, rate, seed, steps):
        run.append((str(arm), arm.warmup, rate, seed))
        return original(bench, arm, rate, seed, steps)

    monkeypatch.setattr(Bench, "_train", train)
    return run


def test_a_finished_proof_is_read_again_without_a_training(tmp_path, trained):
    plan = replace(PLAN, resume=tmp_path / "proof.jsonl")
    first = proved(plan)
    count = len(trained)
    assert count == len((tmp_path / "proof.jsonl").read_text().splitlines()) == len(set(trained))
    assert proved(plan) == first
    assert len(trained) == count
    assert proved() == first


def test_only_what_is_missing_is_trained_and_the_proof_is_the_same(tmp_path, trained):
    path = tmp_path / "proof.jsonl"
    first = proved(replace(PLAN, resume=path))
    lines = path.read_text().splitlines(keepends=True)
    count = len(trained)
    path.write_text("".join(lines[:-5]) + lines[-5][: len(lines[-5]) // 2])  # as a crash leaves it
    assert proved(replace(PLAN, resume=path)) == first
    assert len(trained) == count + 5
    assert proved(replace(PLAN, resume=path)) == first
    assert len(trained) == count + 5


def test_more_seeds_use_what_is_there(tmp_path, trained):
    plan = replace(PLAN, resume=tmp_path / "proof.jsonl")
    proved(plan)
    trained.clear()
    proved(replace(plan, seeds=3))
    seeds = [seed for *_, seed in trained]
    assert seeds.count(2) > 0
    assert seeds.count(0) < seeds.count(2)


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": replace(SETTINGS, seed=1)},
        {"settings": replace(SETTINGS, optimizer="adam")},
        {"settings": replace(SETTINGS, train_batch_size=16)},
        {"plan": replace(PLAN, steps=5)},
        {"depth": 2},
    ],
    ids=["seed", "optimizer", "batch size", "steps", "model"],
)
def test_trainings_of_other_settings_do_not_count(tmp_path, trained, changed):
    path = tmp_path / "proof.jsonl"
    proved(replace(PLAN, resume=path))
    trained.clear()
    words = {"plan": PLAN, **changed}
    proved(**{**words, "plan": replace(words["plan"], resume=path)})
    again = list(trained)
    trained.clear()
    proved(**words)
    assert again == trained


def test_trainings_of_another_version_do_not_count(tmp_path, trained, monkeypatch):
    plan = replace(PLAN, resume=tmp_path / "proof.jsonl")
    proved(plan)
    count = len(trained)
    monkeypatch.setattr(module, "__version__", "99.0")
    proved(plan)
    assert len(trained) == 2 * count


def test_curves_that_diverged_are_read_back(tmp_path):
    path = tmp_path / "proof.jsonl"
    journal = Journal(path, "setting")
    bench = bench_of()
    assert journal.restore(bench, (AS_IT_IS,)) == 0
    curve = bench.curve(AS_IT_IS, 1e30, 0, 6)
    assert math.isnan(curve.losses[-1])
    bench.keep(AS_IT_IS, 0.5, 1, Curve((1.0, 0.5), math.nan))
    journal.close()
    again = bench_of()
    journal = Journal(path, "setting")
    assert journal.restore(again, (AS_IT_IS, Arm((DEEP,)))) == 2
    journal.close()
    read = again.curve(AS_IT_IS, 1e30, 0, 6)
    assert again.steps == 0
    assert repr(read.losses) == repr(curve.losses)
    assert math.isnan(again.curve(AS_IT_IS, 0.5, 1, 2).held_out)


def test_arms_that_differ_in_their_warm_up_are_kept_apart(tmp_path):
    path = tmp_path / "proof.jsonl"
    journal, bench, warm = Journal(path, 1), bench_of(), replace(AS_IT_IS, warmup=3)
    journal.restore(bench, (AS_IT_IS, warm))
    slow = bench.curve(warm, 0.1, 0, 5)
    journal.close()
    journal, again = Journal(path, 1), bench_of()
    assert journal.restore(again, (AS_IT_IS, warm)) == 1
    assert again.curve(warm, 0.1, 0, 5) == slow
    assert again.steps == 0
    again.curve(AS_IT_IS, 0.1, 0, 5)
    assert again.steps == 5
    journal.close()


@pytest.mark.parametrize(
    "content", [b'{"schema_version": "1.0"}\n', b"[1, 2]", b"a,b\n1,2", b"\x80\x02}q\x00", b"\n\nnull\n3\n"]
)
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "mine"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        Journal(path, "setting")
    assert caught.value.code == "unusable-resume-file"
    assert "--resume" in caught.value.hint
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UsageError) as caught:
        Journal(tmp_path, "setting")
    assert caught.value.code == "unusable-resume-file"
    with pytest.raises(UsageError):
        Journal(tmp_path / "none" / "proof.jsonl", "setting")


def test_an_empty_file_is_a_journal_without_trainings(tmp_path):
    path = tmp_path / "proof.jsonl"
    path.write_text("")
    journal = Journal(path, "setting")
    assert journal.restore(bench_of(), (AS_IT_IS,)) == 0
    journal.close()


def test_a_line_is_plain_json(tmp_path):
    path = tmp_path / "proof.jsonl"
    proved(replace(PLAN, resume=path, seeds=1))
    for line in path.read_text().splitlines():
        assert json.loads(line, parse_constant=pytest.fail).keys() == {
            "key", "arm", "rate", "seed", "held_out", "losses",
        }  # fmt: skip
