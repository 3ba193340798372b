"""``covscan cache``: where measurements are kept, how much there is, and away with it."""

import json
import sys

from covscan.cache import Store, cache_folder, cache_limit
from covscan.cache.place import FOLDER, LIMIT, size_text
from covscan.cache.store import KINDS
from covscan.cli.streams import deliver
from covscan.cli.values import choice
from covscan.errors import ExitCode
from covscan.render.names import printable

_HOLDS = {"facts": "checkpoints", "pair": "comparisons", "summary": "samples of their values", "training": "trainings"}


def run(*, clear: bool, form: str) -> int:
    """Show the cache, or empty it first."""
    as_json = choice("--format", form, ("text", "json")) == "json"
    store = Store(cache_folder(), cache_limit())
    cleared = store.clear() if clear else None
    held = store.held()
    counts = {kind: sum(each.kind == kind for each in held) for kind in KINDS}
    size = sum(each.size for each in held)
    if as_json:
        record = {"folder": str(store.folder), "bytes": size, "limit": store.limit, "entries": counts}
        if cleared is not None:
            record["cleared"] = {"entries": cleared[0], "bytes": cleared[1]}
        deliver(sys.stdout, f"{json.dumps(record)}\n")
        return ExitCode.OK
    rows = [] if cleared is None else [f"removed {cleared[0]} entries, {size_text(cleared[1])}"]
    rows += [
        f"folder   {printable(str(store.folder))}",
        f"holds    {size_text(size)} of at most {size_text(store.limit)}",
        "entries  " + ", ".join(f"{counts[kind]} {_HOLDS[kind]}" for kind in KINDS),
        "",
        f"{FOLDER} puts it elsewhere, {LIMIT} sets its size (500M, 10G, 0 for none).",
    ]
    deliver(sys.stdout, "\n".join(rows) + "\n")
    return ExitCode.OK
