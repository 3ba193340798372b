"""What was measured before is not measured again, and nothing else is taken for it."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from covscan import engine
from covscan.cache import Store
from covscan.config import Settings
from covscan.config.progress import Silent
from covscan.errors import UsageError
from covscan.pipeline import analyze

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, slope=0.1):
        super().__init__()
        self.slope = slope
        self.fc1, self.fc2 = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.fc2(nn.functional.leaky_relu(self.fc1(x), self.slope))

def build(slope=0.1):
    return Net(slope)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A series of four checkpoints with a cache of its own; counts how many subjects are run."""
    monkeypatch.setenv("COVSCAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COVSCAN_CACHE_SIZE", "1G")
    (tmp_path / "nets_known.py").write_text(FACTORY)
    torch.manual_seed(0)
    for step in range(4):
        layers = {"fc1": nn.Linear(6, 12), "fc2": nn.Linear(12, 3)}
        state = {
            f"{name}.{part}": value for name, layer in layers.items() for part, value in layer.state_dict().items()
        }
        torch.save(state, tmp_path / f"step-{step}.pt")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32))
    return Settings(
        model=f"{tmp_path / 'nets_known.py'}:build",
        checkpoints=tuple(str(tmp_path / f"step-{step}.pt") for step in range(4)),
        data=str(tmp_path / "x.npz"),
        device="cpu",
    )


@pytest.fixture
def captures(monkeypatch):
    """The ids of the subjects whose samples ran."""
    seen = []
    original = engine.column.capture

    def counted(subject, *rest):
        seen.append(subject.id)
        return original(subject, *rest)

    monkeypatch.setattr("covscan.engine.column.capture", counted)
    return seen


class Notes(Silent):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


def content(report):
    return {key: value for key, value in msgspec.to_builtins(report).items() if key != "run"}


def measured(settings, captures, **change):
    """The report without its times, and what ran for it."""
    captures.clear()
    report = content(analyze(replace(settings, **change)))
    return report, list(captures)


def test_a_rerun_measures_nothing_and_gives_the_same_report(run, captures):
    first, ran = measured(run, captures)
    assert ran == [f"step-{step}" for step in range(4)]
    again, ran = measured(run, captures)
    assert ran == []
    assert again == first
    assert measured(run, captures, cache=False) == (first, ["step-0", "step-1", "step-2", "step-3"])


def test_one_more_checkpoint_measures_that_one_alone(run, captures):
    measured(run, captures, checkpoints=run.checkpoints[:3])
    whole, ran = measured(run, captures)
    assert ran == ["step-3"]
    assert whole == measured(run, captures, cache=False)[0]


def test_a_checkpoint_less_in_the_middle_reruns_what_lacks_a_replay(run, captures):
    measured(run, captures)
    fewer, ran = measured(run, captures, checkpoints=(*run.checkpoints[:1], *run.checkpoints[2:]))
    # step-2 was replayed with step-0 already; step-3 as well, and with step-2.
    assert ran == []
    assert fewer == measured(run, captures, cache=False, checkpoints=(*run.checkpoints[:1], *run.checkpoints[2:]))[0]
    other = (run.checkpoints[1], run.checkpoints[3])
    moved, ran = measured(run, captures, checkpoints=other)
    assert ran == ["step-3"]  # never replayed with the weights of step-1
    assert moved == measured(run, captures, cache=False, checkpoints=other)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1}, {"positions": None}, {"batch_size": 16}, {"samples": 40}, {"sites": ("fc1",)},
        {"exclude": ("fc2",)}, {"per_channel": True}, {"model_args": (("slope", 0.2),)}, {"threads": 1},
    ],
    ids=str,
)  # fmt: skip
def test_other_settings_are_measured(run, captures, change):
    measured(run, captures)
    changed, ran = measured(run, captures, **change)
    assert len(ran) == 4
    assert changed == measured(run, captures, cache=False, **change)[0]


def test_other_weights_and_other_data_are_measured(run, captures, tmp_path):
    measured(run, captures)
    state = torch.load(tmp_path / "step-2.pt")
    torch.save({name: value + 1 for name, value in state.items()}, tmp_path / "step-2.pt")
    _, ran = measured(run, captures)
    assert ran == ["step-2", "step-3"]  # and the one that is replayed with its weights
    np.savez(tmp_path / "x.npz", x=np.zeros((64, 6), np.float32) + np.arange(6))
    _, ran = measured(run, captures)
    assert len(ran) == 4


def test_other_code_behind_the_same_weights_is_measured(run, run_covscan, tmp_path):
    def analyzed(*arguments):
        """What the command line says on standard error, run in the folder with its cache."""
        checkpoints = [f"step-{step}.pt" for step in range(4)]
        named = ("--model", "nets_known.py:build", "--data", "x.npz")
        done = run_covscan("analyze", *named, *arguments, *checkpoints, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "were measured before" not in analyzed()
    assert "4 of 4 were measured before" in analyzed()
    assert "were measured before" not in analyzed("--no-cache")
    source = tmp_path / "nets_known.py"
    source.write_text(FACTORY.replace("leaky_relu(self.fc1(x), self.slope)", "silu(self.fc1(x))"))
    assert "were measured before" not in analyzed()
    source.write_text(FACTORY)
    assert "4 of 4 were measured before" in analyzed()


@pytest.mark.parametrize("kind", ["facts", "pair", "summary"])
def test_a_damaged_entry_is_measured_again_with_a_note(run, captures, kind, tmp_path):
    measured(run, captures, checkpoints=run.checkpoints[:3])
    for path in (tmp_path / "cache").rglob(f"*.{kind}"):
        path.write_bytes(path.read_bytes()[:-3])
    notes = Notes()
    captures.clear()
    whole = content(analyze(run, notes))
    assert "damaged entry" in " ".join(notes.said)
    assert whole == measured(run, captures, cache=False)[0]
    again, ran = measured(run, captures)
    assert (again, ran) == (whole, [])


def test_an_entry_of_another_form_is_measured_again(run, captures, tmp_path):
    measured(run, captures)
    store = Store(tmp_path / "cache", 1 << 30)
    for held in store.held():
        store.put(held.kind, held.path.stem, msgspec.msgpack.encode({"no": "such thing"}))
    notes = Notes()
    captures.clear()
    report = content(analyze(run, notes))
    assert len(captures) == 4
    assert report == measured(run, captures, cache=False)[0]


def test_a_run_that_was_killed_goes_on_where_it_stopped(run, captures, monkeypatch):
    def killed(self, key, facts):
        if self.kept == 2:
            raise KeyboardInterrupt
        self.kept += 1
        keep(self, key, facts)

    keep = engine.column.Known.keep_facts
    monkeypatch.setattr(engine.column.Known, "keep_facts", killed)
    monkeypatch.setattr(engine.column.Known, "kept", 0, raising=False)
    with pytest.raises(KeyboardInterrupt):
        analyze(run)
    monkeypatch.setattr(engine.column.Known, "keep_facts", keep)
    report, ran = measured(run, captures)
    assert ran == ["step-2", "step-3"]
    assert report == measured(run, captures, cache=False)[0]


def test_two_data_sets_and_two_models_are_kept_as_well(run, captures, tmp_path):
    np.savez(tmp_path / "y.npz", x=np.random.default_rng(1).normal(1, 1, size=(64, 6)).astype(np.float32))
    change = {"reference_data": str(tmp_path / "y.npz"), "checkpoints": run.checkpoints[:1]}
    first, ran = measured(run, captures, **change)
    assert len(ran) == 2
    assert measured(run, captures, **change) == (first, [])


def test_processes_beside_each_other_give_the_same_report(run, captures):
    alone, _ = measured(run, captures, cache=False)
    assert measured(run, captures, cache=False, jobs=2) == (alone, [])
    assert measured(run, captures, jobs=2) == (alone, [])
    assert measured(run, captures, jobs=3) == (alone, [])


def test_several_processes_need_names_that_they_can_open(run):
    def build():
        return nn.ModuleDict({"fc1": nn.Linear(6, 12), "fc2": nn.Linear(12, 3)})

    with pytest.raises(UsageError, match="jobs-need-names"):
        analyze(replace(run, model=build, jobs=2))


def test_a_process_that_dies_leaves_its_work_to_this_one(run, captures, tmp_path):
    (tmp_path / "nets_known.py").write_text(
        FACTORY + "\nimport multiprocessing, os\nif multiprocessing.parent_process() is not None: os._exit(9)\n"
    )
    notes = Notes()
    report = content(analyze(replace(run, jobs=2, cache=False), notes))
    assert [each for each in notes.said if "process died" in each]
    assert report == measured(run, captures, cache=False)[0]


def test_an_error_in_another_process_is_the_users_error(run, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros((64, 5), np.float32))
    with pytest.raises(UsageError, match="model-failed"):
        analyze(replace(run, jobs=2, cache=False))
