import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_factory import HOSTILE, KINDS, checkpoint, digits, report, shifts, site

from covscan.render import Look, render
from covscan.render.as_markdown import LONGEST_TABLE, escape
from covscan.render.names import printable

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def tokens(markdown):
    for token in PARSER.parse(markdown):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_code_span_that_holds_it(name):
    spans = {token.content for token in tokens(render(KINDS["hostile"](), "markdown")) if token.type == "code_inline"}
    assert printable(name) in spans


@pytest.mark.parametrize("kind", KINDS)
def test_no_report_holds_html(kind):
    assert not [token for token in tokens(render(KINDS[kind](), "markdown")) if token.type.startswith("html")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_row_has_as_many_cells_as_its_head(kind):
    rows = []
    for token in tokens(render(KINDS[kind](), "markdown")):
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append(0)
        elif token.type in {"td_open", "th_open"}:
            rows[-1] += 1
        elif token.type == "table_close":
            assert len(set(rows)) == 1
    assert rows or kind == "nothing"


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from("`*_[]<>|#&~$\\ "), min_size=1
    )
)
def test_escaped_prose_is_shown_as_it_is(text):
    words = " ".join(text.split())
    children = next((token.children for token in PARSER.parse(f"x {escape(words)} x") if token.children), [])
    assert {token.type for token in children} <= {"text", "text_special"}
    assert "".join(token.content for token in children) == f"x {words} x"


def test_the_patch_is_a_fenced_block_that_its_own_fences_do_not_end():
    fences = [token for token in tokens(render(digits(), "markdown")) if token.type == "fence"]
    assert fences[0].content.strip("\n") == digits().suggestions[0].patch.strip("\n")
    assert fences[0].info == "python"


def test_a_very_long_table_is_cut_and_says_so():
    points = [checkpoint(0), checkpoint(1)]
    sites = [site(f"layer{depth}", depth) for depth in range(LONGEST_TABLE + 3)]
    shown = render(report(points, sites, shifts(sites, points, lambda one, fraction: 0)), "markdown")
    assert "| 3 more rows: see the JSON report |" in shown
    assert len(shown) < 2**20


def test_json_is_the_report_itself_whatever_the_look():
    text = render(digits(), "json", Look(width=20, terminal=True, color=True, unicode=False))
    assert json.loads(text)["suggestions"][0]["site"] == "fc3"
    assert text == render(digits(), "json")
