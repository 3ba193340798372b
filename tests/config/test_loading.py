import subprocess
import sys
from pathlib import Path

import pytest

from covscan.config.loading import describe_error, load_object, looks_like_object
from covscan.errors import UsageError


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def failure(spec: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_object(spec, what="--model")
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nets.py:build", True),
        ("dir with spaces/nets.py:build", True),
        (r"C:\work\nets.py:Net.build", True),
        ("package.module:build", True),
        ("samples.npz", False),
        (r"C:\work\samples.npz", False),
        ("nets.py", False),
        ("runs/nets:build", False),
        ("3d:build", False),
    ],
)
def test_what_reads_like_an_object(text, expected):
    assert looks_like_object(text) is expected


def test_a_file_runs_once_and_prints_to_stderr(tmp_path, capsys):
    path = write(
        tmp_path / "once.py",
        "print('imported')\nclass Net:\n    @staticmethod\n    def build():\n        return 7\n",
    )
    assert load_object(f"{path}:Net.build", what="--model")() == 7
    assert load_object("once.py:Net", what="--model") is load_object(f"{path}:Net", what="--data")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "imported\n"


def test_neighbours_are_found_at_import_and_when_called(tmp_path):
    write(tmp_path / "a" / "neighbour_one.py", "VALUE = 1\n")
    write(tmp_path / "a" / "neighbour_two.py", "VALUE = 2\n")
    path = write(
        tmp_path / "a" / "with_neighbours.py",
        "from neighbour_one import VALUE\n"
        "def build():\n    import neighbour_two\n    return VALUE, neighbour_two.VALUE\n",
    )
    assert load_object(f"{path}:build", what="--model")() == (1, 2)


def test_a_file_imported_by_another_is_the_same_module(tmp_path):
    write(tmp_path / "shared_nets.py", "class Net: pass\n")
    write(tmp_path / "shared_data.py", "from shared_nets import Net\n")
    assert load_object("shared_data.py:Net", what="--data") is load_object("shared_nets.py:Net", what="--model")


def test_a_file_in_a_package_may_import_relatively(tmp_path):
    write(tmp_path / "some_package" / "__init__.py", "")
    write(tmp_path / "some_package" / "layers.py", "WIDTH = 5\n")
    write(tmp_path / "some_package" / "inner" / "__init__.py", "")
    write(tmp_path / "some_package" / "inner" / "nets.py", "from ..layers import WIDTH\n")
    write(tmp_path / "some_package" / "sample.py", "from .layers import WIDTH\n")
    assert load_object("some_package/inner/nets.py:WIDTH", what="--model") == 5
    assert load_object("some_package/sample.py:WIDTH", what="--data") == 5


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for folder in ("first", "second"):
        write(tmp_path / folder / "same_name.py", f"VALUE = {folder!r}\n")
    assert load_object("first/same_name.py:VALUE", what="--model") == "first"
    assert load_object("second/same_name.py:VALUE", what="--model") == "second"


@pytest.mark.parametrize("name", ["types", "onnx", "sklearn", "v1.2-net"])
def test_a_file_never_takes_the_name_of_another_module(tmp_path, name):
    taken = sys.modules.get(name)
    write(tmp_path / f"{name}.py", "VALUE = 'mine'\n")
    assert load_object(f"{name}.py:VALUE", what="--model") == "mine"
    assert sys.modules.get(name) is taken


def test_a_module_of_the_working_directory_is_found_by_name(tmp_path):
    write(tmp_path / "by_name" / "__init__.py", "")
    write(tmp_path / "by_name" / "nets.py", "def build(): return 3\n")
    assert load_object("by_name.nets:build", what="--model")() == 3


def test_what_a_module_puts_on_the_path_stays(tmp_path):
    extra = str(tmp_path / "extra")
    write(tmp_path / "path_user.py", f"import sys\nsys.path.append({extra!r})\nX = 1\n")
    before = list(sys.path)
    load_object("path_user.py:X", what="--model")
    assert sys.path[: len(before)] == before
    assert extra in sys.path


def test_not_an_object():
    error = failure("nets.py")
    assert error.code == "bad-object"
    assert "file.py:function" in error.hint


def test_no_such_file_means_a_close_one(tmp_path):
    write(tmp_path / "networks.py", "")
    error = failure("network.py:build")
    assert error.code == "no-such-file"
    assert error.hint == "did you mean 'networks.py'?"
    assert failure("nowhere/network.py:build").hint == ""


def test_no_such_module_means_a_close_one(tmp_path):
    write(tmp_path / "network_zoo.py", "")
    error = failure("network_zo:build")
    assert (error.code, error.hint) == ("no-such-module", "did you mean 'network_zoo'?")
    assert "install the package" in failure("quite.another:build").hint


def test_no_such_attribute_lists_what_there_is(tmp_path):
    write(tmp_path / "attributes.py", "from pathlib import Path\ndef build(): pass\nclass Net: pass\n")
    error = failure("attributes.py:biuld")
    assert error.code == "no-such-object"
    assert error.found == "build, Net"
    assert error.hint == "did you mean 'build'?"


def test_attributes_of_a_thing_without_any(tmp_path):
    write(tmp_path / "numbers_only.py", "COUNT = 3\n")
    assert failure("numbers_only.py:COUNT.deeper").found == "nothing public"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("x = 1\nraise ValueError('no weights\\nsecond line')", "ValueError: no weights"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import not_installed_at_all", "No module named 'not_installed_at_all'"),
        ("def build(:\n", "SyntaxError"),
        ("raise RuntimeError", "RuntimeError ("),
    ],
)
def test_a_failing_import_is_the_users_error(tmp_path, body, expected):
    path = write(tmp_path / "failing.py", body)
    for _ in range(2):
        error = failure(f"{path}:build")
        assert error.code == "import-failed"
        assert expected in error.found
    path = write(tmp_path / "types.py", body)
    assert failure(f"{path}:build").code == "import-failed"


def test_the_line_of_the_users_code_is_named(tmp_path):
    write(tmp_path / "where.py", "import json\ndef build():\n    return json.loads('{')\n")
    function = load_object("where.py:build", what="--model")
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        function()
    assert describe_error(caught.value).endswith("where.py, line 3)")
    assert describe_error(ValueError("plain")) == "ValueError: plain"


def test_loading_needs_nothing_heavy():
    code = "import sys, covscan.config.loading; sys.exit('numpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0
