"""What was measured before: taken from a store where it is there, and put into it where it is new."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from covscan.cache import Broken, Kind, Store
from covscan.capture.recorder import CheckpointSummary
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.engine.entries import (
    Facts,
    Moved,
    decode_facts,
    decode_moved,
    decode_summary,
    encode,
    encode_summary,
)
from covscan.engine.keys import subject_key
from covscan.engine.subjects import Subject

Value = TypeVar("Value")
Keys = dict[tuple[str, str], str]
"""What subjects are kept under, by their ids and the fingerprints of their samples."""


class Known:
    """A store seen as measurements; without one nothing is known and nothing kept.

    A damaged entry is as good as none, and ``progress`` is told. ``keys`` are those that another process found, which
    may have imported more than this one.
    """

    def __init__(self, store: Store | None, progress: Progress, keys: "Keys | None" = None) -> None:
        self._store = store
        self._progress = progress
        self._complained = False
        self.keys: Keys = dict(keys or {})

    def key(self, subject: Subject, settings: Settings) -> str | None:
        """What a subject is kept under; None where it is not."""
        if self._store is None:
            return None
        of = subject.id, subject.samples.fingerprint
        if of not in self.keys:
            self.keys[of] = subject_key(subject, settings)
        return self.keys[of]

    def has(self, subject: Subject, settings: Settings) -> bool:
        """Whether there is an entry for what is said of a subject."""
        key = self.key(subject, settings)
        return key is not None and self._store is not None and self._store.has("facts", key)

    def facts(self, key: str | None) -> Facts | None:
        """What is known of one subject by itself."""
        return self._get("facts", key, decode_facts)

    def moved(self, key: str | None) -> list[Moved] | None:
        """How every site moved between two subjects."""
        return self._get("pair", key, decode_moved)

    def summary(self, key: str | None, references: Mapping[str, str]) -> CheckpointSummary | None:
        """The accumulators of one subject that was replayed with ``references``, keys by ids."""
        return self._get("summary", key, lambda content: decode_summary(content, references))

    def keep_facts(self, key: str | None, facts: Facts) -> None:
        """Keep what is said of one subject."""
        self._put("facts", key, lambda: encode(facts))

    def keep_moved(self, key: str | None, moved: list[Moved]) -> None:
        """Keep how every site moved."""
        self._put("pair", key, lambda: encode(moved))

    def keep_summary(self, key: str | None, summary: CheckpointSummary, references: Mapping[str, str]) -> None:
        """Keep the accumulators."""
        self._put("summary", key, lambda: encode_summary(summary, references))

    def _get(self, kind: Kind, key: str | None, decode: Callable[[bytes], Value | None]) -> Value | None:
        if self._store is None or key is None:
            return None
        try:
            found = self._store.decoded(kind, key, decode)
        except Broken as error:
            self._progress.note(f"a damaged entry of the cache is measured again: {error}")
            return None
        self._complain()
        return found

    def _put(self, kind: Kind, key: str | None, content: Callable[[], bytes]) -> None:
        if self._store is not None and key is not None:
            self._store.put(kind, key, content())
            self._complain()

    def _complain(self) -> None:
        if self._store is not None and self._store.complaint is not None and not self._complained:
            self._complained = True
            self._progress.note(f"the cache keeps nothing: {self._store.complaint}")
