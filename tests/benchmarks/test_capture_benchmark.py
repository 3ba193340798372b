"""The benchmark of capture drives covscan as it is; in a process of its own, since its modules have everyday names."""

SCRIPT = """
import sys
sys.path.insert(0, "benchmarks")
import capture, torch
from torch import nn
inputs = (torch.randn(64, 8),)
small = capture.Workload("small", lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)), inputs)
bench = capture.prepare(small)
bench.bare()
bench.captured(references=0)
bench.captured(references=2)
print(len(bench.network.measured()))
"""


def test_a_small_network_is_captured_and_replayed(root, ready):
    done = ready.run("-c", SCRIPT, cwd=root)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
