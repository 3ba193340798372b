"""The browser driven by textual's own pilot."""

import asyncio

import pytest
import report_factory as factory
from msgspec import structs
from report_factory import KINDS
from textual.widgets import DataTable, TabbedContent

from covscan.browse.app import THEMES, Browser
from covscan.browse.listing import MANY, Group
from covscan.browse.page import Page
from covscan.browse.rows import Rows
from covscan.render.names import printable
from covscan.report import read


def drive(report, *keys, size=(100, 40), look=lambda app: None, each=None, unicode=True):
    """Press keys, one after the other, and return what ``look`` sees at the end and the app; ``each`` sees all."""

    async def run():
        app = Browser(report, unicode=unicode)
        async with app.run_test(size=size) as pilot:
            for key in keys:
                await pilot.press(key)
                if each is not None:
                    await pilot.pause()
                    each(app)
            await pilot.pause()
            return look(app), app

    return asyncio.run(run())


def snapshots(report, *keys, look, **more):
    """What ``look`` sees after each key."""
    seen = []
    drive(report, *keys, each=lambda app: seen.append(look(app)), **more)
    return seen


def page(app):
    """The text of the page on top."""
    return "\n".join(row.plain for row in app.screen.query_one(Rows).rows)


def rows(app, name="layer"):
    table = app.screen_stack[0].query_one(f"#{name}-table", DataTable)
    return [[cell.plain for cell in table.get_row_at(number)] for number in range(table.row_count)]


def open_page(report, *keys, **more):
    return drive(report, *keys, look=page, **more)[0]


SIZES = ((80, 24), (200, 50), (30, 8))


@pytest.mark.parametrize(("kind", "size"), [(kind, SIZES[number % 3]) for number, kind in enumerate(KINDS)])
def test_every_kind_of_report_can_be_walked(kind, size):
    keys = ("2", "down", "enter", "e", "escape", "escape", "3", "enter", "l", "escape", "escape", "4", "enter",
            "escape", "q")  # fmt: skip
    _, app = drive(KINDS[kind](), *keys, size=size)
    assert app.return_value == 0


def test_an_older_report_can_be_walked(root):
    _, app = drive(read(root / "tests/report/report-1.0.json"), "2", "enter", "escape", "q")
    assert app.return_value == 0


def test_the_overview_says_what_moved_what_to_do_and_what_is_missing():
    text = drive(KINDS["gated"](), look=page)[0]
    for said in ("Gate: failed", "Source: fc3", "Suggestions", "covscan rule COV", "Coverage: 10 sites"):
        assert said in text
    assert "site   at" not in text


def test_the_table_of_layers_shows_shift_noise_and_findings():
    found = drive(KINDS["digits"](), "2", look=rows)[0]
    assert [row[0] for row in found] == ["fc1", "fc1", "act1", "fc2", "act2", "fc3", "act3", "head"]
    fc3 = found[5]
    assert (fc3[1], fc3[3], fc3[5], fc3[6], fc3[7]) == ("out", "2.40", "0.060", "2.40", "1")
    assert found[0][3] == "·"


def test_the_page_of_a_layer_has_bands_values_findings_and_patch():
    pages = snapshots(KINDS["digits"](), "2", *["down"] * 5, "enter", "1", "escape", "e", look=page)[6:]
    text, rule, back, how = pages
    assert text.startswith("fc3 output, Linear, N x 100")
    for said in ("Bands of fc3 (output)", "1 warning COV203", "1. BatchNorm1d after fc3", "mean_to_variance",
                 "Shift from ckpt-00000 to ckpt-10000", "noise"):  # fmt: skip
        assert said in text
    assert "When it misleads" in rule
    assert back == text
    assert "Computed again" in how


def test_searching_filters_while_typing_and_escape_forgets_it():
    keys = ("slash", *"fc2", "enter", "escape", "slash", *"head", "enter")
    found = snapshots(KINDS["digits"](), *keys, look=rows)
    assert [row[0] for row in found[3]] == ["fc2", "fc2"]
    assert len(found[5]) == 8
    assert [row[0] for row in found[-1]] == ["head"]
    text = open_page(KINDS["digits"](), "slash", *"head", "enter", "enter")
    assert text.startswith("head output")


def test_letters_in_the_search_are_text_and_no_commands():
    _, app = drive(KINDS["digits"](), "slash", *"qsfct?")
    assert app.return_value is None
    assert app._view.query == "qsfct?"


def test_sorting_and_filtering():
    found = snapshots(KINDS["digits"](), "2", "s", "s", "f", "f", "a", look=rows)
    assert found[1][0][0] == "fc3"
    assert [row[0] for row in found[3]] == ["fc3", "act3"]
    assert (len(found[4]), len(found[5])) == (8, 10)


def test_folding_with_the_arrows():
    def state(app):
        entry = app._entries[app._table("layer").cursor_row]
        return rows(app), entry.name if isinstance(entry, Group) else ""

    keys = ("2", "c", "down", "right", "c", "down", "down", "left", "left", "enter")
    found = snapshots(KINDS["deep"](), *keys, look=state)
    folded = found[1][0]
    assert len(folded) == 13
    assert folded[1][0].endswith("encoder.layer.0")
    assert folded[1][2] == "4 sites"
    assert [len(table) for table, _ in found] == [49, 13, 13, 16, 49, 49, 49, 49, 48, 49]
    assert [name for _, name in found[7:]] == ["encoder.layer.0.attention.output", "encoder.layer.0.attention", ""]


def test_a_large_network_opens_folded():
    sites = [factory.site(f"layer.{number // 8}.x{number % 8}", number) for number in range(MANY + 8)]
    report = factory.report([factory.checkpoint(0)], sites)
    assert len(drive(report, "2", look=rows)[0]) == (MANY + 8) // 8


def test_findings_and_suggestions_open():
    text, layer = snapshots(KINDS["digits"](), "3", "enter", "l", look=page)[1:]
    assert text.startswith("warning COV203")
    assert '"value": 1.5' in text
    assert layer.startswith("fc3 output")
    text = open_page(KINDS["trained"](), "4", "enter")
    assert "Recommended." in text
    assert "model.fc3 = Patched(model.fc3)" in text


@pytest.mark.parametrize("keys", [("4", "y"), ("4", "enter", "y"), ("y",)])
def test_a_patch_is_copied(keys):
    _, app = drive(KINDS["digits"](), *keys)
    assert app.clipboard == factory.PATCH


@pytest.mark.parametrize("keys", [("y",), ("2", "enter", "y")])
def test_where_there_is_no_patch_nothing_is_copied(keys):
    _, app = drive(KINDS["single"](), *keys)
    assert app.clipboard == ""


def test_a_page_covers_the_keys_of_the_panes():
    def state(app):
        return app._view, len(app.screen_stack)

    _, before, *states = snapshots(KINDS["digits"](), "2", "enter", "s", "f", "c", "a", "slash", "left", look=state)
    assert states == [before] * 6
    back = drive(KINDS["digits"](), "2", "enter", "3", look=lambda app: app.query_one(TabbedContent).active)[0]
    assert back == "findings"


def test_hostile_names_stay_text():
    report = KINDS["hostile"]()
    found = drive(report, "2", look=rows, size=(200, 40))[0]
    assert [row[0] for row in found][2] == "[bold]markup[/bold]"
    keys = ["2", *["enter", "escape", "down"] * len(factory.HOSTILE), "3", "enter"]
    texts = snapshots(report, *keys, look=page, size=(200, 40))
    for name in factory.HOSTILE:
        shown = name if name.isprintable() else printable(name)
        assert any(text.startswith(f"{shown} output") for text in texts)
    assert not any("\x1b" in text or "\u202e" in text for text in texts)


def test_help_lists_the_keys_and_any_theme_can_be_had():
    assert "fold the module" in open_page(KINDS["digits"](), "question_mark")
    themes = snapshots(KINDS["digits"](), "1", "t", "t", "t", look=lambda app: app.theme)
    assert themes == [*THEMES, THEMES[0]]


def test_a_terminal_without_unicode_gets_ascii():
    text = open_page(KINDS["digits"](), "2", *["down"] * 5, "enter", unicode=False)
    assert text.isascii()


def test_another_size_lays_everything_out_anew():
    async def run():
        app = Browser(KINDS["digits"]())
        async with app.run_test(size=(100, 40)) as pilot:
            await pilot.press("2", "down", "down")
            await pilot.resize_terminal(60, 20)
            await pilot.pause()
            assert app._table("layer").cursor_row == 2
            await pilot.press("enter")
            await pilot.pause()
            assert isinstance(app.screen, Page)
            assert max(map(len, page(app).splitlines()[:25])) <= 60
            await pilot.resize_terminal(120, 20)
            await pilot.pause()
            assert max(map(len, page(app).splitlines()[:25])) > 60

    asyncio.run(run())


def test_a_site_that_a_finding_names_and_the_report_lacks_is_borne():
    report = KINDS["digits"]()
    lost = structs.replace(report, findings=[factory.finding("COV999", "new", "error", "gone", "a later rule")])
    assert open_page(lost, "3", "enter", "l").startswith("error COV999")
