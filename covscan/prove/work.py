"""What a training step costs, counted and not timed, so that a budget is the same on every machine and every run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from covscan.prove.runs import AS_IT_IS, Bench

_FLOPS_A_SECOND = 2e10
_SECONDS_A_CALL = 8e-6
_SMALL = 5_000_000
"""Operations a call up to which further threads are no help.

A transformer with 3.6 million took 0.018 s a step on one thread and 0.025 s on two, on a machine with two cores that
others used too; with OpenMP's threads waiting actively, as they do unless told otherwise, two took 0.83 s.
"""


class _Calls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that reach the dispatcher."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count and go on."""
        del types
        self.count += 1
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True, slots=True)
class Work:
    """What one training step does: floating point operations of matrix products and convolutions, operations called."""

    flops: int
    calls: int

    @property
    def seconds(self) -> float:
        """What it would take on a processor with two ordinary cores: a yardstick for budgets and no forecast."""
        return self.flops / _FLOPS_A_SECOND + self.calls * _SECONDS_A_CALL

    @property
    def small(self) -> bool:
        """Whether operations are so small that further threads would only wait for each other."""
        return self.flops < _SMALL * self.calls


@contextmanager
def threads_for(work: Work) -> Iterator[None]:
    """One thread of torch where operations are small: there more are slower, by far where the machine is busy."""
    before = torch.get_num_threads()
    if work.small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def step_work(bench: Bench) -> Work:
    """Count what a training step does."""
    return bench.recall(("work", bench.start_digest(0)), Work, lambda: _counted(bench))


def _counted(bench: Bench) -> Work:
    draw = next(iter(bench.pool.draws(0)))
    with bench.session(0, AS_IT_IS), _unfused(), FlopCounterMode(display=False) as flops, _Calls() as calls:
        bench.loss(draw).backward()  # type: ignore[no-untyped-call]
    bench.forwards += 1
    return Work(flops.get_total_flops(), calls.count)


@contextmanager
def _unfused() -> Iterator[None]:
    """Recurrent layers one operation after the other: of an LSTM in one piece nothing could be counted."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch._C._set_mkldnn_enabled(before)
