"""What lies on a device comes to the host once a batch, and then counts as if it had been there all along."""

import numpy as np
import torch
from torch import nn
from torch_testing import capture

from covscan.capture import attention, reading
from covscan.capture.transfer import Gathering, fetched
from covscan.capture.types import RemoteRows, Rows, SiteKey


def test_tensors_of_any_type_and_shape_come_back_whole():
    drawing = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(3, 5, generator=drawing),
        torch.randn(2, 7, generator=drawing, dtype=torch.float64),
        torch.zeros(0, 4),
        torch.randn(4, 6, generator=drawing).T,  # strided
        torch.full((1, 1), float("nan")),
    ]
    for array, tensor in zip(fetched(tensors), tensors, strict=True):
        assert array.dtype == tensor.numpy().dtype
        np.testing.assert_array_equal(array, tensor.numpy())
    assert fetched([]) == []


def test_one_copy_serves_a_whole_batch(monkeypatch):
    copies = []
    original = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: copies.append(self.numel()) or original(self))
    fetched([torch.ones(10, 3), torch.ones(5, 2, dtype=torch.float64)])
    assert copies == [10 * 3 * 4 + 5 * 2 * 8]


class Heard:
    def __init__(self):
        self.calls = []

    def record(self, key, rows, batch):
        self.calls.append(("record", key.site, rows.values.tolist(), batch))

    def replay(self, name, key, reference, actual, counterfactual, batch, work=None):
        self.calls.append(("replay", name, reference, actual.values.tolist(), counterfactual.values.tolist(), work))


def test_remote_rows_are_passed_on_in_order_at_the_end_of_the_batch():
    heard, none = Heard(), np.zeros(1, np.int64)
    gathering = Gathering(heard)
    one, two = (RemoteRows(torch.full((1, 1), value), none, none) for value in (1.0, 2.0))
    gathering.record(SiteKey("a", "output"), one, "batch")
    gathering.replay("a", SiteKey("a", "output"), "step-0", one, two, "batch", 7)
    gathering.record(SiteKey("b", "output"), Rows(np.full((1, 1), 3.0), none, none), "batch")
    assert [call[:2] for call in heard.calls] == [("record", "b")]
    gathering.end()
    assert heard.calls[1:] == [("record", "a", [[1.0]], "batch"), ("replay", "a", "step-0", [[1.0]], [[2.0]], 7)]
    gathering.end()
    assert len(heard.calls) == 3


def test_a_network_that_runs_elsewhere_gives_what_it_gives_here(monkeypatch):
    """Everything is taken for remote, as it would be on a GPU, and must be summed up as if it were not."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    module, other = (nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), layer) for _ in range(2))
    data = torch.randn(24, 5, 6).numpy()
    here = capture(module, data, [other], positions=3)
    remote = []

    def elsewhere(values, sample, position, *, lasting=False):
        remote.append(len(sample))
        return RemoteRows(torch.tensor(np.asarray(values)), sample, position)

    at_hand = reading.Reader.array_rows

    def array_elsewhere(self, value, layout, valid=None):
        rows = at_hand(self, value, layout, valid)
        return elsewhere(rows.values, rows.sample, rows.position)

    monkeypatch.setattr(reading.Reader, "array_rows", array_elsewhere)
    monkeypatch.setattr(attention, "read_rows", elsewhere)
    there = capture(module, data, [other], positions=3)
    assert len(remote) > 5
    assert there.skipped() == here.skipped()
    assert there.summary.sites.keys() == here.summary.sites.keys()
    for key, kept in here.summary.sites.items():
        for accumulator, state in kept.state().items():
            for name, value in state.items():
                np.testing.assert_array_equal(there.summary.sites[key].state()[accumulator][name], value)
    assert there.summary.replays.keys() == here.summary.replays.keys()
    for place, replay in here.summary.replays.items():
        if replay.counterfactual is not None:
            np.testing.assert_array_equal(there.summary.replays[place].counterfactual.m2, replay.counterfactual.m2)


def held(gathering, name, values, *, lasting=True):
    none = np.zeros(len(values), np.int64)
    gathering.record(SiteKey(name, "output"), Rows(values, none, none, lasting), "batch")


def test_sites_on_the_host_wait_for_each_other_while_they_are_lasting_and_small(monkeypatch):
    monkeypatch.setattr("covscan.capture.transfer._HELD", 100)
    heard, small = Heard(), np.ones((1, 4))  # 32 bytes
    gathering = Gathering(heard)
    for name in "abc":
        held(gathering, name, small)
    assert not heard.calls
    held(gathering, "now", small, lasting=False)
    assert [call[1] for call in heard.calls] == ["now"]
    held(gathering, "d", small)
    assert [call[1] for call in heard.calls] == ["now", "a", "b", "c", "d"]
    held(gathering, "e", small)
    gathering.end()
    assert [call[1] for call in heard.calls] == ["now", "a", "b", "c", "d", "e"]
