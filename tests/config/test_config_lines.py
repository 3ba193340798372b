"""The line of each key, held against tomllib itself: that line and those below it are what defines the key."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covscan.config.toml_lines import key_lines
from covscan.config.toml_values import assignment

TEXT = '''
# a comment with a = 3 and [table]
top = 1   # behind it [x]

dotted . "quoted \\u00e4.key" = """
[not a table]
no = "key"
"""  # closes
many = [ # a list
  "]", ']', 1,  # x = 3
  { a = 1 },
]
empty = """"""
five = """a"""""

[table] # note
key = { "a" = [1, 2], b = '#' }
'literal\\key' = '\'\''
a
\'\'\'

[table.inner]
deep = 2026-01-01T00:00:00Z
"a]b" = 1

[[array]]
x = 1
[[array.nested]]
y = 1
[[array.nested]]
y = 2
[array.table]
z = 1

[[array]]
x = 2
[[array.nested]]
y = 3

["strange ] header"]
last = true'''

EXPECTED = {
    ("top",): 3,
    ("dotted",): 5,
    ("dotted", "quoted ä.key"): 5,
    ("many",): 9,
    ("empty",): 13,
    ("five",): 14,
    ("table",): 16,
    ("table", "key"): 17,
    ("table", "literal\\key"): 18,
    ("table", "inner"): 22,
    ("table", "inner", "deep"): 23,
    ("table", "inner", "a]b"): 24,
    ("array",): 26,
    ("array", 0): 26,
    ("array", 0, "x"): 27,
    ("array", 0, "nested"): 28,
    ("array", 0, "nested", 0): 28,
    ("array", 0, "nested", 0, "y"): 29,
    ("array", 0, "nested", 1): 30,
    ("array", 0, "nested", 1, "y"): 31,
    ("array", 0, "table"): 32,
    ("array", 0, "table", "z"): 33,
    ("array", 1): 35,
    ("array", 1, "x"): 36,
    ("array", 1, "nested"): 37,
    ("array", 1, "nested", 0): 37,
    ("array", 1, "nested", 0, "y"): 38,
    ("strange ] header",): 40,
    ("strange ] header", "last"): 41,
}


def test_every_kind_of_key_has_its_line():
    tomllib.loads(TEXT)
    assert key_lines(TEXT) == EXPECTED


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "a = 1", "a = 1\n"])
def test_small_files(text):
    assert key_lines(text) == ({("a",): 1} if "a =" in text else {})


@pytest.mark.parametrize(
    ("key", "name"),
    [(r'"\t\"\\"', '\t"\\'), (r'"\U0001F600"', "😀"), (r'"\n\b\f\r"', "\n\b\f\r"), ("''", ""), (r"'\n'", r"\n")],
)
def test_escapes_in_keys(key, name):
    assert list(tomllib.loads(f"{key} = 1")) == [name]
    assert key_lines(f"{key} = 1") == {(name,): 1}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = st.one_of(st.integers(-9, 9), st.booleans(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


@pytest.mark.fuzz
@given(table=st.dictionaries(NAMES, VALUES, max_size=6), gaps=st.lists(st.sampled_from(["", "# [x] = '"]), max_size=6))
def test_what_is_written_a_key_a_line_is_found_there(table, gaps):
    rows: list[str] = []
    expected = {}
    for place, (key, value) in enumerate(table.items()):
        rows += gaps[place : place + 1]
        expected[(key,)] = len(rows) + 1
        rows += assignment(key, value).split("\n")
    text = "\n".join(rows)
    assert tomllib.loads(text) == table
    assert key_lines(text) == expected
