"""A small series of checkpoints, and covscan run in a child that may be killed, limited or interrupted."""

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FACTORY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))

def build():
    return Net()
"""
BEFORE = "what was there before"


@dataclass(frozen=True)
class Outcome:
    """How a child ended: its exit code (negative for a signal) and what it said on standard error."""

    code: int
    said: str


@dataclass(frozen=True)
class Runs:
    """A folder with ``nets_faults.py``, ``x.npz`` and ``step-0.pt`` to ``step-2.pt``."""

    folder: Path

    @property
    def output(self) -> Path:
        return self.folder / "report.json"

    def checkpoint(self, step: int) -> Path:
        return self.folder / f"step-{step}.pt"

    def arguments(self, *more: Any) -> list[str]:
        checkpoints = [str(self.checkpoint(step)) for step in range(3)]
        model = f"{self.folder / 'nets_faults.py'}:build"
        fixed = ["analyze", "--model", model, "--data", str(self.folder / "x.npz"), "--no-config", "--device", "cpu"]
        return [*fixed, "-o", f"json={self.output}", *map(str, more), *checkpoints]

    def child(self, prepare: Callable[[], Any] = lambda: None, arguments: list[str] | None = None) -> Outcome:
        """Run the command line in a fork of this process, after ``prepare`` there; cheaper than importing torch."""
        return self.wait(self.start(prepare, arguments))

    def start(
        self, prepare: Callable[[], Any] = lambda: None, arguments: list[str] | None = None, name: str = "said"
    ) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
            number = os.fork()
        if number:
            return number
        code = 99
        try:
            said = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(said, 2)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            prepare()
            from covscan.cli.entry import run

            code = run(self.arguments() if arguments is None else arguments)
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001 the parent reads it
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def wait(self, number: int, name: str = "said") -> Outcome:
        _, status = os.waitpid(number, 0)
        return Outcome(os.waitstatus_to_exitcode(status), (self.folder / name).read_text(errors="replace"))

    def report(self, path: Path | None = None) -> dict[str, Any]:
        """What was written, without what belongs to the run."""
        return without_run(json.loads((path or self.output).read_text()))

    def leftovers(self) -> list[str]:
        """Files in the folder that nobody asked for, and what covscan left in its temporary folder.

        A folder of torch's own compiler is made there by torch, by whatever test imports that first.
        """
        here = [path.name for path in self.folder.iterdir() if path.name.startswith(".") or path.suffix == ".tmp"]
        there = [path.name for path in (self.folder / "tmp").iterdir()]
        return [*here, *(name for name in there if not name.startswith("torchinductor_"))]

    def processes(self) -> list[str]:
        """Processes that have this folder as their temporary one and are there for more than a moment.

        Without this one, and without Python's own that cleans up after others.
        """
        until = time.monotonic() + 5
        while (found := self._processes()) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def _processes(self) -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if (
                    path.parent.name == str(os.getpid())
                    or b"resource_tracker" in path.with_name("cmdline").read_bytes()
                ):
                    continue
                if f"TMPDIR={self.folder}/".encode() in path.read_bytes():
                    found.append(path.parent.name)
            except OSError:
                continue
        return found


def without_run(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "run"}


def write_runs(folder: Path) -> Runs:
    (folder / "tmp").mkdir()
    (folder / "nets_faults.py").write_text(FACTORY)
    torch.manual_seed(0)
    for step in range(3):
        state = nn.ModuleDict({"fc1": nn.Linear(6, 12), "fc2": nn.Linear(12, 3)}).state_dict()
        torch.save(state, folder / f"step-{step}.pt")
    np.savez(folder / "x.npz", x=np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32))
    return Runs(folder)


@contextmanager
def patched(owner: Any, name: str, instead: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, instead)
    try:
        yield
    finally:
        setattr(owner, name, original)


def at_call(owner: Any, name: str, number: int, act: Callable[[], Any], *, after: bool = False) -> Callable[[], None]:
    """What makes ``owner.name`` do ``act`` when it is called for the ``number``-th time, before or after its work."""

    def prepare() -> None:
        original, calls = getattr(owner, name), iter(range(1, 1_000_000))

        def counted(*arguments: Any, **named: Any) -> Any:
            due = next(calls) == number
            if due and not after:
                act()
            result = original(*arguments, **named)
            if due and after:
                act()
            return result

        setattr(owner, name, counted)

    return prepare


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


KILL = send(signal.SIGKILL)
