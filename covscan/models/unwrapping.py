"""Take a network out of what training wrapped around it."""

from torch import nn

_INNER = ("_orig_mod", "module")
_WRAPPERS = frozenset(
    {"OptimizedModule", "DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"} | {"AveragedModel"}
)


def unwrap(module: nn.Module) -> nn.Module:
    """The network itself, out of ``torch.compile``, data parallelism and weight averaging.

    Compiled submodules are replaced in place by what was compiled, since compiled code runs no hooks.
    """
    module = _inner(module)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            inner = _inner(child)
            if inner is not child:
                setattr(parent, name, inner)
        parent._compiled_call_impl = None
    return module


def _inner(module: nn.Module) -> nn.Module:
    while type(module).__name__ in _WRAPPERS and type(module).__module__.startswith("torch."):
        inner = next((module._modules[name] for name in _INNER if name in module._modules), None)
        if inner is None:
            break
        module = inner
    return module
