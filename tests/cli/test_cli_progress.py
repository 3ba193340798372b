import io
import re

from rich.console import Console

from covscan.cli.progress import Bar, Lines, watch
from covscan.cli.streams import Wishes
from covscan.config.progress import Silent


class Terminal(io.StringIO):
    def isatty(self):
        return True


def bar_after(*steps, width=100):
    """What the bar shows once these calls were made of it, without colour."""
    stream = Terminal()
    bar = Bar(stream, color=False)
    for name, *arguments in steps:
        getattr(bar, name)(*arguments)
    console = Console(file=io.StringIO(), width=width)
    console.print(bar._progress.get_renderable())
    bar.finish()
    return " ".join(re.sub(r"[━╸╺]", " ", console.file.getvalue()).split())


def test_the_bar_counts_batches_and_checkpoints():
    start = ("start", ["one", "two", "three"], 4)
    assert bar_after(start).startswith("one 1/3 checkpoints 0/12 batches")
    assert bar_after(start, ("batch",), ("batch",)).startswith("one 1/3 checkpoints 2/12 batches")
    assert bar_after(start, ("batch",), ("checkpoint", "one")).startswith("two 2/3 checkpoints 4/12 batches")
    done = [("checkpoint", name) for name in ("one", "two", "three")]
    assert bar_after(start, *done).startswith("three 3/3 checkpoints 12/12 batches")


def test_the_bar_shortens_and_cleans_names():
    shown = bar_after(("start", ["a-long-\x1b-name-of-a-checkpoint-that-goes-on"], 1))
    assert shown.startswith("a-long-\\x...at-goes-on 1/1 checkpoints")
    assert "\x1b" not in shown


def test_a_bar_that_never_started_can_be_finished():
    bar = Bar(Terminal(), color=False)
    bar.finish()
    assert bar_after(("start", [], 0)).startswith("0/0 checkpoints")


def test_notes_stand_above_the_bar():
    stream = Terminal()
    bar = Bar(stream, color=False)
    bar.note("careful [bold]x[/bold]\x1b")
    bar.finish()
    assert stream.getvalue() == "note: careful [bold]x[/bold]\\x1b\n"


def test_the_bar_is_filled_anew_with_training_steps():
    start, probe = ("start", ["one"], 2), ("trial", "one-step probe", 0, 600)
    assert bar_after(start, ("checkpoint", "one"), probe).startswith("one-step probe at most 0/600 steps")
    told = [("trial", "training trial", done, 600) for done in (30, 90)]
    assert bar_after(start, probe, *told).startswith("training trial at most 90/600 steps")


def test_lines_tell_each_stage_once_and_every_tenth():
    stream = io.StringIO()
    lines = Lines(stream)
    lines.start([], 0)
    for stage, done in (("probe", 0), ("trial", 5), ("trial", 50), ("trial", 99), ("trial", 100), ("trial", 1_900)):
        lines.trial(stage, done, 1_000)
    lines.trial("nothing", 0, 0)
    assert stream.getvalue().splitlines() == [
        f"covscan: {text} training steps"
        for text in (
            "probe, 0 of at most 1,000", "trial, 5 of at most 1,000", "trial, 100 of at most 1,000",
            "trial, 1,900 of at most 1,000", "nothing, 0 of at most 0",
        )
    ]  # fmt: skip


def test_the_place_decides_what_is_watched(monkeypatch):
    assert isinstance(watch(quiet=True, wishes=Wishes()), Silent)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(watch(quiet=False, wishes=Wishes()), Lines)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(watch(quiet=False, wishes=Wishes()), Bar)


def test_silence_takes_everything():
    silent = Silent()
    silent.start(["a"], 1)
    silent.batch()
    silent.checkpoint("a")
    silent.trial("probe", 1, 2)
    silent.note("x")
    silent.finish()
