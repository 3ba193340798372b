"""Bringing what was read of many tensors from a device to the host in one copy."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from covscan.capture.types import Float, Recorder, RemoteRows, Rows, SiteKey
from covscan.data.types import Batch

if TYPE_CHECKING:
    import torch

_HELD = 2**23
"""Bytes of rows that wait for others."""


def fetched(tensors: "list[torch.Tensor]") -> list[Float]:
    """The tensors as arrays, copied to the host together: one transfer, and one wait for the device.

    They are laid end to end as bytes, the widest numbers first, so that each begins where its numbers may.
    """
    import torch

    if not tensors:
        return []
    order = sorted(range(len(tensors)), key=lambda place: -tensors[place].element_size())
    whole = torch.cat([tensors[place].contiguous().reshape(-1).view(torch.uint8) for place in order]).cpu().numpy()
    arrays: dict[int, Float] = {}
    start = 0
    for place in order:
        tensor = tensors[place]
        size = tensor.numel() * tensor.element_size()
        dtype: type[np.floating] = np.float64 if tensor.dtype == torch.float64 else np.float32
        arrays[place] = whole[start : start + size].view(dtype).reshape(tuple(tensor.shape))
        start += size
    return [arrays[place] for place in range(len(tensors))]


class Gathering:
    """A Recorder that passes on several sites together, and what lies on a device at the end of a batch.

    So a batch costs one copy and one wait, and the forward pass none. On the host sites are held back as long as they
    are lasting and small, since a layer in between takes the cache from the code of the statistics: those of 256 rows
    of 64 channels took 0.42 ms right after a convolution, and 0.18 one after the other.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._rows: list[RemoteRows] = []
        self._later: list[Callable[[dict[int, Rows]], None]] = []
        self._held: list[tuple[SiteKey, Rows, Batch]] = []
        self._room = _HELD

    def end(self) -> None:
        """Fetch what the batch left on the device, and pass it on in the order in which it came."""
        self._let_go()
        rows, later = self._rows, self._later
        self._rows, self._later = [], []
        values = fetched([each.values for each in rows])
        there = {id(each): Rows(array, each.sample, each.position) for each, array in zip(rows, values, strict=True)}
        for pass_on in later:
            pass_on(there)

    def record(self, key: SiteKey, rows: Rows | RemoteRows, batch: Batch) -> None:
        """See ``Recorder``."""
        if isinstance(rows, RemoteRows):
            self._rows.append(rows)
            self._later.append(lambda there: self._recorder.record(key, there[id(rows)], batch))
        elif rows.lasting:
            self._held.append((key, rows, batch))
            self._room -= rows.given.nbytes
            if self._room < 0:
                self._let_go()
        else:
            self._recorder.record(key, rows, batch)

    def _let_go(self) -> None:
        held, self._held, self._room = self._held, [], _HELD
        for key, rows, batch in held:
            self._recorder.record(key, rows, batch)

    def replay(
        self,
        name: str,
        key: SiteKey,
        reference: str,
        actual: Rows | RemoteRows,
        counterfactual: Rows | RemoteRows,
        batch: Batch,
        work: int | None = None,
    ) -> None:
        """See ``Recorder``; ``actual`` was recorded before."""
        if isinstance(actual, Rows) and isinstance(counterfactual, Rows):
            self._recorder.replay(name, key, reference, actual, counterfactual, batch, work)
        else:
            assert isinstance(counterfactual, RemoteRows)
            self._rows.append(counterfactual)
            self._later.append(
                lambda there: self._recorder.replay(
                    name, key, reference, there[id(actual)], there[id(counterfactual)], batch, work
                )
            )

    def wants_replay(self, batch: Batch, work: int | None = None) -> bool:
        """See ``Recorder``."""
        return self._recorder.wants_replay(batch, work)

    def skip(self, site: str, reason: str) -> None:
        """See ``Recorder``."""
        self._recorder.skip(site, reason)

    def unmoved(self, name: str, key: SiteKey, reference: str) -> None:
        """See ``Recorder``."""
        self._recorder.unmoved(name, key, reference)
