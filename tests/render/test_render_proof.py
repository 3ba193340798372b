"""A proof for a terminal or a pipe."""

import re

import msgspec
import pytest
from report_factory import gain

from covscan.render import Look
from covscan.render.as_text import draw
from covscan.render.content.proof import ANSWERS, sections
from covscan.render.names import columns
from covscan.report.proof import PROOF_VERSION, ArmOutcome, Proof, Rung
from covscan.report.types import Tool


def rung(rate, area, held_out=1.5):
    curve = [2.3 - (2.3 - area) * step / 25 for step in range(50)]
    return Rung(rate=rate, areas=[area, area + 0.1], held_out=[held_out] * 2, stable=True, curve=curve)


def proof(**changes):
    base = ArmOutcome(
        name="as it is",
        rungs=[rung(0.1, 2.1), rung(0.3162, 2.0, held_out=1.75)],
        best_rate=0.3162,
        largest_stable_rate=0.3162,
    )
    norm = ArmOutcome(
        name="BatchNorm1d",
        rungs=[rung(0.3162, 1.4), rung(1.0, 1.1, held_out=1.25)],
        best_rate=1.0,
        largest_stable_rate=3.162,
        gain=gain(0.41),
        gain_at_rate=gain(0.3),
        gain_at_base_rate=gain(0.28),
        speed_up=4.2,
        speed_up_low=3.1,
        speed_up_high=5.6,
    )
    affine = ArmOutcome(
        name="fixed affine",
        rungs=[rung(1.0, 2.2, held_out=None)],
        best_rate=1.0,
        largest_stable_rate=None,
        gain=gain(-0.02),
        speed_up=1.0,
        speed_up_is_least=True,
    )
    known = {
        "proof_version": PROOF_VERSION,
        "tool": Tool(name="covscan", version="0.1.0"),
        "model": "nets.py:plain",
        "site": "fc3",
        "position": "after",
        "norm": "BatchNorm1d",
        "intervention": "from the start",
        "start": "the weights of ckpt-0 (step 0)",
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "rate": 0.1,
        "batch_size": 32,
        "samples": 400,
        "held_out": 100,
        "fingerprint": "ab" * 32,
        "steps": 50,
        "seeds": 2,
        "arms": [base, norm, affine],
        "over_fixed_affine": gain(0.4),
        "verdict": "helps",
        "notes": ["with the normalization the highest learning rate tried, 1.0, is the best"],
    }
    return Proof(**(known | changes))


def text(found=None, look=Look()):  # noqa: B008
    found = found or proof()
    return draw(sections(found, look), look)


def row(name, shown):
    return next(line for line in shown.splitlines() if line.startswith(name))


def test_everything_that_a_reader_needs_is_there():
    shown = text()
    assert shown.startswith(
        "covscan prove BatchNorm1d behind fc3 · nets.py:plain · cross_entropy, sgd, batches of 32 · 2 seeds of "
        "50 steps · from the start: the weights of ckpt-0 (step 0)"
    )
    assert ANSWERS["helps"] in shown
    assert "at your rate" in shown
    assert row("BatchNorm1d", shown).split("  ")[0] == "BatchNorm1d"
    assert "-41 % [-47, -35]" in row("BatchNorm1d", shown)
    assert "-30 % [-36, -24]" in row("BatchNorm1d", shown)
    assert "4.20x [3.10, 5.60]" in row("BatchNorm1d", shown)
    assert row("BatchNorm1d", shown).endswith("3.16")
    assert "1.75" in row("as it is", shown)
    assert "the highest learning rate tried" in shown


def test_arms_that_diverge_or_are_fast_from_the_start_say_so():
    affine = row("fixed affine", text())
    assert "diverged" in affine
    assert ">1.00x" in affine
    assert affine.endswith("none")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"speed_up": 4.2}, " 4.20x "),
        ({"speed_up": 60.0, "speed_up_low": 31.0, "speed_up_is_least": True}, " >60.0x [31.0 or more] "),
        ({"speed_up": 0.02, "speed_up_high": 0.03, "speed_up_is_most": True}, " <0.020x [0.030 or less] "),
        ({"speed_up": None}, " 1.25                 3.16"),
    ],
)
def test_an_interval_of_the_speed_up_may_be_open(known, said):
    base, norm, _ = proof().arms
    changed = msgspec.structs.replace(norm, **({"speed_up_low": None, "speed_up_high": None} | known))
    assert said in row("BatchNorm1d", text(proof(arms=[base, changed])))


def test_without_a_rate_of_the_users_the_bases_best_one_is_compared():
    shown = text(proof(rate=None))
    assert "at the base's rate" in shown
    assert "-28 % [-34, -22]" in row("BatchNorm1d", shown)


@pytest.mark.parametrize("answer", ANSWERS)
def test_each_answer_has_its_sentence(answer):
    assert ANSWERS[answer] in text(proof(verdict=answer))


@pytest.mark.parametrize(("met", "said"), [(True, "is met."), (False, "is not met.")])
def test_an_expected_gain_is_answered(met, said):
    assert f"The expected gain of 5 % {said}" in text(proof(expected=0.05, met=met))
    assert "expected gain" not in text()


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_a_terminal_gets_no_line_wider_than_itself(width, unicode):
    shown = text(look=Look(width=width, terminal=True, unicode=unicode))
    assert max(map(columns, shown.splitlines())) <= width
    assert "BatchNorm1d, rate 1" in shown
    assert "as it is, rate 0.316" in shown
    assert unicode or shown.isascii()


def test_colour_is_only_added():
    plain, coloured = text(look=Look(width=100)), text(look=Look(width=100, color=True))

    assert "\x1b[32m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    bad = text(proof(expected=0.5, met=False), Look(width=100, color=True))
    assert "\x1b[1;31mThe expected gain" in bad


def test_hostile_names_stay_names():
    shown = text(proof(site="a\x1b[31mred", model="line\nbreak", notes=["\x07bell"]))
    assert "\x1b" not in shown
    assert "\x07" not in shown
