"""What was measured before, on disk, by the content that it was measured from; knows bytes and no measurements."""

from covscan.cache.place import cache_folder, cache_limit
from covscan.cache.store import Broken, Kind, Store, passing_store

__all__ = ["Broken", "Kind", "Store", "cache_folder", "cache_limit", "passing_store"]
