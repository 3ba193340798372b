"""Architectures that others wrote: measured as a copying hook sees them, and left as they were."""

import pytest
import torch
import zoo_families
import zoo_survey
from zoo_families import FAMILIES
from zoo_oracle import differences, hooks, watched

from covscan.config.loading import load_object

NAMED = ("bert", "gpt2", "llama", "t5", "vit", "swin", "convnext", "mamba", "whisper", "clip")


def built():
    """The networks that the factory made, in the module as covscan imported it."""
    return load_object(f"{zoo_families.__file__}:BUILT", what="--model")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.real) if FAMILIES[name].slow else name for name in FAMILIES]
)
def test_a_family_is_measured_as_it_is(name, tmp_path):
    report, net = zoo_survey.analysed(name, tmp_path)
    used, found = built().pop(), hooks(net.eval())  # some of transformers hook themselves when they run
    assert zoo_survey.row(name, report) == zoo_survey.written()[name]

    data = {key: torch.from_numpy(value) for key, value in FAMILIES[name].data().items()}
    by_place = FAMILIES[name].package == "timm"
    seen = watched(net, list(data.values()) if by_place else (), None if by_place else data)
    mask = data.get("attention_mask")
    assert differences(report, "step-1", seen, None if mask is None else mask.numpy() != 0) == []
    assert any(s.measures["excess_shift"].value for s in report.shifts)

    assert hooks(used) == found
    state = net.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in used.state_dict().items())
    built().clear()


def test_the_table_has_every_family_and_no_other():
    assert list(zoo_survey.written()) == list(FAMILIES)
    assert len(FAMILIES) >= 40
    assert set(NAMED) <= {name for name, family in FAMILIES.items() if not family.slow}
