"""A baseline shrinks by itself and grows only where that is accepted."""

import pytest
from baseline_testing import finding, report, sampled
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from covscan.config.policy import Tolerances
from covscan.errors import Inconclusive
from covscan.gate.baseline_compare import compare
from covscan.gate.baseline_file import write
from covscan.gate.baseline_update import updated
from covscan.gate.baseline_values import baseline_of

TOLERANCES = Tolerances(absolute=0.05)


def nothing(site):
    return False


def everything(site):
    return True


def update(before, after, accepts=nothing):
    return updated(baseline_of(before, TOLERANCES), baseline_of(after, TOLERANCES), TOLERANCES, accepts)


def shift_of(made, site, span="first-to-last"):
    return next(
        value.value
        for value in made.baseline.values
        if (value.site, value.subject, value.span) == (site, "gaussian_w2", span)
    )


def test_what_improved_is_lowered_and_what_got_worse_is_not_taken():
    made = update(report({"fc1": [0.0, 1.0], "fc2": [0.0, 1.0]}), report({"fc1": [0.0, 0.5], "fc2": [0.0, 1.5]}))
    assert (shift_of(made, "fc1"), shift_of(made, "fc2")) == (0.5, 1.0)
    assert (made.lowered, made.accepted, made.changed) == (1, 0, True)
    assert [(each.site, each.value) for each in made.refused] == [("fc2", 1.5)]


def test_what_got_worse_is_taken_where_it_is_accepted():
    before, after = report({"fc1": [0.0, 1.0], "fc2": [0.0, 1.0]}), report({"fc1": [0.0, 1.5], "fc2": [0.0, 1.5]})
    made = update(before, after, lambda site: site == "fc2")
    assert (shift_of(made, "fc1"), shift_of(made, "fc2")) == (1.0, 1.5)
    assert (made.accepted, len(made.refused)) == (1, 1)
    assert update(before, after, everything).refused == ()


def test_what_moved_within_the_tolerance_stays():
    before = report({"fc1": [0.0, 1.0]})
    made = update(before, report({"fc1": [0.0, 0.96]}), everything)
    assert not made.changed
    assert write(made.baseline) == write(baseline_of(before, TOLERANCES))


def test_the_interval_follows_the_value():
    made = update(report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 0.5]}, half=0.3, noise=0.4))
    (value,) = (each for each in made.baseline.values if each.subject == "gaussian_w2")
    assert (value.half_width, value.noise) == (0.3, 0.4)


def test_sites_that_are_gone_are_dropped():
    made = update(report(), report({"fc1": [0.0, 0.5, 1.0]}))
    assert made.dropped == ("fc2 (output)",)
    assert {each.site for each in made.baseline.values} == {"fc1"}
    assert [each.site for each in made.baseline.sites] == ["fc1"]


def test_new_sites_are_taken_only_where_they_are_accepted():
    before, after = report({"fc1": [0.0, 0.5]}), report({"fc1": [0.0, 0.5], "fc9": [0.0, 9.0]})
    made = update(before, after)
    assert (made.unknown, made.added, made.changed) == (("fc9 (output)",), (), False)
    made = update(before, after, everything)
    assert (made.unknown, made.added, made.changed) == ((), ("fc9 (output)",), True)
    assert shift_of(made, "fc9") == 9.0
    assert write(made.baseline) == write(baseline_of(after, TOLERANCES))


def test_a_site_of_another_shape_is_gone_and_new():
    before = report({"fc1": [0.0, 0.5]})
    after = replace(before, sites=[replace(each, channels=7) for each in before.sites])
    made = update(before, after)
    assert (made.dropped, made.unknown, made.baseline.values) == (("fc1 (output)",), ("fc1 (output)",), ())
    made = update(before, after, everything)
    assert [each.channels for each in made.baseline.sites] == [7]
    assert shift_of(made, "fc1") == 0.5


def test_values_that_could_not_be_measured_stay_unless_that_is_accepted():
    before = report({"fc1": [0.0, 1.0]})
    lost = replace(before, shifts=[replace(each, measures={}) for each in before.shifts])
    made = update(before, lost)
    assert (shift_of(made, "fc1"), made.changed, len(made.refused)) == (1.0, False, 1)
    made = update(before, lost, everything)
    assert (made.accepted, made.refused) == (1, ())
    assert "gaussian_w2" not in {value.subject for value in made.baseline.values}


def test_a_new_value_of_a_known_site_is_growth():
    before = report({"fc1": [0.0, 1.0]})
    lost = replace(before, shifts=[replace(each, measures={}) for each in before.shifts])
    made = update(lost, before)
    assert ([each.change for each in made.refused], made.changed) == (["new"], False)
    assert shift_of(update(lost, before, everything), "fc1") == 1.0


def test_findings_shrink_and_grow_by_their_number():
    def kept(before, after, accepts=nothing):
        made = update(report(findings=before), report(findings=after), accepts)
        return {(each.code, each.site): (each.errors, each.warnings) for each in made.baseline.findings}

    one, two = [finding("COV201", "fc1")], [finding("COV201", "fc1")] * 2
    assert kept(two, one) == {("COV201", "fc1"): (0, 1)}
    assert kept(one, two) == {("COV201", "fc1"): (0, 1)}
    assert kept(one, two, everything) == {("COV201", "fc1"): (0, 2)}
    assert kept(one, []) == {}
    assert kept([], one) == {}
    assert kept([], one, lambda site: site == "fc1") == {("COV201", "fc1"): (0, 1)}
    error = [finding("COV201", "fc1", "error")]
    assert kept(error, one) == {("COV201", "fc1"): (0, 1)}
    assert kept(one, error) == {("COV201", "fc1"): (0, 1)}
    assert kept(error, two) == {("COV201", "fc1"): (0, 1)}


def test_a_shorter_or_longer_series_follows():
    long, short = report({"fc1": [0.0, 0.5, 1.0]}), report({"fc1": [0.0, 0.3]})
    made = update(long, short)
    assert (shift_of(made, "fc1"), shift_of(made, "fc1", "step-to-step")) == (0.3, 0.3)
    assert made.baseline.series.checkpoints == 2
    made = update(report({"fc1": [0.0, 1.0]}), long)
    assert {value.span for value in made.baseline.values} == {"first-to-last", "last"}
    assert (made.lowered, made.changed) == (0, False)


def test_an_update_of_other_samples_is_refused():
    with pytest.raises(Inconclusive) as caught:
        update(report(), sampled(report(), seed=3), everything)
    assert caught.value.code == "baseline-incompatible"
    assert "seed" in caught.value.found


places = st.lists(st.floats(0, 5), min_size=2, max_size=4)


@given(
    before=st.fixed_dictionaries({"a": places, "b": places}), after=st.fixed_dictionaries({"a": places, "c": places})
)
def test_an_update_never_raises_a_bar_and_an_accepted_one_leaves_nothing_worse(before, after):
    first, second = report(before), report(after)
    known = {value.key: abs(value.value) for value in baseline_of(first, TOLERANCES).values}
    for value in update(first, second).baseline.values:
        assert abs(value.value) <= known[value.key]
    made = update(first, second, everything)
    found = compare(made.baseline, baseline_of(second, TOLERANCES), TOLERANCES, "b")
    assert found.result.regressions == []
    assert (found.result.added, found.result.missing) == ([], [])
    again = updated(made.baseline, baseline_of(second, TOLERANCES), TOLERANCES, everything)
    assert not again.changed
