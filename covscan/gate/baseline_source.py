"""Where a baseline lies: a file, or a file as a git revision has it, which the change under test cannot rewrite."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from covscan.errors import UsageError
from covscan.memory import read_whole
from covscan.report.decode import LARGEST

DEFAULT_PATH = "covscan-baseline.json"


@dataclass(frozen=True, slots=True)
class Located:
    """A baseline's content, or the reason why there is none; ``name`` is its path, behind ``revision:`` if of git."""

    name: str
    content: bytes | None
    reason: str = ""


def locate(path: str | None, revision: str | None) -> Located:
    """Read the file from the disk, or from a git revision.

    What is not there is a value with its reason. Raises UsageError for a file that is there and cannot be read, and for
    a revision that git would take for an option or for something else than a revision.
    """
    path = DEFAULT_PATH if path is None else path
    return _on_disk(path) if revision is None else _in_git(path, _checked(revision))


def _on_disk(path: str) -> Located:
    try:
        return Located(path, read_whole(Path(path), LARGEST))
    except (FileNotFoundError, NotADirectoryError):
        return Located(path, None, f"there is no file '{path}'; 'covscan baseline write' makes one")
    except (OSError, ValueError) as error:
        raise UsageError(
            "unreadable-baseline",
            f"cannot read the baseline '{path}'",
            found=getattr(error, "strerror", None) or str(error),
            hint="give the path of a file that 'covscan baseline write' wrote",
        ) from error


def _checked(revision: str) -> str:
    if not revision or revision.startswith("-") or not revision.isprintable() or {":", " "} & set(revision):
        raise UsageError(
            "bad-revision",
            f"'{revision}' is no git revision",
            hint="name a branch, a tag or a commit, for example --baseline-rev origin/main",
        )
    return revision


def _in_git(path: str, revision: str) -> Located:
    name = f"{revision}:{path}"
    git = shutil.which("git")
    if git is None:
        return Located(name, None, "git is not installed")
    file = Path(os.path.realpath(path))
    folder = next(parent for parent in file.parents if parent.is_dir())
    top = _git(git, folder, "rev-parse", "--show-toplevel")
    if top.returncode:
        return Located(name, None, f"'{folder}' is in no git repository that can be read: {_complaint(top)}")
    inside = os.path.relpath(file, os.path.realpath(os.fsdecode(top.stdout).rstrip("\n"))).replace(os.sep, "/")
    commit = _git(git, folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit.returncode:
        reason = f"git knows no revision '{revision}' here; a shallow checkout has to fetch it first"
        return Located(name, None, reason)
    # By the commit's own number: nothing of what the user typed is read as syntax here.
    blob = _git(git, folder, "cat-file", "blob", f"{commit.stdout.decode().strip()}:{inside}")
    if blob.returncode:
        return Located(name, None, f"revision '{revision}' holds no file '{inside}'")
    return Located(name, blob.stdout)


def _git(git: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - no shell, and the one word of the user's was checked
        [git, "-C", str(folder), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def _complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else f"git ended with {done.returncode}"
