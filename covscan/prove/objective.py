"""The loss that the user trains with: a name, or a function of the user's own."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from covscan.capture.tensors import tensors_in
from covscan.config.loading import describe_error, load_object, looks_like_object
from covscan.errors import UsageError

LOSSES = ("cross_entropy", "mse", "bce")
_OUTPUTS = ("logits", "output", "out", "prediction", "predictions", "reconstruction", "last_hidden_state")
IGNORED = -100
"""Class targets of this value are left out, as in ``torch.nn.functional.cross_entropy``."""

Loss = Callable[[Any, Any, torch.Tensor | None], torch.Tensor]


class Objective:
    """``objective(output, target, mask)`` is the mean loss of a batch, a scalar that can be differentiated.

    ``output`` is whatever the model returns; of nested outputs the named losses take ``logits`` or the first floating
    tensor. ``target`` is a tensor (nested for a function of the user's own, which gets output and target as they are).
    ``mask`` (samples, positions) bool is True where there is data. Raises UsageError where shapes do not fit.
    """

    def __init__(self, name: str, loss: Loss, *, named: bool = False) -> None:
        self.name = name
        self.named = named
        """Whether it is one of ``LOSSES`` and no function that happens to be called like one."""
        self._loss = loss
        self.notes: list[str] = []

    def __call__(self, output: Any, target: Any, mask: torch.Tensor | None = None) -> torch.Tensor:
        """The mean loss."""
        return self._loss(output, target, mask)


def open_objective(spec: str | Callable[..., Any]) -> Objective:
    """The objective for ``cross_entropy``, ``mse``, ``bce``, ``file.py:function`` or a function. Raises UsageError."""
    if callable(spec):
        return Objective(getattr(spec, "__name__", type(spec).__name__), _own(spec))
    if looks_like_object(spec):
        return Objective(spec, _own(load_object(spec, what="--loss")))
    if spec not in _NAMED:
        close = difflib.get_close_matches(spec, LOSSES, n=1)
        raise UsageError(
            "unknown-loss",
            f"--loss {spec}: there is no loss of that name",
            hint=f"did you mean {close[0]!r}?" if close else f"give {', '.join(LOSSES)} or file.py:function",
        )
    return Objective(spec, _NAMED[spec], named=True)


def prediction(output: Any) -> torch.Tensor:
    """The tensor of a model's output that a named loss is about. Raises UsageError where there is none."""
    if isinstance(output, Mapping):
        for name in _OUTPUTS:
            if isinstance(output.get(name), torch.Tensor):
                found: torch.Tensor = output[name]
                return found
    for tensor in tensors_in(output):
        if tensor.is_floating_point():
            return tensor
    raise UsageError(
        "no-prediction",
        f"the model's output, a {type(output).__name__}, holds no floating tensor that a loss could be taken of",
        hint="write the loss as a function: --loss file.py:function, called with output and target",
    )


def class_axis(logits: torch.Tensor, target: torch.Tensor) -> int | None:
    """The axis of ``logits`` that holds the classes, None where the target's shape fits neither way.

    Axis 1, or the last one where the target's shape is the logits' without it; where both fit (as many positions as
    classes) the last, which is how sequence models give them.
    """
    shape = tuple(logits.shape)
    if logits.ndim >= 2 and tuple(target.shape) == shape[:-1]:
        return logits.ndim - 1
    if logits.ndim >= 2 and tuple(target.shape) == (shape[0], *shape[2:]):
        return 1
    return None


def labelled(logits: torch.Tensor, target: Any) -> tuple[torch.Tensor, int] | None:
    """Class numbers in the logits' shape without the class axis, and that axis; None where probabilities are given.

    Raises UsageError where the target is neither.
    """
    target = one_tensor(target)
    if target.is_floating_point() and target.shape == logits.shape:
        return None
    if target.ndim == logits.ndim and target.shape[-1:] == (1,):
        target = target.squeeze(-1)
    if logits.ndim == 2 and target.ndim > 1 and target.numel() == len(logits):
        target = target.reshape(-1)  # the model has folded positions into the batch
    axis = class_axis(logits, target)
    if axis is None:
        raise _misfit("cross_entropy", logits, target, "class numbers of the logits' shape without the class axis")
    return target.long(), axis


def check_classes(target: torch.Tensor, classes: int) -> None:
    """Raise UsageError where a class number is none of so many classes."""
    counted = target[target != IGNORED]
    if counted.numel() and (int(counted.min()) < 0 or int(counted.max()) >= classes):
        raise UsageError(
            "bad-target",
            f"cross_entropy: class numbers must lie between 0 and {classes - 1}",
            found=f"{int(counted.min())} to {int(counted.max())} for logits of {classes} classes",
            hint="name the right array as --target, or another --loss",
        )


def _cross_entropy(output: Any, target: Any, mask: torch.Tensor | None) -> torch.Tensor:
    logits = prediction(output)
    found = labelled(logits, target)
    if found is None:
        return functional.cross_entropy(logits, target)  # a probability for each class
    numbers, axis = found
    if mask is not None and mask.shape == numbers.shape:
        numbers = numbers.masked_fill(~mask, IGNORED)
    try:
        return functional.cross_entropy(logits.movedim(axis, 1), numbers, ignore_index=IGNORED)
    except IndexError:  # on a CPU; see ``check_targets``
        check_classes(numbers, logits.shape[axis])
        raise


def _mse(output: Any, target: Any, mask: torch.Tensor | None) -> torch.Tensor:
    values, target = _alike("mse", prediction(output), one_tensor(target))
    if mask is not None and mask.shape == values.shape[: mask.ndim]:
        values, target = values[mask], target[mask]
    return functional.mse_loss(values, target)


def _bce(output: Any, target: Any, mask: torch.Tensor | None) -> torch.Tensor:
    values, target = _alike("bce", prediction(output), one_tensor(target))
    if mask is not None and mask.shape == values.shape[: mask.ndim]:
        values, target = values[mask], target[mask]
    return functional.binary_cross_entropy_with_logits(values, target)


def _alike(name: str, values: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in the prediction's shape; axes of size 1 and flattened axes are no difference."""
    if values.shape != target.shape and (
        values.numel() != target.numel() or (values.ndim and target.ndim and len(values) != len(target))
    ):
        raise _misfit(name, values, target, "as many values as the output")
    return values, target.reshape(values.shape).to(values.dtype)


def _own(function: Callable[..., Any]) -> Loss:
    def loss(output: Any, target: Any, mask: torch.Tensor | None) -> torch.Tensor:
        del mask
        try:
            found = function(output, target)
        except Exception as error:
            raise UsageError(
                "loss-failed",
                f"the loss function raised {type(error).__name__}",
                found=describe_error(error),
                hint="it is called as loss(output, target) with what the model returns and the --target array",
            ) from error
        if not isinstance(found, torch.Tensor) or found.numel() != 1 or not found.is_floating_point():
            raise UsageError(
                "loss-failed",
                "the loss function does not return one floating number as a tensor",
                found=f"a {type(found).__name__}"
                + (f" of shape {tuple(found.shape)}" if hasattr(found, "shape") else ""),
            )
        return found.reshape(())

    return loss


def one_tensor(target: Any) -> torch.Tensor:
    """The target of a named loss. Raises UsageError where it is none or nested."""
    if isinstance(target, torch.Tensor):
        return target
    if target is None:
        raise UsageError(
            "no-target", "--loss needs to know the labels", hint="name the array that holds them: --target NAME"
        )
    raise UsageError(
        "bad-target",
        f"--target holds a {type(target).__name__} and not one array",
        hint="write the loss as a function: --loss file.py:function, called with output and target",
    )


def _misfit(name: str, values: torch.Tensor, target: torch.Tensor, wanted: str) -> UsageError:
    return UsageError(
        "bad-target",
        f"{name}: the target does not fit the model's output",
        found=f"output {tuple(values.shape)}, target {tuple(target.shape)}",
        hint=f"the target should hold {wanted}; or write the loss as a function: --loss file.py:function",
    )


_NAMED: dict[str, Loss] = {"cross_entropy": _cross_entropy, "mse": _mse, "bce": _bce}
