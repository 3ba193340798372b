"""The direction of imports is enforced, and its enforcement can fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IGNORED = shutil.ignore_patterns("__pycache__")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package that lies in ``folder``, not the installed one."""
    command = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    shutil.copytree(root / "covscan", tmp_path / "covscan", ignore=IGNORED)
    shutil.copy(root / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_package_imports_downwards_only(root: Path) -> None:
    checked = lint_imports(root)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_upward_import_is_caught(copy: Path) -> None:
    with (copy / "covscan" / "report" / "types.py").open("a", encoding="utf-8") as module:
        module.write("\nimport covscan.capture.types\n")
    checked = lint_imports(copy)
    assert checked.returncode == 1
    assert "covscan.report.types -> covscan.capture.types" in checked.stdout


def test_a_heavy_import_in_a_light_package_is_caught(copy: Path) -> None:
    with (copy / "covscan" / "config" / "settings.py").open("a", encoding="utf-8") as module:
        module.write("\n\ndef late():\n    import torch\n    return torch\n")
    checked = lint_imports(copy)
    assert checked.returncode == 1
    assert "covscan.config.settings -> torch" in checked.stdout


def test_a_package_that_no_layer_names_is_caught(copy: Path) -> None:
    (copy / "covscan" / "elsewhere.py").write_text('"""Not in the plan."""\n', encoding="utf-8")
    checked = lint_imports(copy)
    assert checked.returncode == 1
    assert "elsewhere" in checked.stdout
