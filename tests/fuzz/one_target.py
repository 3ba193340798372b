"""Fuzz one reader with atheris in this process, which must be a process of its own.

An exception that is not for the user is a finding; it is noted and the fuzzing goes on. What ends the process (a hang,
too much memory, a fault in native code) is seen by whoever started it.
"""

import hashlib
import json
import sys
import traceback
from pathlib import Path
from types import TracebackType

import atheris

with atheris.instrument_imports(include=["covscan"]):
    import targets

SLOWEST = 10  # seconds
LARGEST = 2048  # MiB resident


def fuzz(name: str, folder: Path, runs: int, seconds: int) -> None:
    """Never returns: atheris ends the process."""
    corpus = folder / "corpus"
    targets.write_corpus(name, corpus)
    for seed in targets.TARGETS[name].seeds():
        targets.outcome(name, seed)  # modules that are imported when they are needed
    told = {"inputs": 0, "refused": 0, "findings": {}}
    notes = folder / "notes.json"

    def attempt(content: bytes) -> None:
        told["inputs"] += 1
        (folder / "current").write_bytes(content)
        try:
            told["refused"] += targets.outcome(name, content) is not None
        except Exception as error:  # noqa: BLE001 - each is a finding
            place = _place(error.__traceback__)
            key = f"{type(error).__name__} at {place}"
            if key not in told["findings"]:
                file = folder / f"finding-{hashlib.sha256(content).hexdigest()[:12]}"
                file.write_bytes(content)
                last = "".join(traceback.format_exception(error))[-3000:]
                told["findings"][key] = {"input": file.name, "error": str(error)[:300], "trace": last}
                notes.write_text(json.dumps(told), encoding="utf-8")
        if told["inputs"] % 20 == 0:
            notes.write_text(json.dumps(told), encoding="utf-8")

    limits = [f"-timeout={SLOWEST}", f"-rss_limit_mb={LARGEST}", f"-runs={runs}", f"-max_total_time={seconds}"]
    atheris.Setup([sys.argv[0], str(corpus), *limits, f"-artifact_prefix={folder}/", "-detect_leaks=0"], attempt)
    notes.write_text(json.dumps(told), encoding="utf-8")
    try:
        atheris.Fuzz()
    finally:
        notes.write_text(json.dumps(told), encoding="utf-8")
        targets.clean()


def _place(trace: TracebackType | None) -> str:
    """The innermost of covscan's own lines, and the innermost of all."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if "/covscan/" in frame.filename]
    shown = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (own[-1:] or frames[-1:])]
    return f"{shown[0]}, in {Path(frames[-1].filename).name}:{frames[-1].name}"
