"""Where normalizations are tried in an instance: covscan's own candidates, so that what it says can be compared."""

import inspect
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from instances import INSTANCES, OTHER_SEED, build, data
from torch import nn

import covscan
from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.binding import bind_torch
from covscan.prove.gains import RUNG
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import open_trainer
from covscan.prove.pool import Pool
from covscan.prove.runs import AS_IT_IS, Bench
from covscan.report.types import Report
from covscan.surgery.types import FAMILIES, Insertion

STEPS = 40
"""How long the second checkpoint was trained: about a quarter of what the truth trains for."""
MOST, MOST_BEHIND, LEAST_BEFORE = 7, 7, 1


@dataclass(frozen=True, slots=True)
class Place:
    """A place with the normalization for it; ``offered`` says that covscan named it as a candidate."""

    insertion: Insertion
    order: int
    offered: bool

    def as_json(self) -> dict[str, Any]:
        at = self.insertion
        return {
            "site": at.site,
            "position": at.position,
            "norm": at.norm,
            "channels": at.channels,
            "axis": at.channel_axis,
            "order": self.order,
            "offered": self.offered,
        }


def place_of(found: dict[str, Any]) -> Place:
    at = Insertion(found["site"], found["position"], found["norm"], found["channels"], found["axis"])
    return Place(at, found["order"], found["offered"])


def bench_of(number: int, seeds: int) -> Bench:
    """What trains an instance, from the initial weights of as many seeds."""
    instance = INSTANCES[number]
    network = build(number, 0)
    samples = open_samples(Settings(data=data(number), target="y", samples=10_000, batch_size=512))
    signature = inspect.signature(network.forward)
    pool = Pool(samples, instance.batch, lambda batch: bind_torch(signature, batch, "cpu", torch.float32))
    starts = [{n: t.detach().clone() for n, t in build(number, s).state_dict().items()} for s in range(seeds)]
    trainer = open_trainer(instance.optimizer)
    return Bench(network, pool, open_objective(instance.loss), trainer, starts, torch.device("cpu"))


def checkpoints(number: int, folder: Path) -> tuple[list[Path], float]:
    """Save a network untrained and trained for a quarter of the truth's steps; the paths and the learning rate.

    Its initial weights and its batches are none of the truth's, since a tool that trained on those would be scored on
    what it saw. The rate is the optimizer's usual one, or the next lower one of the ladder with which the loss stays
    finite and below twice that of the start.
    """
    bench = bench_of(number, OTHER_SEED + 1)
    rate = bench.trainer.usual_rate
    paths = [folder / "ckpt-0.pt", folder / f"ckpt-{STEPS}.pt"]
    torch.save(build(number, OTHER_SEED).state_dict(), paths[0])
    while not (_trained(bench, rate, paths[1]) or rate < 1e-7):
        rate /= RUNG
    return paths, rate


def _trained(bench: Bench, rate: float, path: Path) -> bool:
    """Save the weights behind so many steps; whether training with this rate went well."""
    losses: list[float] = []
    with bench.session(OTHER_SEED, AS_IT_IS) as trained:
        optimizer = bench.trainer.make(trained, rate)
        for draw in islice(bench.pool.draws(OTHER_SEED), STEPS):
            optimizer.zero_grad(set_to_none=True)
            loss = bench.loss(draw)
            losses.append(float(loss.detach()))
            loss.backward()
            optimizer.step()
        torch.save(bench.model.state_dict(), path)
        return all(bool(p.isfinite().all()) for p in trained) and losses[-1] < 2 * losses[0]


def analyze(number: int, *, model: Callable[..., nn.Module] = build, **settings: Any) -> tuple[Report, float]:
    """covscan's report on the two checkpoints of an instance, and the rate that the second was trained with."""
    with tempfile.TemporaryDirectory() as folder:
        paths, rate = checkpoints(number, Path(folder))
        return report_of(number, paths, model=model, **settings), rate


def report_of(
    number: int, paths: Sequence[Path], *, model: Callable[..., nn.Module] = build, **settings: Any
) -> Report:
    """covscan's report on checkpoints of an instance.

    The samples come in another order than the truth draws them in, for the same reason as above.
    """
    arrays = data(number)
    order = np.random.default_rng(OTHER_SEED).permutation(len(arrays["x"]))
    return covscan.analyze(
        paths,
        data={name: array[order] for name, array in arrays.items()},
        model=model,
        model_args={"number": number},
        target="y",
        train_batch_size=INSTANCES[number].batch,
        device="cpu",
        **settings,
    )


def places_of(report: Report, network: nn.Module) -> list[Place]:
    """Candidates behind layers, and some of those in front of layers, in order of execution.

    At most 7 behind layers and, where those are few, up to 4 in front, evenly spread. Where covscan offers fewer than
    three places because the network is normalized already, layers that it left out for that come in, not ``offered``.
    """
    sites = {(site.site, site.position): site for site in report.sites}
    found = []
    for candidate in report.candidates:
        site = sites.get((candidate.site, "output" if candidate.position == "after" else "input"))
        if site is not None and candidate.norm in FAMILIES:
            at = Insertion(candidate.site, candidate.position, candidate.norm, site.channels, site.channel_axis)
            found.append(Place(at, site.depth, True))
    found.sort(key=lambda place: place.order)
    behind = _spread([p for p in found if p.insertion.position == "after"], MOST_BEHIND)
    before = [p for p in found if p.insertion.position == "before"]
    chosen = [*behind, *_spread(before, max(LEAST_BEFORE, min(4, MOST - 1 - len(behind))))]
    if len(chosen) < 3:
        chosen += _spread(_left_out(report, network, {p.insertion.site for p in chosen}), 4 - len(chosen))
    return sorted(chosen, key=lambda place: (place.order, place.insertion.position == "after"))


def _left_out(report: Report, network: nn.Module, taken: set[str]) -> list[Place]:
    """Layers beside a normalization, which gets a second one of the kind that is there."""
    kinds = [type(m).__name__ for m in network.modules()]
    found = []
    layers = [s for s in report.sites if s.position == "output" and s.role == "layer" and s.site not in taken]
    for site in sorted(layers, key=lambda site: site.depth)[:-1]:
        if site.type == "Embedding":
            continue
        norm = "BatchNorm1d" if "BatchNorm1d" in kinds else "LayerNorm"
        if len(site.shape) == 4:
            norm = "BatchNorm2d" if "BatchNorm2d" in kinds else "GroupNorm"
        found.append(Place(Insertion(site.site, "after", norm, site.channels, site.channel_axis), site.depth, False))
    return found


def _spread(places: Sequence[Place], most: int) -> list[Place]:
    """At most so many, evenly over the network, the last one always."""
    if len(places) <= most:
        return list(places)
    return [places[round((number + 1) * len(places) / most) - 1] for number in range(most)]
