"""Running the modules of one checkpoint with another checkpoint's weights on the inputs that they have just seen."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covscan.capture.torch_places import is_as_torch_made_it, output_at
from covscan.capture.torch_plan import own_parameters
from covscan.capture.transfer import Gathering
from covscan.capture.types import Network, Reference, RemoteRows, Rows, Site, SiteKey, base_name
from covscan.data.types import Batch
from covscan.models.plain import is_plain

if TYPE_CHECKING:
    import torch

Read = Callable[[Any, Site], Rows | RemoteRows]
"""Reads the rows of a site from a value."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of a module, with what was read of its output."""

    name: str
    module: "torch.nn.Module"
    args: Any
    kwargs: Any
    output: Any
    rows: Rows | RemoteRows


class Replays:
    """The calls of parametrized modules without children whose weights differ at one of ``references``.

    ``running`` says that a module is run again, which hooks are not to read. Of those whose weights are bit-equal the
    recorder is told at once.
    """

    def __init__(
        self, model: "torch.nn.Module", network: Network, recorder: Gathering, references: Sequence[Reference]
    ) -> None:
        self.running = False
        self._recorder = recorder
        self._sites = {site.key: site for site in network.measured()}
        self._as_made = frozenset(filter(is_as_torch_made_it, model.modules()))  # before there are hooks of covscan's
        self._moved = self._compare(model, network, references)
        self._work = {name: self._work_of(name, next(iter(weights.values()))) for name, weights in self._moved.items()}

    def wants(self, name: str, batch: Batch) -> bool:
        """Whether a call is to be run again on this batch."""
        return name in self._moved and self._recorder.wants_replay(batch, self._work[name])

    def run(self, seen: Seen, batch: Batch, read: Read) -> None:
        """Run a call with the weights of every reference, and hand on what it gives."""
        import torch

        own = own_parameters(seen.module)
        key = SiteKey(seen.name, "output")
        site = self._sites[key]
        self.running = True
        try:
            for reference, weights in self._moved[seen.name].items():
                theirs = {place: saved.to(own[place]) for place, saved in weights.items()}
                rows: Rows | RemoteRows | None = self._partly(seen, {**own, **theirs}, site)
                if rows is None:
                    output = torch.func.functional_call(seen.module, theirs, seen.args, seen.kwargs, tie_weights=False)
                    rows = read(output, site)
                self._recorder.replay(seen.name, key, reference, seen.rows, rows, batch, self._work[seen.name])
        finally:
            self.running = False

    def _partly(self, seen: Seen, weights: "Mapping[str, torch.Tensor]", site: Site) -> Rows | None:
        """What the module gives at the places that are read; None where it has to run as a whole."""
        import torch

        one = len(seen.args) == 1 and not seen.kwargs
        if not one or not isinstance(seen.rows, Rows) or seen.module not in self._as_made:
            return None
        (value,) = seen.args
        if not isinstance(value, torch.Tensor) or not isinstance(seen.output, torch.Tensor):
            return None
        found = output_at(seen.module, weights, value, seen.output, site.layout, seen.rows)
        return None if found is None else Rows(found, seen.rows.sample, seen.rows.position)

    def _compare(
        self, model: "torch.nn.Module", network: Network, references: Sequence[Reference]
    ) -> "dict[str, dict[str, dict[str, torch.Tensor]]]":
        """Calls that can be replayed → reference id → the reference's weights by local name, where they differ."""
        import torch

        modules = dict(model.named_modules())
        saved = [(reference, reference.backend.weights(reference.checkpoint)) for reference in references]
        moved: dict[str, dict[str, dict[str, torch.Tensor]]] = defaultdict(dict)
        for call in network.modules:
            if not call.has_parameters or call.role == "block" or call.output not in self._sites:
                continue
            own = own_parameters(modules[base_name(call.name)])
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
        site = self._sites[SiteKey(name, "output")]
        taken = (site.layout.sample_axis, site.layout.channel_axis)
        positions = math.prod(int(size) for axis, size in enumerate(site.shape) if axis not in taken)
        return positions * site.layout.folded * sum(weight.numel() for weight in weights.values())


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
