"""Fuzz every reader for a bounded time and write down what was tried: ``make fuzz``.

One process for each target, started again where an input ended it, until its runs or its seconds are spent. Writes
``benchmarks/results/fuzz.json`` and ``fuzz.md``; ends with 1 where something was found.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import one_target
import targets

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MOST_STARTS = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets; all by default")
    parser.add_argument("--runs", type=int, default=200_000, help="inputs for each target at most")
    parser.add_argument("--seconds", type=int, default=30, help="seconds for each target at most")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs of findings")
    parser.add_argument("--write", action="store_true", help=f"write the results into {RESULTS.relative_to(ROOT)}")
    given = parser.parse_args()
    wanted = given.targets or list(targets.TARGETS)
    told = {}
    for name in wanted:
        told[name] = fuzz(name, given.runs, given.seconds, given.keep)
        if given.write:  # after each, so that a pass that is interrupted counts as far as it came
            RESULTS.mkdir(parents=True, exist_ok=True)
            (RESULTS / "fuzz.json").write_text(json.dumps(summary(told), indent=1) + "\n", encoding="utf-8")
            (RESULTS / "fuzz.md").write_text(table(told), encoding="utf-8")
    targets.clean()
    print(table(told))
    return 1 if any(each["findings"] for each in told.values()) else 0


def fuzz(name: str, runs: int, seconds: int, keep: Path | None) -> dict:
    """What became of a target: inputs tried, how many were refused in a sentence, findings."""
    told = {"inputs": 0, "refused": 0, "findings": {}, "seconds": 0.0}
    start = time.monotonic()
    for _ in range(MOST_STARTS):
        left, rest = seconds - (time.monotonic() - start), runs - told["inputs"]
        if left < 1 or rest < 1:
            break
        with tempfile.TemporaryDirectory(prefix="covscan-fuzz-") as folder:
            ended = _once(name, Path(folder), rest, int(left), told)
            if keep is not None:
                _keep(name, Path(folder), keep)
        if ended:
            break
    told["seconds"] = round(time.monotonic() - start, 1)
    print(f"{name}: {told['inputs']:,} inputs, {len(told['findings'])} findings", file=sys.stderr, flush=True)
    for key, finding in told["findings"].items():
        print(f"  {key}: {finding['error']}", file=sys.stderr, flush=True)
    return told


def _once(name: str, folder: Path, runs: int, seconds: int, told: dict) -> bool:
    """One process; True where it spent what it was given."""
    errors = folder / "errors"
    process = os.fork()  # what torch takes to import is paid once
    if not process:
        stream = os.open(errors, os.O_WRONLY | os.O_CREAT)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        code: object = 1
        try:
            one_target.fuzz(name, folder, runs, seconds)
        except SystemExit as end:
            code = end.code or 0
        finally:
            os._exit(code if isinstance(code, int) else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    said = errors.read_text(encoding="utf-8", errors="replace")
    notes = folder / "notes.json"
    if not notes.exists():
        raise SystemExit(f"{name} did not start:\n{said[-3000:]}")
    found = json.loads(notes.read_text(encoding="utf-8"))
    told["inputs"] += found["inputs"]
    told["refused"] += found["refused"]
    told["findings"] |= found["findings"]
    if code == 0:
        return True
    what = next((line for line in said.splitlines() if "ERROR:" in line or "SUMMARY:" in line), "it ended")
    told["findings"][f"exit {code}: {what[-120:]}"] = {"error": said[-2000:], "input": "current"}
    return False


def _keep(name: str, folder: Path, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name.startswith(("finding-", "crash-", "timeout-", "oom-")):
            shutil.copy(file, keep / f"{name}-{file.name}")


def summary(told: dict) -> dict:
    """The results, with what they were made by."""
    packages = ("atheris", "torch", "onnx", "onnxruntime", "safetensors", "numpy", "pyarrow", "pillow", "msgspec")
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "inputs": sum(each["inputs"] for each in told.values()),
        "refused": sum(each["refused"] for each in told.values()),
        "findings": sum(len(each["findings"]) for each in told.values()),
        "targets": {
            name: {**each, "findings": {key: one["error"][:300] for key, one in each["findings"].items()}}
            for name, each in told.items()
        },
    }


def table(told: dict) -> str:
    """The results for people."""
    whole = summary(told)
    rows = [
        f"| {name} | {each['inputs']:,} | {each['refused']:,} | {each['seconds']:.0f} | {len(each['findings'])} |"
        for name, each in told.items()
    ]
    made = ", ".join([f"Python {whole['python']}", *(f"{name} {each}" for name, each in whole["versions"].items())])
    return "\n".join(
        [
            "# Fuzzing",
            "",
            f"{whole['inputs']:,} inputs, {whole['findings']} findings, on {whole['date']} ({made}).",
            "",
            "A finding is an exception that is not for the user, over 10 s for one input, over 2 GiB of memory, or the",
            "end of the process. `make fuzz` tries again; `refused` counts those that ended in a sentence.",
            "",
            "| reader | inputs | refused | seconds | findings |",
            "|---|---:|---:|---:|---:|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
