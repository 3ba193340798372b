"""The code that a suggestion offers to paste."""

import keyword

from covscan.rules.evidence import Evidence
from covscan.rules.kinds import groups_for
from covscan.rules.lookup import is_recurrent
from covscan.rules.places import Place


def patch(evidence: Evidence, place: Place, norm: str) -> str:
    """PyTorch code that puts ``norm`` at ``place``, or a comment where the model can't be edited from outside."""
    made = constructor(norm, place.site.channels)
    if evidence.model.engine == "onnx":
        return (
            f"# In the model that '{place.name}' was exported from, put {made}\n"
            f"# {'behind' if place.position == 'after' else 'in front of'} the {place.type} that gives '{place.name}', "
            "then train and export again."
        )
    if evidence.model.engine == "torchscript":
        return (
            f"# TorchScript cannot be edited: in the source of the model, put {made}\n"
            f"# {'behind' if place.position == 'after' else 'in front of'} '{place.name}', then train and script again."
        )
    if is_recurrent(place.type) and place.position == "after":
        return _recurrent(place, made)
    return sequential(place.name, place.position, made)


def constructor(norm: str, channels: int) -> str:
    """The call that makes a normalization over so many channels."""
    if norm == "GroupNorm":
        return f"nn.GroupNorm({groups_for(channels)}, {channels})"
    return f"nn.{norm}({channels})"


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
    number = 0 if position == "after" else 1
    line = f"{path} = {new}" if path is not None else f'model.set_submodule("{name}", {new})'
    return (
        "from torch import nn\n\n"
        f"{line}\n"
        f"# Keys of the state_dict change: '{name}.weight' becomes '{name}.{number}.weight'."
    )


def _recurrent(place: Place, made: str) -> str:
    owner, _, own = place.name.rpartition(".")
    path = module_path(f"{owner}.{own}_norm" if owner else f"{own}_norm") or f"model.{own}_norm"
    return (
        "from torch import nn\n\n"
        f"{path} = {made}\n"
        f"# and in the forward that calls it: output, state = self.{own}(…); output = self.{own}_norm(output)"
    )
