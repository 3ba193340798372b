"""Import what a user names as ``file.py:function`` or ``package.module:function``."""

import contextlib
import difflib
import hashlib
import importlib
import importlib.machinery
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from covscan.errors import UsageError

_SPEC = re.compile(r"^(?P<module>.+\.py|[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)$")
_LOADED: dict[Path, ModuleType] = {}


def looks_like_object(text: str) -> bool:
    """Whether ``text`` reads ``file.py:name`` or ``package.module:name`` and not like a path."""
    return _SPEC.match(text) is not None


def load_object(spec: str, *, what: str) -> Any:
    """Import the module that ``spec`` names and return the attribute behind the colon.

    ``what`` says in error messages what the object is for (``--model``). A file is executed once per process;
    its folder stands first on ``sys.path`` meanwhile and last afterwards, so that a function that imports
    when it is called still finds its neighbours. What the module prints goes to stderr. Raises UsageError.
    """
    match = _SPEC.match(spec)
    if match is None:
        raise UsageError(
            "bad-object",
            f"{what} {spec!r} does not name a function",
            hint="write file.py:function or package.module:function",
        )
    location, names = match["module"], match["name"]
    module = _module_of_file(Path(location), what) if location.endswith(".py") else _module_of_name(location, what)
    return _attribute(module, names, location, what)


def describe_error(error: BaseException) -> str:
    """The error in one line, with the file and line of the user's code where it was raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_user_code(frame.filename)]
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return f"{text} ({frames[-1].filename}, line {frames[-1].lineno})" if frames else text


def _is_user_code(filename: str) -> bool:
    own = str(Path(__file__).parent.parent)
    library = ("site-packages", "dist-packages", "<frozen", "<string", str(Path(contextlib.__file__).parent))
    return not filename.startswith(own) and not any(part in filename for part in library)


def _module_of_file(path: Path, what: str) -> ModuleType:
    resolved = path.resolve()
    if resolved in _LOADED:
        return _LOADED[resolved]
    if not resolved.is_file():
        names = [each.name for each in resolved.parent.glob("*.py")] if resolved.parent.is_dir() else []
        raise UsageError("no-such-file", f"{what}: there is no file {str(path)!r}", hint=_meant(path.name, names))
    root, name = _module_name(resolved)
    own_name = _is_free(resolved, root, name)
    with _importing([str(root), str(resolved.parent)], str(path), what):
        _LOADED[resolved] = importlib.import_module(name) if own_name else _execute(resolved)
    return _LOADED[resolved]


def _module_name(path: Path) -> tuple[Path, str]:
    """The folder to import from and the dotted name: a file in a package is imported as its member."""
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        root, parts = root.parent, [root.name, *parts]
    return root, ".".join(parts)


def _is_free(path: Path, root: Path, name: str) -> bool:
    """Whether ``name`` imports this file and belongs to no other module, loaded or installed."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or "." in path.stem:
        return False
    if top in sys.modules:
        origin = getattr(sys.modules[top], "__file__", None)
    else:
        found = importlib.machinery.PathFinder.find_spec(top)
        origin = found.origin if found is not None else None
    return origin is None or Path(origin).resolve() in (root / f"{top}.py", root / top / "__init__.py")


def _execute(path: Path) -> ModuleType:
    """Run the file under a name of its own."""
    name = f"{path.stem.replace('.', '_')}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    specification = importlib.machinery.ModuleSpec(name, SourceFileLoader(name, str(path)), origin=str(path))
    specification.has_location = True
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        SourceFileLoader(name, str(path)).exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module_of_name(name: str, what: str) -> ModuleType:
    with _importing([str(Path.cwd())], name, what):
        return importlib.import_module(name)


@contextlib.contextmanager
def _importing(folders: list[str], name: str, what: str) -> Iterator[None]:
    """Import with ``folders`` in front of ``sys.path`` and with stdout turned to stderr."""
    before = list(sys.path)
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and (name == missing or name.startswith(f"{missing}.")):
            raise UsageError(
                "no-such-module",
                f"{what}: there is no module {name!r}",
                found=f"no module named {missing!r} from {Path.cwd()}",
                hint=_meant(missing, [path.stem for path in Path.cwd().glob("*.py")])
                or "name a file instead (file.py:function), or install the package",
            ) from error
        raise UsageError(
            "import-failed",
            f"{what}: importing {name!r} failed",
            found=describe_error(error),
            hint="import it in Python to see the whole traceback",
        ) from error
    finally:
        added = [folder for folder in sys.path if folder not in before and folder not in folders]
        sys.path[:] = [*before, *added, *dict.fromkeys(folder for folder in folders if folder not in before)]


def _attribute(module: ModuleType, names: str, location: str, what: str) -> Any:
    value: Any = module
    for name in names.split("."):
        if not hasattr(value, name):
            public = [each for each in vars(value) if not each.startswith("_")] if hasattr(value, "__dict__") else []
            raise UsageError(
                "no-such-object",
                f"{what}: {location!r} has no {names!r}",
                found=", ".join(_own(value, public)) or "nothing public",
                hint=_meant(name, public),
            )
        value = getattr(value, name)
    return value


def _own(value: Any, names: list[str]) -> list[str]:
    """The functions and classes that the module itself defines come first; at most eight names."""
    module = getattr(value, "__name__", None)
    defined = [name for name in names if getattr(vars(value)[name], "__module__", None) == module]
    return (defined or names)[:8]


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""
