"""The hooks of a measuring pass: read, reduce, replay, and keep nothing."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from covscan.capture.attention import Logits, Scores, watching_attention
from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.sequences import readable
from covscan.capture.torch_plan import own_parameters
from covscan.capture.transfer import Gathering
from covscan.capture.types import (
    Layout,
    Network,
    Recorder,
    Reference,
    RemoteRows,
    Rows,
    Site,
    SiteKey,
    base_name,
    call_name,
)
from covscan.config import Settings
from covscan.data.types import Batch
from covscan.models.plain import is_plain

if TYPE_CHECKING:
    import torch


class Tap:
    """Hooks on the modules whose sites are measured, for one checkpoint.

    A parametrized module without children that ran is replayed with the weights of each of ``references`` on the
    batches that the recorder wants, on the input it has just seen.
    """

    def __init__(
        self,
        model: "torch.nn.Module",
        network: Network,
        recorder: Recorder,
        attention: tuple[SiteKey | None, ...],
        settings: Settings,
        references: Sequence[Reference],
    ) -> None:
        self._model, self._recorder, self._settings = model, Gathering(recorder), settings
        self._wanted: dict[str, dict[SiteKey, Site]] = defaultdict(dict)
        for site in network.measured():
            self._wanted[base_name(site.key.site)][site.key] = site
        self._attention = attention
        self._resting = frozenset(network.never_fired)
        self._fired: set[SiteKey] = set()
        self._calls: Counter[str] = Counter()
        self._attended = 0
        self._replaying = False
        self._moved = self._compare(network, references)
        self._work = {name: self._work_of(name, next(iter(weights.values()))) for name, weights in self._moved.items()}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Hook the modules that are wanted, and let go of them."""
        handles = []
        try:
            for name, module in self._model.named_modules():
                if name in self._resting:
                    handles.append(module.register_forward_pre_hook(self._woken(name)))
                if name in self._wanted:
                    handles.append(module.register_forward_pre_hook(self._before(name), with_kwargs=True))
                    handles.append(module.register_forward_hook(self._after(name), with_kwargs=True))
            if any(key in self._wanted.get(base_name(key.site), {}) for key in self._attention if key):
                with watching_attention(lambda: self._batch.n, self._logits):
                    yield
            else:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def begin(self, batch: Batch) -> None:
        """Get ready for one batch."""
        self._batch = batch
        self._reader = Reader(batch, self._settings.positions, self._settings.seed)
        self._calls.clear()
        self._attended = 0

    def end(self) -> None:
        """Finish one batch."""
        self._recorder.end()
        if self._attention and self._attended != len(self._attention):
            found = f"{self._attended} attentions ran where {len(self._attention)} did at first"
            for key in self._attention:
                if key is not None:
                    self._recorder.skip(key.site, found)

    def close(self) -> None:
        """Note the sites that never came by."""
        for sites in self._wanted.values():
            for key in sites.keys() - self._fired:
                self._recorder.skip(key.site, "it did not run at this checkpoint")

    def _woken(self, name: str) -> Any:
        def enter(module: "torch.nn.Module", args: Any) -> None:
            del module, args
            self._recorder.skip(name, "it ran on later samples alone, and not on the first ones")

        return enter

    def _before(self, base: str) -> Any:
        def enter(module: "torch.nn.Module", args: Any, kwargs: Any) -> None:
            del module
            if not self._replaying:
                self._calls[base] += 1
                self._read(SiteKey(call_name(base, self._calls[base] - 1), "input"), base, args, kwargs)

        return enter

    def _after(self, base: str) -> Any:
        def leave(module: "torch.nn.Module", args: Any, kwargs: Any, output: Any) -> None:
            if self._replaying:
                return
            name = call_name(base, self._calls[base] - 1)
            rows = self._read(SiteKey(name, "output"), base, output)
            if rows is not None and name in self._moved and self._recorder.wants_replay(self._batch, self._work[name]):
                self._replay(name, module, args, kwargs, rows)

        return leave

    def _read(self, key: SiteKey, base: str, *values: Any) -> Rows | RemoteRows | None:
        site = self._wanted[base].get(key)
        if site is None:
            return None
        try:
            rows = self._rows(values, site.layout)
        except UnreadableError as reason:
            self._recorder.skip(key.site, f"its {key.position}: {reason}")
            self._fired.add(key)
            return None
        self._fired.add(key)
        self._recorder.record(key, rows, self._batch)
        return rows

    def _rows(self, values: tuple[Any, ...], layout: Layout) -> Rows | RemoteRows:
        found = readable(*values)
        if found is None:
            raise UnreadableError("holds no tensor in a later batch")
        return self._reader.rows(found.tensor, layout, found.valid)

    def _logits(self, logits: Logits | Scores) -> None:
        if self._replaying:
            return
        number, self._attended = self._attended, self._attended + 1
        key = self._attention[number] if number < len(self._attention) else None
        if key is not None and key in self._wanted.get(base_name(key.site), {}):
            self._fired.add(key)
            self._recorder.record(key, logits.rows(self._reader), self._batch)

    def _compare(
        self, network: Network, references: Sequence[Reference]
    ) -> "dict[str, dict[str, dict[str, torch.Tensor]]]":
        """Calls that can be replayed → reference id → the reference's weights by local name, where they differ."""
        import torch

        modules = dict(self._model.named_modules())
        saved = [(reference, reference.backend.weights(reference.checkpoint)) for reference in references]
        moved: dict[str, dict[str, dict[str, torch.Tensor]]] = defaultdict(dict)
        for call in network.modules:
            base = base_name(call.name)
            if not call.has_parameters or call.output is None or call.role == "block":
                continue
            if call.output not in self._wanted.get(base, {}):
                continue
            own = own_parameters(modules[base])
            for reference, weights in saved:
                there = base_name(reference.name(call.name))
                places = {name: f"{there}.{name}" for name in own}
                theirs = {name: torch.as_tensor(weights[at]) for name, at in places.items() if at in weights}
                if not _replaceable(own, theirs):
                    continue
                if all(torch.equal(own[name].cpu(), theirs[name].to(own[name].dtype)) for name in theirs):
                    self._recorder.unmoved(call.name, call.output, reference.id)
                else:
                    moved[call.name][reference.id] = theirs
        return dict(moved)

    def _work_of(self, name: str, weights: "Mapping[str, torch.Tensor]") -> int:
        """Multiplications for one sample, as if every weight met every position."""
        site = self._wanted[base_name(name)][SiteKey(name, "output")]
        taken = (site.layout.sample_axis, site.layout.channel_axis)
        positions = math.prod(int(size) for axis, size in enumerate(site.shape) if axis not in taken)
        return positions * site.layout.folded * sum(weight.numel() for weight in weights.values())

    def _replay(self, name: str, module: "torch.nn.Module", args: Any, kwargs: Any, actual: Rows | RemoteRows) -> None:
        import torch

        own = own_parameters(module)
        key = SiteKey(name, "output")
        site = self._wanted[base_name(name)][key]
        self._replaying = True
        try:
            for reference, weights in self._moved[name].items():
                theirs = {place: saved.to(own[place]) for place, saved in weights.items()}
                output = torch.func.functional_call(module, theirs, args, kwargs, tie_weights=False)
                rows = self._rows((output,), site.layout)
                self._recorder.replay(name, key, reference, actual, rows, self._batch, self._work[name])
        finally:
            self._replaying = False


def _replaceable(own: "Mapping[str, torch.Tensor]", theirs: "Mapping[str, torch.Tensor]") -> bool:
    """Whether a module can run with other weights: every parameter is there, each an ordinary tensor in its size.

    Buffers may be missing: those that are not saved are the same at every checkpoint.
    """
    import torch

    if not all(is_plain(own[name]) for name in theirs):
        return False
    if any(isinstance(own[name], torch.nn.Parameter) for name in own.keys() - theirs.keys()):
        return False
    return all(own[name].shape == other.shape for name, other in theirs.items())
