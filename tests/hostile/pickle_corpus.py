"""Pickles that call something, made when a test runs: every call does no more than make one folder, the canary.

``calls`` are callables that a scanner of pickles must know, ``ROUTES`` the opcodes that lead to a call, ``MODELS`` and
``DATA`` the files in which covscan may meet a pickle.
"""

import copyreg
import io
import pickle
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

Arguments = tuple[object, ...]
Call = tuple[str, str, Arguments]


class _Reduced:
    def __init__(self, call: Call) -> None:
        self.call = call

    def __reduce__(self):
        module, name, arguments = self.call
        found = __import__(module, fromlist=["x"])
        for part in name.split("."):
            found = getattr(found, part)
        return found, arguments


def calls(canary: Path) -> dict[str, Call]:
    """Callables with arguments that make the canary, by name."""
    path = str(canary)
    code = f"__import__('os').mkdir({path!r})"
    inner = reduced(("os", "mkdir", (path,)), 2)
    return {
        "os.mkdir": ("os", "mkdir", (path,)),
        "posix.mkdir": ("posix", "mkdir", (path,)),
        "os.makedirs": ("os", "makedirs", (path,)),
        "os.system": ("os", "system", (f"mkdir '{path}'",)),
        "posix.system": ("posix", "system", (f"mkdir '{path}'",)),
        "builtins.eval": ("builtins", "eval", (code,)),
        "builtins.exec": ("builtins", "exec", (code,)),
        "subprocess.run": ("subprocess", "run", (["mkdir", path],)),
        "subprocess.call": ("subprocess", "call", (["mkdir", path],)),
        "subprocess.check_output": ("subprocess", "check_output", (["mkdir", path],)),
        "subprocess.getoutput": ("subprocess", "getoutput", (f"mkdir '{path}'",)),
        "pathlib.Path.mkdir": ("pathlib", "Path.mkdir", (canary,)),
        "shutil.copyfile": ("shutil", "copyfile", (__file__, path)),
        "pickle.loads": ("pickle", "loads", (inner,)),
        "_pickle.loads": ("_pickle", "loads", (inner,)),
        "timeit.timeit": ("timeit", "timeit", (code, "pass", __import__("time").perf_counter, 1)),
        "cProfile.run": ("cProfile", "run", (code, str(canary.parent / "profile"))),
        "runpy.run_path": ("runpy", "run_path", (str(canary.parent / "script.py"),)),
        "importlib.import_module": ("importlib", "import_module", ("canary_script",)),
        "pkgutil.resolve_name": ("pkgutil", "resolve_name", ("canary_script:made",)),
        "numpy.memmap": ("numpy", "memmap", (path, "uint8", "w+", 0, (8,))),
        "numpy.savetxt": ("numpy", "savetxt", (path, [1])),
        "torch.save": ("torch", "save", (1, path)),
        "torch.from_file": ("torch", "from_file", (path, True, 8)),
    }


UNTRIED = [
    *[("torch", "load"), ("torch.serialization", "load"), ("numpy", "load"), ("joblib", "load"), ("dill", "loads")],
    *[("socket", "create_connection"), ("socket", "socket"), ("urllib.request", "urlopen"), ("webbrowser", "open")],
    *[("torch.hub", "load"), ("torch.hub", "load_state_dict_from_url"), ("http.client", "HTTPSConnection")],
    *[("ctypes", "CDLL"), ("pty", "spawn"), ("builtins", "__import__"), ("builtins", "getattr"), ("builtins", "open")],
    *[("operator", "attrgetter"), ("functools", "partial"), ("types", "FunctionType"), ("types", "CodeType")],
    *[("marshal", "loads"), ("torch.jit", "load"), ("torch.ops", "load_library"), ("sys", "setrecursionlimit")],
    *[("torch._inductor.codecache", "compile_file"), ("torch.fx._symbolic_trace", "wrap"), ("nt", "system")],
    *[
        ("__builtin__", "eval"),
        ("__builtin__", "execfile"),
        ("commands", "getoutput"),
        ("os", "execve"),
        ("os", "fork"),
    ],
    *[("numpy.testing._private.utils", "runstring"), ("pip", "main"), ("setuptools", "setup"), ("site", "main")],
    *[("torch.utils.cpp_extension", "load"), ("torch.distributed.rpc", "rpc_sync"), ("requests", "get")],
    *[("transformers", "pipeline"), ("covscan.config.loading", "load_object"), ("logging.config", "listen")],
]
"""Globals that are asked for only, and never called here: what they do reaches further than a folder."""


def reduced(call: Call, protocol: int) -> bytes:
    """As Python itself writes an object whose ``__reduce__`` is the call."""
    return pickle.dumps(_Reduced(call), protocol=protocol)


def _body(value: object) -> bytes:
    """The opcodes that push ``value``, without protocol and stop."""
    return pickle.dumps(value, protocol=2)[2:-1]


def _text(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def _args(call: Call) -> bytes:
    return b"(" + b"".join(map(_body, call[2])) + b"t"


def _name(call: Call) -> bytes:
    return f"c{call[0]}\n{call[1]}\n".encode()


def global_text(call: Call) -> bytes:
    return _name(call) + _args(call) + b"R."


def global_binary(call: Call) -> bytes:
    return b"\x80\x02" + _name(call) + b"q\x00" + _args(call) + b"q\x01Rq\x02."


def stack_global(call: Call) -> bytes:
    return b"\x80\x04" + _text(call[0]) + _text(call[1]) + b"\x93" + _args(call) + b"R."


def stack_global_from_memo(call: Call) -> bytes:
    head = b"\x80\x04" + _text(call[1]) + b"\x94" + _text(call[0]) + b"\x940" + b"0"
    return head + b"h\x01h\x00\x93" + _args(call) + b"R."


def stack_global_in_parts(call: Call) -> bytes:
    """Memo places that are put out of order and popped, so that a scanner which reads backwards sees other texts."""
    head = b"\x80\x04" + _text("collections") + b"q\x05" + _text("OrderedDict") + b"q\x06" + b"00"
    head += _text(call[0]) + b"q\x05" + _text(call[1]) + b"q\x06" + b"00"
    return head + b"j\x05\x00\x00\x00" + b"j\x06\x00\x00\x00" + b"\x93" + _args(call) + b"R."


def inst(call: Call) -> bytes:
    return b"(" + b"".join(map(_body, call[2])) + f"i{call[0]}\n{call[1]}\n.".encode()


def obj(call: Call) -> bytes:
    return b"(" + _name(call) + b"".join(map(_body, call[2])) + b"o."


def newobj(call: Call) -> bytes:
    """A class whose ``__new__`` acts."""
    return b"\x80\x02" + b"cnumpy\nmemmap\n" + _body(_mapped(call)) + b"\x81."


def newobj_ex(call: Call) -> bytes:
    place, dtype, mode, offset, shape = _mapped(call)
    keywords = {"dtype": dtype, "mode": mode, "offset": offset, "shape": shape}
    return b"\x80\x04" + _text("numpy") + _text("memmap") + b"\x93" + _body((place,)) + _body(keywords) + b"\x92."


def _mapped(call: Call) -> tuple[object, ...]:
    return (_canary_of(call), "uint8", "w+", 0, (8,))


def _canary_of(call: Call) -> str:
    return str(call[2][0])


def build(call: Call) -> bytes:
    """An object of the module beside the file, whose ``__setstate__`` acts."""
    return b"\x80\x02ccanary_script\nStateful\n)\x81" + _body({"path": _canary_of(call)}) + b"b."


def build_dict(call: Call) -> bytes:
    """The state of an allowed class; the call hides inside the state."""
    return b"\x80\x02ccollections\nOrderedDict\n)R}" + _body("x") + _name(call) + _args(call) + b"Rsb."


def extension(code: int) -> Callable[[Call], bytes]:
    def write(call: Call) -> bytes:
        number = struct.pack("<i", code)
        opcode = b"\x82" + number[:1] if code < 256 else b"\x83" + number[:2] if code < 65536 else b"\x84" + number
        return b"\x80\x02" + opcode + _args(call) + b"R."

    return write


def persid_binary(call: Call) -> bytes:
    """The name of a tensor's storage, computed by a call."""
    return b"\x80\x02(" + _body("storage") + _name(call) + _args(call) + b"Rtq\x00Q."


def persid_class(call: Call) -> bytes:
    rest = _body("0") + _body("cpu") + _body(1)
    return b"\x80\x02(" + _body("storage") + _name(call) + rest + b"tQ0" + _name(call) + _args(call) + b"R."


def memo_of_the_callable(call: Call) -> bytes:
    return b"\x80\x02" + _name(call) + b"q\x070" + b"}" + b"h\x07" + _args(call) + b"R."


def behind_pops(call: Call) -> bytes:
    """The call's result is thrown away, so that what is loaded looks innocent."""
    return b"\x80\x02" + _name(call) + _args(call) + b"R0" + _body({"weight": 1.0}) + b"."


def in_a_dict_key(call: Call) -> bytes:
    return b"\x80\x02}" + _name(call) + _args(call) + b"R" + _body(1) + b"s."


def in_a_list(call: Call) -> bytes:
    return b"\x80\x02](" + _body(1) + _name(call) + _args(call) + b"Re."


def second_of_a_stream(call: Call) -> bytes:
    return pickle.dumps({"weight": 1.0}, protocol=2) + global_binary(call)


def broken_behind_the_call(call: Call) -> bytes:
    """No end: a scanner that gives up on a damaged stream has not seen what ran before the damage."""
    return global_binary(call)[:-1] + b"\xff\xff"


def framed(call: Call) -> bytes:
    body = stack_global(call)[2:]
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


ROUTES: dict[str, Callable[[Call], bytes]] = {
    **{f"protocol {number}": (lambda call, number=number: reduced(call, number)) for number in range(6)},
    "GLOBAL in text": global_text,
    "GLOBAL": global_binary,
    "STACK_GLOBAL": stack_global,
    "STACK_GLOBAL from the memo": stack_global_from_memo,
    "STACK_GLOBAL from memo places put twice": stack_global_in_parts,
    "INST": inst,
    "OBJ": obj,
    "NEWOBJ": newobj,
    "NEWOBJ_EX": newobj_ex,
    "BUILD by __setstate__": build,
    "BUILD by __dict__": build_dict,
    "EXT1": extension(0xF1),
    "EXT2": extension(0xF1F1),
    "EXT4": extension(0x71F1F1F1),
    "BINPERSID": persid_binary,
    "BINPERSID of a class": persid_class,
    "memo": memo_of_the_callable,
    "POP": behind_pops,
    "key of a dict": in_a_dict_key,
    "item of a list": in_a_list,
    "damaged behind the call": broken_behind_the_call,
    "FRAME": framed,
    "second of a stream": second_of_a_stream,
}


@contextmanager
def extensions(call: Call) -> Iterator[None]:
    """The three extension codes mean the call's function, as some library may have registered it."""
    modules = {0xF1: call[:2], 0xF1F1: ("posix", "mkdir"), 0x71F1F1F1: ("os", "makedirs")}
    for code, (module, name) in modules.items():
        copyreg.add_extension(module, name, code)
    try:
        yield
    finally:
        for code, (module, name) in modules.items():
            copyreg.remove_extension(module, name, code)


class _Loose(pickle.Unpickler):
    """An unpickler that stops at nothing."""

    def persistent_load(self, pid: object) -> object:
        return pid


def run_plainly(content: bytes) -> None:
    """What a program does that trusts the file: every pickle of the stream, up to the first damage."""
    stream = io.BytesIO(content)
    try:
        while stream.tell() < len(content):
            _Loose(stream).load()
    except Exception:  # noqa: BLE001 - what ran before the damage has run
        return


# --- files ---


def plain(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def torch_zip(content: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")


def torch_legacy(content: bytes, path: Path) -> None:
    """What torch.save wrote before it wrote archives: a number, a version, the system, then the object."""
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(1)}, buffer, _use_new_zipfile_serialization=False)
    stream = io.BytesIO(buffer.getvalue())
    for _ in range(3):
        pickle.load(stream)
    path.write_bytes(buffer.getvalue()[: stream.tell()] + content)


def torch_legacy_head(content: bytes, path: Path) -> None:
    """In the place of the system's description."""
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(1)}, buffer, _use_new_zipfile_serialization=False)
    stream = io.BytesIO(buffer.getvalue())
    for _ in range(2):
        pickle.load(stream)
    path.write_bytes(buffer.getvalue()[: stream.tell()] + content + buffer.getvalue()[stream.tell() :])


def torch_tar(content: bytes, path: Path) -> None:
    """What torch.save wrote before that."""
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def torchscript(member: str) -> Callable[[bytes, Path], None]:
    def write(content: bytes, path: Path) -> None:
        rewrite(script(), path, {member: content})

    return write


def exported(member: str, **others: str) -> Callable[[bytes, Path], None]:
    """A ``.pt2`` archive in which one member is the pickle, and others say that it be unpickled."""

    def write(content: bytes, path: Path) -> None:
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/byteorder", "little")
            archive.writestr("archive/version", "3\n")
        payload = content if "opaque" in member or "custom" in member else zipped.getvalue()
        rewrite(program(), path, {member: payload, **{name.replace("__", "/"): text for name, text in others.items()}})

    return write


def rewrite(source: io.BytesIO, path: Path, members: dict[str, bytes | str]) -> None:
    """A copy of an archive with some members replaced or added, each named as behind the archive's own folder."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w") as after:
        root = before.namelist()[0].split("/")[0]
        for name in before.namelist():
            if name.removeprefix(f"{root}/") not in members:
                after.writestr(name, before.read(name))
        for name, content in members.items():
            after.writestr(f"{root}/{name}", content)


@cache
def _program() -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(nn.Linear(3, 2).eval(), (torch.zeros(2, 3),)), buffer)
    return buffer.getvalue()


@cache
def _script() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(3, 2).eval(), torch.zeros(1, 3)), buffer)
    return buffer.getvalue()


def program() -> io.BytesIO:
    """A small ``.pt2``."""
    return io.BytesIO(_program())


def script() -> io.BytesIO:
    """A small TorchScript archive."""
    return io.BytesIO(_script())


def npy(content: bytes, path: Path) -> None:
    """An array of objects."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    path.write_bytes(header.getvalue() + content)


def npz(content: bytes, path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + content)


_OPAQUE = '{"config": {"weight": {"path_name": "%s", "is_param": false, "use_pickle": true, "tensor_meta": null}}}'

MODELS: dict[str, tuple[str, Callable[[bytes, Path], None]]] = {
    "a plain pickle": ("m.pt", plain),
    "a plain pickle called .bin": ("m.bin", plain),
    "a plain pickle called .safetensors": ("m.safetensors", plain),
    "a plain pickle called .onnx": ("m.onnx", plain),
    "torch.save": ("m.pt", torch_zip),
    "torch.save of old": ("m.pt", torch_legacy),
    "torch.save of old, in its head": ("m.pt", torch_legacy_head),
    "torch.save of long ago": ("m.tar", torch_tar),
    "TorchScript data": ("m.pt", torchscript("data.pkl")),
    "TorchScript constants": ("m.pt", torchscript("constants.pkl")),
    "pt2 sample inputs": ("m.pt2", exported("data/sample_inputs/model.pt")),
    "pt2 weights": (
        "m.pt2",
        exported("data/weights/weight_0", **{"data__weights__model_weights_config.json": _OPAQUE % "weight_0"}),
    ),
    "pt2 weights of old": ("m.pt2", exported("data/weights/model.pt")),
    "pt2 constants": (
        "m.pt2",
        exported("data/constants/tensor_0", **{"data__constants__model_constants_config.json": _OPAQUE % "tensor_0"}),
    ),
    "pt2 opaque object": (
        "m.pt2",
        exported(
            "data/constants/opaque_obj_0", **{"data__constants__model_constants_config.json": _OPAQUE % "opaque_obj_0"}
        ),
    ),
    "pt2 custom object": (
        "m.pt2",
        exported(
            "data/constants/custom_obj_0", **{"data__constants__model_constants_config.json": _OPAQUE % "custom_obj_0"}
        ),
    ),
}

DATA: dict[str, tuple[str, Callable[[bytes, Path], None]]] = {
    "npy": ("d.npy", npy),
    "npz": ("d.npz", npz),
    "pt": ("d.pt", torch_zip),
    "pt of old": ("d.pt", torch_legacy),
    "pth, a plain pickle": ("d.pth", plain),
    "npy, a plain pickle": ("d.npy", plain),
    "npz, a plain pickle": ("d.npz", plain),
    "safetensors, a plain pickle": ("d.safetensors", plain),
    "csv, a plain pickle": ("d.csv", plain),
    "jsonl, a plain pickle": ("d.jsonl", plain),
    "parquet, a plain pickle": ("d.parquet", plain),
    "arrow, a plain pickle": ("d.arrow", plain),
    "png, a plain pickle": ("d.png", plain),
}
