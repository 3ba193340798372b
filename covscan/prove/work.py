"""What a training step costs, counted and not timed, so that a budget is the same on every machine and every run."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from covscan.prove.runs import AS_IT_IS, Bench

_FLOPS_A_SECOND = 2e10
_SECONDS_A_CALL = 8e-6


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


def step_seconds(bench: Bench) -> float:
    """Seconds that a training step would take on a processor with two ordinary cores, reckoned from its operations.

    Floating point operations of matrix products and convolutions at 20 a nanosecond, and 8 microseconds for each
    operation called. A yardstick for budgets and no forecast.
    """
    draw = next(iter(bench.pool.draws(0)))
    with bench.session(0, AS_IT_IS), FlopCounterMode(display=False) as flops, _Calls() as calls:
        bench.loss(draw).backward()  # type: ignore[no-untyped-call]
    bench.forwards += 1
    return flops.get_total_flops() / _FLOPS_A_SECOND + calls.count * _SECONDS_A_CALL
