"""Which module of the exported network a node came from, as PyTorch's exporters write it into the file."""

import ast
from collections.abc import Sequence

import onnx

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Key of a node's metadata: the names of the modules around it, outermost first, and the operation's own last."""


def origin_of(nodes: Sequence[onnx.NodeProto]) -> str | None:
    """Qualified name of the module in whose forward the last of ``nodes`` ran; None where the file does not say.

    The dynamo exporter leaves the names of the modules around a node in its metadata, the TorchScript exporter in the
    node's name, as ``/blocks.0/conv/Conv``. What ran outside of any module has no origin.
    """
    node = nodes[-1]
    written = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), None)
    if written is not None:
        return _innermost(written)
    if not node.name.startswith("/"):
        return None
    *scopes, _ = node.name[1:].split("/")
    return _joined(scopes) or None


def owner_of(parameters: Sequence[str]) -> str | None:
    """The module that weights belong to by their names; None where they have several, or none."""
    owners = {name.rpartition(".")[0] for name in parameters}
    return (owners.pop() or None) if len(owners) == 1 else None


def _innermost(written: str) -> str | None:
    """The second but last of a written list, where qualified names stand."""
    try:
        names = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return None
    if not isinstance(names, list) or len(names) < 2:
        return None
    return str(names[-2]) or None


def _joined(scopes: Sequence[str]) -> str:
    """One name of the parts of a scope; the parts inside a container of modules repeat the container's name."""
    joined: list[str] = []
    for scope in scopes:
        if joined and scope.startswith(f"{joined[-1]}."):
            joined[-1] = scope
        else:
            joined.append(scope)
    return ".".join(joined)
