"""Running every rule and ranking every place."""

from covscan.catalog import RULES
from covscan.catalog.firing import finding
from covscan.registry import resolve
from covscan.rules.candidates import find_candidates
from covscan.rules.evidence import Evidence, Judgement
from covscan.rules.notes import notes_for
from covscan.rules.suggestions import suggest

_ADVICE = "COV5"
_ORDER = {"error": 0, "warning": 1, "info": 2}


def judge(evidence: Evidence) -> Judgement:
    """Everything the rules make of the evidence: findings by severity, by code, then as the rule has them.

    Advice is about training: none is given on two data sets or two models, which show nothing of it.
    """
    if not evidence.checkpoints:
        return Judgement((), (), (), ())
    training = evidence.kind == "checkpoints"
    codes = [code for code in sorted(RULES) if training or not code.startswith(_ADVICE)]
    found = [(code, firing) for code in codes for firing in resolve(RULES[code])(evidence)]
    found.sort(key=lambda item: (_ORDER[item[1].severity], item[0]))
    candidates = find_candidates(evidence) if training else ()
    suggestions = suggest(evidence) if training else ()
    return Judgement(
        findings=tuple(finding(code, firing) for code, firing in found),
        candidates=candidates,
        suggestions=suggestions,
        notes=notes_for(evidence, suggestions),
    )
