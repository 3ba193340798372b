import collections
import dataclasses
import gc
import multiprocessing
import os
import random
import sys
import types
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.mapped import MappedArray
from covscan.data.sampling import choose_rows
from covscan.errors import UsageError

X = torch.arange(300, dtype=torch.float32).reshape(100, 3)
Y = torch.arange(100)


def opened(data, **settings):
    return open_samples(Settings(data=data, **settings))


def only(data, **settings):
    (batch,) = opened(data, batch_size=1000, **settings).batches()
    return batch


def failure(data, **settings):
    with pytest.raises(UsageError) as caught:
        opened(data, **settings)
    return caught.value


def values(samples):
    return np.concatenate([batch.positional[0] for batch in samples.batches()])


@pytest.mark.parametrize(
    "data",
    [X, X.numpy(), (X, Y), [X, Y], X.tolist(), {"x": X, "y": Y}, collections.UserDict(x=X)],
    ids=["tensor", "array", "tuple", "list", "numbers", "dict", "UserDict"],
)
def test_whole_arrays(data):
    batch = only(data, samples=10)
    first = batch.named["x"] if batch.named else batch.positional[0]
    assert batch.index.tolist() == choose_rows(100, 10, 0).tolist()
    assert (first == X.numpy()[batch.index]).all()


def test_a_path_from_python(tmp_path):
    np.save(tmp_path / "x.npy", X.numpy())
    assert only(tmp_path / "x.npy").n == 100
    assert only(lambda: tmp_path / "x.npy").n == 100


class Frame:
    """What covscan uses of a pandas DataFrame."""

    columns = ("a", "b", "kind")
    data = types.MappingProxyType(
        {"a": np.arange(40), "b": np.arange(40) / 2, "kind": np.array(["u", "v"] * 20, object)}
    )

    def __getitem__(self, name):
        return types.SimpleNamespace(to_numpy=lambda: self.data[name])

    def __len__(self):
        return 40

    def to_numpy(self):
        raise AssertionError("columns are read one by one")


def test_a_data_frame():
    frame = Frame()
    batch = only(frame, samples=5, target="kind")
    assert batch.named["features"].tolist() == [[index, index / 2] for index in batch.index]
    assert (batch.target == batch.index % 2).all()


def test_a_data_frame_with_dates():
    frame = Frame()
    frame.data = {**Frame.data, "b": np.zeros(40, "datetime64[D]")}
    error = failure(frame, target="kind")
    assert (error.code, error.found) == ("bad-array", "datetime64[D]")


def test_a_map_style_data_set_is_sampled_by_hash():
    samples = opened(TensorDataset(X, Y), samples=20, batch_size=7, target="1")
    assert samples.available == 100
    batches = list(samples.batches())
    assert [batch.n for batch in batches] == [7, 7, 6]
    for batch in batches:
        assert (batch.positional[0] == X.numpy()[batch.index]).all()
        assert (batch.target == batch.index).all()


class Records(Dataset):
    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 30

    def __getitem__(self, index):
        return self.make(index)


def test_samples_of_many_kinds():
    record = Records(lambda i: {"x": np.ones(2) * i, "n": i, "w": i / 2, "flag": i > 3, "name": str(i), "none": None})
    samples = opened(record, samples=30)
    (batch,) = samples.batches()
    assert {key: getattr(value, "dtype", None) for key, value in batch.named.items()} == {
        "x": np.float32,
        "n": np.int64,
        "w": np.float32,
        "flag": np.bool_,
        "none": None,
    }
    assert batch.named["n"].tolist() == list(range(30))
    assert samples.description.endswith("without the text in name")


def test_samples_of_different_length_come_in_batches_of_one_shape():
    samples = opened(Records(lambda i: np.full(1 + i // 10, i, np.float32)), samples=30, batch_size=8)
    shapes = [batch.positional[0].shape for batch in samples.batches()]
    assert shapes == [(8, 1), (2, 1), (8, 2), (2, 2), (8, 3), (2, 3)]
    assert np.concatenate([batch.index for batch in samples.batches()]).tolist() == list(range(30))
    assert np.concatenate([batch.block for batch in samples.batches()]).tolist() != list(range(30))


def test_random_samples_are_the_same_each_time():
    def make():
        return Records(lambda i: torch.rand(3) + random.random() + np.random.rand())  # noqa: NPY002

    assert (values(opened(make())) == values(opened(make()))).all()


class Stream(IterableDataset):
    def __iter__(self):
        return (torch.full((2,), float(number)) for number in range(10**9))


def test_an_endless_stream_of_samples():
    samples = opened(Stream(), samples=50, batch_size=32)
    assert values(samples)[:, 0].tolist() == list(range(50))
    assert samples.available is None


def endless():
    number = 0
    while True:
        yield torch.full((7, 2), float(number)), torch.zeros(7)
        number += 1


def test_an_endless_generator_of_batches():
    samples = opened(endless, samples=40, batch_size=16)
    assert [batch.n for batch in samples.batches()] == [16, 16, 8]
    assert values(samples)[:, 0].tolist() == [number // 7 for number in range(40)]


def test_no_batch_is_asked_for_beyond_the_last_needed():
    asked = []

    def loader():
        for number in range(5):
            asked.append(number)
            yield torch.zeros(10, 2)
        raise AssertionError("too far")

    assert opened(loader(), samples=20).count == 20
    assert asked == [0, 1]


def test_a_shuffling_loader_gives_the_same_samples_in_each_pass_and_each_run():
    def loader():
        return DataLoader(TensorDataset(X, Y), batch_size=16, shuffle=True)

    samples = opened(loader(), samples=40)
    assert (values(samples) == values(samples)).all()
    assert (values(samples) == values(opened(loader(), samples=40))).all()
    assert samples.fingerprint == opened(loader, samples=40, batch_size=3).fingerprint
    assert samples.fingerprint != opened(loader(), samples=40, seed=1).fingerprint
    assert values(samples)[:, 0].tolist() != sorted(values(samples)[:, 0].tolist())


def test_random_state_is_left_as_it_was():
    torch.manual_seed(5)
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    opened(DataLoader(TensorDataset(X), batch_size=16, shuffle=True))
    opened(lambda: torch.rand(5, 2) + random.random() + np.random.rand())  # noqa: NPY002
    assert (torch.random.get_rng_state() == before[0]).all()
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002


def test_a_ragged_loader_keeps_its_batches():
    lengths = [3, 5, 5, 2]
    loader = [{"ids": torch.ones(4, n, dtype=torch.int64), "attention_mask": torch.ones(4, n)} for n in lengths]
    samples = opened(loader, samples=14, batch_size=100)
    assert [batch.named["ids"].shape for batch in samples.batches()] == [(4, 3), (8, 5), (2, 2)]
    assert [batch.mask.shape for batch in samples.batches()] == [(4, 3), (8, 5), (2, 2)]


def test_structures_survive():
    pair = collections.namedtuple("pair", "left right")
    batch = {
        "nested": {"a": X, "list": [X, pair(Y, None)]},
        "tuple": (X, 3, "text"),
        "names": ["n"] * 100,
        "numbers": list(range(100)),
        "meta": {"classes": ["a", "b"]},
        "empty": {},
    }
    given = only([batch], samples=5)
    assert set(given.named) == {"nested", "tuple", "numbers", "empty"}
    assert given.named["nested"]["list"][1].left.tolist() == [0, 1, 2, 3, 4]
    assert isinstance(given.named["nested"]["list"][1], pair)
    assert given.named["tuple"][1:] == (3, None)
    assert given.named["numbers"].tolist() == [0, 1, 2, 3, 4]


def test_batches_that_are_records():
    @dataclasses.dataclass
    class Record:
        x: torch.Tensor
        y: torch.Tensor

    pair = collections.namedtuple("pair", "x y")
    for kind in (Record, pair):
        batch = only(iter([kind(X, Y)]), target="y")
        assert list(batch.named) == ["x"]
        assert batch.target.tolist() == list(range(100))


def test_constants_that_change_end_a_batch():
    loader = [{"x": torch.zeros(4, 2), "rate": torch.tensor(rate)} for rate in (8, 8, 16)]
    given = [(batch.n, int(batch.named["rate"])) for batch in opened(loader).batches()]
    assert given == [(8, 8), (4, 16)]


def test_special_tensors():
    sparse = torch.eye(3).to_sparse()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates what people's files still hold
        quantized = torch.quantize_per_tensor(torch.ones(3, 2), 0.5, 0, torch.qint8)
    given = only({"s": sparse, "q": quantized, "c": torch.ones(3, dtype=torch.complex64).conj()})
    assert given.named["s"].tolist() == np.eye(3).tolist()
    assert given.named["q"].tolist() == [[1, 1]] * 3
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    assert failure([nested]).code == "bad-array"


def test_empty_batches_are_passed_over():
    loader = [torch.zeros(0, 2), torch.ones(3, 2), torch.zeros(0, 2)]
    assert only(loader).n == 3


def test_samples_without_values_can_be_spooled():
    assert [batch.positional[0].shape for batch in opened(iter([torch.zeros(4, 0)])).batches()] == [(4, 0)]


def temporary(samples):
    return Path(samples._finalizer.peek()[2][0])


def test_the_spool_is_deleted_once_it_is_closed_or_lost():
    samples = opened(iter([X]))
    folder = temporary(samples)
    assert list(folder.iterdir())
    samples.close()
    assert not folder.exists()
    samples = opened(iter([X]))
    folder = temporary(samples)
    del samples
    gc.collect()
    assert not folder.exists()


def test_a_forked_process_does_not_delete_the_spool():
    samples = opened(iter([X]))
    process = multiprocessing.get_context("fork").Process(target=samples.close)
    process.start()
    process.join()
    folder, owner = samples._finalizer.peek()[2]
    samples._finalizer.peek()[1](folder, owner + 1)
    assert values(samples).shape == (100, 3)
    assert temporary(samples).exists()


def test_nothing_of_a_batch_stays_in_memory():
    alive = []

    def loader():
        for _ in range(20):
            batch = np.zeros((10, 1000), np.float32)
            alive.append(weakref.ref(batch))
            yield batch
            del batch
            assert sum(each() is not None for each in alive) <= 2

    samples = opened(loader(), samples=200)
    assert len(samples._runs) == 1
    assert isinstance(samples._runs[0].arrays[0], MappedArray)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_what_was_read_is_not_kept_mapped(tmp_path):
    np.save(tmp_path / "mapped_once.npy", X.numpy())
    spooled, whole = opened(iter([X])), opened(tmp_path / "mapped_once.npy")
    kept = [*spooled.batches(), *whole.batches()]
    maps = Path("/proc/self/maps").read_text()
    assert len(kept) == 8
    assert "mapped_once" not in maps
    assert str(temporary(spooled)) not in maps


def test_a_failing_iterable_leaves_no_spool(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def loader():
        yield X
        raise ValueError("disk on fire")

    error = failure(loader(), samples=1000)
    assert error.code == "data-function-failed"
    assert error.found.startswith("ValueError: disk on fire (")
    assert list(tmp_path.iterdir()) == []
    failure(iter([X, object()]), samples=1000)
    failure([], samples=1000)
    failure(lambda: iter([X]), target="nope")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    limit = __import__("resource")
    import signal

    old = limit.getrlimit(limit.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit.setrlimit(limit.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        error = failure(iter([np.zeros((100, 1000), np.float32)] * 3))
    finally:
        limit.setrlimit(limit.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert error.code == "no-space"
    assert "TMPDIR" in error.hint
    assert list(tmp_path.iterdir()) == []


DATA_SET = """
class make(torch.utils.data.Dataset):
    def __len__(self): return {0}
    def __getitem__(self, i): return {1}
"""


class TestFunctions:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", list(sys.path))
        known = set(sys.modules)
        yield
        for name in set(sys.modules) - known:
            if name.startswith("sample_source"):
                del sys.modules[name]

    def spec(self, body):
        Path("sample_source.py").write_text("import sys, torch\n" + body)
        return "sample_source.py:make"

    def test_a_function_of_a_file(self, capsys):
        samples = opened(self.spec("def make():\n    print('loading')\n    return {'x': torch.ones(4, 2)}\n"))
        assert samples.names == ("x",)
        assert samples.description == "sample_source.py:make"
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", "loading\n")

    def test_prints_while_iterating_go_to_stderr(self, capsys):
        opened(self.spec("def make():\n    for i in range(2):\n        print(i)\n        yield torch.ones(4, 2)\n"))
        assert capsys.readouterr() == ("", "0\n1\n")

    def test_a_class_and_an_object(self):
        body = (
            "class make(torch.utils.data.Dataset):\n"
            "    def __len__(self): return 5\n    def __getitem__(self, i): return torch.ones(2)\n"
        )
        assert opened(self.spec(body)).count == 5

    def test_an_object_of_a_file(self):
        assert opened(self.spec("make = [torch.ones(4, 2)] * 3\n")).count == 12

    @pytest.mark.parametrize(
        ("body", "found"),
        [
            ("def make():\n    raise KeyError('x')\n", "KeyError: 'x'"),
            ("def make(path):\n    pass\n", "TypeError: make() missing"),
            ("def make():\n    sys.exit(2)\n", "SystemExit: 2"),
            (DATA_SET.format("1 // 0", "i"), "ZeroDivisionError"),
            (DATA_SET.format("3", "[][i]"), "IndexError"),
        ],
    )
    def test_failures_are_the_users(self, body, found):
        error = failure(self.spec(body))
        assert error.code == "data-function-failed"
        assert error.found.startswith(found)

    def test_a_function_that_is_not_there(self):
        self.spec("")
        assert failure("sample_source.py:make").code == "no-such-object"
        assert failure("sample_sauce.py:make").hint == "did you mean 'sample_source.py'?"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lambda: None, "unreadable-data"),
        (lambda: 3, "unreadable-data"),
        ([], "empty-data"),
        ({}, "bad-batch"),
        (iter([]), "empty-data"),
        (Records(lambda i: object()), "bad-batch"),
        (iter([{"x": object()}]), "bad-batch"),
        (iter([None]), "bad-batch"),
        (iter([(torch.ones(3, 2), torch.ones(4))]), "unequal-lengths"),
        ([[1, 2], [3]], "bad-array"),
        (np.array([{}, {}], object), "bad-array"),
        (torch.ones(0, 3), "empty-data"),
        (TensorDataset(X[:0]), "empty-data"),
        (torch.tensor(3.0), "bad-batch"),
    ],
)
def test_what_is_no_data(data, code):
    assert failure(data).code == code


def test_a_process_that_reads_in_parallel_needs_no_terminal():
    loader = DataLoader(TensorDataset(X, Y), batch_size=10, num_workers=1)
    samples = opened(loader, samples=30)
    assert (values(samples) == X.numpy()[:30]).all()
    assert os.getpid() == samples._finalizer.peek()[2][1]
