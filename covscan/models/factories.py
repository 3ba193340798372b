"""Which of two models needs the factory that the user named."""

from dataclasses import replace

from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.models.finding import find_saved

_WEIGHTS_ALONE = ("torch", "safetensors")


def factories_for(first: Settings, second: Settings) -> tuple[Settings, Settings]:
    """Both settings, each with the factory that its file needs: its own, else that of the first.

    A file that holds a network of its own (ONNX, TorchScript, ``.pt2``, a Hugging Face folder) gets none unless one was
    named for it. Raises UsageError where the first's factory serves neither.
    """
    if second.model is None:
        second = replace(second, model=first.model, model_args=first.model_args)
        if not _holds_weights_alone(second):
            second = replace(second, model=None, model_args=())
        if first.model is not None and not _holds_weights_alone(first):
            if second.model is None:
                raise UsageError(
                    "not-weights",
                    "--model was given, but both files hold a network of their own",
                    found=f"{', '.join(first.checkpoints)} and {', '.join(second.checkpoints)}",
                    hint="leave out --model",
                )
            first = replace(first, model=None, model_args=())
    return first, second


def _holds_weights_alone(settings: Settings) -> bool:
    return all(saved.format in _WEIGHTS_ALONE for saved in find_saved(settings.checkpoints, []))
