import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from covscan.config import Settings
from covscan.data import KINDS, open_samples
from covscan.data.mapped import MappedArray
from covscan.errors import UsageError
from covscan.registry import resolve

X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
Y = np.arange(50)


def opened(data, **settings):
    return open_samples(Settings(data=str(data), **settings))


def only(data, **settings):
    (batch,) = opened(data, batch_size=1000, **settings).batches()
    return batch


def failure(data, **settings):
    with pytest.raises(UsageError) as caught:
        opened(data, **settings)
    return caught.value


def is_mapped(samples):
    return isinstance(samples._runs[0].arrays[0], MappedArray)


def test_every_kind_resolves():
    assert all(callable(resolve(target)) for target in KINDS.values())


def test_npy_is_mapped_and_has_no_name(tmp_path):
    np.save(tmp_path / "x.npy", X)
    samples = opened(tmp_path / "x.npy", samples=10)
    assert samples.names == ()
    (batch,) = samples.batches()
    assert (batch.positional[0] == X[batch.index]).all()
    assert is_mapped(samples)
    assert samples.description == "x.npy: float32 (50, 4)"


def test_the_suffix_may_be_in_capitals(tmp_path):
    with (tmp_path / "X.NPY").open("wb") as file:
        np.save(file, X)
    assert only(tmp_path / "X.NPY").n == 50


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "array",
    [
        X,
        np.asfortranarray(X),
        X.astype(">f8"),
        X.astype(np.float16),
        (X * 10).astype(np.int32),
        np.abs(X * 10).astype(np.uint8),
        X > 0,
        (X + 1j * X).astype(np.complex128),
    ],
    ids=lambda array: str(array.dtype),
)
def test_npz_arrays_come_back_by_name(tmp_path, save, array):
    save(tmp_path / "s.npz", x=array, y=Y)
    batch = only(tmp_path / "s.npz", target="y")
    kinds = {"f": np.float32, "c": np.complex64}
    assert batch.named["x"].dtype == kinds.get(array.dtype.kind, array.dtype)
    assert np.allclose(batch.named["x"], array.astype(batch.named["x"].dtype), rtol=1e-3)
    assert (batch.target == Y).all()


def test_only_a_compressed_archive_is_read_whole(tmp_path):
    np.savez(tmp_path / "plain.npz", x=X)
    np.savez_compressed(tmp_path / "small.npz", x=X)
    assert is_mapped(opened(tmp_path / "plain.npz"))
    assert not is_mapped(opened(tmp_path / "small.npz"))


def test_other_versions_of_the_npy_header(tmp_path):
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        for version in ((1, 0), (2, 0), (3, 0)):
            with archive.open(f"v{version[0]}.npy", "w") as stream:
                np.lib.format.write_array(stream, X * version[0], version=version)
    batch = only(tmp_path / "s.npz")
    assert all((batch.named[f"v{major}"] == X * major).all() for major in (1, 2, 3))


def test_constants_go_to_every_batch_unchanged(tmp_path):
    np.savez(tmp_path / "s.npz", x=X, sr=np.array(16000), rate=np.array([8000]))
    samples = opened(tmp_path / "s.npz", batch_size=20)
    for batch in samples.batches():
        assert batch.named["sr"].shape == ()
        assert batch.named["sr"] == 16000
        assert batch.named["rate"].tolist() == [8000]


def test_arrays_of_different_lengths_are_named(tmp_path):
    np.savez(tmp_path / "s.npz", x=X, y=Y[:-1])
    error = failure(tmp_path / "s.npz")
    assert error.code == "unequal-lengths"
    assert error.found == "x (50, 4), y (49,)"


def test_constants_alone_are_no_data(tmp_path):
    np.savez(tmp_path / "s.npz", sr=np.array(16000))
    assert failure(tmp_path / "s.npz").code == "bad-batch"
    np.savez(tmp_path / "s.npz")
    assert failure(tmp_path / "s.npz").code == "bad-batch"


@pytest.mark.parametrize("name", ["s.npz", "s.npy"])
def test_empty_arrays(tmp_path, name):
    (np.savez if name.endswith("z") else np.save)(tmp_path / name, X[:0])
    assert failure(tmp_path / name).code == "empty-data"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_objects_are_never_unpickled(tmp_path, save):
    save(tmp_path / "s.npz", bad=np.array([{"a": 1}], object))
    np.save(tmp_path / "s.npy", np.array([{"a": 1}], object))
    for name in ("s.npz", "s.npy"):
        error = failure(tmp_path / name)
        assert error.code == "unreadable-data"
        assert error.found == "Python objects, which are never unpickled"
    assert "'bad'" in failure(tmp_path / "s.npz").message


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.array(["a", "b"]), "text"),
        (np.array(["2020-01-01"], "datetime64[D]"), "dates"),
        (np.zeros(2, [("a", "f4"), ("b", "i4")]), "records"),
    ],
)
def test_what_is_no_number(tmp_path, array, found):
    np.savez(tmp_path / "s.npz", names=array)
    error = failure(tmp_path / "s.npz")
    assert error.code == "bad-array"
    assert "'names'" in error.message
    assert error.found.startswith(found)


@pytest.mark.parametrize("name", ["s.npz", "s.npy", "s.pt", "s.safetensors"])
@pytest.mark.parametrize("damage", ["cut", "empty", "garbage"])
def test_damaged_files_are_named(tmp_path, name, damage):
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, x=X)
    elif name.endswith("npy"):
        np.save(path, X)
    elif name.endswith("pt"):
        torch.save({"x": torch.from_numpy(X)}, path)
    else:
        save_file({"x": torch.from_numpy(X)}, path)
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "garbage": b"\x07\xff" * 300}[damage])
    error = failure(path)
    assert error.code == "unreadable-data"
    assert name in error.message
    assert error.found


def test_a_damaged_member_is_named(tmp_path):
    path = tmp_path / "s.npz"
    np.savez_compressed(path, first=X, second=X)
    content = bytearray(path.read_bytes())
    place = content.rfind(b"second.npy", 0, len(content) - 200) + 60
    content[place : place + 200] = b"\xff" * 200
    path.write_bytes(content)
    assert "'second'" in failure(path).message


def test_a_member_that_is_shorter_than_it_says(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with zipfile.ZipFile(tmp_path / "s.npz", "w") as archive:
        archive.writestr("x.npy", (tmp_path / "x.npy").read_bytes()[:-8])
        archive.writestr("padding.npy", (tmp_path / "x.npy").read_bytes())
    error = failure(tmp_path / "s.npz")
    assert (error.code, error.found) == ("unreadable-data", "the array is cut short")
    assert "'x'" in error.message


def test_an_archive_called_npy(tmp_path):
    np.savez(tmp_path / "s.npz", x=X)
    (tmp_path / "s.npz").rename(tmp_path / "s.npy")
    assert failure(tmp_path / "s.npy").hint == "rename it to .npz"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("shape", ["tensor", "tuple", "list", "dict"])
def test_torch_files(tmp_path, shape, legacy):
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    value = {"tensor": x, "tuple": (x, y), "list": [x, y], "dict": {"x": x, "y": y, "sr": 16000}}[shape]
    torch.save(value, tmp_path / "s.pt", _use_new_zipfile_serialization=not legacy)
    batch = only(tmp_path / "s.pt")
    first = batch.named["x"] if shape == "dict" else batch.positional[0]
    assert (first == X).all()
    if shape == "dict":
        assert batch.named["sr"] == 16000
    assert len(batch.positional) == {"tensor": 1, "tuple": 2, "list": 2, "dict": 0}[shape]


def test_a_torch_file_of_batches(tmp_path):
    batches = [(torch.ones(4, 2) * part, torch.zeros(4)) for part in range(3)]
    torch.save(batches, tmp_path / "s.pt")
    batch = only(tmp_path / "s.pt", samples=10)
    assert batch.positional[0][:, 0].tolist() == [0] * 4 + [1] * 4 + [2] * 2


def test_bfloat16_and_grad_and_half(tmp_path):
    value = {"b": torch.ones(4, 2, dtype=torch.bfloat16, requires_grad=True), "h": torch.ones(4, 2).half()}
    torch.save(value, tmp_path / "s.pt")
    save_file({name: each.detach() for name, each in value.items()}, tmp_path / "s.safetensors")
    for name in ("s.pt", "s.safetensors"):
        batch = only(tmp_path / name)
        assert {array.dtype for array in batch.named.values()} == {np.dtype(np.float32)}
        assert all((array == 1).all() for array in batch.named.values())


class Marker:
    pass


def test_a_torch_file_with_objects_names_the_class(tmp_path):
    torch.save({"x": Marker()}, tmp_path / "s.pt")
    error = failure(tmp_path / "s.pt")
    assert error.code == "unreadable-data"
    assert "Marker" in error.found
    (tmp_path / "s.pt").write_bytes(pickle.dumps({"x": Marker()}))
    assert failure(tmp_path / "s.pt").code == "unreadable-data"


def test_a_torch_file_without_tensors(tmp_path):
    torch.save("text", tmp_path / "s.pt")
    assert failure(tmp_path / "s.pt").found == "str"


def test_safetensors_by_name(tmp_path):
    save_file({"x": torch.from_numpy(X), "labels": torch.from_numpy(Y)}, tmp_path / "s.safetensors")
    batch = only(tmp_path / "s.safetensors", target="labels", samples=7)
    assert (batch.named["x"] == X[batch.index]).all()
    assert (batch.target == batch.index).all()


def test_a_missing_file_means_a_close_one(tmp_path):
    np.save(tmp_path / "sample.npy", X)
    assert failure(tmp_path / "sampel.npy").hint == "did you mean 'sample.npy'?"
    error = failure(tmp_path / "nowhere" / "sample.npy")
    assert error.code == "no-such-file"
    assert "file.py:function" in error.hint


def test_an_unknown_kind_lists_the_known(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"x")
    error = failure(tmp_path / "x.h5")
    assert error.code == "unknown-data-kind"
    assert ".npz" in error.hint
    (tmp_path / "make.py").write_text("")
    assert "make.py:function" in failure(tmp_path / "make.py").hint


def test_no_data_at_all():
    with pytest.raises(UsageError) as caught:
        open_samples(Settings())
    assert caught.value.code == "missing-data"
