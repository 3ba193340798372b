"""``prove`` from settings to proof: open everything, find the place, run the protocol."""

from pathlib import Path
from typing import Literal

import torch
from threadpoolctl import threadpool_limits

from covscan.capture.probe_batch import few_samples
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.torch_session import left_as_found
from covscan.config import Settings
from covscan.config.progress import Progress, Silent
from covscan.data import open_samples
from covscan.data.binding import take
from covscan.errors import UsageError
from covscan.insertion.torch_place import find_place
from covscan.insertion.torch_running import run
from covscan.insertion.types import Request
from covscan.models import open_source
from covscan.prove.proof import Plan, prove
from covscan.report.proof import Proof
from covscan.surgery.fitting import check_kind

Position = Literal["before", "after"]


def prove_place(
    settings: Settings, site: str, position: Position, norm: str, plan: Plan, progress: Progress | None = None
) -> Proof:
    """Train with and without ``norm`` at a place and say what it gains. Raises UsageError."""
    progress = progress or Silent()
    check_kind(norm)
    source = open_source(settings)
    if source.engine != "torch":
        raise UsageError(
            "unsupported-format",
            f"a model opened by {source.engine} cannot be trained here",
            hint="give the factory and its weights: --model file.py:function ckpt-*.pt",
        )
    samples = open_samples(settings)
    backend = TorchBackend(source, settings)
    checkpoint = source.series.checkpoints[0]
    model = source.module(checkpoint)
    device = torch.device(backend.device)
    first = next(iter(samples.batches()))
    batch = take(first, few_samples(first))

    def forward() -> None:
        with left_as_found(model, device):
            run(model, batch, device, settings.seed)

    request = Request(site, position, norm, Path())
    insertion = find_place(model, backend.plan(checkpoint, first), request, forward, batch.n).insertion
    progress.start([], 0)
    try:
        with threadpool_limits(1, user_api="blas"):
            return prove(source, settings, samples, insertion, plan, progress.trial, progress.note)
    finally:
        progress.finish()
