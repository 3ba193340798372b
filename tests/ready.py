"""Processes that start with the heavy libraries loaded: one interpreter imports them once and forks for each request.

``Ready().run("-m", "covscan", ...)`` is ``subprocess.run([sys.executable, "-m", "covscan", ...])`` for a test that
wants a process (streams, exit code, signals, memory and modules of its own) but not to watch how libraries are
imported, which takes longer than most of what is tested. Nothing of covscan's and no test is loaded before the fork.
Forks share the seed of string hashes: what must not depend on it is tested in interpreters of their own.
"""

import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Without ONNX Runtime: it starts a thread when it is imported, and a fork without that thread hangs where it ends.
HEAVY = ("numpy", "torch", "onnx", "safetensors.numpy", "safetensors.torch")


class Ready:
    """The interpreter that forks, started when it is first needed."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None

    def run(
        self, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run what ``python`` would with ``arguments``: ``-m MODULE`` or ``-c CODE``, and words for it.

        Nothing comes in on standard input. Output and errors come back apart, as text.
        """
        return self.start(*arguments, cwd=cwd, env=env).wait(timeout)

    def start(self, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> "Started":
        """The same, to be watched while it runs and told off; nothing else runs until it was waited for."""
        if self._server is None:
            command = [sys.executable, __file__]
            # Unbuffered, so that select sees what was not read yet.
            self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        words, folder = [str(argument) for argument in arguments], tempfile.TemporaryDirectory()
        request = [words, str(cwd), dict(os.environ if env is None else env), folder.name]
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        return Started(words, int(self._server.stdout.readline()), folder, self._server.stdout)

    def close(self) -> None:
        """End the interpreter; it was waiting."""
        if self._server is not None:
            self._server.communicate()


@dataclass
class Started:
    """A process that runs."""

    words: list[str]
    number: int
    folder: "tempfile.TemporaryDirectory[str]"
    told: IO[bytes]

    def said(self, name: str = "err") -> str:
        """What it said so far on standard error, or on standard output (``out``)."""
        try:
            return Path(self.folder.name, name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def until(self, word: str, times: int = 1) -> None:
        """Wait until it said ``word`` so often on standard error."""
        while self.said().count(word) < times:
            assert not select.select([self.told], [], [], 0.02)[0], self.said()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.number, number)

    def wait(self, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """How it ended, and all that it said."""
        late = not select.select([self.told], [], [], timeout)[0]
        if late:
            self.send_signal(signal.SIGKILL)
        code = int(self.told.readline())
        done = subprocess.CompletedProcess([sys.executable, *self.words], code, self.said("out"), self.said("err"))
        self.folder.cleanup()
        if late:
            raise subprocess.TimeoutExpired(done.args, timeout, done.stdout, done.stderr)
        return done


def become(words: list[str], folder: str, environment: dict[str, str], streams: str) -> None:
    """Turn this process into ``python words`` in ``folder``, which says what it says into files."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate((os.devnull, f"{streams}/out", f"{streams}/err")):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        for number, mode, errors in ((0, "r", None), (1, "w", None), (2, "w", "backslashreplace"))
    )
    how, what, *rest = words
    sys.argv = [how, *rest]
    if how == "-m":
        sys.path[0] = folder
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = ""
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(main))


def serve(requests: Iterable[str]) -> None:
    """Fork for each line; tell the child's number, and its exit code once it ended."""
    for name in HEAVY:
        __import__(name)
    for line in requests:
        number = os.fork()
        if not number:
            become(*json.loads(line))
            return
        print(number, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(sys.stdin)
