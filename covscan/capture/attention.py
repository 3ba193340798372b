"""Seeing attention logits, which no module outputs."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from covscan.capture.reading import Reader, on_device, read_rows
from covscan.capture.types import RemoteRows, Rows

if TYPE_CHECKING:
    import torch

_VALUES = 2**20
"""Logits at once: each call wakes all threads, which for one sample takes longer than its logits."""
_MASKED = -1e4
"""Additive masks hold -inf or the dtype's minimum where attention is forbidden; no real bias is that low."""


class Logits:
    """Lazily computed logits of one attention call: heads, query and key positions, and rows on request."""

    def __init__(self, query: "torch.Tensor", key: "torch.Tensor", mask: "torch.Tensor | None", causal: bool,
                 scale: float) -> None:  # fmt: skip
        self._query, self._key, self._mask, self._causal, self._scale = query, key, mask, causal, scale
        self.shape = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])  # (samples, heads, queries, keys)

    def rows(self, reader: Reader) -> Rows | RemoteRows:
        """Per sample, read query position and head, the largest |logit| over the keys that it may attend to."""
        import torch

        sample, position = reader.places(self.shape[2])
        queries = on_device(position, self._query.device)
        parts, start = [], 0
        for first, last, read in self._runs(np.bincount(sample, minlength=self.shape[0]).tolist()):
            stop = start + (last - first) * read
            largest = self._largest(first, last, queries[start:stop].reshape(last - first, read))
            parts.append(largest.transpose(1, 2).reshape(stop - start, self.shape[1]))
            start = stop
        read_here = torch.cat(parts) if parts else torch.zeros(0, self.shape[1], device=self._query.device)
        return read_rows(read_here, sample, position, lasting=True)

    def _runs(self, reads: list[int]) -> Iterator[tuple[int, int, int]]:
        """(first, last, read) of consecutive samples of which as many positions are read, few enough at once."""
        first = 0
        for read, run in itertools.groupby(reads):
            end = first + len(list(run))
            most = max(1, _VALUES // max(1, read * self.shape[1] * self.shape[3]))
            if read:
                yield from ((place, min(place + most, end), read) for place in range(first, end, most))
            first = end

    def _largest(self, first: int, last: int, queries: "torch.Tensor") -> "torch.Tensor":
        """(samples, heads, read) of the samples from ``first`` to before ``last``, at ``queries`` (samples, read)."""
        import torch

        places = queries[:, None, :, None]
        # By index, since along an axis each number is looked up by itself: 0.65 ms against 0.13 for 256 x 12 x 64.
        sample = torch.arange(last - first, device=queries.device)[:, None]
        query = self._query[first:last].transpose(1, 2)[sample, queries].float().mul_(self._scale)
        logits = query.transpose(1, 2) @ self._key[first:last].float().transpose(-1, -2)  # (samples, heads, read, keys)
        allowed = None
        if self._mask is not None:
            mask = torch.take_along_dim(self._mask.expand(*self.shape)[first:last], places, dim=2)
            if mask.dtype == torch.bool:
                allowed = mask
            else:
                allowed = mask > _MASKED
                logits += mask.float().clamp_min(_MASKED)
        if self._causal:
            before = torch.arange(logits.shape[-1], device=logits.device) <= places
            allowed = before if allowed is None else allowed & before
        largest = logits.abs_()
        return (largest if allowed is None else largest.masked_fill_(~allowed, 0)).amax(dim=-1)


class Scores:
    """Logits that a model computed itself and gave to a softmax."""

    def __init__(self, scores: "torch.Tensor", samples: int) -> None:
        heads = scores.shape[0] // samples if scores.ndim == 3 else scores.shape[1]
        self._scores = scores.reshape(samples, heads, *scores.shape[-2:])
        self.shape = tuple(self._scores.shape)

    def rows(self, reader: Reader) -> Rows | RemoteRows:
        """Per sample, read query position and head, the largest |logit| over the keys that it may attend to."""
        import torch

        sample, position = reader.places(self.shape[2])
        device = self._scores.device
        places = (on_device(sample, device), slice(None), on_device(position, device))
        taken = self._scores[places].float()  # (rows, heads, keys)
        allowed = taken.isnan() | (taken > _MASKED)
        largest = torch.where(allowed, taken.abs(), torch.zeros_like(taken)).amax(dim=-1)
        return read_rows(largest, sample, position, lasting=True)


Seen = Callable[[Logits | Scores], None]


@contextmanager
def watching_attention(samples: Callable[[], int], seen: Seen) -> Iterator[None]:
    """Call ``seen`` at each attention of the current batch of ``samples()``, in order of execution.

    ``torch.nn.functional`` is where ``nn.MultiheadAttention`` and nearly every model look the two functions up; a
    model that imported them by name is not seen. A softmax counts as attention when it runs over the last of at least
    three axes and its input can hold (samples, heads, queries, keys).
    """
    from torch.nn import functional

    attend, softmax = functional.scaled_dot_product_attention, functional.softmax

    def watched_attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
                          is_causal: bool = False, scale: float | None = None, **rest: Any) -> Any:  # fmt: skip
        if query.ndim == 4 and query.shape[0] == samples() and not query.is_nested:
            heads = query.shape[1] // max(key.shape[1], 1)
            keys = key.repeat_interleave(heads, 1) if heads > 1 else key
            factor = scale if scale is not None else query.shape[-1] ** -0.5
            seen(Logits(query.detach(), keys.detach(), attn_mask, is_causal, factor))
        return attend(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **rest)

    def watched_softmax(input: Any, dim: int | None = None, *args: Any, **rest: Any) -> Any:  # noqa: A002
        if dim is not None and _is_attention(input, dim, samples()):
            seen(Scores(input.detach(), samples()))
        return softmax(input, dim, *args, **rest)

    functional.scaled_dot_product_attention = watched_attention  # type: ignore[assignment]
    functional.softmax = watched_softmax
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = attend
        functional.softmax = softmax


def _is_attention(scores: "torch.Tensor", dim: int, samples: int) -> bool:
    if scores.ndim not in (3, 4) or dim not in (-1, scores.ndim - 1) or not scores.is_floating_point():
        return False
    if scores.ndim == 4:
        return scores.shape[0] == samples
    return scores.shape[0] % samples == 0
