"""PyTorch code that puts a normalization in, as text: what suggestions offer to paste and what ``insert`` writes."""

import keyword

from covscan.surgery.types import Insertion, constructor, per_channel

EPS = "1e-05"
_SPATIAL = {2: "1d", 3: "1d", 4: "2d", 5: "3d"}


def module_path(name: str) -> str | None:
    """``blocks.2.conv`` as ``model.blocks[2].conv``; None where a part is neither a number nor an identifier."""
    path = "model"
    for part in name.split("."):
        if part.isdigit():
            path += f"[{part}]"
        elif part.isidentifier() and not keyword.iskeyword(part):
            path += f".{part}"
        else:
            return None
    return path


def sequential(name: str, position: str, made: str) -> str:
    """Wrap a module and a normalization, ``made`` by that code, into one ``nn.Sequential`` in the module's place."""
    path = module_path(name)
    old = path if path is not None else f'model.get_submodule("{name}")'
    parts = f"{old}, {made}" if position == "after" else f"{made}, {old}"
    new = f"nn.Sequential({parts})"
    line = f"{path} = {new}" if path is not None else f'model.set_submodule("{name}", {new})'
    return (
        "from torch import nn\n\n"
        f"{line}\n"
        f"# Keys of the state_dict change: '{name}.weight' becomes '{name}.{wrapped_place(position)}.weight'."
    )


def in_the_forward(name: str, made: str) -> str:
    """A normalization beside a module that returns more than one tensor, to be called by who calls the module."""
    owner, _, own = name.rpartition(".")
    path = module_path(f"{owner}.{own}_norm" if owner else f"{own}_norm") or f"model.{own}_norm"
    return (
        "from torch import nn\n\n"
        f"{path} = {made}\n"
        f"# and in the forward that calls it: output, state = self.{own}(…); output = self.{own}_norm(output)"
    )


def wrapped_place(position: str) -> int:
    """The number that the wrapped module gets inside its wrapper; the normalization gets the other one of 0 and 1."""
    return 0 if position == "after" else 1


def layer(insertion: Insertion, rank: int, dtype: str = "float32") -> str:
    """The call that makes the layer for a tensor of ``rank`` dimensions, so that it is the identity once it is loaded.

    BatchNorm is the identity by its numbers, the others by a gate. The names ``Gate``, ``ChannelsFirst`` and
    ``ChannelsLast`` are those of ``covscan.surgery.layers``.
    """
    extra = "" if dtype == "float32" else f", dtype=torch.{dtype}"
    axis, channels, norm = insertion.channel_axis, insertion.channels, insertion.norm
    stem = norm.rstrip("123d") if norm.startswith(("BatchNorm", "InstanceNorm")) else norm
    if not per_channel(norm):
        made = _call(norm, channels, extra)
        laid_out = made if axis == rank - 1 else f"ChannelsLast({made}, {axis})"
    elif axis == 1 and rank in _SPATIAL:
        laid_out = _call(norm if stem == norm else stem + _SPATIAL[rank], channels, extra)
    else:
        laid_out = f"ChannelsFirst({_call(norm if stem == norm else stem + '1d', channels, extra)}, {axis})"
    if norm.startswith("BatchNorm"):
        return laid_out
    gate = f"Gate({laid_out}, {channels}, {axis})"
    return gate if not extra else f"{gate}.to(torch.{dtype})"


def helpers(made: str) -> tuple[str, ...]:
    """The classes of ``covscan.surgery.layers`` that the code of a layer names."""
    return tuple(name for name in ("Gate", "ChannelsFirst", "ChannelsLast") if f"{name}(" in made)


def _call(norm: str, channels: int, extra: str) -> str:
    call = constructor(norm, channels).removesuffix(")")
    if norm.startswith("InstanceNorm"):
        extra = f", affine=True{extra}"
    return f"{call}, eps={EPS}{extra})"
