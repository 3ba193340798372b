"""Take a network out of what training wrapped around it."""

from torch import nn

_INNER = ("_orig_mod", "_fsdp_wrapped_module", "module")
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
    if type(module).__name__ in _WRAPPERS and type(module).__module__.startswith("torch."):
        for name in _INNER:
            inner = module._modules.get(name)
            if inner is not None:
                return _inner(inner)
    return module
