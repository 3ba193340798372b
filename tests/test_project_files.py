"""What is shipped, and how large it may be."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def archives(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("dist")
    build = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1]); b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=root, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_wheel_holds_the_typed_package_and_nothing_else(archives: Path, root: Path) -> None:
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "covscan = covscan.__main__:main" in wheel.read(points).decode()
    assert {"covscan/py.typed", "covscan/report/report.schema.json"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"covscan"}
    assert {f"covscan/render/web/assets/{name}" for name in ("page.css", "start.js")} <= names
    modules = {path.relative_to(root).as_posix() for path in (root / "covscan").rglob("*.py")}
    assert modules <= names


def test_the_source_archive_can_be_tested(archives: Path) -> None:
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "LICENSE", "tests/conftest.py"} <= names
    assert {"samples/digits-sigmoid/sample.npz", "samples/digits-sigmoid/plain/step-0.pt"} <= names
    assert {".github/actions/check/action.yml", ".pre-commit-hooks.yaml", "samples/ci/github.yml"} <= names


def test_samples_stay_small(samples: Path) -> None:
    sizes = {
        path: path.stat().st_size for path in samples.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert len(sizes) > 30
    assert max(sizes.values()) < 1_000_000
    assert sum(sizes.values()) < 5_000_000


def test_every_sample_says_how_it_was_made(samples: Path) -> None:
    others = {"ci", "pictures"}  # which are no training runs
    folders = [path for path in samples.iterdir() if path.is_dir() and path.name not in others]
    assert len(folders) >= 3
    for folder in folders:
        assert {"README.md", "make.py", "nets.py", "sample.npz"} <= {path.name for path in folder.iterdir()}
        readme = (folder / "README.md").read_text(encoding="utf-8")
        assert f"python samples/{folder.name}/make.py" in readme
        assert "covscan analyze" in readme


def test_every_requirement_is_pinned_to_a_release_it_allows(root: Path, project: dict) -> None:
    pins = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[canonicalize_name(name)] = version
    listed = [
        *project["build-system"]["requires"],
        *project["project"]["dependencies"],
        *(line for extra in project["project"]["optional-dependencies"].values() for line in extra),
        *(line for group in project["dependency-groups"].values() for line in group),
    ]
    for requirement in map(Requirement, listed):
        pinned = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned), f"{requirement} but {pinned} is pinned"


def test_warnings_are_errors_and_coverage_has_a_floor(project: dict) -> None:
    assert project["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"
    assert project["tool"]["coverage"]["report"]["fail_under"] >= 95
    assert project["tool"]["coverage"]["run"]["branch"] is True
