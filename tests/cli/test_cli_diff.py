import json

import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

from covscan.gate.difference import difference_of
from covscan.render.as_text import draw
from covscan.render.content.difference import sections
from covscan.render.look import Look
from covscan.report import read, to_json
from covscan.report.difference import ReportDiff
from covscan.report.types import Finding, Suggestion


@pytest.fixture
def before(golden):
    return read(golden / "digits.json")


def different(a, b):
    return difference_of(a, b, "a.json", "b.json")


def one(values, site, subject):
    return next(each for each in values if (each.site, each.subject) == (site, subject))


def with_statistics(report, **fields):
    """The report whose first site has other statistics at the last checkpoint."""
    last = report.checkpoints[-1].id
    first = report.sites[0]
    changed = replace(first, statistics={**first.statistics, last: replace(first.statistics[last], **fields)})
    return replace(report, sites=[changed, *report.sites[1:]])


def test_a_report_does_not_differ_from_itself(before):
    found = different(before, before)
    assert not found.differs
    assert found.reasons == found.remarks == found.findings == found.suggestions == []
    assert all(value.differs is False for value in (*found.statistics, *found.shifts))
    assert found.statistics
    assert found.shifts


def test_a_statistic_that_differs_is_marked_and_one_within_noise_is_not(before):
    first = before.sites[0].site
    std = before.sites[0].statistics[before.checkpoints[-1].id].std
    found = different(before, with_statistics(before, mean=99.0, std=std * 1.001))
    assert one(found.statistics, first, "mean").differs is True
    assert one(found.statistics, first, "mean").b == 99.0
    assert one(found.statistics, first, "std").differs is False
    assert found.differs


def test_a_sign_that_turned_is_a_difference(before):
    first = before.sites[0].site
    a, b = (with_statistics(before, mean=mean, std=1.0) for mean in (-0.9, 0.9))
    assert one(different(a, b).statistics, first, "mean").differs is True


def test_a_statistic_of_unknown_noise_is_shown_and_not_judged(before):
    first = before.sites[0].site
    value = one(different(before, with_statistics(before, max=99.0)).statistics, first, "max")
    assert (value.b, value.tolerance, value.differs) == (99.0, None, None)


def test_a_value_that_only_one_report_has_is_shown(before):
    first = before.sites[0].site
    value = one(different(before, with_statistics(before, mean=None)).statistics, first, "mean")
    assert value.a is not None
    assert (value.b, value.differs) == (None, None)
    assert "→ n/a" in draw([*sections(different(before, with_statistics(before, mean=None)), Look())], Look())


def test_how_they_were_measured_is_said_first(before):
    other = replace(
        before,
        data=replace(before.data, seed=9, fingerprint="0" * 64),
        sites=[replace(before.sites[0], channels=3), *before.sites[1:]],
        tool=replace(before.tool, version="9.9"),
    )
    found = different(before, other)
    assert found.reasons[0] == "the sampling differs (seed): 0 in a, 9 in b"
    assert "the architecture differs at" in found.reasons[1]
    assert found.remarks == [f"covscan: {before.tool.version} in a, 9.9 in b"]
    assert found.shifts
    drawn = draw([*sections(found, Look())], Look())
    assert drawn.index("the sampling differs") < drawn.index("Statistics at the last checkpoint")


def finding(code, site, severity="warning"):
    return Finding(code=code, name="name", severity=severity, site=site, message=f"{code} says so", evidence={})


def test_findings_that_come_and_go(before):
    extra = [finding("COV208", "fc1"), finding("COV501", None, "info"), finding("COV901", None, "error")]
    found = different(before, replace(before, findings=[*before.findings[1:], *extra]))
    told = [(each.code, each.a, each.b) for each in found.findings]
    gone = before.findings[0]
    assert sorted(told) == sorted([(gone.code, 1, 0), ("COV208", 0, 1), ("COV501", 0, 1)])
    assert found.differs
    drawn = draw([*sections(found, Look())], Look())
    assert "COV208 says so" in drawn
    assert "whole run" in drawn


def suggestion(site, rank, **more):
    return Suggestion(
        rank=rank,
        site=site,
        position="after",
        norm="LayerNorm",
        score=1 / rank,
        reason="",
        confidence="low",
        tier="forward",
        evidence={},
        patch="",
        **more,
    )


def test_suggestions_that_change(before):
    a = replace(before, suggestions=[suggestion("fc1", 1), suggestion("fc2", 2), suggestion("fc3", 3)])
    b = replace(before, suggestions=[suggestion("fc2", 1), suggestion("fc4", 2), suggestion("fc3", 3)])
    found = different(a, b)
    ranks = {each.site: (each.rank_a, each.rank_b) for each in found.suggestions}
    assert ranks == {"fc1": (1, None), "fc2": (2, 1), "fc4": (None, 2)}
    drawn = draw([*sections(found, Look())], Look())
    assert "2 → 1" in drawn
    assert "none → 0.50" in drawn
    judged = replace(before, suggestions=[suggestion("fc1", 1, verdict="recommended")])
    (change,) = different(replace(a, suggestions=a.suggestions[:1]), judged).suggestions
    assert (change.verdict_a, change.verdict_b) == (None, "recommended")


def test_sites_of_one_report_alone(before, golden):
    found = different(before, replace(before, sites=before.sites[1:]))
    assert found.only_a == [f"{before.sites[0].site} ({before.sites[0].position})"]
    assert found.only_b == []
    first = (before.sites[0].site, before.sites[0].position)
    assert not any((value.site, value.position) == first for value in found.statistics)
    nothing = different(before, read(golden / "quiet.json"))
    drawn = draw([*sections(nothing, Look())], Look())
    assert "No site is in both reports." in drawn
    assert "Only in b: 2 sites" in drawn


def test_the_sites_stand_in_the_order_of_execution(before):
    turned = replace(before, sites=before.sites[::-1])
    sites = [(each.site, each.position) for each in different(turned, turned).statistics]
    assert list(dict.fromkeys(sites)) == [(site.site, site.position) for site in before.sites if site.same_as is None]


def test_reports_of_one_and_of_no_checkpoint(golden):
    single, nothing = read(golden / "single.json"), read(golden / "nothing.json")
    found = different(single, single)
    assert found.shifts == []
    assert "Shift" not in draw([*sections(found, Look())], Look())
    bare = different(replace(nothing, checkpoints=[]), replace(nothing, checkpoints=[]))
    assert bare.a.first is bare.a.last is None
    assert "no checkpoint" in draw([*sections(bare, Look())], Look())


@pytest.mark.parametrize(
    "names", [("digits", "digits"), ("deep", "deep"), ("hostile", "hostile"), ("trained", "quiet")]
)
@pytest.mark.parametrize("look", [Look(width=80, terminal=True), Look(unicode=False), Look(width=80, color=True)])
def test_any_report_can_be_drawn(golden, names, look):
    drawn = draw([*sections(different(*(read(golden / f"{name}.json") for name in names)), look)], look)
    assert drawn.startswith("\x1b" if look.color else "covscan diff")
    assert "\x1b]" not in drawn
    if not look.unicode:
        assert "→" not in drawn


def test_a_narrow_terminal_loses_columns_and_says_so(samples):
    folder = samples / "digits-sigmoid"
    found = different(read(folder / "report-plain.json"), read(folder / "report-batchnorm.json"))
    narrow = Look(width=50, terminal=True)
    assert "Too narrow to show: " in draw([*sections(found, narrow)], narrow)
    assert "Too narrow" not in draw([*sections(found, Look(width=50))], Look(width=50))


def test_a_terminal_shows_only_what_differs(before):
    second = before.sites[2].site
    found = different(before, with_statistics(before, mean=99.0))
    brief = Look(width=50, terminal=True)
    drawn = draw([*sections(found, brief)], brief)
    table = drawn[drawn.index("Statistics") : drawn.index("Shift")]
    assert second not in table
    assert "7 sites without a difference" in table
    assert second in draw([*sections(found, Look(width=50, terminal=True, verbose=True))], Look())


def test_what_differs_beside_the_table_is_named(before):
    found = different(before, with_statistics(before, p50=99.0))
    assert "Beyond noise as well (-f json has them): p50" in draw([*sections(found, Look())], Look())


@pytest.fixture
def files(before, tmp_path):
    (tmp_path / "a.json").write_text(to_json(before))
    (tmp_path / "b.json").write_text(to_json(with_statistics(before, mean=99.0)))
    return tmp_path


def test_the_command_in_every_format(covscan, files):
    code, out, err = covscan("diff", files / "a.json", files / "b.json")
    assert (code, err) == (0, "")
    assert "99.0 ◀" in out
    code, out, _ = covscan("diff", files / "a.json", files / "b.json", "-f", "json")
    assert json.loads(out)["schema"] == "covscan-diff 1.0"
    jsonschema.validate(json.loads(out), msgspec.json.schema(ReportDiff))
    out = covscan("diff", files / "a.json", files / "b.json", "-f", "markdown")[1]
    assert out.startswith("# covscan\n\n**covscan diff** a → b\n")
    assert "**" in out[out.index("99.0") - 20 :]
    assert covscan("diff", files / "a.json", files / "b.json", "-f", "html")[0] == 2


def test_the_exit_code_is_asked_for(covscan, files):
    assert covscan("diff", files / "a.json", files / "b.json", "--exit-code")[0] == 1
    assert covscan("diff", files / "a.json", files / "a.json", "--exit-code")[0] == 0


def test_what_is_no_report_is_refused(covscan, files):
    (files / "weights.pt").write_bytes(b"PK\3\4")
    code, out, err = covscan("diff", files / "a.json", files / "weights.pt")
    assert (code, out) == (2, "")
    assert "error[mixed-sides]" in err
    assert "a.json' is a report, and the other is none" in err
    assert "error[mixed-sides]" in covscan("diff", files / "none.pt", files / "a.json")[2]
    assert "--data can change nothing" in covscan("diff", files / "a.json", files / "a.json", "--data", "x.npz")[2]
    assert "error[two-sides]" in covscan("diff", files / "a.json")[2]
    index = files / "model.safetensors.index.json"
    index.write_text("{}")
    assert "error[mixed-sides]" in covscan("diff", index, files / "a.json")[2]
    (files / "other.json").write_text("[1]")
    assert "error[foreign-report]" in covscan("diff", files / "other.json", files / "a.json")[2]
    assert "error[unreadable-report]" in covscan("diff", files / "none.json", files / "a.json")[2]
    (files / "report").write_bytes(b"\xef\xbb\xbf  " + (files / "a.json").read_bytes())
    assert covscan("diff", files / "report", files / "a.json")[0] == 0


def test_as_a_process_with_a_reader_that_goes_away(run_covscan, files):
    done = run_covscan("diff", "a.json", "b.json", "--exit-code", cwd=files)
    assert (done.returncode, done.stderr) == (1, "")
    assert run_covscan("diff", "a.json", "none.json", cwd=files).returncode == 2
