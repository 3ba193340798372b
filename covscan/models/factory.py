"""Build the untrained network that a user's function returns."""

import contextlib
import copy
import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from covscan.config.loading import describe_error, load_object
from covscan.errors import UsageError
from covscan.models.room import in_memory, size_by_building, size_of
from covscan.models.unwrapping import unwrap

WHAT = "--model"
ON_META = (
    "use a machine with more memory, or build it under torch.device('meta'): its weights are then read from the "
    "checkpoint's file where they are needed"
)


def build(model: str | Callable[..., Any], arguments: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """The network that ``model`` names or returns, unwrapped, in eval mode on the CPU.

    Runs under torch's generator seeded by ``seed``, leaves torch's random state as it was, and turns what it prints
    to stderr. A module that exists already is copied, so that the caller's stays as it is; so is one that a function
    returns and somebody else holds as well. Raises UsageError, with the size that it needs where that is not free.
    """
    factory = factory_of(model)
    name = name_of(model)
    if isinstance(factory, nn.Module):
        _refuse_parts(factory, name)
        built: Any = _copy(factory, name, arguments)
    else:
        _check_call(factory, name, arguments)
        built = _call(factory, name, arguments, seed)
    if not isinstance(built, nn.Module):
        raise UsageError(
            "not-a-module",
            f"{name} does not return a torch.nn.Module",
            found=f"a {type(built).__module__}.{type(built).__qualname__}",
            hint="return the network alone",
        )
    _refuse_parts(built, name)
    if isinstance(built, torch.jit.ScriptModule):
        raise UsageError(
            "scripted-module",
            f"{name} returns TorchScript, inside of which no hook runs",
            found=f"a {type(built).__name__}",
            hint="return the module before torch.jit.script, or leave out --model and name saved TorchScript files",
        )
    fresh = nn.Module()
    lazy = any(is_lazy(tensor) for tensor in (*built.parameters(), *built.buffers()))  # which cannot be copied
    handed_over = not isinstance(model, str) and not isinstance(factory, nn.Module)
    if handed_over and not lazy and sys.getrefcount(built) > sys.getrefcount(fresh):
        with contextlib.suppress(RuntimeError, TypeError):  # what cannot be copied is used as it is
            built = copy.deepcopy(built)
    return _to_cpu(unwrap(built)).eval()


def factory_of(model: str | Callable[..., Any] | None) -> Any:
    """What ``model`` names, imported once in a process; what is no name is itself. Raises UsageError."""
    return load_object(model, what=WHAT) if isinstance(model, str) else model


def name_of(model: str | Callable[..., Any]) -> str:
    """How messages and the report call the model."""
    if isinstance(model, str):
        return model
    if isinstance(model, nn.Module):
        return type(model).__name__
    return getattr(model, "__qualname__", type(model).__name__)


def _copy(module: nn.Module, name: str, arguments: Mapping[str, Any]) -> nn.Module:
    if arguments:
        raise UsageError(
            "bad-model-arg",
            f"{name} is a module and takes no arguments",
            found=", ".join(arguments),
            hint="name the function that builds it, or leave out --model-arg",
        )
    try:
        return in_memory(lambda: copy.deepcopy(module), name, lambda: size_of(module))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(
            "factory-failed",
            f"{name} is a module that cannot be copied",
            found=describe_error(error),
            hint="name a function that builds it",
        ) from error


def _refuse_parts(module: nn.Module, name: str) -> None:
    """Raise UsageError where a process of a distributed run holds no more than its part of the weights."""
    parts = [each for each, parameter in module.named_parameters() if type(parameter).__name__ == "DTensor"]
    parts += [each or "itself" for each, inner in module.named_modules() if _is_fully_sharded(inner)]
    if parts:
        raise UsageError(
            "sharded-module",
            f"{name} is sharded over the processes of a distributed run, each of which holds a part of its weights",
            found=f"{len(parts)} parts, the first {parts[0]!r}",
            hint="give a function that builds the module, and full state dicts as checkpoints: "
            "get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))",
        )


def _is_fully_sharded(module: nn.Module) -> bool:
    return type(module).__name__ == "FullyShardedDataParallel" and type(module).__module__.startswith("torch.")


def _check_call(factory: Any, name: str, arguments: Mapping[str, Any]) -> None:
    if not callable(factory):
        raise UsageError(
            "not-a-module",
            f"{name} is neither a function nor a torch.nn.Module",
            found=f"a {type(factory).__name__}",
        )
    try:
        signature = inspect.signature(factory)
    except (ValueError, TypeError):  # builtins do not tell theirs; the call will
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        known = list(signature.parameters)
        unknown = next((each for each in arguments if each not in known), None)
        close = difflib.get_close_matches(unknown or "", known, n=1)
        raise UsageError(
            "bad-model-arg",
            f"{name} cannot be called with these arguments",
            found=f"{error}; it takes {signature}",
            hint=f"did you mean {close[0]!r}?" if close else "give arguments as --model-arg NAME=VALUE",
        ) from error


def _call(factory: Callable[..., Any], name: str, arguments: Mapping[str, Any], seed: int) -> Any:
    def make() -> Any:
        with contextlib.redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return factory(**arguments)

    try:
        return in_memory(make, name, lambda: size_by_building(make), hint=ON_META)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            "factory-failed",
            f"{name} raised an exception",
            found=describe_error(error),
            hint="call it in Python to see the whole traceback",
        ) from error


def _to_cpu(module: nn.Module) -> nn.Module:
    if any(tensor.is_meta for tensor in module.state_dict(keep_vars=True).values() if torch.is_tensor(tensor)):
        return module
    return module.cpu()
