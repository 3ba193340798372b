import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covscan.report import to_json


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    value: float
    renamed: str = msgspec.field(name="from", default="here")
    optional: list[float] | msgspec.UnsetType = msgspec.UNSET


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    leaves: dict[str, Leaf]
    numbers: list[int]
    evidence: dict[str, object]


def tree(**evidence):
    leaves = {"a": Leaf(value=1.23456789), "b": Leaf(value=2, optional=[0.5, 1.0])}
    return Tree(leaves=leaves, numbers=[1, 2], evidence=evidence)


def test_layout_is_nested_with_leaves_on_one_line():
    assert to_json(tree(flag=True, nothing=None)) == (
        "{\n"
        '  "leaves": {\n'
        '    "a": {"value": 1.23457, "from": "here"},\n'
        '    "b": {\n'
        '      "value": 2,\n'
        '      "from": "here",\n'
        '      "optional": [0.5, 1.0]\n'
        "    }\n"
        "  },\n"
        '  "numbers": [1, 2],\n'
        '  "evidence": {"flag": true, "nothing": null}\n'
        "}\n"
    )


def test_empty_containers_are_short():
    assert to_json(Tree(leaves={}, numbers=[], evidence={})) == (
        '{\n  "leaves": {},\n  "numbers": [],\n  "evidence": {}\n}\n'
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [rounded(entry) for entry in value]
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return value


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_reads_back_as_the_same_values_to_six_digits(evidence):
    read = json.loads(to_json(tree(evidence=evidence)))["evidence"]["evidence"]
    assert read == rounded(evidence)
    assert msgspec.json.decode(to_json(tree(evidence=evidence)).encode())["evidence"]["evidence"] == read


def test_numpy_numbers_that_are_floats_are_written_as_floats():
    assert '"x": 0.333333}' in to_json(tree(x=np.float64(1) / 3))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_names_its_path(value):
    with pytest.raises(ValueError, match=r"\$\.evidence\.deep\[1\]\.x"):
        to_json(tree(deep=[{}, {"x": value}]))


def test_a_foreign_type_names_its_path():
    with pytest.raises(ValueError, match=r"a ndarray at \$\.evidence\.x"):
        to_json(tree(x=np.zeros(2)))


def test_a_lone_surrogate_is_spelled_out():
    assert json.loads(to_json(tree(path="caf\udce9")))["evidence"]["path"] == "caf\\udce9"


def test_equal_records_give_equal_bytes():
    assert to_json(tree(x=0.1 + 0.2)) == to_json(tree(x=0.3))
    assert to_json(tree(x=-0.0)) == to_json(tree(x=0.0))
