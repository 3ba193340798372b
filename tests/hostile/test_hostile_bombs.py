"""Files that say more than they hold: none of them makes a process take more than its own size allows.

What would allocate runs in processes of its own, under a limit of address space, and tells how much it took at most.
"""

import gzip
import io
import json
import struct
import zipfile
import zlib
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from pickle_corpus import program, rewrite, script

from covscan import memory
from covscan.containers import DEEPEST, check_containers
from covscan.errors import UsageError

MOST = 1730
"""MiB that a process may have taken at its peak: what a fork with torch loaded needs, and the room of any file."""

CHILD = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
from covscan.cli.entry import run
import torch, onnxruntime, pyarrow.parquet, PIL.Image
told = {}
for words in json.loads(sys.argv[1]):
    print("RUN", words[-1], file=sys.stderr, flush=True)
    start = time.perf_counter()
    told[words[-1]] = (run(words), round(time.perf_counter() - start, 2))
print(json.dumps([told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]))
"""


@pytest.fixture
def measured(bench, ready):
    """Run command lines in one limited process; gives the exit codes and seconds, what was said, the peak in MiB."""

    def call(commands):
        done = ready.run("-c", CHILD, json.dumps(commands), cwd=bench, timeout=100)
        assert done.returncode == 0, done.stderr[-2000:]
        told, peak = json.loads(done.stdout.splitlines()[-1])
        return told, done.stderr, peak

    return call


def model(file):
    return ["analyze", "--model", "nets.py:build", "--data", "sample.npz", file]


def alone(file):
    return ["analyze", "--data", "sample.npz", file]


def data(file):
    return ["analyze", "--model", "nets.py:build", "good.pt", "--data", file]


# --- pickles ---


def long(number):
    return b"\x8a\x08" + struct.pack("<q", number)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage(size, kind="FloatStorage", key="0"):
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + long(size) + b"tQ"


def rebuilt(size, shape, stride, offset=0):
    parts = (
        storage(size) + long(offset) + b"(" + b"".join(map(long, shape)) + b"t(" + b"".join(map(long, stride)) + b"t"
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + parts + b"\x89ccollections\nOrderedDict\n)RtR"


def named(value):
    return b"\x80\x02}" + text("weight") + value + b"s."


def pickles():
    huge = 2**62
    laughs = b"]" + b"".join(b"q" + bytes([n]) + b"]h" + bytes([n]) + b"ah" + bytes([n]) + b"a" for n in range(60))
    return {
        "bytearray": named(b"cbuiltins\nbytearray\n(" + long(20 * 2**30) + b"tR"),
        "tensor": named(b"ctorch\nFloatTensor\n(" + long(2**33) + b"tR"),
        "storage": named(rebuilt(huge, [2**40], [1])),
        "shape": named(rebuilt(1, [huge, huge], [1, 1])),
        "stride": named(rebuilt(1, [2**40], [0])),
        "negative": named(rebuilt(1, [-1, -(2**62)], [1, 1])),
        "offset": named(rebuilt(1, [1], [1], offset=huge)),
        "meta": named(
            b"ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat32\n("
            + long(huge)
            + b"t("
            + long(1)
            + b"t\x89tR"
        ),
        "laughs": b"\x80\x02" + laughs + b".",
        "itself": b"\x80\x02}q\x00" + text("weight") + b"h\x00s.",
        "deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep dicts": b"\x80\x02" + (b"}" + text("state_dict")) * 5000 + b"N" + b"s" * 5000 + b".",
        "counter": named(b"ccollections\nCounter\n(" + text("a") * 3 + b"tR"),
        "set": named(b"cbuiltins\nset\n(]" + long(1) + b"atR"),
        "attributes": b"\x80\x02ccollections\nOrderedDict\n)R}" + text("columns") + b"K\x01s" + b"b.",
        "numbers": b"\x80\x02" + b"](" + b"K\x01" * 200_000 + b"e.",
        "long": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\xff.",
        "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    }


def torch_file(content, path, storages=(b"\0" * 4,)):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        for place, each in enumerate(storages):
            archive.writestr(f"archive/data/{place}", each)
        archive.writestr("archive/version", "3\n")


def test_pickles_of_a_hundred_bytes_take_no_memory(bench, measured):
    torch.save(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).state_dict(), "good.pt"
    )
    commands = []
    for name, content in pickles().items():
        torch_file(content, bench / f"{name}.pt")
        torch_file(content, bench / f"{name} data.pt")
        commands += [model(f"{name}.pt"), data(f"{name} data.pt")]
    told, said, peak = measured(commands)
    assert {file: code for file, (code, _) in told.items() if code != 2} == {}, said
    assert max(seconds for _, seconds in told.values()) < 10
    assert peak < MOST
    assert said.count("error[") == len(commands)


# --- archives ---


@cache
def packed_zeros(size):
    """So many zeros, packed hundredfold, and their sum; made without holding them."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    block = bytes(1 << 20)
    packed, crc = [], 0
    for _ in range(size >> 20):
        packed.append(packer.compress(block))
        crc = zlib.crc32(block, crc)
    return b"".join([*packed, packer.flush()]), crc


def zeros_packed(name, path, size=5 << 28):
    """An archive with a member of so many zeros."""
    body, crc = packed_zeros(size)
    fields = (0, 8, 0, 0x21, crc, len(body), size, len(name), 0)
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 45, *fields) + name.encode()
    central = struct.pack("<4s6H3L5H2L", b"PK\1\2", 45, 45, *fields, 0, 0, 0, 0, 0) + name.encode()
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(head) + len(body), 0)
    path.write_bytes(head + body + central + end)


def npy_header(shape, descr="<f4"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def lying_zip(path, claimed):
    """An archive whose directory says that a packed member is larger than it is."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header((claimed // 4,)) + bytes(1000))
    content = path.read_bytes()
    at = content.rindex(b"PK\1\2") + 24
    path.write_bytes(content[:at] + struct.pack("<L", claimed) + content[at + 4 :])


def overlapping(path, count=5000):
    """Many members that are one and the same piece of the file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 16))
    content = buffer.getvalue()
    start = content.rindex(b"PK\1\2")
    entry = content[start : content.rindex(b"PK\5\6")]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(entry) * count, start, 0)
    path.write_bytes(content[:start] + entry * count + end)


def test_archives_that_swell_are_refused_with_their_size(bench, measured):
    torch.save(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).state_dict(), "good.pt"
    )
    zeros_packed("archive/data.pkl", bench / "bomb.pt")
    zeros_packed("archive/archive_format", bench / "bomb.pt2")
    zeros_packed("archive/constants.pkl", bench / "script.pt")
    zeros_packed("x.npy", bench / "bomb.npz")
    lying_zip(bench / "lying.npz", (1 << 32) - 4)
    overlapping(bench / "overlapping.pt")
    overlapping(bench / "overlapping data.pt")
    commands = [model("bomb.pt"), alone("bomb.pt2"), alone("script.pt"), data("bomb.npz"), data("lying.npz")]
    told, said, peak = measured([*commands, model("overlapping.pt"), data("overlapping data.pt")])
    assert {file: code for file, (code, _) in told.items() if code != 2} == {}, said
    assert max(seconds for _, seconds in told.values()) < 10
    assert peak < MOST
    assert "'bomb.pt' needs 1.34 GB unpacked" in said
    assert "'overlapping.pt' needs 328 MB unpacked" in said


# --- data ---


def test_data_that_says_more_than_it_holds(bench, measured):
    torch.save(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).state_dict(), "good.pt"
    )
    huge = 2**62
    shapes = {
        "rows": (huge,),
        "empty rows": (huge, 0),
        "both": (2**40, 2**40),
        "negative": (-5, 3),
        "axes": (1,) * 5000,
    }
    for name, shape in shapes.items():
        (bench / f"{name}.npy").write_bytes(npy_header(shape) + bytes(64))
        with zipfile.ZipFile(bench / f"{name}.npz", "w") as archive:
            archive.writestr("x.npy", npy_header(shape) + bytes(64))
        with zipfile.ZipFile(bench / f"packed {name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", npy_header(shape) + bytes(64))
    (bench / "type.npy").write_bytes(npy_header((1,), "|V1000000000") + bytes(64))
    (bench / "header.npy").write_bytes(b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{" * 1000)
    for name, size in (("line", 1 << 31), ("cells", 1 << 31)):
        with (bench / f"{name}.jsonl").open("wb") as file:
            file.truncate(size)
        with (bench / f"{name}.csv").open("wb") as file:
            file.truncate(size)
    (bench / "deep.jsonl").write_text("[" * 100_000 + "]" * 100_000, encoding="utf-8")
    (bench / "digits.jsonl").write_text("[" + "9" * 10_000 + "]", encoding="utf-8")
    (bench / "large.jsonl").write_text("[1, 1e999, " + "9" * 400 + "]\n[1, 2, 3]", encoding="utf-8")
    (bench / "cell.csv").write_text("a,b\n" + "9" * 1_000_000 + ",1\n", encoding="utf-8")
    (bench / "columns.csv").write_text(",".join(["x"] * 200_000) + "\n", encoding="utf-8")
    with gzip.open(bench / "bomb.csv.gz", "wb", compresslevel=9) as file:
        for _ in range(60):
            file.write(b"1,2,3\n" * 170_000)
    files = [each.name for each in bench.iterdir() if each.suffix in (".npy", ".npz", ".jsonl", ".csv", ".gz")]
    told, said, peak = measured([data(file) for file in sorted(files) if file != "sample.npz"])
    assert {file: code for file, (code, _) in told.items() if code != 2} == {}, said
    assert {file: seconds for file, (_, seconds) in told.items() if seconds > 60} == {}
    assert peak < MOST, told


def test_tables_and_pictures_that_swell(bench, measured):
    torch.save(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).state_dict(), "good.pt"
    )
    repeated = pa.DictionaryArray.from_arrays(pa.array(np.zeros(40_000_000, np.int8)), pa.array([1.5]))
    table = pa.table({"x": repeated, "y": repeated, "z": repeated})
    pyarrow.parquet.write_table(table, bench / "rows.parquet", row_group_size=40_000_000, store_schema=False)
    assert (bench / "rows.parquet").stat().st_size < 1_000_000
    side = 20_000
    pixels = zlib.compress(bytes(side * side + side), 1)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for name, across in (("bomb.png", side), ("huge.png", 2**31 - 1)):
        head = struct.pack(">IIBBBBB", across, across, 8, 0, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
        (bench / name).write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    told, said, peak = measured([data(file) for file in ("bomb.png", "huge.png", "rows.parquet")])
    assert {file: code for file, (code, _) in told.items() if code != 2} == {}, said
    assert peak < MOST


def safetensors(header, content=b"", length=None):
    text_ = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text_) if length is None else length) + text_ + content


def entry(shape, *offsets, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": list(offsets)}


def test_safetensors_headers(bench, measured):
    torch.save(
        torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).state_dict(), "good.pt"
    )
    four = bytes(4)
    cases = {
        "length": safetensors({}, length=2**63),
        "length near": safetensors({}, length=99_999_999),
        "shape": safetensors({"x": entry([2**40, 2**40], 0, 4)}, four),
        "rows": safetensors({"x": entry([2**62, 0], 0, 0)}),
        "overlap": safetensors({"x": entry([1], 0, 4), "y": entry([1], 0, 4)}, four),
        "gap": safetensors({"x": entry([1], 4, 8)}, bytes(8)),
        "backwards": safetensors({"x": entry([1], 4, 0)}, four),
        "beyond": safetensors({"x": entry([2**38], 0, 2**40)}, four),
        "negative": safetensors(b'{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', four),
        "twice": safetensors(b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' * 2 + b'"x":1}', four),
        "deep": safetensors(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "type": safetensors({"x": entry([1], 0, 4, dtype="F31")}, four),
        "nan": safetensors(b'{"x":NaN}'),
        "empty": safetensors(b"{}"),
    }
    commands = []
    for name, content in cases.items():
        (bench / f"{name}.safetensors").write_bytes(content)
        (bench / f"{name} data.safetensors").write_bytes(content)
        commands += [model(f"{name}.safetensors"), data(f"{name} data.safetensors")]
    told, said, peak = measured(commands)
    assert {file: code for file, (code, _) in told.items() if code != 2} == {}, said
    assert peak < MOST


# --- the parts ---


def test_a_file_may_take_what_it_needs_and_no_more():
    with memory.bounded(1 << 20, "'x'"):
        assert len(bytearray(1 << 29)) == 1 << 29
    with (
        pytest.raises(UsageError, match="'x' asks for more memory than a file of 1") as caught,
        memory.bounded(1 << 20, "'x'"),
    ):
        bytearray(3 << 30)
    assert caught.value.code == "too-large"
    assert len(bytearray(1 << 29)), "the limit is gone afterwards"


def test_what_does_not_fit_is_refused_with_the_size_it_needs(monkeypatch, bench, refused):
    monkeypatch.setattr(memory, "free", lambda: 1000)
    torch.save({"weight": torch.ones(1)}, bench / "old.pt", _use_new_zipfile_serialization=False)
    (bench / "m.pt2").write_bytes(program().getvalue())
    (bench / "m.pt").write_bytes(script().getvalue())
    (bench / "m.onnx").write_bytes(b"\x08\x08" + bytes(5000))
    for file in ("m.pt2", "m.pt", "m.onnx"):
        error = refused(*alone(file))
        assert error.startswith(f"error[too-large]: '{file}' needs ")
        assert "found: 1 kB are free" in error


def test_sizes_are_said_as_people_write_them():
    sizes = [0, 999, 1000, 1536, 10**9, 3 * 2**30, 10**15, 10**18]
    assert [memory.size_text(each) for each in sizes] == [
        *["0 bytes", "999 bytes", "1 kB", "1.54 kB", "1 GB", "3.22 GB", "1,000 TB", "1,000,000 TB"]
    ]


def test_containers_are_trees():
    shared = [1, 2]
    check_containers({"a": [shared, shared], "b": (shared, {"c": shared})})
    deep = []
    for _ in range(DEEPEST):
        deep = [deep]
    with pytest.raises(ValueError, match="nested over 64 deep"):
        check_containers(deep)
    check_containers(deep[0])
    laughs = [1]
    for _ in range(40):
        laughs = [laughs, laughs]
    with pytest.raises(ValueError, match="hold each other"):
        check_containers(laughs)
    loop = {"a": []}
    loop["a"].append(loop)
    with pytest.raises(ValueError, match="holds itself"):
        check_containers(loop)


def test_archives_of_usual_files_are_read(bench):
    from covscan.models.archives import check_archive

    for name, content in (("m.pt2", program()), ("m.pt", script())):
        (bench / name).write_bytes(content.getvalue())
        check_archive(bench / name, in_memory=True)
    rewrite(script(), bench / "n.pt", {"extra": b"x"})
    check_archive(bench / "n.pt")
