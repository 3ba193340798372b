import inspect
from itertools import islice

import numpy as np
import torch
from torch import nn
from training_testing import plain, pool_of

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.binding import Bound, bind_torch
from covscan.prove.pool import Pool


def numbered(count: int) -> dict[str, np.ndarray]:
    x = np.repeat(np.arange(count, dtype=np.float32)[:, None], 64, axis=1)
    return {"x": x, "y": np.arange(count) % 10}


def rows(draw) -> list[int]:
    return draw.args[0][:, 0].int().tolist()


def test_a_pass_goes_through_every_sample_once():
    pool = pool_of(plain(), numbered(96), batch_size=32)
    seen = [row for draw in islice(pool.draws(0), 3) for row in rows(draw)]
    assert sorted(seen) == list(range(96))


def test_targets_stay_with_their_samples():
    pool = pool_of(plain(), numbered(50), batch_size=7)
    for draw in islice(pool.draws(3), 20):
        assert draw.target.tolist() == [row % 10 for row in rows(draw)]


def test_a_seed_gives_the_same_batches_each_time_and_another_seed_others():
    pool = pool_of(plain(), numbered(96))
    drawn = [[rows(draw) for draw in islice(pool.draws(seed), 5)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_disjoint_batches_share_no_sample_and_are_fewer_where_samples_run_out():
    pool = pool_of(plain(), numbered(60))
    first, second = pool.disjoint(0, 2, 30)
    assert not set(rows(first)) & set(rows(second))
    assert len(pool.disjoint(0, 5, 30)) == 2


def test_a_batch_is_no_larger_than_half_of_the_samples():
    assert pool_of(plain(), numbered(20), batch_size=64).batch_size == 10


def test_what_is_held_out_is_never_drawn():
    pool = pool_of(plain(), numbered(50), batch_size=10, held_out=0.2)
    apart = {row for draw in pool.held_out for row in rows(draw)}
    drawn = {row for draw in islice(pool.draws(0), 20) for row in rows(draw)}
    assert len(apart) == 10
    assert not apart & drawn
    assert pool.count == 40


def test_batches_hold_samples_of_one_shape():
    def loader():
        for size in (3, 5):
            for start in range(4):
                yield {"x": np.full((8, size), start, np.float32), "y": np.zeros(8, int)}

    samples = open_samples(Settings(data=loader, target="y", batch_size=8))
    pool = Pool(samples, 8, lambda batch: Bound((torch.from_numpy(batch.named["x"]),)))
    shapes = {tuple(draw.args[0].shape) for draw in islice(pool.draws(0), 12)}
    assert shapes == {(8, 3), (8, 5)}
    assert pool.count == 64


def test_a_mask_and_constants_go_along():
    data = {"x": np.ones((6, 4), np.float32), "m": np.tril(np.ones((6, 4))) > 0, "y": np.arange(6)}
    samples = open_samples(Settings(data=data, target="y", mask="m", batch_size=6))
    constant = torch.ones(3)
    pool = Pool(samples, 3, lambda batch: Bound((torch.from_numpy(batch.named["x"]), constant)))
    draw = next(pool.draws(0))
    assert draw.args[1] is constant
    expected = torch.from_numpy(data["m"])[draw.target]
    assert torch.equal(draw.mask, expected)


def test_a_model_gets_what_it_is_bound_to():
    model = nn.Linear(64, 2)
    draw = next(pool_of(model, numbered(20)).draws(0))
    assert model(*draw.args, **draw.kwargs).shape == (10, 2)


def test_everything_is_every_sample_once():
    pool = pool_of(plain(), numbered(50), batch_size=10, held_out=0.2)
    assert sorted(row for draw in pool.everything() for row in rows(draw)) == list(range(50))


def test_a_shape_of_one_sample_is_trained_on_and_not_held_out():
    samples = open_samples(Settings(data=lambda: sized((1, 3), (9, 5)), target="y", batch_size=9))
    pool = Pool(samples, 4, lambda batch: Bound((torch.from_numpy(batch.named["x"]),)), held_out=0.2)
    assert (pool.count, sum(draw.n for draw in pool.held_out)) == (8, 2)
    assert sorted(draw.args[0].shape[1] for draw in pool.everything()) == [3, 5, 5]


def sized(*shapes):
    for count, width in shapes:
        yield {"x": np.ones((count, width), np.float32), "y": np.zeros(count, int)}


def test_everything_that_is_drawn_is_on_the_device():
    data = {"x": np.ones((12, 4)), "m": np.ones((12, 4), bool), "y": np.ones((12, 4))}
    samples = open_samples(Settings(data=data, target="y", mask="m", batch_size=6))
    signature = inspect.signature(lambda x: x)
    pool = Pool(samples, 3, lambda batch: bind_torch(signature, batch, "meta", torch.float32), "meta", held_out=0.25)
    for draw in (next(pool.draws(0)), *pool.held_out, *pool.everything(), *pool.disjoint(0, 1)):
        assert {tensor.device.type for tensor in (*draw.args, draw.target, draw.mask)} == {"meta"}
        assert draw.target.dtype == torch.float32
