"""Putting a normalization into a PyTorch checkpoint: a state_dict and the file whose factory takes it."""

import importlib.machinery
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from covscan.capture.probe_batch import few_samples
from covscan.capture.torch_backend import TorchBackend
from covscan.capture.torch_session import left_as_found, pick_device
from covscan.config import Settings
from covscan.data.binding import take
from covscan.data.types import Samples
from covscan.errors import UsageError
from covscan.insertion.staging import Staging, told
from covscan.insertion.torch_place import Place, find_place
from covscan.insertion.torch_running import compare, inserted_layer, perturbation, run
from covscan.insertion.types import Outcome, Request, Training
from covscan.models import open_source
from covscan.models.factory import build
from covscan.models.types import TorchSource
from covscan.surgery import code
from covscan.surgery.calibration import Calibrating, Calibration
from covscan.surgery.factory_file import Factory, factory_file, original_key, renamed
from covscan.surgery.layers import set_identity

_GAUSSIAN = 1.5
"""Variance of the perturbation by batch statistics times independent rows, for Gaussian values."""


def insert_torch(source: TorchSource, samples: Samples, settings: Settings, request: Request) -> Outcome:
    """Put the normalization in, write both files, and compare them with the original. Raises UsageError."""
    assert request.code is not None
    factory = locate(settings.model, request.code)
    work = _Work(source, samples, settings, request)
    place = work.find()
    calibration = work.calibrate(place) if place.insertion.norm.startswith("BatchNorm") else None
    with Staging() as staging:
        files = staging.stage(request.output), staging.stage(request.code)
        layer = code.layer(place.insertion, place.rank, _dtype_of(place))
        text = factory_file(factory, dict(settings.model_args), place.insertion, layer, place.names)
        with told(request.code):
            files[1].write_text(text, encoding="utf-8")
        state = work.state(_built(files[1]), place, calibration)
        with told(request.output):
            torch.save(state, files[0])
        written = _opened(settings, files)
        difference = compare(work.model, written, samples, work.device, settings.seed)
        training = work.training(written, place, calibration)
        staging.commit()
    return Outcome(
        insertion=place.insertion,
        written=(request.output, request.code),
        difference=difference,
        training=training,
        calibrated_on=calibration.rows if calibration else 0,
        renamed=tuple(renamed(place.names, place.insertion.position)),
        load=("--model", f"{request.code}:build", str(request.output)),
        notes=(*source.notes, *work.notes(calibration)),
    )


class _Work:
    """The network and the data of one insertion."""

    def __init__(self, source: TorchSource, samples: Samples, settings: Settings, request: Request) -> None:
        self._source, self._samples, self._request = source, samples, request
        self._settings = replace(settings, positions=None)
        self._backend = TorchBackend(source, self._settings)
        self.device = pick_device(settings.device)
        self._checkpoint = source.series.checkpoints[0]
        self._first = next(iter(samples.batches()))
        self._network = self._backend.plan(self._checkpoint, self._first)
        self.model = source.module(self._checkpoint)

    def find(self) -> Place:
        """Where the normalization goes."""
        few = take(self._first, few_samples(self._first))
        try:
            return self._find(few)
        except UsageError as error:
            if error.code != "model-failed":
                raise
            return self._find(self._first)  # the model has a fixed batch size

    def _find(self, batch: Any) -> Place:
        def forward() -> None:
            with left_as_found(self.model, self.device):
                run(self.model, batch, self.device, self._settings.seed)

        return find_place(self.model, self._network, self._request, forward, batch.n)

    def calibrate(self, place: Place) -> Calibration:
        """Mean and variance at the place, over all samples and positions."""
        recorder = Calibrating({site.key for site in place.sites}, place.insertion.channels)
        self._backend.measure(self._checkpoint, place.network(self._network), self._samples.batches(), recorder)
        return recorder.result(place.insertion.site)

    def state(self, wrapped: nn.Module, place: Place, calibration: Calibration | None) -> dict[str, torch.Tensor]:
        """The state_dict of the wrapped network: the file's own tensors under their new keys, and the layer's."""
        if calibration is not None:
            set_identity(inserted_layer(wrapped, place.insertion), calibration.mean, calibration.variance)
        saved, loaded = self._source.weights(self._checkpoint), self.model.state_dict()
        copies: dict[tuple[Any, ...], torch.Tensor] = {}
        state = {}
        for key, value in wrapped.state_dict().items():
            old = original_key(key, place.names, place.insertion.position)
            found = value if old is None else saved.get(old, loaded.get(old, value))
            if not isinstance(found, torch.Tensor):
                raise UsageError(
                    "unsupported-state", f"the state of the model holds more than tensors: {key!r}", found=repr(found)
                )
            state[key] = _copied(found, copies)
        return state

    def notes(self, calibration: Calibration | None) -> list[str]:
        """What a reader of the figures must know."""
        if calibration is None or self._first.mask is None:
            return []
        return ["Padding does not count in the running statistics; in training mode BatchNorm counts it."]

    def training(self, written: nn.Module, place: Place, calibration: Calibration | None) -> Training | None:
        """What batch statistics do at the settings' batch size; None for normalizations that have none."""
        if calibration is None:
            return None
        size = self._settings.batch_size
        independent = size * calibration.independent
        norm = inserted_layer(written, place.insertion)
        batches = (batch for batch in self._samples.batches() if batch.n == size)
        measured = None
        if self._samples.count >= 2 * size:
            found = perturbation(
                written,
                norm,
                np.sqrt(calibration.variance),
                place.insertion.channel_axis,
                batches,
                device=self.device,
                seed=self._settings.seed,
            )
            # The batch is part of what the layer was calibrated on, which makes it more alike than a new one.
            measured = math.sqrt(float(np.mean(found)) / (1 - size / self._samples.count))
        return Training(size, independent, math.sqrt(_GAUSSIAN / independent), measured)


def locate(model: Any, code: Path) -> Factory:
    """How the file at ``code`` finds the factory that ``--model`` names. Raises UsageError where there is none."""
    if not isinstance(model, str):
        raise UsageError(
            "no-factory",
            "this checkpoint brings its own network, which cannot be written down with a normalization in it",
            hint="add --model file.py:function, a function that returns the network, whose weights it then is",
        )
    location, _, name = model.rpartition(":")
    folder = code.resolve().parent
    if location.endswith(".py"):
        path = Path(location).resolve()
        root, parts = path.parent, [path.stem]
        while (root / "__init__.py").is_file() and root.name.isidentifier():
            root, parts = root.parent, [root.name, *parts]
        if len(parts) == 1:
            return Factory(model, name, file=_relative(path, folder))
        return Factory(model, name, module=".".join(parts), folder=_relative(root, folder))
    origin = getattr(sys.modules.get(location), "__file__", None)
    here = origin is not None and Path.cwd().resolve() in Path(origin).resolve().parents
    installed = importlib.machinery.PathFinder.find_spec(location.partition(".")[0], _without_here()) is not None
    return Factory(
        model, name, module=location, folder=_relative(Path.cwd(), folder) if here and not installed else None
    )


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), folder)).as_posix()
    except ValueError:  # another drive
        return path.resolve().as_posix()


def _without_here() -> list[str]:
    """The import path without the current folder, which a written file cannot rely on."""
    return [entry for entry in sys.path if entry and Path(entry).resolve() != Path.cwd().resolve()]


def _built(path: Path) -> nn.Module:
    """The network as the written file builds it; no bytecode stays behind of a file that is yet to be renamed."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        return build(f"{path}:build", {})
    finally:
        sys.dont_write_bytecode = before


def _opened(settings: Settings, files: tuple[Path, Path]) -> nn.Module:
    """The written network with the written weights, opened as anybody would open them."""
    read = replace(settings, model=f"{files[1]}:build", model_args=(), checkpoints=(str(files[0]),), trust=False)
    source = open_source(read)
    assert source.engine == "torch"
    return source.module(source.series.checkpoints[0])


def _dtype_of(place: Place) -> str:
    """BatchNorm keeps its numbers in 32 bits at least: in 16 its gain would not undo its variance."""
    name = str(place.dtype).removeprefix("torch.")
    return "float32" if place.insertion.norm.startswith("BatchNorm") and name != "float64" else name


def _copied(tensor: torch.Tensor, copies: dict[tuple[Any, ...], torch.Tensor]) -> torch.Tensor:
    """A copy of its own, free of the file it is mapped from; tied tensors stay one."""
    where = tensor.untyped_storage().data_ptr()
    key = (where, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
    if not where or key not in copies:
        copies[key] = tensor.detach().clone().contiguous()
    return copies[key]
