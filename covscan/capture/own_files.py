"""Which source files are the user's own, and how a report names them."""

from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}


def own_name(path: Path, working: Path) -> str | None:
    """The file's name in its repository, with forward slashes; None where it is not the user's own.

    The repository is the one that holds ``working``, the working folder; where that lies in none, the file's own.
    Without any it is the bare name. So a report does not depend on where in a repository, or outside of all, covscan
    was started. Looks for ``.git`` and runs nothing.
    """
    if _INSTALLED & set(path.parts):
        return None
    root = _repository(working) or _repository(path.parent) or path.parent
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _repository(folder: Path) -> Path | None:
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
