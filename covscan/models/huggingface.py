"""A series of Hugging Face directories, whose ``config.json`` is the architecture."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from covscan.config.loading import describe_error
from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.models.factory_source import FactorySource
from covscan.models.formats import Saved
from covscan.models.loading import Loader
from covscan.models.room import in_memory, size_by_building
from covscan.models.series import Shelf


def open_huggingface(settings: Settings, shelf: Shelf, notes: list[str]) -> FactorySource:
    """The source for Hugging Face directories: the class that the first one's config names, offline.

    Code that lies in the directory runs only with ``--trust``. Raises UsageError.
    """
    first = shelf.saved(shelf.series.checkpoints[0])
    config = _config(first.path, settings.trust)
    module = _build(first.path, config, settings.trust)
    name = f"{type(module).__name__} of {str(first.path)!r}"

    def fallback(saved: Saved) -> dict[str, Any] | None:
        return read_by_transformers(saved.path, type(module), config)

    return FactorySource(
        shelf,
        Loader(module, name),
        f"{type(module).__name__} from Hugging Face directories",
        notes,
        trust=settings.trust,
        fallback=fallback,
    )


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Import and use transformers without network, and with what remote code prints turned to stderr."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


def _transformers(path: Path) -> Any:
    try:
        with _offline():
            import transformers
    except ImportError as error:
        raise UsageError(
            "missing-extra",
            f"{str(path)!r} is a Hugging Face directory, and transformers is not installed",
            found=str(error),
            hint="pip install 'covscan[hf]', or name the architecture with --model",
        ) from error
    return transformers


def _config(path: Path, trust: bool) -> Any:
    transformers = _transformers(path)
    try:
        with _offline():
            config = transformers.AutoConfig.from_pretrained(str(path), local_files_only=True, trust_remote_code=trust)
    except Exception as error:
        raise _explain(path, error, "its config.json cannot be used") from error
    return config


def _build(path: Path, config: Any, trust: bool) -> nn.Module:
    transformers = _transformers(path)
    named = next(iter(getattr(config, "architectures", None) or ()), None)
    architecture = getattr(transformers, named, None) if isinstance(named, str) else None
    if not (isinstance(architecture, type) and issubclass(architecture, nn.Module)):
        architecture = None  # a name of transformers that is no network must not be called
    if named is not None and architecture is None and not trust:
        raise UsageError(
            "unknown-architecture",
            f"{str(path)!r} is a {named}, which transformers {transformers.__version__} does not have",
            hint="name the architecture with --model; or --trust, if the code lies in the directory",
        )

    def make() -> nn.Module:
        with _offline(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if architecture is not None:
                module: nn.Module = architecture(config)
            else:
                module = transformers.AutoModel.from_config(config, trust_remote_code=trust)
        return module.float()

    try:
        return in_memory(make, f"the {named or 'model'} of {str(path)!r}", lambda: size_by_building(make)).eval()
    except UsageError:
        raise
    except Exception as error:
        raise _explain(path, error, f"its {named or 'model'} cannot be built") from error


def read_by_transformers(path: Path, architecture: type[nn.Module], config: Any) -> dict[str, Any] | None:
    """The weights as transformers reads them, which knows older versions' names; None where some lack."""
    transformers = _transformers(path)
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with _offline():
            module, told = architecture.from_pretrained(  # type: ignore[attr-defined]
                str(path), config=config, local_files_only=True, output_loading_info=True
            )
    except Exception:  # noqa: BLE001  the mismatch that sent us here is the error to report
        return None
    finally:
        transformers.logging.set_verbosity(verbosity)
        transformers.logging.enable_progress_bar()
    if any(told.get(key) for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")):
        return None
    return dict(module.state_dict())


def _explain(path: Path, error: Exception, what: str) -> UsageError:
    remote = "trust_remote_code" in str(error)
    return UsageError(
        "untrusted-code" if remote else "unreadable-model",
        f"{str(path)!r} is a Hugging Face directory, but "
        + ("its architecture is code that lies in it" if remote else what),
        found=describe_error(error),
        hint="--trust runs that code; only for directories you trust"
        if remote
        else "name the architecture with --model",
    )
