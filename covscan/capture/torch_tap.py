"""The hooks of a measuring pass: read, reduce, replay, and keep nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from covscan.capture.attention import Logits, Scores, watching_attention
from covscan.capture.reading import Reader, UnreadableError
from covscan.capture.sequences import readable
from covscan.capture.torch_replay import Replays, Seen
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
        self._replays = Replays(model, network, self._recorder, references)

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
            if not self._replays.running:
                self._calls[base] += 1
                self._read(SiteKey(call_name(base, self._calls[base] - 1), "input"), base, args, kwargs)

        return enter

    def _after(self, base: str) -> Any:
        def leave(module: "torch.nn.Module", args: Any, kwargs: Any, output: Any) -> None:
            if self._replays.running:
                return
            name = call_name(base, self._calls[base] - 1)
            rows = self._read(SiteKey(name, "output"), base, output)
            if rows is not None and self._replays.wants(name, self._batch):
                seen = Seen(name, module, args, kwargs, output, rows)
                self._replays.run(seen, self._batch, lambda value, site: self._rows((value,), site.layout))

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
        if self._replays.running:
            return
        number, self._attended = self._attended, self._attended + 1
        key = self._attention[number] if number < len(self._attention) else None
        if key is not None and key in self._wanted.get(base_name(key.site), {}):
            self._fired.add(key)
            self._recorder.record(key, logits.rows(self._reader), self._batch)
