"""What a reader sees of trainings beside the golden files."""

from msgspec.structs import replace
from report_factory import trained

from covscan.render import Look, render
from covscan.report.training import Gain

SURE = "None: in short trainings no place for a normalization gained more than 2 % for sure."


def text(report, look=Look(width=400)):  # noqa: B008
    return render(report, "text", look)


def changed(**more):
    found = trained()
    return replace(found, trials=replace(found.trials, **more))


def test_where_nothing_was_suggested_it_is_said_whether_more_trainings_would_tell():
    found = replace(trained(), suggestions=[])
    assert f"{SURE} Not decided: -4 % [-10, +2] after fc2; --trial-steps N with a larger N tells more." in text(found)
    closed = [replace(each, verdict="no evidence") for each in found.candidates]
    assert f"{SURE} This network needs none." in text(replace(found, candidates=closed))
    assert "None: in one-step probes no place" in text(replace(changed(tier="probe"), suggestions=[]))


def test_a_probe_shows_no_columns_of_trainings():
    shown = text(changed(tier="probe"))
    assert "One-step probes" in shown
    assert "after one step" in shown
    assert "loss area" not in shown
    assert "at your rate  " not in shown


def test_without_a_rate_none_is_compared():
    shown = text(changed(rate=None, best_rate=None))
    assert "cross_entropy with sgd (no --lr given), batches" in shown
    assert "at your rate  " not in shown
    assert "loss area" in shown


def test_where_no_place_was_trained_at_the_users_rate_that_is_said():
    found = trained()
    far = [replace(each, gain_at_rate=None) for each in found.candidates]
    assert "at your rate  " in text(found)
    assert "No place was trained at your rate" not in text(found)
    shown = text(replace(found, candidates=far))
    assert "at your rate  " not in shown
    assert "No place was trained at your rate 0.1: the best ones lie too far from it." in shown


def test_what_was_not_tried_is_not_named():
    shown = text(changed(everywhere=None, last_only=None, rivals={}))
    assert "A normalization behind every layer" not in shown
    assert "Cheaper, without" not in shown
    assert "A normalization at the last place alone -41 % [-47, -35]." in text(changed(everywhere=None))


def test_a_gain_that_was_not_repeated_has_no_interval():
    assert "warm-up +5 %." in text(changed(rivals={"warm-up": Gain(value=-0.05, low=None, high=None)}))


def test_a_change_that_rounds_to_nothing_has_no_sign():
    assert "warm-up 0 % [-1, 0]." in text(changed(rivals={"warm-up": Gain(value=0.004, low=-0.004, high=0.011)}))


def test_columns_that_a_terminal_has_no_room_for_are_named_and_in_a_pipe_all_are_there():
    narrow = text(trained(), Look(width=72, terminal=True))
    assert "Too narrow to show: after one step, at your rate (-f json has them)." in narrow
    for look in (Look(width=72), Look(), Look(width=200, terminal=True)):
        assert "Too narrow" not in text(trained(), look)
