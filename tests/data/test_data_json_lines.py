import json

import numpy as np
import pytest

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.sampling import choose_rows
from covscan.errors import UsageError


def write(path, lines):
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def opened(tmp_path):
    def open_lines(lines, **settings):
        return open_samples(Settings(data=str(write(tmp_path / "s.jsonl", lines)), batch_size=1000, **settings))

    return open_lines


@pytest.fixture
def only(opened):
    return lambda lines, **settings: next(opened(lines, **settings).batches())


def test_lists_of_numbers(only):
    (array,) = only([[1.5, 2], [3, 4]]).positional
    assert array.dtype == np.float32
    assert array.tolist() == [[1.5, 2], [3, 4]]


def test_ragged_token_ids_are_padded_at_the_end_and_masked(opened):
    samples = opened([[5, 6, 7], [8], [], [9, 10]])
    (batch,) = samples.batches()
    (ids,) = batch.positional
    assert ids.dtype == np.int64
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0], [9, 10, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert samples.description == "s.jsonl: 4 lines, padded to one length and masked"


def test_ragged_vectors_are_padded_over_their_length(only):
    batch = only([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]])
    assert batch.positional[0].tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]
    assert batch.mask.tolist() == [[True, False], [True, True]]


def test_missing_numbers_are_nan(opened):
    samples = opened([[1.5, None], [None, 2]])
    (batch,) = samples.batches()
    assert np.array_equal(batch.positional[0], [[1.5, np.nan], [np.nan, 2]], equal_nan=True)
    assert samples.nonfinite == 2


def test_numbers_and_truth_values(only):
    assert only([1, 2, 3]).positional[0].tolist() == [1, 2, 3]
    assert only([[True, False]]).positional[0].dtype == np.bool_


def test_empty_lines_are_no_samples_and_lines_are_chosen_by_hash(opened):
    lines = [x for number in range(60) for x in ([number, number], "")]
    samples = opened(lines, samples=10)
    (batch,) = samples.batches()
    assert samples.available == 60
    assert batch.index.tolist() == choose_rows(60, 10, 0).tolist()
    assert batch.positional[0][:, 0].tolist() == batch.index.tolist()


def test_fields_keep_their_names(only):
    lines = [
        {"input_ids": [1, 2], "attention_mask": [1, 1], "weight": 0.5, "label": "no"},
        {"label": "yes", "input_ids": [3], "attention_mask": [1], "weight": None},
    ]
    batch = only(lines, target="label")
    assert batch.named["input_ids"].tolist() == [[1, 2], [3, 0]]
    assert batch.mask.tolist() == [[True, True], [True, False]]
    assert np.array_equal(batch.named["weight"], [0.5, np.nan], equal_nan=True)
    assert batch.target.tolist() == [0, 1]


def test_the_first_padded_field_gives_the_mask(only):
    batch = only(
        [{"fixed": [1, 2], "source": [1], "goal": [1, 2, 3]}, {"fixed": [1, 2], "source": [1, 2], "goal": [1]}]
    )
    assert batch.mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("lines", "code", "part"),
    [
        (["[1, 2", [1, 2]], "bad-line", "line 1 of s.jsonl"),
        ([[1, 2], "", "nope"], "bad-line", "line 3 of s.jsonl"),
        ([[1, 2], {"a": 1}], "bad-line", "line 2 of s.jsonl"),
        ([{"a": 1}, {"b": 1}], "bad-line", "line 2 of s.jsonl"),
        ([{"a": 1}, [1]], "bad-line", "line 2 of s.jsonl"),
        (['"text"'], "bad-line", "line 1 of s.jsonl"),
        ([[1, 2], 3], "bad-array", "line 2 of s.jsonl"),
        ([[1, "x"], [1, 2]], "bad-array", "line 1 of s.jsonl"),
        ([[["x"]], [[1]]], "bad-array", "line 1 of s.jsonl"),
        ([[[1, 2], [3]], [[1, 2]]], "bad-array", "line 1 of s.jsonl"),
        ([[[1, 2]], [[1, 2, 3]]], "bad-array", "line 2 of s.jsonl"),
        ([{"text": "hello"}], "text-column", "'text'"),
        ([{"a": {"b": 1}}], "bad-array", "'a'"),
        ([1, [2]], "bad-array", "each line"),
        (["", " "], "empty-data", "no samples"),
    ],
)
def test_bad_lines_are_named(opened, lines, code, part):
    with pytest.raises(UsageError) as caught:
        opened(lines)
    assert caught.value.code == code
    assert part in caught.value.message


def test_lines_that_are_no_text(tmp_path):
    (tmp_path / "s.jsonl").write_bytes(b"\xff\xfe\x00\x81" * 20)
    with pytest.raises(UsageError) as caught:
        open_samples(Settings(data=str(tmp_path / "s.jsonl")))
    assert caught.value.code == "unreadable-data"


def test_the_fingerprint_sees_the_padding(opened):
    assert opened([[1, 2], [3]]).fingerprint != opened([[1, 2], [3, 0]]).fingerprint
