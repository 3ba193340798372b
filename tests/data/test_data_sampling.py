import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.sampling import choose_rows, deal_blocks
from covscan.errors import UsageError
from covscan.stats.hashing import hash_index


@given(available=st.integers(1, 400), samples=st.integers(1, 300), seed=st.integers(0, 2**40))
def test_the_smallest_hashes_are_chosen_in_ascending_order(available, samples, seed):
    ranked = np.argsort(hash_index(np.arange(available), seed, 2), kind="stable")[:samples]
    assert choose_rows(available, samples, seed).tolist() == sorted(ranked.tolist())


def test_more_rows_than_one_chunk_keep_the_smallest_hashes():
    available = (1 << 20) + 5000
    chosen = choose_rows(available, 50, 3)
    scores = hash_index(np.arange(available), 3, 2)
    assert set(chosen.tolist()) == set(np.argsort(scores)[:50].tolist())


def test_a_larger_sample_contains_the_smaller_one():
    assert set(choose_rows(1000, 50, 1)) < set(choose_rows(1000, 200, 1))
    assert set(choose_rows(1000, 50, 1)) != set(choose_rows(1000, 50, 2))


@given(count=st.integers(1, 200), seed=st.integers(0, 100))
def test_blocks_are_balanced_and_belong_to_the_sample(count, seed):
    index = np.arange(count) * 3
    blocks, block = deal_blocks(index, seed)
    assert blocks == min(32, count)
    sizes = np.bincount(block, minlength=blocks)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= 1
    order = np.random.default_rng(seed).permutation(count)
    assert (deal_blocks(index[order], seed)[1] == block[order]).all()


def test_nothing_to_choose_from():
    with pytest.raises(UsageError) as caught:
        choose_rows(0, 5, 0)
    assert caught.value.code == "empty-data"


def rows(n=100, width=3):
    return np.arange(n * width, dtype=np.float32).reshape(n, width)


def opened(data, **settings):
    return open_samples(Settings(data=data, **settings))


def test_batches_are_the_chosen_rows_in_order():
    data = {"x": rows(), "y": np.arange(100)}
    samples = opened(data, samples=20, batch_size=8, seed=5, target="y")
    batches = list(samples.batches())
    index = np.concatenate([batch.index for batch in batches])
    assert [batch.n for batch in batches] == [8, 8, 4]
    assert index.tolist() == choose_rows(100, 20, 5).tolist()
    assert (np.concatenate([batch.named["x"] for batch in batches]) == rows()[index]).all()
    assert (np.concatenate([batch.target for batch in batches]) == index).all()
    assert "y" not in batches[0].named
    assert samples.names == ("x",)
    assert (samples.count, samples.available, samples.blocks) == (20, 100, 20)


def test_a_second_pass_is_the_same():
    samples = opened(rows(), samples=40, batch_size=7)
    for first, second in zip(samples.batches(), samples.batches(), strict=True):
        assert (first.index == second.index).all()
        assert (first.block == second.block).all()
        assert (first.positional[0] == second.positional[0]).all()


def test_the_batch_size_changes_no_block_and_no_fingerprint():
    def blocks(size):
        samples = opened(rows(), samples=50, batch_size=size, seed=4)
        return samples.fingerprint, np.concatenate([batch.block for batch in samples.batches()]).tolist()

    assert blocks(1) == blocks(13) == blocks(50)


def test_the_fingerprint_is_of_names_types_shapes_and_bytes(tmp_path):
    base = opened({"x": rows()}).fingerprint
    assert len(bytes.fromhex(base)) == hashlib.sha256().digest_size
    assert base == opened({"x": rows().astype(np.float64)}).fingerprint
    np.savez_compressed(tmp_path / "same.npz", x=rows())
    assert base == opened(str(tmp_path / "same.npz")).fingerprint
    changed = rows()
    changed[3, 1] += 1
    others = [
        {"z": rows()},
        {"x": rows().astype(np.int64)},
        {"x": rows().reshape(100, 3, 1)},
        {"x": changed},
        {"x": rows()[::-1].copy()},
        {"x": rows(), "rate": np.array(3)},
        rows(),
    ]
    prints = [opened(data).fingerprint for data in others]
    assert len({base, *prints}) == len(others) + 1


def test_the_fingerprint_is_the_documented_hash():
    data = rows(40)
    digest = hashlib.sha256(repr((True, "x", "<f4", (40, 3))).encode() + data.tobytes())
    assert opened({"x": data}).fingerprint == digest.hexdigest()


def test_the_fingerprint_is_of_the_whole_however_it_is_read(monkeypatch):
    data = {"x": rows(), "empty": np.zeros((100, 0), np.float32), "rate": np.array(np.nan)}
    expected = opened(data)
    monkeypatch.setattr("covscan.data.samples._CHUNK_BYTES", 100)
    read = opened(data)
    assert (read.fingerprint, read.nonfinite) == (expected.fingerprint, 1)


def test_non_finite_inputs_are_counted_and_targets_are_not():
    x = rows(10)
    x[0, 0], x[4, 2], x[5, 1] = np.nan, np.inf, -np.inf
    y = np.full(10, np.nan, np.float32)
    assert opened({"x": x, "y": y}, target="y").nonfinite == 3
    assert opened({"x": x, "y": y}).nonfinite == 13
    assert opened(rows()).nonfinite == 0


def test_one_sample_works():
    samples = opened(rows(1))
    (batch,) = samples.batches()
    assert (samples.count, samples.blocks, batch.n, batch.block.tolist()) == (1, 1, 1, [0])


@pytest.mark.parametrize("setting", ["samples", "batch_size"])
def test_settings_that_leave_nothing(setting):
    with pytest.raises(UsageError) as caught:
        opened(rows(), **{setting: 0})
    assert caught.value.code == "bad-setting"


class TestMasks:
    tokens = np.arange(12).reshape(3, 4)
    binary = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]])

    def mask(self, data, **settings):
        (batch,) = opened(data, **settings).batches()
        return batch

    @pytest.mark.parametrize("name", ["attention_mask", "padding_mask", "mask"])
    @pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.float32])
    def test_usual_names_are_taken(self, name, dtype):
        batch = self.mask({"ids": self.tokens, name: self.binary.astype(dtype)})
        assert batch.mask.dtype == np.bool_
        assert (batch.mask == (self.binary == 1)).all()
        assert name in batch.named

    @pytest.mark.parametrize("name", ["src_key_padding_mask", "key_padding_mask"])
    def test_torch_names_mean_the_opposite(self, name):
        expected = self.binary == 0
        assert (self.mask({"ids": self.tokens, name: self.binary}).mask == expected).all()
        assert (self.mask({"ids": self.tokens, name: self.binary}, mask=name).mask == expected).all()

    def test_what_is_no_mask_is_left_alone(self):
        assert self.mask({"ids": self.tokens, "mask": self.tokens}).mask is None
        assert self.mask({"ids": self.tokens, "mask": self.binary[:, 0]}).mask is None

    def test_a_named_mask_may_have_any_name_and_more_axes(self):
        valid = np.ones((3, 2, 2), np.uint8) * 2
        valid[0, 1, 1] = 0
        mask = self.mask({"ids": self.tokens, "valid": valid}, mask="valid").mask
        assert mask.tolist() == [[True, True, True, False], [True] * 4, [True] * 4]

    def test_a_mask_by_place_stays_an_input(self):
        batch = self.mask((self.tokens, self.binary), mask="1")
        assert (batch.mask == (self.binary == 1)).all()
        assert len(batch.positional) == 2

    @pytest.mark.parametrize(
        "bad", [np.ones(3), np.array([[0.0, -np.inf]] * 3), np.array([[np.nan, 1.0]] * 3), np.array(1)]
    )
    def test_a_named_mask_that_is_none(self, bad):
        with pytest.raises(UsageError) as caught:
            self.mask({"ids": self.tokens, "valid": bad}, mask="valid")
        assert caught.value.code == "bad-mask"

    @pytest.mark.parametrize("what", ["mask", "target"])
    def test_unknown_names_mean_a_close_one(self, what):
        with pytest.raises(UsageError) as caught:
            opened({"ids": self.tokens, "valid_part": self.binary}, **{what: "valid_prt"})
        assert caught.value.code == f"unknown-{what}"
        assert caught.value.found == "arrays ids, valid_part"
        assert caught.value.hint == "did you mean 'valid_part'?"
        with pytest.raises(UsageError) as caught:
            opened(self.tokens, **{what: "labels"})
        assert "without names, by place: 0" in caught.value.found
