"""What the benchmarks make of seconds and peaks, and how they get them."""

import importlib.util
import subprocess
import sys
import time

import pytest


@pytest.fixture(scope="module")
def load(root):
    def load(name):
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", root / "benchmarks" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses look for annotations
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def ratios(load):
    return load("ratios")


BARE = {"seconds": 10.0, "peak_mib": 200.0, "load": [1.0, 0.5], "forward": [3.0, 2.5], "seen": 0}


def worker(load, forward, seconds, peak=300.0):
    return {"seconds": seconds, "peak_mib": peak, "load": [load], "forward": [forward], "seen": 7}


def test_a_bare_run_of_one_checkpoint_is_that_of_two_without_the_second(ratios):
    assert ratios.bare_seconds(BARE, 1) == 7
    assert ratios.bare_seconds(BARE, 2) == 10
    assert ratios.bare_inside(BARE, 1) == 4
    assert ratios.bare_inside(BARE, 2) == 7


def test_a_row_is_the_median_and_the_least_of_its_rounds(ratios):
    rounds = [{"bare": BARE, "capture": worker(1.0, forward, forward + 4)} for forward in (3.0, 6.0, 10.0)]
    rounds.append({"bare": BARE})
    found = ratios.summary("capture", 1, rounds)
    assert (found["rounds"], found["seen"]) == (3, 7)
    assert found["seconds"] == {"median": 10, "least": 7}
    assert found["ratio"] == {"median": pytest.approx(10 / 7, abs=0.01), "least": 1}
    assert found["inside_ratio"] == {"median": 1.75, "least": 1}


def test_who_tells_no_seconds_has_none_inside_and_who_never_ended_no_row(ratios):
    silent = {"seconds": 5.0, "peak_mib": 100.0, "seen": 3}
    assert ratios.summary("polygraphy", 1, [{"bare": BARE, "polygraphy": silent}])["inside"] is None
    late = {"seconds": 30.0, "peak_mib": 100.0, "over": 30.0}
    failed = {"seconds": 1.0, "peak_mib": 100.0, "failed": "ended with 1"}
    assert ratios.summary("polygraphy", 1, [{"bare": BARE, "polygraphy": late}]) is None
    assert ratios.summary("polygraphy", 1, [{"bare": BARE, "polygraphy": failed}]) is None


def test_targets_are_judged_by_the_median_round(ratios):
    analyzed = {"seconds": 10.0, "peak_mib": 230.0, "whole": 8.0, "seen": 7}
    rounds = [
        {
            "bare": BARE,
            "capture": worker(1.0, 3.3, 8.0),
            "analyze": analyzed,
            "analyze-all": {**analyzed, "seconds": 20.5},
            "pytorch-cka": {**analyzed, "seconds": 21.0},
            "torchinstruments": {"seconds": 30.0, "peak_mib": 1.0, "over": 30.0},
            "delve": {"seconds": 90.0, "peak_mib": 1.0, "failed": "ended with 1"},
        }
    ]
    rivals = {"pytorch-cka": ("analyze", 2.0), "torchinstruments": ("capture", 1.0), "delve": ("capture", 1.0)}
    found = {each["name"].split(" ")[0]: each for each in ratios.targets("torch", rounds, rivals)}
    capture, cka = found["capture"], found["pytorch-cka"]
    assert (capture["median"], capture["limit"], capture["met"]) == (1.1, 1.15, True)
    names = [each["name"] for each in ratios.targets("torch", rounds, rivals)]
    (analyze,) = [each for each in ratios.targets("torch", rounds, rivals) if each["name"].startswith("analyze / ")]
    assert analyze["median"] == pytest.approx(10 / (1.25 * 7 + 2), abs=0.01)
    assert analyze["met"]
    (every,) = [each for each in ratios.targets("torch", rounds, rivals) if "--positions all" in each["name"]]
    assert (every["median"], every["met"]) == (2.05, False)
    assert (cka["median"], cka["at_least"], cka["met"]) == (2.1, True, True)
    assert found["torchinstruments"]["median"] == 3.75, "it would have taken longer still"
    assert not any(name.startswith("delve") for name in names), "a failure is not slow"


def test_a_session_of_its_own_counts_as_part_of_capture_in_onnxruntime(ratios):
    found = ratios.targets("onnx", [{"bare": BARE, "capture": worker(2.0, 5.0, 9.0)}], {})
    assert [(each["median"], each["limit"]) for each in found] == [(1.25, 1.3)]


def test_memory_beyond_the_bare_peak_and_a_tenth(ratios):
    rounds = [{"bare": BARE, "capture": worker(1.0, 1.0, 2.0, peak)} for peak in (230.0, 240.0, 290.0)]
    assert ratios.beyond_bare("capture", rounds) == 20
    assert ratios.beyond_bare("analyze", rounds) is None


PEAKS = """
import sys
from processes import run
for script in ("pass", "x = bytearray(2**20 * 150)"):
    print(run([sys.executable, "-c", script]).peak_mib)
"""


def test_the_peak_is_that_of_the_process(root):
    # Of a child of this one it would be what pytest and torch hold here.
    told = subprocess.check_output([sys.executable, "-c", PEAKS], cwd=root / "benchmarks", text=True)
    small, large = map(float, told.split())
    assert large - small == pytest.approx(150, abs=5)


def test_what_a_failed_process_said_is_told(load):
    failed = load("processes").run([sys.executable, "-c", "print('so far'); raise SystemExit('and no further')"])
    assert failed.code == 1
    assert "so far" in failed.said
    assert "and no further" in failed.said


def test_a_process_is_ended_at_the_limit_with_all_that_it_started(load, tmp_path):
    begun = tmp_path / "begun"
    inner = f"import time; time.sleep(1.5); open({str(begun)!r}, 'w')"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    ran = load("processes").run([sys.executable, "-c", script], limit=0.7)
    assert ran.code is None
    assert ran.seconds < 1.5
    time.sleep(1.5)
    assert not begun.exists()


TERMINATED = """
import sys
from processes import heed_termination, run
heed_termination()
inner = "import time; print('up', file=open(sys.argv[1], 'w')); time.sleep(2); open(sys.argv[2], 'w')"
run([sys.executable, "-c", "import sys; " + inner, *sys.argv[1:]])
"""


def test_who_is_terminated_takes_the_running_process_along(root, tmp_path):
    up, begun = tmp_path / "up", tmp_path / "begun"
    driver = subprocess.Popen([sys.executable, "-c", TERMINATED, up, begun], cwd=root / "benchmarks")
    while not up.exists():
        time.sleep(0.02)
    driver.terminate()
    assert driver.wait(10) == 128 + 15
    time.sleep(2.2)
    assert not begun.exists()


def test_a_killed_process_is_not_called_late(load):
    ran = load("processes").run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], limit=60)
    assert ran.code == -9
