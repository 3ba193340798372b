"""What covscan says of the instances, at one tier of evidence.

    python benchmarks/normgain/predict.py --tier forward --processes 2

Writes one JSON line per instance to ``data/predictions-TIER.jsonl``; numbers that are there already are left out,
unless ``--again`` is given. covscan sees a network at step 0 and after 40 steps, with other initial weights than the
truth's, and for the tiers that train the loss and the optimizer; it gets no learning rate.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from instances import INSTANCES, build
from places import checkpoints, report_of
from signals import candidate_json, gradient_norms, signals
from torch import nn
from working import add_arguments, work

TIERS = ("forward", "gradient", "probe", "trial")
DATA = Path(__file__).parent / "data"
BACKWARD = 3.0
"""A forward pass with gradients and the backward pass behind it, in forward passes."""


class Meter:
    """Counts what a network is run on: samples, and those that gradients were taken of."""

    def __init__(self) -> None:
        self.plain = 0
        self.with_gradients = 0

    def build(self, number: int) -> nn.Module:
        """A network of the instance, drawn from torch's random numbers, that reports to this meter."""
        network = build(number)
        network.register_forward_pre_hook(self._count, with_kwargs=True)
        return network

    def _count(self, module: nn.Module, arguments: Any, keywords: Any) -> None:
        del module
        n = len(next(value for value in (*arguments, *keywords.values()) if isinstance(value, torch.Tensor)))
        if torch.is_grad_enabled():
            self.with_gradients += n
        else:
            self.plain += n

    def forwards(self, batch: int) -> float:
        """Everything in forward passes of a batch of the training."""
        return (self.plain + BACKWARD * self.with_gradients) / batch


def prediction(number: int, tier: str) -> dict[str, Any]:
    """One line of the file."""
    instance = INSTANCES[number]
    settings: dict[str, Any] = {}
    if tier != "forward":
        settings = {"loss": instance.loss, "optimizer": instance.optimizer, "evidence": tier, "lr": None}
    meter = Meter()
    with tempfile.TemporaryDirectory() as folder:
        paths, rate = checkpoints(number, Path(folder))
        gradients = gradient_norms(number, paths) if tier == "forward" else {}
        began = time.process_time()
        report = report_of(number, paths, model=meter.build, **settings)
        seconds = time.process_time() - began
    places = []
    for candidate in report.candidates:
        place = candidate_json(candidate)
        if tier == "forward":
            place["signals"] = signals(report, candidate)
            place["gradients"] = {at: layers.get(candidate.site) for at, layers in gradients.items()}
        places.append(place)
    return {
        "number": number,
        "family": instance.family,
        "tier": tier,
        "checkpoint_rate": float(f"{rate:.4g}"),
        "forwards": round(meter.forwards(instance.batch), 1),
        "seconds": round(seconds, 2),
        "places": places,
        "suggestions": [
            {"site": s.site, "position": s.position, "tier": s.tier, "verdict": s.verdict} for s in report.suggestions
        ],
    }


def path_of(tier: str) -> Path:
    return DATA / f"predictions-{tier}.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", choices=TIERS, default="forward")
    add_arguments(parser, len(INSTANCES))
    options = parser.parse_args()
    output = options.output or path_of(options.tier)
    for record in work(prediction, options, output, options.tier):
        best = max((place["score"] for place in record["places"]), default=0.0)
        print(
            f"{record['number']:4} {record['family']:12} {len(record['places']):3} places, best {best:.3f}", flush=True
        )


if __name__ == "__main__":
    main()
