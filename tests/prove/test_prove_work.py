import itertools

import pytest
import torch
from torch import nn
from training_testing import bench_of, plain

from covscan.prove.work import Work, step_work, threads_for


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("sizes", [(64, 10), (64, 16, 10), (64, 24, 12, 10)])
def test_products_are_counted_forward_and_backward(sizes):
    layers = [nn.Linear(one, two) for one, two in itertools.pairwise(sizes)]
    work = step_work(bench_of(nn.Sequential(*layers)))
    products = [2 * 32 * one * two for one, two in itertools.pairwise(sizes)]
    assert work.flops == 3 * sum(products) - products[0]  # nobody asks for the gradient of the data


class Negative(nn.Module):
    """One operation forward and one backward, which keeps nothing."""

    def forward(self, x):
        return -x


def test_operations_are_counted_forward_and_backward():
    few = step_work(bench_of(nn.Sequential(nn.Linear(64, 10), Negative())))
    more = step_work(bench_of(nn.Sequential(nn.Linear(64, 10), *(Negative() for _ in range(4)))))
    assert more.calls - few.calls == 2 * 3
    assert more.flops == few.flops


class Reader(nn.Module):
    """Reads eight steps of eight numbers with a recurrent layer."""

    def __init__(self, kind):
        super().__init__()
        self.inner = kind(8, 16, batch_first=True)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        return self.head(self.inner(x.view(-1, 8, 8))[0][:, -1])


def test_an_lstm_which_torch_runs_in_one_piece_is_counted_as_other_recurrent_layers_are():
    fused = torch._C._get_mkldnn_enabled()
    lstm, gru = step_work(bench_of(Reader(nn.LSTM))), step_work(bench_of(Reader(nn.GRU)))
    assert lstm.flops / gru.flops == pytest.approx(4 / 3, rel=0.05)  # four gates and three
    assert lstm.calls > 8 * 10
    assert torch._C._get_mkldnn_enabled() == fused


def test_the_same_step_is_counted_the_same_and_leaves_nothing_behind():
    bench = bench_of()
    before = {name: value.clone() for name, value in bench.model.state_dict().items()}
    assert step_work(bench) == step_work(bench)
    assert all(torch.equal(value, before[name]) for name, value in bench.model.state_dict().items())
    assert all(parameter.grad is None for parameter in bench.model.parameters())
    assert (bench.steps, bench.forwards) == (0, 2)


def test_a_step_takes_longer_with_more_products_and_with_more_calls():
    assert Work(10**9, 100).seconds > Work(10**8, 100).seconds > Work(10**8, 10).seconds > 0
    assert Work(10**9, 100).small is False
    assert Work(10**7, 100).small is True
    assert Work(880_803_840, 242).small is True  # the transformer of samples/
    assert step_work(bench_of(plain(depth=2))).small


@pytest.mark.parametrize(("work", "inside"), [(Work(10**7, 100), 1), (Work(10**9, 100), 2)])
def test_small_operations_run_on_one_thread_and_the_number_is_put_back(work, inside):
    with threads_for(work):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 2


def test_the_number_of_threads_is_put_back_where_something_raises():
    with pytest.raises(KeyError), threads_for(Work(1, 1)):
        raise KeyError
    assert torch.get_num_threads() == 2
