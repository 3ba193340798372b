"""Odd networks from end to end: right numbers or a sentence that says why not, and the network as it was."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import zoo_cases
from torch.nn import functional
from zoo_cases import CASES
from zoo_oracle import differences, hooks, watched

from covscan import pipeline
from covscan.config import Settings
from covscan.config.loading import load_object
from covscan.errors import CovscanError
from covscan.models.unwrapping import unwrap

FACTORY = f"{Path(__file__).parent / 'zoo_cases.py'}:build"
MEASURED = [name for name, case in CASES.items() if case.refused is None]
REFUSED = [name for name, case in CASES.items() if case.refused is not None]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings(
        "ignore:.*(Sparse CSR|PyTorch API of nested tensors|torch.ao.quantization|lazy):UserWarning"
    ),
]


def drawn(make, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def saved(case, folder):
    """Two checkpoints and the data, on disk; the weights of the second."""
    make = case.states or (lambda: case.build().state_dict())
    for step in (0, 1):
        state = drawn(make, step + 10)
        torch.save(state, folder / f"step-{step}.pt")
    np.savez(folder / "sample.npz", **case.data)
    return state


def settings(name, folder):
    given = {"positions": None, "per_channel": True, "device": "cpu"} | dict(CASES[name].settings)
    checkpoints, data = (str(folder / "step-*.pt"),), str(folder / "sample.npz")
    return Settings(model=FACTORY, model_args=(("name", name),), checkpoints=checkpoints, data=data, **given)


def surroundings():
    """What a run must leave alone outside of the network."""
    of_numpy = np.random.get_state()[1].tobytes()  # noqa: NPY002
    generators = random.getstate(), of_numpy, torch.get_rng_state().numpy().tobytes()
    switches = torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled(), torch.get_default_dtype()
    return generators, switches, functional.softmax, functional.scaled_dot_product_attention


def ordinary(tensor):
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.to_dense() if tensor.is_sparse else tensor


def loaded(case, state):
    """The network of a case with the weights of a checkpoint, without any of covscan's help."""
    net = drawn(case.build, 0)
    if case.states is not None and any(tensor.is_meta for tensor in net.parameters()):
        net.load_state_dict(state, assign=True)
    else:
        net.load_state_dict(state)
    return unwrap(net).eval()


def called(net, data):
    tensors = [torch.from_numpy(value) for value in data.values()]
    floating = next((p.dtype for p in net.parameters() if p.is_floating_point() and p.dtype.itemsize > 1), None)
    tensors = [tensor.to(floating) if tensor.is_floating_point() and floating else tensor for tensor in tensors]
    keywords = "x" in data and not isinstance(net, torch.nn.Sequential) and "peft" not in type(net).__module__
    names = dict(zip(data, tensors, strict=True))
    return watched(net, (), names) if keywords else watched(net, tensors)


def built():
    """The networks that the factory made, in the module as covscan imported it."""
    return load_object(f"{zoo_cases.__file__}:BUILT", what="--model")


@pytest.mark.parametrize("name", MEASURED)
def test_an_odd_network_is_measured_and_left_as_it_was(name, tmp_path):
    case = CASES[name]
    state = saved(case, tmp_path)
    before = surroundings()
    report = pipeline.analyze(settings(name, tmp_path))
    assert surroundings() == before

    skipped = {skip.site: skip.reason for skip in report.coverage.skipped}
    assert set(skipped) == set(case.skipped)
    assert all(reason in skipped[site] for site, reason in case.skipped.items()), skipped
    assert set(report.coverage.never_fired) == set(case.rests)
    assert case.finding is None or case.finding in {finding.code for finding in report.findings}
    assert report.coverage.measured

    net = loaded(case, state)
    kept = {name: value.clone() if torch.is_tensor(value) else value for name, value in net.state_dict().items()}
    if case.exact:
        mask = next((value == 0 for key, value in case.data.items() if "mask" in key), None)
        assert differences(report, "step-1", called(net, case.data), mask) == []
        assert covered(net, report, case)
    used = unwrap(built()[-1])
    assert hooks(used) == hooks(net)
    same(used.state_dict(), kept)


def covered(net, report, case):
    """Whether every module with weights is a site, is left out with a reason, or is said to rest."""
    known = {site.site.partition("#")[0] for site in report.sites} | set(case.skipped) | set(case.rests)
    closed = tuple(f"{name}." for name in case.skipped)
    with_weights = {
        name
        for name, module in net.named_modules()
        if name and "parametrizations" not in name and list(module.parameters(recurse=False))
    }
    return {name for name in with_weights if not name.startswith(closed or "-")} <= known


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if type(value) in (torch.Tensor, torch.nn.Parameter):
            assert torch.equal(ordinary(value), ordinary(other[name])), name


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_network_is_refused_in_a_sentence(name, tmp_path):
    case = CASES[name]
    saved(case, tmp_path)
    before, (code, words) = surroundings(), case.refused
    with pytest.raises(CovscanError) as caught:
        pipeline.analyze(settings(name, tmp_path))
    assert surroundings() == before
    error = getattr(caught.value, "errors", (caught.value,))[0]
    assert error.code == code
    assert words in str(error)
    if code in ("model-failed", "nothing-measured"):
        assert hooks(unwrap(built()[-1])) == hooks(drawn(lambda: unwrap(case.build()).eval(), 0))
