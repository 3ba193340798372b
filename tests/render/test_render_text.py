import re
import unicodedata
from dataclasses import replace

import msgspec
import pytest
from report_factory import HOSTILE, KINDS, checkpoint, deep, digits, measure, quiet, report, shifts, site

from covscan.errors import UsageError
from covscan.render import FORMATS, Look, render
from covscan.render.content.columns import headings
from covscan.render.content.shift_layout import plan
from covscan.render.content.shift_rows import Row, assured, rows
from covscan.render.names import columns, printable
from covscan.report.types import Skipped

TERMINAL = Look(width=80, terminal=True)
ANSI = re.compile(r"\x1b\[([\d;]*)m")


def text(kind, look=TERMINAL):
    return render(KINDS[kind](), "text", look)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_a_terminal_gets_no_line_wider_than_itself(kind, width):
    assert max(columns(line) for line in text(kind, Look(width=width, terminal=True)).splitlines()) <= width


@pytest.mark.parametrize("width", [20, 40, 50])
def test_a_very_narrow_terminal_still_gets_the_first_and_last_columns(width):
    table = text("deep", Look(width=width, terminal=True))
    assert "121000" in table
    assert "encoder" in table or "…" in table


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", [Look(), Look(width=80), TERMINAL, Look(color=True, width=80, terminal=True)])
def test_nothing_but_colour_moves_the_cursor(kind, look):
    shown = ANSI.sub("", text(kind, look)) if look.color else text(kind, look)
    bad = {character for character in shown if unicodedata.category(character) in {"Cc", "Cf"}} - {"\n"}
    assert not bad


@pytest.mark.parametrize("look", [Look(), Look(width=80)])
def test_a_pipe_gets_every_name_and_number_in_full(look):
    shown = render(deep(), "text", look)
    for one in deep().sites:
        assert f"{one.site}  " in shown
    for step in range(1, 12):
        assert re.search(rf"  {1000 * step * step}\b", shown)
    assert "…" not in shown
    assert "more" not in shown.replace("moved by more", "").replace("by more than", "")


def test_hostile_names_are_shown_in_full_in_a_pipe():
    shown = text("hostile", Look())
    for name in HOSTILE:
        assert printable(name) in shown


def test_names_cut_on_a_terminal_stay_different():
    shown = [line.split()[0] for line in text("deep").splitlines() if "diate.dense  out" in line]
    assert len(shown) == len(set(shown)) == 5


def test_an_encoding_without_glyphs_gets_ascii():
    for kind in ("digits", "single", "quiet", "deep", "nothing"):
        text(kind, Look(width=80, terminal=True, unicode=False)).encode("ascii")


def test_colours_suit_light_and_dark_backgrounds():
    codes = {code for codes in ANSI.findall(text("digits", replace(TERMINAL, color=True))) for code in codes.split(";")}
    assert codes <= {"0", "1", "2", "4", "31", "32", "33", "36"}
    assert {"31", "33", "36"} <= codes


def test_no_colour_means_no_escape():
    assert "\x1b" not in text("digits")
    assert "\x1b" in text("digits", replace(TERMINAL, color=True))


def test_the_environment_is_not_asked(monkeypatch):
    expected = text("digits", replace(TERMINAL, color=True))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "dumb")
    assert text("digits", replace(TERMINAL, color=True)) == expected


def test_the_source_is_named_and_marked():
    shown = text("digits")
    assert "Source: fc3 out added 2.40 itself, and what follows it inherits that." in shown
    assert [line.split()[0] for line in shown.splitlines() if "◀" in line] == ["fc3"]


def test_columns_left_out_are_named():
    assert "Too narrow to show: 300 " in text("digits")
    assert "Too narrow" not in text("digits", Look(width=120, terminal=True))


def test_values_in_the_table_are_those_of_the_report():
    shown = text("digits", Look())
    row = next(line for line in shown.splitlines() if line.startswith("fc3"))
    found = [
        shift.measures["gaussian_w2"].value
        for shift in digits().shifts
        if shift.site == "fc3" and shift.position == "output" and shift.from_ == "ckpt-00000"
    ]
    assert row.split()[2:9] == [f"{value:.2f}" for value in found]


def test_the_colour_follows_the_nearer_end_of_the_interval():
    coloured = text("digits", Look(width=200, terminal=True, color=True))
    assert "\x1b[36m0.53\x1b[0m" in coloured  # act3 at step 10: its interval begins below 0.5
    assert "\x1b[33m1.06\x1b[0m" in coloured  # act3 at step 300: its interval begins below 1
    assert "\x1b[1;31m1.18\x1b[0m" in coloured


@pytest.mark.parametrize(
    ("low", "high", "noise", "expected"),
    [(0.9, 1.2, 0.1, 0.9), (-1.2, -0.9, 0.1, 0.9), (-0.1, 2.0, 0.1, 0.0), (None, None, 0.25, 0.75), (None, 1, None, 1)],
)
def test_what_an_interval_assures(low, high, noise, expected):
    one = msgspec.structs.replace(measure(1.0), low=low, high=high, noise=noise)
    assert assured(one) == expected


def test_missing_and_unmeasured_cells():
    report_ = digits()
    gone = [shift for shift in report_.shifts if not (shift.site == "fc2" and shift.to == "ckpt-00100")]
    unknown = [
        msgspec.structs.replace(
            shift, measures={"gaussian_w2": measure(None, status="no variance"), "excess_shift": measure(None)}
        )
        if shift.site == "fc1" and shift.position == "output"
        else shift
        for shift in gone
    ]
    shown = render(msgspec.structs.replace(report_, shifts=unknown), "text", Look())
    assert "n/a in 7 cells: no variance." in shown
    row = next(line for line in shown.splitlines() if line.startswith("fc1   out"))
    assert row.split().count("n/a") == 8
    assert "n/a in 1 cell: no reason is given." in shown
    assert len(next(line for line in shown.splitlines() if line.startswith("fc2   out")).split()) == 12
    trend = next(line for line in shown.splitlines() if line.startswith("fc2   out"))
    assert re.search(r"▁▄▅ ▇▇██", trend)


def test_an_unmeasured_value_falls_back_to_the_mean_difference():
    report_ = digits()
    first = [
        msgspec.structs.replace(shift, measures=shift.measures | {"gaussian_w2": measure(None, status="why")})
        for shift in report_.shifts
    ]
    shown = render(msgspec.structs.replace(report_, shifts=first), "text", Look())
    assert "n/a" not in shown
    assert "1.92" in next(line for line in shown.splitlines() if line.startswith("fc3"))


def test_a_site_that_sees_anothers_tensor_appears_when_all_are_asked_for():
    assert "fc3   in" not in text("digits")
    verbose = text("digits", Look(verbose=True))
    row = next(line for line in verbose.splitlines() if line.startswith("fc3   in"))
    assert "0.55" in row  # what act2 shows


def test_steps_label_the_columns_only_where_all_differ():
    known = [checkpoint(1), checkpoint(2)]

    def shown(*more):
        return headings(report([*known, *more], []))

    assert shown() == ["1", "2"]
    assert shown(msgspec.structs.replace(checkpoint(2), id="again")) == ["ckpt-00001", "ckpt-00002", "again"]
    assert shown(msgspec.structs.replace(checkpoint(3), step=None))[-1] == "ckpt-00003"


def test_more_samples_are_proposed_where_noise_hides_something():
    assert "Give more sample data: 2 of 2 shifts" in text("quiet")
    data = msgspec.structs.replace(quiet().data, available=1000)
    assert "--samples 256 (2 of 2" in render(msgspec.structs.replace(quiet(), data=data), "text", Look())
    data = msgspec.structs.replace(quiet().data, available=100)
    assert "--samples 100 (2 of 2" in render(msgspec.structs.replace(quiet(), data=data), "text", Look())
    data = msgspec.structs.replace(quiet().data, available=None)
    assert "--samples 256 (2 of 2" in render(msgspec.structs.replace(quiet(), data=data), "text", Look())
    assert "do not clear" not in text("digits")


def test_a_long_quiet_table_is_a_sentence_on_a_terminal():
    points = [checkpoint(0), checkpoint(1)]
    sites = [site(f"layer{depth}", depth) for depth in range(30)]
    still = report(points, sites, shifts(sites, points, lambda one, fraction: 0))
    shown = render(still, "text", TERMINAL)
    assert "layer3" not in shown
    assert "No site moved by more than" in shown
    assert "30 more sites within noise" in shown
    assert "layer3 " in render(still, "text", Look())


def test_a_long_loud_table_keeps_the_largest_shifts_on_a_terminal():
    points = [checkpoint(0), checkpoint(1)]
    sites = [site(f"layer{depth}", depth) for depth in range(60)]
    moved = report(points, sites, shifts(sites, points, lambda one, fraction: (1 + one.depth) * fraction))
    shown = render(moved, "text", TERMINAL)
    kept = re.findall(r"^layer(\d+) ", shown, re.MULTILINE)
    assert [int(depth) for depth in kept] == list(range(20, 60))
    assert "20 more sites with smaller shifts or none" in shown


def test_many_reasons_to_skip_are_cut_on_a_terminal():
    skipped = [Skipped(site=f"s{number}", reason=f"reason {number}") for number in range(9)]
    skipped += [Skipped(site="t", reason="reason 8")]
    coverage = msgspec.structs.replace(digits().coverage, skipped=skipped)
    many = msgspec.structs.replace(digits(), coverage=coverage)
    shown = render(many, "text", TERMINAL)
    assert "2 skipped, reason 8: s8, t" in shown
    assert "4 skipped for other reasons (--verbose shows them)" in shown
    assert "other reasons" not in render(many, "text", Look())


def test_many_suggestions_are_cut_on_a_terminal():
    one = digits().suggestions[0]
    ranked = [msgspec.structs.replace(one, rank=rank, site=f"place{rank}", patch="") for rank in range(8, 0, -1)]
    many = msgspec.structs.replace(digits(), suggestions=ranked)
    shown = render(many, "text", TERMINAL)
    assert shown.index("place1") < shown.index("place5")
    assert "place6" not in shown
    assert "… and 3 more (--verbose shows them)" in shown
    assert "To try the first" not in shown
    assert "place8" in render(many, "text", Look())


def test_a_report_without_checkpoints_is_drawn():
    shown = render(report([], []), "text", TERMINAL)
    assert "no checkpoint" in shown
    assert "No checkpoint was measured." in shown


def test_a_plan_gives_up_the_trend_then_the_noise_before_the_names():
    points = [checkpoint(step) for step in range(0, 4000, 1000)]
    sites = [site("a.rather.long.name", 0)]
    table = rows(report(points, sites, shifts(sites, points, lambda one, fraction: fraction)), False)
    steps = headings(report(points, []))[1:]
    found = [plan(table, steps, Look(width=width, terminal=True), course=True) for width in (80, 62, 55, 42, 33)]
    assert [(len(one.kept), one.trend > 0, one.noise) for one in found] == [
        (3, True, True),
        (2, True, True),
        (2, False, True),
        (2, False, False),
        (1, False, False),
    ]


def test_rows_know_their_largest_significant_shift():
    row = Row(site("a", 0), (measure(0.1), None, measure(3.0), measure(9.0, significant=False)), None)
    assert row.top == 3.0
    assert row.significant


def test_an_unknown_format_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no output format 'markdwon'") as caught:
        render(quiet(), "markdwon")
    assert caught.value.hint == "did you mean 'markdown'?"
    with pytest.raises(UsageError) as caught:
        render(quiet(), "zzz")
    assert caught.value.hint == f"choose one of {', '.join(sorted(FORMATS))}"


def test_several_sources_are_counted():
    moved = digits()
    both = [
        msgspec.structs.replace(shift, measures=shift.measures | {"excess_shift": measure(1.3)})
        if shift.site == "fc2" and shift.position == "output"
        else shift
        for shift in moved.shifts
    ]
    shown = render(msgspec.structs.replace(moved, shifts=both), "text", Look())
    assert "Source: fc3 out added 2.40 itself, the most; 1 other site added at least half as much." in shown
