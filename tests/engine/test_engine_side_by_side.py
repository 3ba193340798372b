"""Working on many items in several processes: in order, whole, and without anything left behind."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from covscan.engine import side_by_side as module
from covscan.engine.side_by_side import side_by_side

forks = pytest.mark.skipif(not module._may_fork(), reason="this system has no forks")
HERE = os.getpid()


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 3)
    monkeypatch.setattr(module, "_FEWEST", 2)


def _elsewhere(item):
    return item * 10, os.getpid() != HERE


@forks
@pytest.mark.parametrize("count", [0, 1, 3, 7, 12])
def test_values_come_in_the_order_of_the_items(count):
    assert [value for value, _ in side_by_side(_elsewhere, list(range(count)))] == [10 * each for each in range(count)]


@forks
def test_shares_are_worked_on_in_other_processes_of_which_none_is_left():
    elsewhere = [other for _, other in side_by_side(_elsewhere, list(range(9)))]
    assert elsewhere == [False, True, True] * 3
    assert not multiprocessing.active_children()


@forks
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_killed_process_did_not_do_is_done_here(ending):
    def work(item):
        if item == 4 and os.getpid() != HERE:
            os.kill(os.getpid(), ending)
        return _elsewhere(item)

    assert [value for value, _ in side_by_side(work, list(range(6)))] == [0, 10, 20, 30, 40, 50]


@forks
def test_a_process_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.2)

    def work(item):
        if item == 1 and os.getpid() != HERE:
            time.sleep(60)
        return item

    began = time.monotonic()
    assert side_by_side(work, list(range(6))) == list(range(6))
    assert time.monotonic() - began < 30
    assert not multiprocessing.active_children()


@forks
@pytest.mark.parametrize("failing", [0, 1])
def test_what_the_work_raises_is_raised(failing):
    def work(item):
        if item == failing:
            raise ValueError("no digits left")
        return item

    with pytest.raises(ValueError, match="no digits left"):
        side_by_side(work, list(range(6)))
    assert not multiprocessing.active_children()


@forks
def test_values_that_do_not_fit_into_a_pipe_arrive():
    made = side_by_side(lambda item: bytes([item]) * 3_000_000, list(range(6)))
    assert [len(each) for each in made] == [3_000_000] * 6
    assert [each[0] for each in made] == list(range(6))


def test_threads_do_it_where_there_are_no_forks(monkeypatch):
    monkeypatch.setattr(module, "_may_fork", lambda: False)
    assert side_by_side(_elsewhere, list(range(7))) == [(10 * each, False) for each in range(7)]


@pytest.mark.parametrize("can_fork", [False, module._may_fork()])
def test_torch_computes_with_one_thread_meanwhile_and_with_as_many_as_before_afterwards(monkeypatch, can_fork):
    monkeypatch.setattr(module, "_may_fork", lambda: can_fork)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert set(side_by_side(lambda item: torch.get_num_threads(), list(range(9)))) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
