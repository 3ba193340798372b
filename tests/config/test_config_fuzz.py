"""Whatever stands in a file, it gives a configuration or an error for the user; ``make fuzz`` tries much more."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from covscan.config.checking import IN_TABLES, TOP_LEVEL
from covscan.config.file import Config, read_config
from covscan.config.policy import Budget
from covscan.config.toml_values import assignment
from covscan.errors import CovscanError, InputErrors, UsageError

pytestmark = pytest.mark.fuzz

KEYS = st.one_of(
    st.sampled_from([*TOP_LEVEL, *IN_TABLES, *(key for keys in IN_TABLES.values() for key in keys)]),
    st.sampled_from(["trust", "--samples", "batch_size", ""]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
SCALARS = st.one_of(
    st.sampled_from(["all", "error", "cpu", "COV2*", "a.py:b", "worst", "2026-01-01", ""]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.times(),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def outcome(content: bytes, name: str = "covscan.toml") -> Config | CovscanError:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            return read_config(path)
        except (UsageError, InputErrors) as error:
            return error


@given(content=st.dictionaries(KEYS, VALUES, max_size=6), project=st.booleans())
def test_any_values(content: dict, project: bool) -> None:
    if project:
        text, name = assignment("tool", {"covscan": content}), "pyproject.toml"
    else:
        text, name = "\n".join(assignment(key, value) for key, value in content.items()), "covscan.toml"
    found = outcome(text.encode(), name)
    assert isinstance(found, Config) or name in str(found)
    if isinstance(found, Config):
        assert all(isinstance(convert(dict(table), Budget), Budget) for table in found.budgets.values())
        assert set(found.settings) <= {key.replace("-", "_") for key in TOP_LEVEL}
    elif project:
        assert ":1" in str(found)


@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(content: bytes) -> None:
    outcome(content)


WORDS = "[check]\n [[suppressions]]\n [budgets.a]\n samples codes a = 3 nan 1e9 \n \r \ufeff \" ''' \\ [ ] { } , . #"
PIECES = st.sampled_from(WORDS.split(" "))


@given(content=st.lists(PIECES, max_size=25).map("".join))
def test_any_pieces_of_toml(content: str) -> None:
    outcome(content.encode())
