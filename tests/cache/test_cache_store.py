"""The cache on disk: whole or not at all, bounded, shared, and never believed when damaged."""

import os
import subprocess
import sys
import time

import pytest

from covscan.cache import Broken, Store, cache_folder, cache_limit, passing_store
from covscan.cache.place import parse_size, size_text
from covscan.errors import UsageError

KEY, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache", 10_000)


def test_what_is_put_is_got_until_it_is_dropped(store):
    assert store.get("facts", KEY) is None
    store.put("facts", KEY, b"facts")
    store.put("pair", KEY, b"pair")
    assert store.has("facts", KEY)
    assert not store.has("summary", KEY)
    assert (store.get("facts", KEY), store.get("pair", KEY)) == (b"facts", b"pair")
    store.drop("facts", KEY)
    assert store.get("facts", KEY) is None
    assert store.get("pair", KEY) == b"pair"


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b[:-1] + b"X", lambda b: b"X" + b[1:]]
)
def test_a_damaged_entry_is_noticed_and_gone(store, damage):
    store.put("facts", KEY, b"some facts")
    (path,) = (each.path for each in store.held())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Broken, match=KEY):
        store.get("facts", KEY)
    assert store.get("facts", KEY) is None


def test_summaries_go_first_and_those_unused_for_longest_before_the_rest(store):
    for number, kind in enumerate(["facts", "summary", "summary", "summary"]):
        store.put(kind, f"{number:064d}", bytes(2_000))
        os.utime(store._path(kind, f"{number:064d}"), (number, number))
    assert store.get("summary", f"{1:064d}") is not None  # used just now
    store.put("summary", KEY, bytes(3_000))
    kept = {(each.kind, each.path.stem[-1]) for each in store.held()}
    assert kept == {("facts", "0"), ("summary", "1"), ("summary", "3"), ("summary", "b")}
    assert sum(each.size for each in store.held()) <= store.limit


def test_what_is_larger_than_the_whole_cache_is_not_kept(store):
    store.put("summary", KEY, bytes(20_000))
    assert store.held() == []
    assert store.complaint is None


def test_remains_of_dead_processes_are_removed_after_an_hour(store):
    store.put("facts", KEY, b"x")
    old, new = (store.folder / KEY[:2] / f"{name}.part" for name in ("old", "new"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    store.shrink()
    assert not old.exists()
    assert new.exists()
    assert [each.kind for each in store.held()] == ["facts"]


def test_clearing_says_how_much_there_was_and_leaves_nothing(store):
    store.put("facts", KEY, b"12345")
    store.put("summary", OTHER, b"1")
    assert store.clear() == (2, sum([5, 1]) + 2 * 40)
    assert list(store.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_keeps_nothing_and_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file", 1000)
    store.put("facts", KEY, b"x")
    assert "cannot be written to" in store.complaint
    assert store.get("facts", KEY) is None


def test_a_full_disk_leaves_no_half_written_file(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("covscan.cache.store.os.replace", full)
    store.put("facts", KEY, b"x")
    assert "No space left" in store.complaint
    assert [*store.folder.rglob("*.*")] == []


def test_two_processes_that_write_and_evict_at_once_read_nothing_false(tmp_path):
    code = """
import sys
from pathlib import Path
from covscan.cache import Store
store = Store(Path(sys.argv[1]), 40_000)
for turn in range(300):
    key = f"{turn % 20:064d}"
    found = store.get("summary", key)
    assert found is None or found == bytes([turn % 20]) * 3000, "another content"
    store.put("summary", key, bytes([turn % 20]) * 3000)
assert store.complaint is None, store.complaint
"""
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [each.wait(timeout=120) for each in both] == [0, 0]
    assert sum(each.size for each in Store(tmp_path, 1).held()) <= 40_000 + 3_040


def test_a_passing_store_is_gone_at_the_end():
    with passing_store() as store:
        store.put("facts", KEY, b"x")
        assert store.get("facts", KEY) == b"x"
    assert not store.folder.exists()


def test_place_and_size_come_from_the_environment(tmp_path):
    assert cache_folder({"COVSCAN_CACHE_DIR": str(tmp_path)}) == tmp_path
    assert cache_folder({}).name == "covscan"
    assert cache_limit({}) == 4 * 2**30
    assert cache_limit({"COVSCAN_CACHE_SIZE": "1.5M"}) == 3 * 2**19
    assert [parse_size(text) for text in ("0", "7", "2k", "10 GiB", "1TB")] == [0, 7, 2048, 10 * 2**30, 2**40]
    assert [size_text(size) for size in (0, 1023, 1536, 5 * 2**30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
    with pytest.raises(UsageError, match="bad-cache-size"):
        cache_limit({"COVSCAN_CACHE_SIZE": "much"})
