import gzip
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.sampling import choose_rows
from covscan.errors import UsageError


def opened(data, **settings):
    return open_samples(Settings(data=str(data), batch_size=1000, **settings))


def only(data, **settings):
    (batch,) = opened(data, **settings).batches()
    return batch


def failure(data, **settings):
    with pytest.raises(UsageError) as caught:
        opened(data, **settings)
    return caught.value


def write_csv(path, text):
    path.write_text(text, encoding="utf-8")
    return path


NUMBERS = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("header", [True, False])
def test_numbers_become_one_matrix(tmp_path, delimiter, header):
    path = tmp_path / "s.csv"
    np.savetxt(path, NUMBERS, delimiter=delimiter, header=delimiter.join("abc") if header else "", comments="")
    samples = opened(path, samples=40)
    (batch,) = samples.batches()
    assert batch.index.tolist() == choose_rows(300, 40, 0).tolist()
    assert np.allclose(batch.named["features"], NUMBERS[batch.index])
    assert batch.named["features"].dtype == np.float32
    assert samples.available == 300
    assert samples.description == "s.csv: 300 rows, 3 columns"


def test_csv_that_pyarrow_wrote(tmp_path):
    table = pa.table({"a": [1.5, 2.5], "b": [1, 2]})
    pyarrow.csv.write_csv(table, tmp_path / "s.csv")
    assert only(tmp_path / "s.csv").named["features"].tolist() == [[1.5, 1], [2.5, 2]]


def test_csv_details(tmp_path):
    path = write_csv(tmp_path / "s.csv", '\ufeff# made by hand\n\n"a, b",flag,c\n1, TRUE,\n\n2,false,3e2\n')
    features = only(path).named["features"]
    assert np.array_equal(features, [[1, 1, np.nan], [2, 0, 300]], equal_nan=True)
    assert opened(path).nonfinite == 1


def test_compressed_csv_and_tsv(tmp_path):
    with gzip.open(tmp_path / "s.csv.gz", "wt") as file:
        file.write("a,b\n1,2\n")
    assert only(tmp_path / "s.csv.gz").named["features"].tolist() == [[1, 2]]
    assert only(write_csv(tmp_path / "s.tsv", "1\t2\n3\t4\n")).named["features"].tolist() == [[1, 2], [3, 4]]
    assert only(write_csv(tmp_path / "one.csv", "a\n5\n6\n")).named["features"].tolist() == [[5], [6]]


def test_a_first_row_with_a_gap_is_data(tmp_path):
    features = only(write_csv(tmp_path / "s.csv", "1,,3\n4,5,6\n")).named["features"]
    assert np.array_equal(features, [[1, np.nan, 3], [4, 5, 6]], equal_nan=True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_labels_are_taken_out(tmp_path, kind):
    table = pa.table({"a": [1.0, 2.0, 3.0], "species": ["cat", "dog", "ant"], "b": [4.0, 5.0, 6.0]})
    path = tmp_path / f"s.{kind}"
    (pyarrow.csv.write_csv if kind == "csv" else pq.write_table)(table, path)
    batch = only(path, target="species")
    assert batch.named["features"].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert batch.target.tolist() == [1, 2, 0]
    error = failure(path)
    assert (error.code, error.message) == ("text-column", "the data has text in 'species'")


def test_a_column_called_label_is_taken_as_labels(tmp_path):
    samples = opened(write_csv(tmp_path / "s.csv", "a,Label\n1,7\n2,8\n"))
    (batch,) = samples.batches()
    assert batch.target.tolist() == [7, 8]
    assert batch.target.dtype == np.int64
    assert "column 'Label' taken as labels" in samples.description
    by_place = only(write_csv(tmp_path / "n.csv", "1,7\n2,8\n"), target="1")
    assert by_place.target.tolist() == [7, 8]
    assert by_place.named["features"].tolist() == [[1], [2]]


def test_row_numbers_of_pandas_are_left_out(tmp_path):
    samples = opened(write_csv(tmp_path / "s.csv", ",a,b\n0,5,6\n1,7,8\n"))
    assert next(samples.batches()).named["features"].tolist() == [[5, 6], [7, 8]]
    assert "row numbers left out" in samples.description


def test_columns_of_lists_keep_their_names_and_so_do_numbers_beside_them(tmp_path):
    text = 'ids,score,label\n"[1, 2, 3]",0.5,0\n"[4]",1.5,1\n'
    batch = only(write_csv(tmp_path / "s.csv", text))
    assert batch.named["ids"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch.named["ids"].dtype == np.int64
    assert batch.mask.tolist() == [[True] * 3, [True, False, False]]
    assert batch.named["score"].tolist() == [0.5, 1.5]
    assert batch.target.tolist() == [0, 1]
    assert only(write_csv(tmp_path / "one.csv", 'ids\n"[1, 2]"\n"[3, 4]"\n')).named["ids"].tolist() == [[1, 2], [3, 4]]


def test_a_mask_column_is_no_feature(tmp_path):
    table = pa.table({"ids": [[1, 2], [3, 4]], "valid": [[1, 0], [1, 1]]})
    pq.write_table(table, tmp_path / "s.parquet")
    assert only(tmp_path / "s.parquet", mask="valid").mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("text", "code", "found"),
    [
        ("a,b\n1,2\n3\n", "unreadable-data", "1 cells in row 3, 2 columns in the first"),
        ("a,a\n1,2\n", "unreadable-data", "a"),
        ("a,b\n", "empty-data", ""),
        ("", "empty-data", ""),
        ("a\n[1]\n[oops\n", "text-column", ""),
        ("a,b\n1,2\nx,3\n", "text-column", ""),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, text, code, found):
    error = failure(write_csv(tmp_path / "s.csv", text))
    assert error.code == code
    assert error.found == found


def test_a_csv_that_is_no_text(tmp_path):
    (tmp_path / "s.csv").write_bytes(b"\xff\xfe\x00\x81" * 40)
    assert failure(tmp_path / "s.csv").code == "unreadable-data"
    (tmp_path / "s.csv.gz").write_bytes(b"not gzip")
    assert failure(tmp_path / "s.csv.gz").code == "unreadable-data"


def test_huge_integers_become_floats(tmp_path):
    batch = only(write_csv(tmp_path / "s.csv", f"a,y\n1,{2**70}\n"), target="y")
    assert batch.target.tolist() == [np.float32(2.0**70)]


def wide_table(rows=1000):
    generator = np.random.default_rng(2)
    return pa.table({"a": generator.normal(size=rows), "b": np.arange(rows, dtype=np.int16)})


def write_arrow(table, path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=64)


def write_stream(table, path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=64)


def test_row_groups_without_chosen_rows_are_passed_over(tmp_path):
    table = wide_table()
    pq.write_table(table, tmp_path / "s.parquet", row_group_size=10)
    batch = only(tmp_path / "s.parquet", samples=4)
    assert batch.named["features"][:, 1].tolist() == batch.index.tolist()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("s.parquet", lambda table, path: pq.write_table(table, path, row_group_size=100)),
        ("s.arrow", write_arrow),
        ("s.arrow", write_stream),
        ("s.feather", pyarrow.feather.write_feather),
        ("s.feather", lambda table, path: pyarrow.feather.write_feather(table, path, compression="uncompressed")),
    ],
)
def test_every_arrow_format_gives_the_same_samples(tmp_path, name, write):
    table = wide_table()
    write(table, tmp_path / name)
    samples = opened(tmp_path / name, samples=30, seed=7)
    (batch,) = samples.batches()
    assert batch.index.tolist() == choose_rows(1000, 30, 7).tolist()
    expected = np.column_stack([table["a"].to_numpy(), table["b"].to_numpy()])[batch.index]
    assert np.allclose(batch.named["features"], expected)
    assert samples.available == 1000


def test_column_types(tmp_path):
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    table = pa.table(
        {
            "tensor": tensors,
            "fixed": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2)),
            "large": pa.array([[1], [2, 3]], pa.large_list(pa.int32())),
            "nested": pa.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]),
            "decimal": pa.array([1, 2], pa.decimal128(5, 2)),
            "flag": pa.array([True, None]),
            "truth": pa.array([True, False]),
            "gap": pa.array([None, 3], pa.int64()),
            "kind": pa.array(["b", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "s.parquet")
    batch = only(tmp_path / "s.parquet", target="kind")
    named = batch.named
    assert named["tensor"].shape == (2, 3, 4)
    assert named["tensor"].reshape(-1).tolist() == list(range(24))
    assert named["fixed"].tolist() == [[1, 2], [3, 4]]
    assert named["large"].tolist() == [[1, 0], [2, 3]]
    assert named["nested"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert named["decimal"].tolist() == [1, 2]
    assert np.array_equal(named["flag"], [1, np.nan], equal_nan=True)
    assert named["truth"].tolist() == [True, False]
    assert np.array_equal(named["gap"], [np.nan, 3], equal_nan=True)
    assert batch.target.tolist() == [1, 0]
    assert batch.mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array([0, 1], pa.timestamp("ms")), "timestamp[ms]"),
        (pa.array([[1], None]), ""),
        (pa.array([[[1], [2, 3]], [[1], [2]]]), ""),
        (pa.array([{"a": 1}, {"a": 2}]), "struct<a: int64>"),
    ],
)
def test_columns_that_hold_no_numbers(tmp_path, column, found):
    pq.write_table(pa.table({"bad": column}), tmp_path / "s.parquet")
    error = failure(tmp_path / "s.parquet")
    assert error.code == "bad-array"
    assert "'bad'" in error.message
    assert error.found == found


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.feather"])
def test_damaged_tables(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 and then nothing of the kind" * 4)
    error = failure(tmp_path / name)
    assert error.code == "unreadable-data"
    assert name in error.message


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow"])
def test_a_table_without_rows(tmp_path, name):
    write = pq.write_table if name.endswith("parquet") else write_arrow
    write(wide_table(0), tmp_path / name)
    assert failure(tmp_path / name).code == "empty-data"


def test_without_pyarrow_csv_works_and_the_rest_says_what_to_install(tmp_path, monkeypatch):
    pq.write_table(wide_table(), tmp_path / "s.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    error = failure(tmp_path / "s.parquet")
    assert error.code == "missing-extra"
    assert error.hint == "pip install 'covscan[tables]'"
    assert only(write_csv(tmp_path / "s.csv", "a\n1\n")).n == 1
