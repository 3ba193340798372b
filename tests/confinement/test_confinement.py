"""What a model can reach while it runs. Each test that something is refused tries it unconfined as well."""

import contextlib
import contextvars
import errno
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import covscan.models.torchscript
from covscan import confinement
from covscan.capture.onnx_session import open_session
from covscan.config import Settings
from covscan.confinement import cell, confined, in_force
from covscan.confinement.landlock import forbid_files, version
from covscan.confinement.seccomp import forbid_calls
from covscan.errors import UsageError


def has_the_means():
    """Asked of the kernel, so that a fault of covscan's own does not look like a system without them."""
    try:
        return version() > 0 and Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    except OSError:
        return False


needs_both = pytest.mark.skipif(
    sys.platform != "linux" or not has_the_means(), reason="this system confines no threads"
)

HERE = threading.main_thread()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("secret", encoding="utf-8")
    Path("empty").mkdir()
    return tmp_path


def refused(work, **given):
    """Whether ``work`` is refused when it is confined; it must be possible here."""
    with pytest.raises(PermissionError) as error:
        confined(work, **given)
    work()
    return error.value.errno == errno.EACCES


FILES = {
    "read": lambda: Path("there").read_text(encoding="utf-8"),
    "write": lambda: Path("there").write_text("x", encoding="utf-8"),
    "append": lambda: open("there", "ab").close(),
    "make a file": lambda: Path("new").touch(),
    "make a folder": lambda: Path("new").mkdir(),
    "link": lambda: Path("new").symlink_to("there"),
    "name anew": lambda: Path("there").rename("new"),
    "take away a file": lambda: Path("there").unlink(),
    "take away a folder": lambda: Path("empty").rmdir(),
    "cut": lambda: os.truncate("there", 1),
    "make a pipe": lambda: os.mkfifo("new"),
    "read of the process": lambda: Path("/proc/self/environ").read_bytes(),
    "write into the process": lambda: os.close(os.open("/proc/self/mem", os.O_RDWR)),
}


@needs_both
def test_both_are_in_force():
    assert in_force() == ("files", "network")


@needs_both
@pytest.mark.parametrize("name", FILES)
def test_files_are_out_of_reach(name):
    assert refused(FILES[name])


CALLS = {
    "a socket": lambda: socket.socket().close(),
    "a socket for datagrams": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "a socket of this machine": lambda: socket.socket(socket.AF_UNIX).close(),
    "another program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
}


@needs_both
@pytest.mark.parametrize("name", CALLS)
def test_other_machines_and_programs_are_out_of_reach(name):
    assert refused(CALLS[name])


@needs_both
def test_what_is_open_cannot_be_sent_through():
    one, other = socket.socketpair()
    with one, other:
        assert refused(lambda: one.send(b"x"))
        assert other.recv(9) == b"x"  # what was sent unconfined


@needs_both
def test_files_that_are_named_can_be_read_and_no_more():
    Path("also").write_text("y", encoding="utf-8")
    Path("link").symlink_to("there")
    assert confined(FILES["read"], files=[Path("there")]) == "secret"
    assert confined(lambda: Path("link").read_text(encoding="utf-8"), files=[Path("link")]) == "secret"
    assert refused(FILES["write"], files=[Path("there")])
    assert refused(lambda: Path("also").read_text(encoding="utf-8"), files=[Path("there")])
    assert confined(FILES["read"], files=[Path("there"), Path("missing")])


@needs_both
def test_a_file_that_another_one_took_the_place_of_can_be_read():
    for content in ("one", "two", "three"):
        Path("new").write_text(content, encoding="utf-8")
        Path("new").replace("there")
        assert confined(FILES["read"], files=[Path("there")]) == content


@needs_both
def test_what_a_confined_thread_starts_is_confined():
    found = []

    def work():
        thread = threading.Thread(target=lambda: found.append(tried(FILES["read"])))
        thread.start()
        thread.join()

    confined(work)
    assert found == [errno.EACCES]


def tried(work):
    try:
        work()
    except OSError as error:
        return error.errno
    return 0


def bound_threads():
    """The numbers of this process's threads that gave up calls of the kernel."""
    found = set()
    for path in Path("/proc/self/task").glob("*/status"):
        with contextlib.suppress(OSError):  # one that has just ended
            text = path.read_text(encoding="ascii")
            if "Seccomp:\t2" in text and "NoNewPrivs:\t1" in text:
                found.add(path.parent.name)
    return found


@needs_both
def test_the_pools_of_both_engines_are_confined(monkeypatch):
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    monkeypatch.setattr("covscan.capture.onnx_session.asked_threads", lambda: 3)
    confined(int)
    before = bound_threads()
    assert before
    session = open_session(model, Path("m.onnx").resolve(), once=True)
    assert len(bound_threads() - before) == 2  # the third is the one that runs it
    assert session.run(["y"], {"x": np.ones(64, np.float32)}, where="a test")["y"].sum() == 64
    threads = torch.get_num_threads()
    assert confined(torch.get_num_threads) == threads  # from here on that thread has a number of its own
    try:
        torch.set_num_threads(3)
        assert confined(lambda: (torch.ones(1 << 20).sum().item(), torch.get_num_threads())) == (1 << 20, 3)
    finally:
        torch.set_num_threads(threads)
    assert len(bound_threads() - before) >= 2 + (2 if "OpenMP" in torch.__config__.parallel_info() else 0)


@needs_both
def test_the_rest_of_the_process_keeps_its_rights():
    confined(int, files=[Path("there")])
    assert [tried(work) for work in (FILES["read"], FILES["write"], *CALLS.values())] == [0] * 6


@needs_both
def test_modules_can_be_imported_and_folders_that_are_none_of_them_are_not_remembered_as_empty(monkeypatch, folder):
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    for name in ("colorsys", "own_module_of_a_test"):
        sys.modules.pop(name, None)
    Path("own_module_of_a_test.py").write_text("x = 1", encoding="utf-8")
    importlib.invalidate_caches()
    assert confined(lambda: importlib.import_module("colorsys")).__name__ == "colorsys"
    assert importlib.import_module("own_module_of_a_test").x == 1


def test_what_is_raised_is_raised_here():
    def work():
        raise LookupError("there is none")

    with pytest.raises(LookupError, match="there is none"):
        confined(work)
    assert confined(lambda: 3) == 3


def test_the_context_is_the_caller_s():
    named = contextvars.ContextVar("named", default="")
    named.set("mine")
    with np.errstate(divide="raise"):
        assert confined(lambda: (named.get(), np.geterr()["divide"])) == ("mine", "raise")


def test_work_within_work_is_the_same_thread_s():
    assert confined(lambda: confined(threading.current_thread) is threading.current_thread())


@needs_both
def test_a_fork_confines_its_own():
    confined(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(tried(lambda: confined(FILES["read"])))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == errno.EACCES


@needs_both
def test_an_interrupt_waits_for_the_model():
    """Nothing is taken away from under code that still runs."""
    done = []

    def work():
        time.sleep(0.3)
        done.append(True)

    timer = threading.Timer(0.1, lambda: signal.pthread_kill(HERE.ident, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        confined(work)
    assert done


@pytest.mark.parametrize("missing", [("forbid_files",), ("forbid_calls",), ("forbid_files", "forbid_calls")])
def test_a_system_without_the_means_runs_the_model_all_the_same(missing, monkeypatch):
    def cannot(*given):
        raise OSError(errno.ENOSYS, "no such call")

    before = set(in_force())
    for name in missing:
        monkeypatch.setattr(cell, name, cannot)
    monkeypatch.setattr(cell, "_cells", [])
    left = before - {{"forbid_files": "files", "forbid_calls": "network"}[name] for name in missing}
    assert set(in_force()) == left
    assert (confined(threading.current_thread) is threading.current_thread()) == (not left)
    assert confined(lambda: confined(lambda: 3)) == 3


def test_other_systems_have_no_means(monkeypatch):
    monkeypatch.setattr(cell.sys, "platform", "darwin")
    monkeypatch.setattr(cell, "_cells", [])
    assert confinement.in_force() == ()
    assert confined(FILES["read"]) == "secret"


def test_a_processor_without_a_table_of_calls_is_told(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        forbid_calls()


@needs_both
@pytest.mark.parametrize("known", [1, 2, 3, 4, 5, 9])
def test_each_version_of_landlock_is_asked_for_what_it_knows(known, monkeypatch):
    if min(known, 5) > version():
        pytest.skip("this kernel is older")
    monkeypatch.setattr("covscan.confinement.landlock.version", lambda: known)
    found = []

    def work():
        forbid_files([Path("empty")])
        found.extend([tried(FILES["read"]), tried(FILES["write"]), tried(FILES["name anew"])])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[:2] == [errno.EACCES] * 2
    assert found[2] == errno.EACCES


# --- models whose checks were taken away ---


class Maps(torch.nn.Module):
    """A network that makes a file of its own."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x):
        return self.linear(x) + torch.from_file("made", shared=True, size=2)


def _network_that_makes_a_file():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Maps()), "m.pt")
    np.savez("sample.npz", x=np.ones((8, 3), np.float32))
    return {"checkpoints": ("m.pt",), "data": "sample.npz", "device": "cpu", "cache": False}


@needs_both
def test_a_torchscript_that_slipped_through_makes_no_file(monkeypatch):
    from covscan.pipeline import analyze

    settings = _network_that_makes_a_file()
    with pytest.raises(UsageError):
        analyze(Settings(**settings))
    for check in ("check_script", "check_graph"):
        monkeypatch.setattr(covscan.models.torchscript, check, lambda *given: None)
    with pytest.raises(UsageError) as error:
        analyze(Settings(**settings))
    assert error.value.code == "model-failed"
    assert "Permission denied" in str(error.value)
    assert not Path("made").exists()
    analyze(Settings(**settings, trust=True))
    assert Path("made").exists()
