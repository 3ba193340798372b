"""A series of programs saved by ``torch.export.save`` (``.pt2``)."""

import contextlib
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import nn

from covscan.config.settings import Settings
from covscan.confinement import confined
from covscan.errors import UsageError
from covscan.memory import bounded
from covscan.models.archives import check_archive
from covscan.models.exported_check import check_exported, weights_alone
from covscan.models.formats import Saved
from covscan.models.own_module_source import OwnModuleSource
from covscan.models.series import Shelf

Value = TypeVar("Value")


def open_exported(settings: Settings, shelf: Shelf, notes: list[str]) -> OwnModuleSource:
    """The source for exported programs, whose module hierarchy is rebuilt so that its modules run hooks.

    Their class is torch's ``InterpreterModule``; what they were is in ``type_name()``. A program that does more than
    compute opens only with the user's trust. Raises UsageError.
    """

    def load(saved: Saved) -> nn.Module:
        return _unflatten(saved, trust=settings.trust)

    return OwnModuleSource(shelf, load, "torch.export programs", notes, foreign=not settings.trust)


def read_exported(saved: Saved, *, trust: bool = False) -> dict[str, Any]:
    """The weights in a program, by the names of the module that was exported. Raises UsageError."""
    return dict(_load(saved, trust=trust).state_dict)


def stated_steps(saved: Saved, *, trust: bool = False) -> dict[str, int]:
    """Nothing: a program does not say how long its network was trained."""
    return {}


def _load(saved: Saved, *, trust: bool) -> torch.export.ExportedProgram:
    check_archive(saved.path, in_memory=True)
    if not trust:
        check_exported(saved.path)
    try:
        with warnings.catch_warnings(), contextlib.nullcontext() if trust else weights_alone(), _bounded(saved):
            warnings.simplefilter("ignore")  # torch's own deprecations while it reads its own format
            program = _apart(partial(torch.export.load, str(saved.path)), saved, trust=trust)
            if not trust:
                program._guards_code = []  # which would be executed, were the program called as a whole
            return program
    except UsageError:
        raise
    except Exception as error:
        raise _explain(saved, error, "opened") from error


def _bounded(saved: Saved) -> contextlib.AbstractContextManager[None]:
    return bounded(saved.path.stat().st_size, repr(str(saved.path)))


def _apart(work: Callable[[], Value], saved: Saved, *, trust: bool) -> Value:
    """What reads a program and writes Python of it, where that can reach nothing else, unless it is trusted."""
    return work() if trust else confined(work, files=[saved.path])


def _unflatten(saved: Saved, *, trust: bool) -> nn.Module:
    program = _load(saved, trust=trust)
    try:
        with warnings.catch_warnings(), _bounded(saved):
            warnings.simplefilter("ignore")
            module = _apart(partial(torch.export.unflatten, program), saved, trust=trust)
            return _signed(module.eval(), program)
    except UsageError:
        raise
    except Exception as error:
        raise _explain(saved, error, "divided into its modules") from error


def _signed(module: nn.Module, program: torch.export.ExportedProgram) -> nn.Module:
    """The module with the parameters that the program's inputs are named after; left as it is where an input is nested.

    Its own forward is ``(*args, **kwargs)``, which says nothing of where an array of the data belongs.
    """
    spec: Any = program.call_spec.in_spec
    positional, keywords = spec.children_specs if hasattr(spec, "children_specs") else spec.children()
    names = [str(name) for name in program.graph_signature.user_inputs]
    if positional.num_leaves != positional.num_children or keywords.num_leaves != keywords.num_children:
        return module
    behind = list(keywords.context or ()) if keywords.num_children else []
    plain, named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, plain) for name in names[: positional.num_children]]
    parameters += [inspect.Parameter(str(name), named) for name in behind]
    inner = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        taken = dict(kwargs)
        rest = [taken.pop(parameter.name) for parameter in parameters[len(args) : positional.num_children]]
        return inner(*args, *rest, **taken)

    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    module.forward = forward
    return module


def _explain(saved: Saved, error: Exception, what: str) -> UsageError:
    lines = str(error).strip().splitlines()
    return UsageError(
        "unreadable-model",
        f"{str(saved.path)!r} cannot be {what} as a torch.export program",
        found=f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__,
        hint="is it whole, and was it saved by a PyTorch no newer than this one? Or export the model to ONNX",
    )
