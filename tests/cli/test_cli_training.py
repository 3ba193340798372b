"""``analyze --loss`` and ``prove``: what they need, what they say, and how they end."""

import json

import jsonschema
import pytest

from covscan.report import read, schema

NETS = """
from torch import nn


def deep(depth=5):
    layers = [nn.Linear(8, 12), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Linear(12, 12), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(12, 3))


def squares(output, target):
    return ((output.argmax(1) - target) ** 2).float().mean()


def cubes(output, target):
    return nn.functional.cross_entropy(output, target) ** 3
"""
MAKE = """
import sys, torch, numpy as np
sys.path.insert(0, ".")
from nets import deep
model = deep()
for step in (0, 20):
    torch.save(model.state_dict(), f"step-{step}.pt")
    with torch.no_grad():
        model[0].weight.mul_(1.05)
torch.jit.trace(deep().eval(), torch.zeros(2, 8)).save("net.ts")
x = np.random.default_rng(0).normal(size=(192, 8)).astype("float32")
np.savez("x.npz", x=x, y=x[:, :3].argmax(1))
"""
NET = ("--model", "nets.py:deep", "--data", "x.npz")
TRAINED = (*NET, "--target", "y", "--loss", "cross_entropy", "--optimizer", "sgd", "--lr", "0.1")
SERIES = ("step-0.pt", "step-20.pt")
PLACE = ("--site", "8", "--norm", "BatchNorm")
SHORT = ("--seeds", "2", "--steps", "5", "--rates", "3")


@pytest.fixture(scope="module")
def project(tmp_path_factory, ready):
    """A deep narrow network that loses its signal, two checkpoints, labelled samples."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "nets.py").write_text(NETS)
    ready.run("-c", MAKE, cwd=folder).check_returncode()
    return folder


@pytest.fixture
def here(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


@pytest.fixture(scope="module")
def twice(project, run_covscan):
    """The same trial as two processes: what came of both."""
    words = (
        "analyze",
        *TRAINED,
        "--exclude",
        "0",
        "--exclude",
        "2",
        "--exclude",
        "4",
        *SERIES,
        "--trial-steps",
        "5600",
    )
    return [
        run_covscan(*words, "-f", "json", "-o", f"text={project}/{name}.txt", cwd=project, fresh=name == "two")
        for name in ("one", "two")
    ]


def test_a_loss_leads_to_suggestions_that_were_trained(twice):
    done = twice[0]
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["trials"]["tier"] == "trial"
    assert report["trials"]["steps"] <= 5600
    assert report["suggestions"]
    assert {suggestion["tier"] for suggestion in report["suggestions"]} == {"trial"}
    assert report["gradients"] is not None

    jsonschema.validate(report, schema())
    assert "training trial, " in done.stderr
    assert "of at most 5,600 training steps" in done.stderr


def test_the_same_run_gives_the_same_report(twice):
    one, two = (json.loads(done.stdout) for done in twice)
    assert one.pop("run") != two.pop("run")
    assert json.dumps(one) == json.dumps(two)


def test_the_text_of_a_trial_shows_what_was_tried(twice, project):
    shown = (project / "one.txt").read_text()
    assert "Training trials" in shown
    assert "the weights of step-0 (step 0) and 2 initializations of the factory's" in shown
    assert "at your rate" in shown


@pytest.mark.parametrize(("tier", "found"), [("forward", (None, None)), ("gradient", (True, None))])
def test_evidence_goes_no_further_than_asked(covscan, here, tier, found):
    code, out, _ = covscan("analyze", *TRAINED, *SERIES, "--evidence", tier, "-f", "json")
    report = json.loads(out)
    assert code == 0
    assert (report["gradients"] and True, report["trials"]) == found
    assert {candidate["tier"] for candidate in report["candidates"]} == {"forward"}


def test_a_probe_takes_steps_and_no_trainings(covscan, here):
    code, out, _ = covscan("analyze", *TRAINED, *SERIES, "--evidence", "probe", "-f", "json", "--trial-steps", "200")
    report = json.loads(out)
    assert code == 0
    assert (report["trials"]["tier"], report["trials"]["steps"]) == ("probe", 0)
    assert {candidate["tier"] for candidate in report["candidates"]} == {"probe"}
    assert {suggestion["tier"] for suggestion in report["suggestions"]} <= {"probe"}


def test_a_budget_for_nothing_leaves_forward_evidence(covscan, here):
    without = json.loads(covscan("analyze", *TRAINED, *SERIES, "--evidence", "forward", "-f", "json")[1])
    code, out, _ = covscan("analyze", *TRAINED, *SERIES, "--trial-steps", "1", "-f", "json")
    report = json.loads(out)
    assert code == 0
    assert report["trials"] is None
    assert report["candidates"] == without["candidates"]
    assert any("only forward evidence was used" in note for note in report["notes"])


def test_a_loss_of_the_users_own(covscan, here):
    words = (*NET, "--target", "y", "--loss", "nets.py:cubes", "--evidence", "probe", "--trial-steps", "200")
    code, out, _ = covscan("analyze", *words, *SERIES, "-f", "json")
    assert code == 0
    assert json.loads(out)["trials"]["loss"] == "nets.py:cubes"
    assert "--optimizer was not given: trials train with adam." in json.loads(out)["notes"]


@pytest.mark.parametrize(("file", "engine"), [("net.ts", "torchscript"), ("epoch0.onnx", "onnx")])
def test_a_model_that_cannot_be_trained_here_gets_forward_evidence_and_a_note(covscan, here, conv_net, file, engine):
    found, data = (
        (here / file, here / "x.npz") if engine == "torchscript" else (conv_net / file, conv_net / "sample.npz")
    )
    words = ("--data", data, "--target", "y" if engine == "torchscript" else "label", "--loss", "cross_entropy", found)
    code, out, err = covscan("analyze", *words, "--samples", "32", "-f", "json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["trials"], report["gradients"]) == (None, None)
    assert f"A model opened by {engine} cannot be trained here: forward evidence alone was used." in report["notes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--loss", "crossentropy"], "did you mean 'cross_entropy'?"),
        (["--loss", "none.py:loss"], "hint"),
        (["--loss", "nets.py:squares"], "check --loss and --target"),
        (["--loss", "mse"], "the target should hold"),
        (["--optimizer", "adma"], "did you mean 'adam'?"),
        (["--evidence", "trail"], "trial"),
        (["--lr", "0"], "write for example --lr 0.001"),
        (["--lr", "nan"], "write for example --lr 0.001"),
        (["--lr", "-1"], "write for example --lr 0.001"),
    ],
)
def test_what_is_wrong_is_said_with_a_hint(covscan, here, words, said):
    code, out, err = covscan("analyze", *NET, "--target", "y", "--loss", "cross_entropy", *words, SERIES[0], "-q")
    assert (code, out) == (2, "")
    assert err.startswith("error[")
    assert said in err


def test_a_named_loss_needs_a_target(covscan, here):
    code, _, err = covscan("analyze", *NET, "--loss", "cross_entropy", SERIES[0], "-q")
    assert code == 2
    assert "--target NAME" in err


# prove


def test_prove_answers_and_writes_its_proof(run_covscan, project, tmp_path):
    words = ("prove", *TRAINED, *PLACE, *SHORT, SERIES[0], "-o", tmp_path / "proof.json")
    done = run_covscan(*words, cwd=project)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("covscan prove BatchNorm1d behind 8")
    for name in ("as it is", "fixed affine", "warm-up"):
        assert f"\n{name} " in done.stdout
    assert "paired trainings, " in done.stderr
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert (proof["site"], proof["norm"], proof["seeds"], proof["steps"]) == ("8", "BatchNorm1d", 2, 5)


def test_prove_takes_a_suggestion_and_gives_json(covscan, here, twice, tmp_path):
    (tmp_path / "report.json").write_text(twice[0].stdout)
    code, out, _ = covscan(
        "prove", *TRAINED, *SHORT, SERIES[0], "--report", tmp_path / "report.json", "-f", "json", "-q"
    )
    first = read(tmp_path / "report.json").suggestions[0]
    proof = json.loads(out)
    assert code == 0
    assert (proof["site"], proof["position"], proof["norm"]) == (first.site, first.position, first.norm)


def test_prove_goes_on_where_it_stopped(covscan, here, tmp_path):
    words = ("prove", *TRAINED, *PLACE, *SHORT, SERIES[0], "--resume", tmp_path / "p.jsonl", "-f", "json", "-q")
    first = covscan(*words)[1]
    lines = (tmp_path / "p.jsonl").read_text().splitlines()
    (tmp_path / "p.jsonl").write_text("\n".join(lines[:-3]) + "\n" + lines[-3][:20])
    assert covscan(*words)[1] == first
    assert len((tmp_path / "p.jsonl").read_text().splitlines()) == len(lines) + 1


@pytest.mark.parametrize(("percent", "code"), [("-500", 0), ("99", 1)])
def test_an_expected_gain_decides_the_exit_code(covscan, here, percent, code):
    words = ("prove", *TRAINED, *PLACE, *SHORT, SERIES[0], "--expect-gain", percent, "-q")
    found, out, err = covscan(*words)
    assert found == code, err
    assert f"The expected gain of {percent} % is {'' if code == 0 else 'not '}met." in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*TRAINED, SERIES[0]], "--site and --norm must say"),
        ([*TRAINED, "--site", "8", SERIES[0]], "--norm must say"),
        ([*TRAINED, *PLACE], "there is nothing to train"),
        ([*NET, *PLACE, SERIES[0]], "nothing says what is trained for"),
        ([*TRAINED, "--site", "none", "--norm", "BatchNorm", SERIES[0]], "hint"),
        ([*TRAINED, "--site", "8", "--norm", "QKNorm", SERIES[0]], "hint"),
        ([*TRAINED, *PLACE, "--position", "behind", SERIES[0]], "--position behind"),
        ([*TRAINED, *PLACE, "-f", "yaml", SERIES[0]], "--format yaml"),
        ([*TRAINED, *PLACE, "--report", "x.npz", SERIES[0]], "both say where"),
        (["--data", "x.npz", "--target", "y", "--loss", "cross_entropy", *PLACE, "net.ts"], "cannot be trained here"),
    ],
)
def test_prove_says_what_is_wrong(covscan, here, words, said):
    code, out, err = covscan("prove", *words, "-q")
    assert (code, out) == (2, "")
    assert err.startswith("error[")
    assert said in err


def test_prove_refuses_a_resume_file_of_something_else(covscan, here):
    before = (here / "nets.py").read_bytes()
    code, _, err = covscan("prove", *TRAINED, *PLACE, *SHORT, SERIES[0], "--resume", "nets.py", "-q")
    assert code == 2
    assert "is no file that covscan prove wrote" in err
    assert (here / "nets.py").read_bytes() == before


def test_a_target_that_does_not_fit_is_said_before_anything_is_measured(tmp_path, monkeypatch):
    import numpy as np

    import covscan
    from covscan.errors import UsageError

    measured = []
    monkeypatch.setattr("covscan.measuring.measure_series", lambda *rest: measured.append(rest) or [])
    import torch

    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "one.pt")
    data = {"x": np.ones((8, 3), np.float32), "y": np.full(8, 7)}
    with pytest.raises(UsageError, match="class numbers"):
        covscan.analyze(
            tmp_path / "one.pt", model=lambda: torch.nn.Linear(3, 2), data=data, target="y", loss="cross_entropy"
        )
    assert not measured
