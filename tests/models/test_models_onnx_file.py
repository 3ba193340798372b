import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from covscan.errors import InputErrors, UsageError


def network(step=None, *, size=4, external=None, branch=False):
    weight = numpy_helper.from_array(np.ones((size, size), np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    shape = ["n", size]
    if branch:
        inner = helper.make_graph(
            [helper.make_node("Identity", ["k"], ["z"])],
            "inner",
            [],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.zeros(2, np.float32), "k")],
        )
        nodes += [
            helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))),
            helper.make_node("If", ["c"], ["unused"], then_branch=inner, else_branch=inner),
        ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    if step is not None:
        helper.set_model_props(model, {"step": str(step), "author": "me"})
    return model


def test_a_series_in_the_order_that_the_files_state(bench):
    for name, step in (("a", 30), ("b", 20)):
        onnx.save(network(step), f"{name}.onnx")
    source = bench.open("a.onnx", "b.onnx", model=None)
    assert source.engine == "onnx"
    assert [(each.id, each.step) for each in source.series.checkpoints] == [("b", 20), ("a", 30)]
    assert source.series.order == "metadata"
    proto = source.proto(source.series.checkpoints[0])
    assert proto == network(20)
    proto.graph.node[0].name = "changed"
    assert source.proto(source.series.checkpoints[0]) == network(20)


def test_a_folder_of_epochs(bench):
    for epoch in (1, 2, 10):
        onnx.save(network(), f"epoch{epoch}.onnx")
    series = bench.open(bench.folder, model=None).series
    assert [each.step for each in series.checkpoints] == [1, 2, 10]
    assert series.order == "name"


def test_the_content_says_that_it_is_onnx(bench):
    model = network()
    model.producer_name = "test"
    onnx.save(model, "exported.bin", format="protobuf")
    assert bench.open("exported.bin", model=None).engine == "onnx"


class TestExternalData:
    @pytest.fixture(autouse=True)
    def _model(self, bench):
        onnx.save(
            network(size=64, branch=True), "big.onnx", save_as_external_data=True, location="big.data", size_threshold=0
        )

    def test_it_is_not_loaded_but_belongs_to_the_digest(self, bench):
        source = bench.open("big.onnx", model=None)
        proto = source.proto(source.series.checkpoints[0])
        assert not proto.graph.initializer[0].raw_data
        content = bytearray(bench.folder.joinpath("big.data").read_bytes())
        content[0] ^= 1
        bench.folder.joinpath("big.data").write_bytes(content)
        again = bench.open("big.onnx", model=None)
        assert again.series.checkpoints[0].sha256 != source.series.checkpoints[0].sha256

    def test_a_missing_file_is_named_with_its_first_tensor(self, bench):
        bench.folder.joinpath("big.data").unlink()
        error = bench.error("big.onnx", model=None)
        assert error.code == "missing-external-data"
        assert "big.data" in error.message
        assert "'w'" in error.found or "'k'" in error.found

    def test_a_short_file_is_damaged(self, bench):
        bench.folder.joinpath("big.data").write_bytes(b"1234")
        error = bench.error("big.onnx", model=None)
        assert error.code == "truncated-file"
        assert "big.data" in error.message


def test_a_truncated_file(bench):
    onnx.save(network(size=64), "one.onnx")
    path = bench.folder / "one.onnx"
    path.write_bytes(path.read_bytes()[:1000])
    assert bench.error("one.onnx", model=None).code == "truncated-file"


def test_files_that_only_call_themselves_onnx(bench):
    bench.folder.joinpath("a.onnx").write_bytes(b"\x08\x09")
    assert bench.error("a.onnx", model=None).found == "IR version 9, no graph"
    model = network()
    del model.graph.node[:]
    for name in ("b.onnx", "c.onnx"):
        onnx.save(model, name)
    with pytest.raises(InputErrors) as caught:
        bench.open("b.onnx", "c.onnx", model=None)
    assert "without nodes" in str(caught.value)


def test_a_torch_checkpoint_that_calls_itself_onnx_is_opened_as_what_it_is(bench):
    bench.holds(bench.save("one.onnx", bench.state(0)))


def test_a_factory_beside_onnx_files_is_refused(bench):
    onnx.save(network(), "one.onnx")
    error = bench.error("one.onnx")
    assert error.code == "not-weights"
    assert error.hint == "leave out --model"


def test_functions_and_sparse_tensors_are_searched_for_data_too():
    from covscan.models.onnx_check import tensors_in

    model = network(branch=True)
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor("i", TensorProto.INT64, [1], [0]),
        [3],
    )
    model.graph.sparse_initializer.append(sparse)
    constant = helper.make_node("Constant", [], ["o"], value=numpy_helper.from_array(np.ones(1), "inside"))
    model.functions.append(helper.make_function("d", "f", [], ["o"], [constant], [helper.make_opsetid("", 17)]))
    names = {tensor.name for tensor in tensors_in(model)}
    assert {"w", "k", "v", "i", "inside"} <= names


def test_a_path_that_cannot_be_read(tmp_path):
    from covscan.errors import UsageError
    from covscan.models.formats import Saved
    from covscan.models.onnx_file import stated_steps

    with pytest.raises(UsageError, match="cannot be read"):
        stated_steps(Saved(tmp_path, "onnx", (tmp_path,), (tmp_path,)))


def _entry(holder):
    return holder.metadata_props.add(key="k", value="v")


TEXTS = {
    "the producer": lambda model: (model, "producer_name"),
    "its version": lambda model: (model, "producer_version"),
    "the model's domain": lambda model: (model, "domain"),
    "the model's description": lambda model: (model, "doc_string"),
    "a note on the model": lambda model: (_entry(model), "value"),
    "an operator set": lambda model: (model.opset_import.add(version=1), "domain"),
    "a function": lambda model: (model.functions.add(domain="d"), "name"),
    "the graph": lambda model: (model.graph, "name"),
    "the graph's description": lambda model: (model.graph, "doc_string"),
    "a note on the graph": lambda model: (_entry(model.graph), "key"),
    "a note on a node": lambda model: (_entry(model.graph.node[0]), "value"),
    "a node": lambda model: (model.graph.node[0], "name"),
    "an axis": lambda model: (model.graph.input[0].type.tensor_type.shape.dim[0], "dim_param"),
    "a weight": lambda model: (model.graph.initializer[0], "name"),
}


@pytest.mark.parametrize("place", TEXTS)
def test_text_that_is_none_is_refused(bench, place):
    model = network()
    holder, field = TEXTS[place](model)
    setattr(holder, field, "QQQQ")
    content = model.SerializeToString()
    assert content.count(b"QQQQ") == 1
    (bench.folder / "a.onnx").write_bytes(content.replace(b"QQQQ", b"Q\xffQQ"))
    with pytest.raises(UsageError, match=r"a\.onnx") as refused:
        bench.open("a.onnx", model=None)
    assert "UTF-8" in refused.value.found
