"""The command line as a process: what it loads, and how it behaves on pipes and terminals."""

import fcntl
import json
import os
import platform
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

GOLDEN = Path(__file__).parent.parent / "golden"
HEAVY = ("torch", "numpy", "onnx", "onnxruntime", "safetensors", "transformers", "pyarrow")
WATCH = """
import sys
from covscan.__main__ import main
sys.argv = ["covscan", *{words!r}]
code = main()
sys.stderr.write(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
sys.exit(code)
"""


def loaded_by(*words, before=""):
    done = subprocess.run(
        [sys.executable, "-c", before + WATCH.format(words=list(map(str, words)))],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(("given", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_do_not_spin_while_they_wait_unless_the_user_wants_it(given, used):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", "import os\n" + WATCH.format(words=["--version"]).replace(
            "sys.exit", "print(os.environ['OMP_WAIT_POLICY'])\nsys.exit")],
        env=environment | ({"OMP_WAIT_POLICY": given} if given else {}),
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == used


FREES = """
import resource, sys
from covscan.__main__ import main
sys.argv = ["covscan", "--version"]
main()
for _ in range(30):
    b"x" * 24_000_000  # as a layer asks for memory and frees it
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries cannot be told")
def test_what_a_layer_frees_serves_the_next_one_unless_the_user_tuned_it():
    names = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    untuned = {name: value for name, value in os.environ.items() if name not in names}

    def faults(**tuned):
        done = subprocess.run([sys.executable, "-c", FREES], env=untuned | tuned, capture_output=True, text=True,
                              check=True)  # fmt: skip
        return int(done.stdout.splitlines()[-1])

    pages = 24_000_000 // os.sysconf("SC_PAGE_SIZE")
    kept = faults()
    for tuned in ({"MALLOC_TRIM_THRESHOLD_": "1000"}, {"MALLOC_MMAP_THRESHOLD_": "1000"},
                  {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000"}):  # fmt: skip
        assert faults(**tuned) > kept + 25 * pages


def _home(folder, *words, **environment):
    """What a run of ``words`` left in a home of its own, and what it told."""
    home = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "USERPROFILE", "LOCALAPPDATA")}
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-m", *words], env=kept | home | environment, capture_output=True, text=True,
                          check=True)  # fmt: skip
    return {path.name for path in folder.rglob("*") if path.is_file()}, done.stdout


def test_onnx_runtime_reports_nothing_to_its_makers(tmp_path):
    """It would put an identifier of the machine and what it is about to send into the user's home."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.ones((8, 4), np.float32))
    analyze = ["analyze", "--data", str(tmp_path / "x.npy"), str(tmp_path / "m.onnx")]
    for number, words in enumerate((["doctor"], analyze)):
        home = tmp_path / f"home{number}"
        home.mkdir()
        left, told = _home(home, "covscan", *words)
        assert told
        assert not {name for name in left if "deviceid" in name or name.startswith("onnxruntime")}


@pytest.mark.parametrize(("given", "used"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
def test_whoever_wants_onnx_runtime_to_report_can_say_so(tmp_path, given, used):
    (tmp_path / "told.py").write_text(
        "import os\nimport covscan.capture.onnx_session\nprint(os.environ['ORT_DISABLE_TELEMETRY'])\n"
    )
    _, told = _home(tmp_path, "told", PYTHONPATH=f"{tmp_path}{os.pathsep}{Path.cwd()}", **given)
    assert told.split() == [used]


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["analyze", "--help"],
        ["watch", "--help"],
        ["insert", "--help"],
        ["prove", "--help"],
        ["--version"],
        ["rule"],
        ["rule", "COV201"],
        ["schema"],
        ["config", "--show"],
        ["config", "--schema"],
        ["config", "-f", "json"],
        ["init", "-o", "-"],
        ["init", "-o", "-", "--report", GOLDEN / "digits.json"],
        ["render", GOLDEN / "digits.json"],
        ["render", GOLDEN / "digits.json", "-f", "markdown"],
        ["render", GOLDEN / "digits.json", "--plot", "fc3"],
        ["explain", "--help"],
        ["explain", GOLDEN / "digits.json", "fc3"],
        ["explain", GOLDEN / "digits.json", "fc3", "-f", "json"],
        ["browse", "--help"],
    ],
    ids=lambda words: " ".join(str(word) for word in words if not isinstance(word, Path)),
)
def test_small_commands_load_nothing_heavy(words):
    loaded = loaded_by(*words)
    assert "covscan" in loaded
    assert not loaded & set(HEAVY)


def test_that_test_can_fail():
    assert "numpy" in loaded_by("--version", before="import numpy")


def test_browsing_reads_a_report_without_anything_heavy():
    code = "import sys; from covscan.browse.app import Browser; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "textual" in done.stderr.split()
    assert not set(done.stderr.split()) & set(HEAVY)


def test_help_does_not_even_load_rich():
    assert not loaded_by("--help") & {"rich", "msgspec", "pygments", "textual", "plotext"}


def environment(**more):
    steering = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "PYTHONIOENCODING"}
    return {name: value for name, value in os.environ.items() if name not in steering} | more


def command(*words):
    return [sys.executable, "-m", "covscan", *map(str, words)]


def shell(line, **more):
    return subprocess.run(["bash", "-c", line], capture_output=True, env=environment(**more), check=False)


@pytest.mark.parametrize(
    "words", [["render", GOLDEN / "deep.json", "-f", "json"], ["analyze", "--help"], ["schema"], ["--version"]]
)
def test_a_reader_that_goes_away_is_no_error(words):
    line = " ".join(command(*words))
    done = shell(f"{line} | true; echo ${{PIPESTATUS[0]}}")
    assert done.stdout == b"0\n"
    assert done.stderr == b""


def test_a_report_as_json_survives_head():
    done = shell(
        f"{' '.join(command('render', GOLDEN / 'deep.json', '-f', 'json'))} | head -1; echo ${{PIPESTATUS[0]}}"
    )
    assert done.stdout == b"{\n0\n"
    assert done.stderr == b""


def test_a_full_disk_behind_standard_output_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run(command("schema"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "error[unwritable-output]: cannot write to standard output" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_survived(closed):
    done = shell(f"{' '.join(command('render', GOLDEN / 'digits.json'))} {closed}; echo $? >&2")
    assert done.stderr.endswith(b"0\n")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_without_glyphs_gets_others(encoding):
    done = subprocess.run(
        command("render", GOLDEN / "hostile.json"),
        capture_output=True,
        env=environment(PYTHONIOENCODING=encoding),
        check=True,
    )
    text = done.stdout.decode(encoding)
    assert "_#" in text
    assert "\\u5c64" in text


def test_json_is_utf8_whatever_the_encoding():
    done = subprocess.run(
        command("render", GOLDEN / "hostile.json", "-f", "json"),
        capture_output=True,
        env=environment(PYTHONIOENCODING="ascii"),
        check=True,
    )
    assert done.stdout == (GOLDEN / "hostile.json").read_bytes()


def on_terminal(*words, width=80, **more):
    """What a terminal of ``width`` columns receives on standard output and error together, and the exit code."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 25, width, 0, 0))
    process = subprocess.Popen(
        command(*words),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env=environment(**({"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | more)),
    )
    os.close(follower)
    received = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        received += part
    os.close(leader)
    return received.decode().replace("\r\n", "\n"), process.wait()


def test_a_terminal_gets_colour_and_its_own_width():
    shown, code = on_terminal("render", GOLDEN / "digits.json", width=100)
    assert code == 0
    assert shown == (GOLDEN / "digits.color.txt").read_text()


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colour(more):
    shown, _ = on_terminal("render", GOLDEN / "digits.json", **more)
    assert shown == (GOLDEN / "digits.terminal-80.txt").read_text()


def test_columns_overrule_a_terminal():
    shown, _ = on_terminal("render", GOLDEN / "digits.json", width=132, COLUMNS="200", NO_COLOR="1")
    assert shown == (GOLDEN / "digits.terminal-200.txt").read_text()


def test_a_terminal_that_knows_no_width():
    shown, _ = on_terminal("render", GOLDEN / "digits.json", width=0, NO_COLOR="1")
    assert shown == (GOLDEN / "digits.terminal-80.txt").read_text()


def test_a_page_is_drawn_on_a_terminal():
    shown, code = on_terminal("rule", "COV201")
    assert code == 0
    assert "## " not in shown
    assert "\x1b[1;4mWhen it misleads\x1b[0m" in shown


NET = """
import sys, time
import torch
print("the factory speaks")
def build():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
def slow():
    for step in range(1000):
        sys.stderr.write("reading\\n")
        sys.stderr.flush()
        time.sleep(0.05)
        yield torch.zeros(2, 4)
"""
MAKE = """
import sys, torch, numpy as np
sys.path.insert(0, ".")
from nets import build
for step in (1, 2):
    torch.manual_seed(step)
    torch.save(build().state_dict(), f"step-{step}.pt")
np.savez("x.npz", x=np.random.default_rng(0).normal(size=(64, 4)).astype("float32"))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, ready):
    """A user's folder: a factory that prints, two checkpoints and some data."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(NET)
    ready.run("-c", MAKE, cwd=folder).check_returncode()
    return folder


def test_a_real_run_prints_its_report_alone(run_covscan, project):
    done = run_covscan(
        "analyze", "--model", "nets.py:build", "--data", "x.npz", "step-1.pt", "step-2.pt", "-f", "json", cwd=project
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [checkpoint["step"] for checkpoint in found["checkpoints"]] == [1, 2]
    assert "the factory speaks" in done.stderr
    assert [line.split(" (")[0] for line in done.stderr.splitlines() if line.startswith("covscan: ")] == [
        "covscan: 1/2 step-1",
        "covscan: 2/2 step-2",
    ]


def test_a_real_run_on_a_terminal_shows_a_bar_that_vanishes(project):
    words = [
        "--model",
        project / "nets.py:build",
        "--data",
        project / "x.npz",
        project / "step-1.pt",
        project / "step-2.pt",
    ]
    shown, code = on_terminal("analyze", *words, width=100)
    assert code == 0
    assert "checkpoints" in shown
    assert "batches" in shown
    assert "Shift since step 1" in shown
    assert shown.index("batches") < shown.index("Shift since")


def test_an_interrupted_run_ends_quietly(project, tmp_path):
    words = ["--model", "nets.py:build", "--data", "nets.py:slow", "step-1.pt", "-o", f"json={tmp_path}/r.json"]
    process = subprocess.Popen(
        command("analyze", *words),
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    while "reading" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.endswith("interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_onnx_models_are_measured_without_torch(tmp_path):
    folder = Path(__file__).parent.parent.parent / "samples" / "conv-onnx"
    words = ["analyze", folder / "epoch0.onnx", folder / "epoch10.onnx", "--data", folder / "sample.npz", "--no-cache"]
    loaded = loaded_by(*words, "-o", f"json={tmp_path / 'report.json'}", "--quiet")
    assert {"onnxruntime", "numpy"} <= loaded
    assert "torch" not in loaded
