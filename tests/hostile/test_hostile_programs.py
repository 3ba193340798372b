"""Models that are programs: ``.pt2``, TorchScript and ONNX that call out of the network they claim to be."""

import io
import json
import os
import re
import shutil
import sys
import warnings
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from pickle_corpus import MODELS, global_binary, program, rewrite, script
from torch import nn

from covscan.config import Settings
from covscan.confinement import in_force
from covscan.errors import UsageError
from covscan.models import open_source
from covscan.models.exported_expressions import is_size, is_tree
from covscan.models.operators import COMPUTING, REACHING_OUT, is_computing
from covscan.models.script_check import check_script


@pytest.fixture
def canary(bench, monkeypatch, forgotten):
    """The path that must not come into being; a module that makes it when it is imported lies in the folder."""
    path = bench / "canary"
    (bench / "canary_script.py").write_text(f"import os\nos.mkdir({str(path)!r})\nmade = 1\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(bench), *sys.path])
    return path


def quietly(action):
    """Run what may fail in any way and warn of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - it may fail in any way
            return error


def load_and_run(path):
    """What a program does that trusts a ``.pt2``."""
    program = torch.export.load(str(path))
    torch.export.unflatten(program)
    program.module()(torch.zeros(2, 3))


def clear(canary):
    sys.modules.pop("canary_script", None)
    shutil.rmtree(canary) if canary.is_dir() else canary.unlink(missing_ok=True)


# --- .pt2 ---


def edited(path, edit):
    """A ``.pt2`` whose graph was edited as JSON."""
    with zipfile.ZipFile(program()) as archive:
        name = next(each for each in archive.namelist() if each.endswith("models/model.json"))
        content = json.loads(archive.read(name))
    edit(content)
    rewrite(program(), path, {"models/model.json": json.dumps(content)})


def every_size(expression):
    def edit(content):
        graph = content["graph_module"]["graph"]
        graph["tensor_values"]["input"]["sizes"][0] = {"as_expr": {"expr_str": expression, "hint": {"as_int": 2}}}

    return edit


def target(name):
    def edit(content):
        content["graph_module"]["graph"]["nodes"][0]["target"] = name

    return edit


def tree(text):
    def edit(content):
        for entry in content["graph_module"]["module_call_graph"]:
            if entry.get("signature"):
                entry["signature"]["in_spec"] = text
                return
        raise AssertionError("no signature")

    return edit


def node_name(name):
    def edit(content):
        text = json.dumps(content["graph_module"]).replace('"linear"', json.dumps(name))
        content["graph_module"] = json.loads(text)

    return edit


ENUM = json.dumps({"__enum__": True, "fqn": "canary_script:made", "name": "x"})
LEAF = {"type": None, "context": None, "children_spec": []}


def spec(kind, context):
    inner = {"type": kind, "context": context, "children_spec": [LEAF]}
    keywords = {"type": "builtins.dict", "context": "[]", "children_spec": []}
    return json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": [inner, keywords]}])


def pt2_attacks(canary):
    """Edits that make the canary where ``torch.export.load`` or a call of what it gives is trusted."""
    path = str(canary)
    factory = {"default_factory_module": "canary_script", "default_factory_name": "made", "dict_context": ["a"]}
    return {
        "a size that is code": every_size(f"__import__('os').mkdir({path!r})"),
        "a tree with an enum": tree(spec("builtins.dict", ENUM)),
        "a tree with a factory": tree(spec("collections.defaultdict", factory)),
    }


@pytest.mark.parametrize("name", pt2_attacks("canary"))
def test_a_pt2_that_runs_code_is_refused_before_it_is_opened(name, bench, canary, refused):
    edited(bench / "m.pt2", pt2_attacks(canary)[name])
    quietly(lambda: load_and_run(bench / "m.pt2"))
    assert canary.exists(), "the case is none"
    clear(canary)
    error = refused("analyze", "--data", "sample.npz", "m.pt2")
    assert error.startswith("error[untrusted-code]: 'm.pt2' is a torch.export program that does more than compute")
    assert "--trust" in error
    assert not canary.exists()
    assert "untrusted-code" in refused("analyze", "--model", "nets.py:build", "--data", "sample.npz", "m.pt2")
    assert not canary.exists()


@pytest.mark.skipif(set(in_force()) != {"files", "network"}, reason="this system confines no threads")
def test_code_of_a_pt2_that_slipped_through_reaches_no_file(bench, canary, monkeypatch):
    """One attack of three: torch remembers the trees of the others, which have the same text in every folder."""
    edited(bench / "m.pt2", pt2_attacks(canary)["a size that is code"])
    monkeypatch.setattr("covscan.models.exported.check_exported", lambda path: None)
    settings = Settings(checkpoints=("m.pt2",))
    quietly(lambda: open_source(settings))
    assert not canary.exists()
    quietly(lambda: open_source(replace(settings, trust=True)))
    assert canary.exists(), "the case is none"


def test_a_name_that_is_code_is_refused(bench, refused):
    """Names are written into source that is executed."""
    edited(bench / "m.pt2", node_name("linear = __import__('os').mkdir('canary'); linear"))
    assert refused("analyze", "--data", "sample.npz", "m.pt2").startswith("error[untrusted-code]")


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("pt2") and "custom" not in name])
def test_torch_would_have_unpickled_what_is_in_a_pt2(name, bench, canary):
    """The controls of the corpus: PyTorch turns to unpickling what it cannot read as weights."""
    write = MODELS[name][1]
    write(global_binary(("os", "mkdir", (str(canary),))), bench / "m.pt2")
    quietly(lambda: torch.export.load(str(bench / "m.pt2")))
    assert canary.exists()
    clear(canary)
    with pytest.raises(UsageError):
        open_source(Settings(checkpoints=("m.pt2",)))
    assert not canary.exists()


OTHER_TARGETS = [
    *["torch.os.system", "torch.hub.load", "torch.load", "torch.save", "torch.ops.aten.from_file.default", "os.system"],
    *["torch.ops.load_library", "torch.ops.image.read_file.default", "torch.ops.aten.__class__.__init__", "#x:y"],
    *["_operator.methodcaller", "_operator.attrgetter", "_operator.call", "math.__loader__.load_module"],
    *[
        "torch.ops.higher_order.triton_kernel_wrapper_mutation",
        "torch.ops.higher_order.call_torchbind",
        "builtins.eval",
    ],
    *["torch.ops._c10d_functional.all_reduce.default", "torch.ops.aten.linear", "torch._C._jit_pass_inline"],
]


@pytest.mark.parametrize("name", OTHER_TARGETS)
def test_only_operators_that_compute_may_be_called(name, bench, refused):
    edited(bench / "m.pt2", target(name))
    assert refused("analyze", "--data", "sample.npz", "m.pt2").startswith("error[untrusted-code]")


@pytest.mark.parametrize(
    "member",
    ["data/aotinductor/model/a.so", "data/aotinductor/model/a.cpp", "data/executorch/x", "module_info", "a/../b"],
)
def test_a_pt2_with_compiled_code_is_refused(member, bench, refused):
    rewrite(program(), bench / "m.pt2", {member: b"\x7fELF"})
    assert refused("analyze", "--data", "sample.npz", "m.pt2").startswith("error[untrusted-code]")


@pytest.mark.parametrize(
    "text", ["s0", "2*s65", "Mul(Integer(2), Symbol('s65', positive=True, integer=True))", "Max(1, s0)"]
)
def test_sizes_that_exporters_write(text):
    assert is_size(text)


@pytest.mark.parametrize(
    "text",
    [
        *[
            "__import__('os')",
            "().__class__",
            "9**9**9",
            "Pow(9, 99999999)",
            "s0.func",
            "[s0 for s0 in s0]",
            "lambda: 1",
        ],
        *["f'{s0}'", "eval('1')", "Symbol('a;b')", "Symbol(open('x'))", "s0 if s0 else s0", "x" * 10_001, "(" * 5000],
        *["Function('f')", "S('__import__(1)')", "Pow(2, Pow(2, 16))", "LShift(1, s0)", "2**16**16", "1 << 2**60"],
    ],
)
def test_sizes_that_nobody_exports(text):
    assert not is_size(text)


def test_trees_of_inputs():
    assert is_tree(spec("builtins.list", "null"))
    assert not is_tree(spec("builtins.list", ENUM))
    assert not is_tree(spec("builtins.list", "null").replace("null", "\\u005f"))
    assert not is_tree(spec("transformers.x", "null"))
    assert not is_tree("[" * 100_000)


def test_usual_exported_networks_open(bench):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.register_buffer("scale", torch.ones(1))

        def forward(self, x, *, factor: float = 2.0):
            y = torch.relu(self.norm(self.convolution(x))).flatten(2).transpose(1, 2)
            y, _ = self.attention(y, y, y)
            count = x.shape[0] * 2
            return {"out": y.reshape(count, -1) * self.scale * factor, "size": y.shape[1] // 2 + count}

    batch = torch.export.Dim("batch", min=2, max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = {"x": {0: 2 * batch}, "factor": None}
        exported = torch.export.export(Net().eval(), (torch.zeros(4, 1, 6, 6),), {"factor": 2.0}, dynamic_shapes=shapes)
        torch.export.save(exported, bench / "m.pt2")
    source = open_source(Settings(checkpoints=(str(bench / "m.pt2"),)))
    found = source.module(source.series.checkpoints[0])(torch.zeros(6, 1, 6, 6), factor=2.0)
    assert found["out"].shape[0] == 12


# --- TorchScript ---


def patched(path, body):
    """An archive whose forward is ``body``."""
    with zipfile.ZipFile(script()) as archive:
        # Where this process compiled a Linear of its own before, the class has a file below a folder of that name.
        name = next(each for each in archive.namelist() if re.search(r"nn/modules/linear(/\w+)?\.py$", each))
        source = archive.read(name).decode()
    head = source[: re.search(r"\n    input: Tensor\) -> Tensor:\n", source).end()]
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    rewrite(script(), path, {name.split("/", 1)[1]: head + lines})


def script_attacks(canary):
    path = json.dumps(str(canary))
    file = f'{path}, True, 8, dtype=0, layout=0, device=torch.device("cpu"), pin_memory=False'
    return {
        "torch.save": f"torch.save(input, {path})\nreturn input",
        "torch.from_file": f"return torch.from_file({file})",
        "ops.aten.from_file": f"return ops.aten.from_file({file})",
        "an alias of the operator": f"a = torch.save\na(input, {path})\nreturn input",
        "an alias of torch": f"a = torch\na.save(input, {path})\nreturn input",
        "an alias of a namespace": f"a = ops.aten\nreturn a.from_file({file})",
        "an alias of ops": f"a = ops\nreturn a.aten.from_file({file})",
        "getattr": f'getattr(torch, "save")(input, {path})\nreturn input',
        "a line that goes on": f"torch.\\\n    save(input, {path})\nreturn input",
        "brackets": f"(torch).save(input, {path})\nreturn input",
        "inside a branch": f"if True:\n  torch.save(input, {path})\nelse:\n  pass\nreturn input",
    }


@pytest.mark.parametrize("name", script_attacks("canary"))
def test_torchscript_that_writes_files_is_refused_before_it_is_loaded(name, bench, canary, refused):
    patched(bench / "m.pt", script_attacks(canary)[name])
    quietly(lambda: torch.jit.load(str(bench / "m.pt"))(torch.zeros(1, 3)))
    assert canary.exists(), "the case is none"
    clear(canary)
    error = refused("analyze", "--data", "sample.npz", "m.pt")
    assert error.startswith("error[untrusted-code]: 'm.pt' is a TorchScript archive that does more than compute")
    assert not canary.exists()
    refused("analyze", "--model", "nets.py:build", "--data", "sample.npz", "m.pt")
    assert not canary.exists()


@pytest.mark.parametrize(
    "body",
    [
        'a = ops.image.read_file("x")\nreturn input',
        'a = __torch__.torch.classes.dist_c10d.TCPStore("a", 1, 1, True, 1)\nreturn input',
        "a = torch . classes . c10d\nreturn input",
        "return input if (",
        "return " + "(" * 500 + "input" + ")" * 500,
        "return input\n\0",
    ],
)
def test_torchscript_of_other_kinds_is_refused(body, bench, refused):
    patched(bench / "m.pt", body)
    assert refused("analyze", "--data", "sample.npz", "m.pt").startswith("error[untrusted-code]")


def test_what_would_run_while_an_archive_is_loaded_is_refused_too(bench, canary, refused):
    class Stateful(nn.Module):
        def forward(self, x):
            return x

        @torch.jit.export
        def __getstate__(self):
            return (1, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[int, bool]) -> None:
            torch.save(1, "canary")
            self.training = state[1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Stateful()), bench / "m.pt")
        clear(canary)
        torch.jit.load(str(bench / "m.pt"))
    assert canary.exists(), "the case is none"
    clear(canary)
    assert "torch.save" in refused("analyze", "--data", "sample.npz", "m.pt")
    assert not canary.exists()


def test_modules_called_save_and_ops_are_no_operators(bench):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.save, self.from_file = nn.Linear(3, 3), nn.Linear(3, 3)
            self.ops = nn.ModuleList([nn.ReLU(), nn.Linear(3, 2)])

        def forward(self, x):
            x = self.from_file(self.save(x))
            for each in self.ops:
                x = each(x)
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net().eval()), bench / "m.pt")
        torch.jit.save(torch.jit.trace(Net().eval(), torch.zeros(1, 3)), bench / "n.pt")
    check_script(bench / "m.pt")
    check_script(bench / "n.pt")
    open_source(Settings(checkpoints=(str(bench / "m.pt"), str(bench / "n.pt"))))


def test_what_an_archive_prints_is_not_shown(bench, covscan):
    """A line of a log that starts with ``::`` is a command to GitHub."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            print("::error::printed")
            torch.warn("\n::error::warned") if False else None
            return self.layer(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Net().eval()), bench / "m.pt")
    code, output, error = covscan("analyze", "--data", "sample.npz", "m.pt")
    assert code == 0
    assert "layer" in output
    assert "::error::" not in output + error


def test_every_operator_with_a_text_for_a_file_is_known():
    """Of the operators that torch brings, those that take a file name are refused; a newer torch may bring more."""
    told = set()
    for schema in torch._C._jit_get_all_schemas():
        namespace, _, name = schema.name.partition("::")
        texts = [argument.name for argument in schema.arguments if "str" in str(argument.type)]
        if namespace in COMPUTING and any(
            word in text for text in texts for word in ("file", "path", "url", "dir", "addr")
        ):
            told.add(name.partition(".")[0])
    assert "from_file" in told
    assert told <= REACHING_OUT
    assert is_computing("aten::relu")
    assert is_computing("aten::add.Tensor")
    assert not is_computing("aten::from_file.out")
    assert not is_computing("c10d::send")


# --- ONNX ---


def onnx_model(*nodes, initializers=(), inputs=("x",), output="y", functions=(), opsets=(("", 17),)):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in inputs]
    result = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    graph = helper.make_graph(list(nodes), "g", values, result, list(initializers))
    imports = [helper.make_opsetid(*each) for each in opsets]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def weight(name="w", shape=(3, 2)):
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def product(left="x", right="w", output="y"):
    return helper.make_node("MatMul", [left, right], [output])


def external(location, offset="0", length="24", dims=(3, 2)):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def test_usual_external_data_opens(bench, covscan):
    (bench / "w.bin").write_bytes(np.ones(6, np.float32).tobytes())
    onnx.save(onnx_model(product(), initializers=[external("w.bin")]), bench / "m.onnx")
    assert covscan("analyze", "--data", "sample.npz", "m.onnx")[0] == 0


def test_a_cache_of_links_opens(bench, covscan):
    """As model hubs keep them: the model and its data are links to files of other names in one other folder."""
    blobs, shown = bench / "blobs", bench / "snapshot"
    blobs.mkdir()
    shown.mkdir()
    (blobs / "aa").write_bytes(np.ones(6, np.float32).tobytes())
    onnx.save(onnx_model(product(), initializers=[external("w.bin")]), blobs / "bb")
    (shown / "w.bin").symlink_to("../blobs/aa")
    (shown / "m.onnx").symlink_to("../blobs/bb")
    assert covscan("analyze", "--data", "sample.npz", shown / "m.onnx")[0] == 0


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "{secret}",
        "inner/../../secret",
        "link",
        "folder/secret",
        "circle",
        "",
        ".",
        "/dev/zero",
        "/proc/self/mem",
    ],
)
def test_data_outside_of_the_models_folder_is_not_read(location, bench, refused):
    folder = bench / "model"
    (folder / "inner").mkdir(parents=True)
    secret = bench / "secret"
    secret.write_bytes(bytes(24))
    (folder / "link").symlink_to(secret)
    (folder / "folder").symlink_to(bench)
    (folder / "circle").symlink_to("circle")
    place = location.format(secret=secret)
    onnx.save(onnx_model(product(), initializers=[external(place)]), folder / "m.onnx")
    error = refused("analyze", "--data", "sample.npz", folder / "m.onnx")
    nowhere = location in ("", ".", "circle")
    assert error.startswith("error[missing-external-data]" if nowhere else "error[outside-data]")
    assert "'w'" in error


def test_data_in_a_pipe_is_not_waited_for(bench, refused):
    os.mkfifo(bench / "pipe")
    onnx.save(onnx_model(product(), initializers=[external("pipe")]), bench / "m.onnx")
    assert refused("analyze", "--data", "sample.npz", "m.onnx").startswith("error[missing-external-data]")
    refused("analyze", "--data", "pipe", "m.onnx")
    refused("analyze", "--data", "sample.npz", "pipe")


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        ("-8", "24"),
        ("0", "-1"),
        ("x", "24"),
        (str(2**63), "24"),
        (str(2**70), "1"),
        ("0", "1"),
        ("0", str(2**62)),
        ("1e3", "2"),
    ],
)
def test_absurd_places_in_external_data(offset, length, bench, refused):
    (bench / "w.bin").write_bytes(bytes(24))
    onnx.save(onnx_model(product(), initializers=[external("w.bin", offset, length)]), bench / "m.onnx")
    refused("analyze", "--data", "sample.npz", "m.onnx")


def absurd_tensors():
    huge = weight()
    huge.dims[:] = [2**40, 2**22]
    negative = weight()
    negative.dims[:] = [-3, -2]
    empty = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**33, 2])
    short = weight()
    short.raw_data = short.raw_data[:8]
    unknown = weight()
    unknown.data_type = 999
    wide = external("w.bin", dims=(2**40, 2))
    return {"huge": huge, "negative": negative, "empty": empty, "short": short, "unknown": unknown, "external": wide}


@pytest.mark.parametrize("name", absurd_tensors())
def test_tensors_that_do_not_hold_their_shape(name, bench, refused):
    (bench / "w.bin").write_bytes(bytes(24))
    onnx.save(onnx_model(product(), initializers=[absurd_tensors()[name]]), bench / "m.onnx")
    assert "m.onnx" in refused("analyze", "--data", "sample.npz", "m.onnx")


def odd_graphs():
    recursive = helper.make_function(
        "d",
        "f",
        ["a"],
        ["b"],
        [helper.make_node("f", ["a"], ["b"], domain="d")],
        [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)],
    )
    mutual = [
        helper.make_function(
            "d",
            one,
            ["a"],
            ["b"],
            [helper.make_node(other, ["a"], ["b"], domain="d")],
            [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)],
        )
        for one, other in (("f", "g"), ("g", "f"))
    ]
    ours = (("", 17), ("d", 1))
    custom = helper.make_node("Open", ["x"], ["y"], domain="d", path="/etc/passwd")
    cached = helper.make_node(
        "EPContext",
        ["x"],
        ["y"],
        domain="com.microsoft",
        embed_mode=0,
        ep_cache_context="/etc/passwd",
        main_context=1,
        source="x",
    )
    return {
        "a cycle": onnx_model(
            product("b", output="a"), helper.make_node("Relu", ["a"], ["b"]), product(), initializers=[weight()]
        ),
        "a node that reads itself": onnx_model(helper.make_node("Identity", ["y"], ["y"])),
        "a value made twice": onnx_model(product(), product(), initializers=[weight()]),
        "a constant made twice": onnx_model(
            helper.make_node("Identity", ["w"], ["v"]),
            helper.make_node("Identity", ["v"], ["v"]),
            product(right="v"),
            initializers=[weight()],
        ),
        "a function that calls itself": onnx_model(
            helper.make_node("f", ["x"], ["y"], domain="d"), functions=[recursive], opsets=ours
        ),
        "functions that call each other": onnx_model(
            helper.make_node("f", ["x"], ["y"], domain="d"), functions=mutual, opsets=ours
        ),
        "an operator of one's own": onnx_model(custom, opsets=ours),
        "a compiled part in another file": onnx_model(cached, opsets=(("", 17), ("com.microsoft", 1))),
        "an unknown operator": onnx_model(helper.make_node("System", ["x"], ["y"])),
        "a missing value": onnx_model(product(right="absent")),
        "an absurd name": onnx_model(
            product(output="z" * 100_000), helper.make_node("Relu", ["z" * 100_000], ["y"]), initializers=[weight()]
        ),
    }


@pytest.mark.parametrize("name", odd_graphs())
def test_graphs_that_are_none(name, bench, refused):
    (bench / "m.onnx").write_bytes(odd_graphs()[name].SerializeToString())
    assert "m.onnx" in refused("analyze", "--data", "sample.npz", "m.onnx")


def nested(number, content):
    """A field of protobuf that holds bytes."""
    length, size = b"", len(content)
    while size >= 128:
        length, size = length + bytes([size % 128 + 128]), size // 128
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def test_a_graph_a_thousand_branches_deep(bench, refused):
    node = b""
    for _ in range(1000):
        node = nested(5, nested(6, nested(1, node)))
    (bench / "m.onnx").write_bytes(b"\x08\x08" + nested(7, nested(1, node)))
    assert refused("analyze", "--data", "sample.npz", "m.onnx").startswith("error[truncated-file]")


def test_long_texts_in_a_model_do_no_harm(bench, covscan):
    model = onnx_model(product(), initializers=[weight()])
    model.doc_string = model.producer_name = model.graph.doc_string = "x" * 5_000_000
    model.metadata_props.add(key="step", value="9" * 100_000)
    onnx.save(model, bench / "m.onnx")
    code, output, _ = covscan("analyze", "--data", "sample.npz", "m.onnx")
    assert code == 0
    assert len(output) < 100_000


def test_a_run_that_asks_for_all_memory_fails_by_itself(bench, refused):
    shape = numpy_helper.from_array(np.array([2**20, 2**19], np.int64), "s")
    nodes = [
        helper.make_node("Shape", ["x"], ["n"]),
        helper.make_node("Mul", ["n", "k"], ["m"]),
        helper.make_node("ConstantOfShape", ["m"], ["z"]),
        helper.make_node("ReduceSum", ["z"], ["t"], keepdims=0),
        helper.make_node("Add", ["x", "t"], ["y"]),
    ]
    factor = numpy_helper.from_array(np.array([2**18, 2**18], np.int64), "k")
    onnx.save(onnx_model(*nodes, initializers=[factor, shape]), bench / "m.onnx")
    assert refused("analyze", "--data", "sample.npz", "m.onnx").startswith("error[out-of-memory]")
    assert io.BytesIO(b"x").read() == b"x"
