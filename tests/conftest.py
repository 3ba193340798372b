"""What tests of every package share."""

import compileall
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from ready import Ready

ROOT = Path(__file__).parent.parent

# Read when torch and numpy are first imported: workers share the cores, and so do processes they start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Read when ONNX Runtime is first imported, which tests do by themselves.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# What a test measures is measured; the tests of the cache give it a folder and a size of their own.
os.environ["COVSCAN_CACHE_SIZE"] = "0"

settings.register_profile("default", deadline=None, max_examples=30, derandomize=True)
settings.register_profile(
    "fuzz", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    """Compile covscan once: where PYTHONDONTWRITEBYTECODE is set every process would do it again, for 0.3 s."""
    if not hasattr(config, "workerinput"):
        compileall.compile_dir(ROOT / "covscan", quiet=2)


@pytest.fixture(scope="session")
def ready() -> Iterator[Ready]:
    """Processes that need not import torch: ``ready.run("-c", CODE, cwd=)``."""
    server = Ready()
    yield server
    server.close()


@pytest.fixture(scope="session")
def run_covscan(ready: Ready) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a process of its own: ``run_covscan("analyze", ..., cwd=, env=)``.

    It runs in the project's folder unless ``cwd`` says otherwise. ``env`` is added to the environment, from
    which all that steers colour and width is taken. Output and errors come back apart, as text. ``fresh`` asks for
    an interpreter of its own, with string hashes of its own.
    """

    def run(
        *arguments: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
        fresh: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        steering = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM"}
        kept = {name: value for name, value in os.environ.items() if name not in steering}
        around: dict[str, Any] = {"cwd": cwd or ROOT, "env": {**kept, **(env or {})}, "timeout": timeout}
        command = ["-m", "covscan", *map(str, arguments)]
        if not fresh:
            return ready.run(*command, **around)
        around["env"]["PYTHONIOENCODING"] = "utf-8"
        return subprocess.run(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            **around,
        )

    return run


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def samples() -> Path:
    """The bundled training runs."""
    return ROOT / "samples"


@pytest.fixture(scope="session")
def digits(samples: Path) -> Path:
    """Three layers of 100 sigmoids: ``nets.py``, ``sample.npz`` (x, y), ``plain/`` and ``batchnorm/``."""
    return samples / "digits-sigmoid"


@pytest.fixture(scope="session")
def conv_net(samples: Path) -> Path:
    """A conv net: ``nets.py``, ``sample.npz`` (image, label), ``epoch*.onnx`` and ``epoch*.pt``."""
    return samples / "conv-onnx"


@pytest.fixture(scope="session")
def char_transformer(samples: Path) -> Path:
    """A transformer: ``nets.py``, ``sample.npz`` (tokens, attention_mask, targets), ``*.safetensors``."""
    return samples / "char-transformer"
