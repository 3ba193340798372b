"""Where in a PyTorch module a normalization is to go, and what the tensor there looks like."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from covscan.capture.layouts import UnknownLayoutError, infer_layout
from covscan.capture.types import Layout, Network, Position, Site, SiteKey, base_name
from covscan.errors import UsageError
from covscan.insertion.types import Request
from covscan.surgery.fitting import Tensor, fitting, meant
from covscan.surgery.hooks import watching
from covscan.surgery.types import Insertion


@dataclass(frozen=True, slots=True)
class Place:
    """What is put in, the sites to calibrate at (one for each call of the module), and all names of the module.

    ``rank`` and ``dtype`` are those of the tensor that the normalization gets.
    """

    insertion: Insertion
    rank: int
    dtype: torch.dtype
    sites: tuple[Site, ...]
    names: tuple[str, ...]

    def network(self, network: Network) -> Network:
        """The network with no other sites than these, which are read themselves."""
        return replace(network, sites=self.sites)


def find_place(model: nn.Module, network: Network, request: Request, forward: Any, samples: int) -> Place:
    """The place that a request names. ``forward`` runs the model on ``samples`` samples. Raises UsageError."""
    module = _module(model, request.site)
    seen = _Seen(model, network, request)
    seen.run(forward)
    tensor = seen.tensor()
    where = f"{'the output' if request.position == 'after' else 'the input'} of {request.site!r}"
    if tensor.is_nested or not tensor.is_floating_point() or tensor.ndim < 2:
        kind = "nested" if tensor.is_nested else f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
        raise UsageError("unfit-site", f"{where} is no tensor that could be normalized", found=kind)
    sites = _sites(network, request) or (seen.site(samples, where),)
    if len({(site.channels, site.layout.channel_axis) for site in sites}) > 1:
        raise UsageError(
            "unfit-site",
            f"{request.site!r} is called with tensors of different channels",
            found=", ".join(f"{site.channels} on axis {site.layout.channel_axis}" for site in sites),
            hint="one normalization cannot serve both",
        )
    layout, rank = sites[0].layout, tensor.ndim
    packed = len(sites[0].shape) != rank  # a packed sequence is read as padded, but normalized row by row
    axis = 1 if packed else layout.channel_axis
    norm = fitting(request.norm, Tensor(rank, sites[0].channels, axis, 0 if packed else layout.sample_axis), where)
    names = tuple(name for name, other in model.named_modules(remove_duplicate=False) if other is module)
    insertion = Insertion(request.site, request.position, norm, sites[0].channels, axis)
    return Place(insertion, rank, tensor.dtype, sites, names)


def _module(model: nn.Module, site: str) -> nn.Module:
    modules = dict(model.named_modules(remove_duplicate=False))
    modules.pop("", None)
    if base_name(site) != site and base_name(site) in modules:
        raise UsageError(
            "unknown-site",
            f"{site!r} is one call of a module, and a normalization goes to all of its calls",
            hint=f"say --site {base_name(site)}",
        )
    if site not in modules:
        raise UsageError("unknown-site", f"the model has no module {site!r}", hint=meant(site, modules))
    return modules[site]


def _sites(network: Network, request: Request) -> tuple[Site, ...]:
    side: Position = "output" if request.position == "after" else "input"
    found = [site for site in network.sites if base_name(site.key.site) == request.site and site.key.position == side]
    return tuple(replace(site, same_as=None) for site in found)


class _Seen:
    """The tensors of one forward pass: the one at the place, and those at every site that capture knows."""

    def __init__(self, model: nn.Module, network: Network, request: Request) -> None:
        self._model, self._request = model, request
        self._known = {site.key: site for site in network.sites if site.key.position != "logits"}
        self._tensors: dict[tuple[str, str], torch.Tensor] = {}

    def run(self, forward: Any) -> None:
        """Look at a forward pass."""
        wanted = _insertion(self._request.site, self._request.position)
        others = {
            _insertion(base_name(key.site), "after" if key.position == "output" else "before") for key in self._known
        }

        def keep(insertion: Insertion, tensor: torch.Tensor) -> None:
            self._tensors.setdefault(insertion.place, tensor)

        with watching(self._model, [wanted, *(others - {wanted})], keep):
            forward()

    def tensor(self) -> torch.Tensor:
        """The one at the place. Raises UsageError where none came by."""
        found = self._tensors.get((self._request.site, self._request.position))
        if found is None:
            raise UsageError(
                "unknown-site",
                f"the model never calls {self._request.site!r}, or no tensor passes there",
                hint="covscan sites lists what can be tapped; normalize the module that it belongs to",
            )
        return found

    def site(self, samples: int, where: str) -> Site:
        """A site for a tensor that capture has not listed under this name: laid out as the one it is the same as."""
        tensor, key = self.tensor(), SiteKey(self._request.site, _side(self._request.position))
        layout = self._layout(tensor, samples, where)
        shape: Sequence[int] = tensor.shape
        return Site(key, "", "block", layout, int(shape[layout.channel_axis]), tuple(shape), 0)

    def _layout(self, tensor: torch.Tensor, samples: int, where: str) -> Layout:
        for key, site in self._known.items():
            if self._tensors.get((base_name(key.site), "after" if key.position == "output" else "before")) is tensor:
                return site.layout
        try:
            return infer_layout(tensor.shape, samples, axis=None, sequence_first=None, hint=None)
        except UnknownLayoutError as reason:
            raise UsageError("unfit-site", f"{where} cannot be read", found=str(reason)) from reason


def _side(position: str) -> Position:
    return "output" if position == "after" else "input"


def _insertion(site: str, position: Any) -> Insertion:
    """A place to watch; the kind says nothing there."""
    return Insertion(site, position, "LayerNorm", 1, 1)
