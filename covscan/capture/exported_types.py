"""What the modules of an exported program were before the export made graph interpreters of them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# What a module's own operator was called with, by the attribute of torch.nn that says the same.
_ATTRIBUTES = {
    "batch_norm": {"momentum": "momentum", "eps": "eps"},
    "instance_norm": {"momentum": "momentum", "eps": "eps"},
    "layer_norm": {"eps": "eps", "normalized_shape": "normalized_shape"},
    "rms_norm": {"eps": "eps", "normalized_shape": "normalized_shape"},
    "group_norm": {"num_groups": "num_groups", "eps": "eps"},
    "dropout": {"p": "p"},
    "feature_dropout": {"p": "p"},
    "hardtanh": {"min_val": "min_val", "max_val": "max_val"},
    "lstm": {"batch_first": "batch_first"},
    "gru": {"batch_first": "batch_first"},
    "rnn_tanh": {"batch_first": "batch_first"},
    "rnn_relu": {"batch_first": "batch_first"},
}


def module_types(module: "torch.nn.Module") -> dict[str, str]:
    """Class names by qualified name of the modules that ``torch.export.unflatten`` made; empty for other modules.

    ``{"features.0": "Conv2d"}`` where the module's class is InterpreterModule. Containers that were never called
    have no class of their own in an export and are left out.
    """
    found: dict[str, str] = {}
    for name, child in module.named_modules():
        type_name = getattr(child, "type_name", None)
        known = type_name() if callable(type_name) and _nodes(child) is not None else None
        if isinstance(known, str) and not _is_foreign(name, child):
            found[name] = known.rpartition(".")[2]
    return found


def module_constants(module: "torch.nn.Module") -> dict[str, dict[str, Any]]:
    """Settings by qualified name and attribute (``eps``, ``num_groups``, ``p``, ...) that the exported graph holds.

    An export keeps them as arguments of the operators and not as attributes of the modules.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, child in module.named_modules():
        for node in _nodes(child) or ():
            constants = _constants(node)
            if constants:
                found.setdefault(name, constants)
    return found


def _is_foreign(name: str, module: "torch.nn.Module") -> bool:
    """Whether a container that was never called carries the class of a child, as unflatten leaves it."""
    called = any(node.op.startswith("call_") for node in _nodes(module) or ())
    return bool(name) and bool(list(module.children())) and not called


def _nodes(module: "torch.nn.Module") -> "list[torch.fx.Node] | None":
    """The nodes of the module's graph; None where it has none, whatever else it may call ``graph``."""
    import torch

    graph = getattr(module, "graph", None)
    return list(graph.nodes) if isinstance(graph, torch.fx.Graph) else None


def _constants(node: Any) -> dict[str, Any]:
    schema: Any = getattr(node.target, "_schema", None)
    wanted = _ATTRIBUTES.get(schema.name.partition("::")[2].rstrip("_")) if schema is not None else None
    if wanted is None:
        return {}
    given = dict(zip((argument.name for argument in schema.arguments), node.args, strict=False)) | dict(node.kwargs)
    defaults = {argument.name: argument.default_value for argument in schema.arguments}
    values = {attribute: given.get(name, defaults.get(name)) for name, attribute in wanted.items()}
    return {name: value for name, value in values.items() if value is not None and not hasattr(value, "op")}
