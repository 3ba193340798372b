"""Finished trainings on disk, so that an interrupted proof goes on where it stopped."""

import contextlib
import hashlib
import json
import math
from pathlib import Path
from typing import Any, TextIO

from covscan.errors import UsageError
from covscan.prove.runs import Arm, Bench, Curve


class Journal:
    """A file with one line for each training; a line of another setting, or a broken last one, is left alone.

    ``setting`` is everything that a curve depends on. Opened for appending, line by line, so that what was finished
    before a crash counts. Raises UsageError where the file cannot be read or written.
    """

    def __init__(self, path: Path, setting: Any) -> None:
        self._path = path
        self._key = hashlib.sha256(repr(setting).encode()).hexdigest()[:16]
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            self._records = [record for record in map(_read, text.splitlines()) if record is not None]
            if text.strip() and not self._records:
                raise UsageError(
                    "unusable-resume-file",
                    f"'{path}' is no file that covscan prove wrote",
                    hint="name another with --resume",
                )
            self._stream: TextIO = path.open("a", encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                "unusable-resume-file",
                f"cannot use '{path}' to resume from",
                found=str(error),
                hint="name another file with --resume; it is created where it does not exist",
            ) from error
        if text and not text.endswith("\n"):
            self._stream.write("\n")

    def restore(self, bench: Bench, arms: tuple[Arm, ...]) -> int:
        """Hand the curves that are there to ``bench``, and take in what it adds; returns how many there were."""
        names = {_name(arm): arm for arm in arms}
        count = 0
        for record in self._records:
            arm = names.get(record["arm"])
            if record["key"] != self._key or arm is None:
                continue
            losses = tuple(math.nan if loss is None else loss for loss in record["losses"])
            held_out = math.nan if record["held_out"] == "nan" else record["held_out"]
            bench.known(arm, record["rate"], record["seed"], Curve(losses, held_out))
            count += 1
        bench.keep = self._append
        return count

    def close(self) -> None:
        """Nothing more will come."""
        with contextlib.suppress(OSError):  # what did not fit was said when it was written
            self._stream.close()

    def _append(self, arm: Arm, rate: float, seed: int, curve: Curve) -> None:
        held_out: Any = curve.held_out
        record = {
            "key": self._key,
            "arm": _name(arm),
            "rate": rate,
            "seed": seed,
            "held_out": "nan" if held_out is not None and math.isnan(held_out) else held_out,
            "losses": [loss if math.isfinite(loss) else None for loss in curve.losses],
        }
        try:
            self._stream.write(json.dumps(record) + "\n")
            self._stream.flush()
        except OSError as error:
            raise UsageError(
                "unusable-resume-file",
                f"cannot write to '{self._path}' any more",
                found=error.strerror or str(error),
                hint="free some space and say the same command again: it goes on behind what is in the file",
            ) from error


def _name(arm: Arm) -> str:
    return f"{arm}, warm-up {arm.warmup}" if arm.warmup else str(arm)


def _read(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    wanted = {"key", "arm", "rate", "seed", "held_out", "losses"}
    return record if isinstance(record, dict) and wanted <= record.keys() else None
