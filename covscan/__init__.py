"""covscan measures how the inputs of every layer shift while a network trains, and where a normalization may help.

``covscan.analyze(...)`` does what ``covscan analyze`` does and returns the report as typed values.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from covscan.version import __version__

if TYPE_CHECKING:
    from covscan.config import Settings
    from covscan.config.progress import Progress
    from covscan.report.types import Report

__all__ = ["__version__", "analyze"]


def analyze(
    checkpoints: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    data: str | os.PathLike[str] | Iterable[Any] | Mapping[str, Any] | Callable[..., Any],
    model: str | Callable[..., Any] | None = None,
    model_args: Mapping[str, Any] | None = None,
    progress: "Progress | None" = None,
    **settings: Any,
) -> "Report":
    """Measure a series of checkpoints on sample data and return the report.

    ``checkpoints`` are paths, globs or folders in training order; ``model`` is ``"package.module:function"``,
    ``"file.py:function"`` or the function itself, which returns the untrained network; ``data`` is a path, a spec like
    ``model``, arrays, a mapping of arrays, or any iterable of batches. ``settings`` are the other fields of
    ``covscan.config.Settings`` (``target``, ``samples``, ``batch_size``, ``seed``, ``positions``, ...); with
    ``reference_data``, which is of the same kinds as ``data``, both data sets are compared through one checkpoint. The
    model is left as it was found. Raises covscan.errors.UsageError for what the caller must change and
    covscan.errors.Inconclusive where nothing could be measured.
    """
    from covscan.pipeline import analyze as run

    return run(_settings(checkpoints, data, model, model_args, settings), progress)


def _settings(checkpoints: Any, data: Any, model: Any, model_args: Any, rest: dict[str, Any]) -> "Settings":
    import dataclasses
    import difflib

    from covscan.config import Settings
    from covscan.errors import UsageError

    known = [field.name for field in dataclasses.fields(Settings)]
    for name in rest:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "settings are: " + ", ".join(known)
            raise UsageError("unknown-setting", f"there is no setting '{name}'", hint=hint)
    for name in ("sites", "exclude"):
        if isinstance(rest.get(name), str):
            rest[name] = (rest[name],)
        elif name in rest:
            rest[name] = tuple(rest[name])
    one = isinstance(checkpoints, str | os.PathLike)
    reference = rest.pop("reference_data", None)
    return Settings(
        checkpoints=tuple(os.fspath(path) for path in ([checkpoints] if one else checkpoints)),
        data=os.fspath(data) if isinstance(data, os.PathLike) else data,
        reference_data=os.fspath(reference) if isinstance(reference, os.PathLike) else reference,
        model=model,
        model_args=tuple((model_args or {}).items()),
        **rest,
    )
