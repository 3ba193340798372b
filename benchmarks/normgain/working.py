"""Going through instances with several processes, into a file of JSON lines that can be taken up again."""

import argparse
import json
import multiprocessing
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

Record = dict[str, Any]
Job = Callable[[int, Any], Record]


def add_arguments(parser: argparse.ArgumentParser, count: int) -> None:
    parser.add_argument("--numbers", default=f"0-{count - 1}", help="first-last, or one")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="also those that are there already")
    parser.add_argument("--output", type=Path)


def work(job: Job, options: argparse.Namespace, output: Path, argument: Any) -> Iterator[Record]:
    """Call ``job(number, argument)`` for the numbers that the file lacks, and append each result as it comes.

    What fails is printed and left for another run. In the end the file is in the order of the numbers.
    """
    known = read(output)
    first, _, last = options.numbers.partition("-")
    wanted = range(int(first), int(last or first) + 1)
    output.parent.mkdir(parents=True, exist_ok=True)
    write(known, output)
    jobs = [(job, number, argument) for number in wanted if options.again or number not in known]
    with multiprocessing.get_context("spawn").Pool(options.processes, torch.set_num_threads, (1,)) as pool:
        for record in pool.imap_unordered(_safely, jobs):
            if isinstance(record, str):
                print(record, flush=True)
                continue
            with output.open("a") as file:
                file.write(_line(record))
            yield record
    write(read(output), output)


def read(path: Path) -> dict[int, Record]:
    """What a file holds, by number; the later one of two, and without a line that was cut off."""
    found = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            found[record["number"]] = record
    return dict(sorted(found.items()))


def write(records: dict[int, Record], path: Path) -> None:
    """All of them, in the order of the numbers."""
    path.write_text("".join(_line(record) for _, record in sorted(records.items())))


def _line(record: Record) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"


def _safely(task: tuple[Job, int, Any]) -> Record | str:
    job, number, argument = task
    try:
        return job(number, argument)
    except Exception:  # noqa: BLE001  the other instances go on
        return f"{number:4} failed\n{traceback.format_exc()}"
