"""What covscan stands on: pinned with digests, licences listed, and installable from what is built of it."""

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

USES = """
import covscan
from covscan.config import Settings
from covscan.report.types import Report

report: Report = covscan.analyze(["a.pt"], data="x.npz", model="nets.py:build")
reveal_type(report.coverage.measured)
Settings(samples="many")
"""


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9_.-]+)==([^ \\\n]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_every_pin_is_locked_with_digests_except_torch(root: Path) -> None:
    lock = (root / "requirements-dev.lock").read_text(encoding="utf-8")
    wanted = pins((root / "constraints.txt").read_text(encoding="utf-8"))
    assert wanted.pop("torch")
    assert pins(lock) == wanted
    parts = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert len(parts) == len(wanted)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", part) for part in parts)


@pytest.mark.skipif(sys.platform != "linux", reason="packages ask for others by system")
def test_the_list_of_licences_is_current(root: Path) -> None:
    checked = subprocess.run([sys.executable, root / "tests" / "supply" / "licences.py", "--check"], check=False)
    assert checked.returncode == 0, "run make licences"
    rows = (root / "THIRD_PARTY.md").read_text(encoding="utf-8").splitlines()[9:]
    assert len(rows) > 30
    assert not [row for row in rows if "not stated" in row or "GPL" in row.replace("LGPL", "")]


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel that is built from it, away from the repository."""
    folder = tmp_path_factory.mktemp("built")
    build = "import sys, hatchling.build as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"
    subprocess.run([sys.executable, "-c", build, "sdist", str(folder)], cwd=root, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder / "source", filter="data")
    unpacked = next((folder / "source").iterdir())
    subprocess.run([sys.executable, "-c", build, "wheel", str(folder)], cwd=unpacked, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """An empty environment with the wheel in it; what covscan depends on is seen where it lies already."""
    place = built / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths("venv", {"base": str(place), "platbase": str(place)})
    site, scripts = Path(paths["purelib"]), Path(paths["scripts"])
    wheel = next(built.glob("*.whl"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(scripts / "python"),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return scripts


def run(command: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_wheel_is_the_same_from_the_source_archive(built: Path, root: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("covscan/")}
    here = {path.relative_to(root).as_posix() for path in (root / "covscan").rglob("*") if path.is_file()}
    assert packed == {name for name in here if "__pycache__" not in name}


def test_the_wheel_works_in_an_empty_environment(installed: Path, digits: Path, tmp_path: Path) -> None:
    command = installed / "covscan"
    where = run([installed / "python", "-c", "import covscan; print(covscan.__file__)"], tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.parent), where.stderr
    version = run([command, "--version"], tmp_path)
    assert (version.returncode, version.stdout.split()[0]) == (0, "covscan")
    doctor = run([command, "doctor"], tmp_path)
    assert doctor.returncode == 0, doctor.stderr
    for path in (digits / "nets.py", digits / "sample.npz", *sorted((digits / "plain").glob("*.pt"))[:2]):
        shutil.copy(path, tmp_path)
    data = ["--model", "nets.py:plain", "--data", "sample.npz", "--target", "y", "--samples", 64, "--no-cache"]
    checkpoints = sorted(path.name for path in tmp_path.glob("*.pt"))
    analyzed = run([command, "analyze", *data, "-o", "json=report.json", *checkpoints], tmp_path)
    assert analyzed.returncode == 0, analyzed.stderr
    assert (tmp_path / "report.json").stat().st_size > 1000


def test_the_types_are_seen_by_whoever_installs_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(USES)
    skipped = "".join(f"[mypy-{name}.*]\nfollow_imports = skip\n" for name in ("torch", "numpy", "onnx", "onnxruntime"))
    (tmp_path / "mypy.ini").write_text(f"[mypy]\nfollow_imports = silent\n{skipped}")
    mypy = [sys.executable, "-m", "mypy", "--python-executable", installed / "python", "uses.py"]
    checked = run(mypy, tmp_path)
    assert checked.stdout.splitlines() == [
        'uses.py:7: note: Revealed type is "int"',
        'uses.py:8: error: Argument "samples" to "Settings" has incompatible type "str"; expected "int"  [arg-type]',
        "Found 1 error in 1 file (checked 1 source file)",
    ], checked.stdout + checked.stderr
