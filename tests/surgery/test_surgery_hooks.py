from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from covscan.errors import UsageError
from covscan.surgery.hooks import inserted, standardizations, watching
from covscan.surgery.layers import normalization
from covscan.surgery.types import Insertion
from covscan.surgery.wrappers import Behind, InFront, exchanged

Pair = namedtuple("Pair", "first second")


@dataclass
class Record:
    number: int
    values: torch.Tensor


class Nested(nn.Module):
    """Returns its input inside something."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, x):
        return {
            "tensor": lambda: x * 1,
            "tuple": lambda: (3, x * 1),
            "list": lambda: [x * 1, None],
            "dict": lambda: {"name": "a", "values": x * 1},
            "deep": lambda: {"name": "a", "values": ([x * 1],)},
            "namedtuple": lambda: Pair(x * 1, "b"),
            "dataclass": lambda: Record(3, x * 1),
            "packed": lambda: pack_sequence(list(x), enforce_sorted=False),
        }[self.form]()


class Double(nn.Module):
    def forward(self, x):
        return 2 * x


class Around(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


def found_in(output):
    match output:
        case torch.Tensor():
            return output
        case dict():
            return found_in(output["values"])
        case Record():
            return output.values
        case _ if hasattr(output, "data"):
            return output.data
        case _:
            return next(found_in(item) for item in output if isinstance(item, torch.Tensor | list))


FORMS = ["tensor", "tuple", "list", "dict", "deep", "namedtuple", "dataclass", "packed"]


@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_exchanged_in_every_nesting(form):
    x = torch.randn(3, 4)
    model = Around(Nested(form))
    plain = model(x)
    with inserted(model, {Insertion("inner", "after", "LayerNorm", 4, 1): Double()}):
        doubled = model(x)
    assert type(doubled) is type(plain)
    assert torch.equal(found_in(doubled), 2 * found_in(plain))
    wrapped = Behind(Nested(form), Double())(x)
    assert type(wrapped) is type(plain)
    assert torch.equal(found_in(wrapped), 2 * found_in(plain))


def test_model_outputs_stay_model_outputs():
    outputs = pytest.importorskip("transformers.modeling_outputs")

    class Encoder(nn.Module):
        def forward(self, x):
            return outputs.BaseModelOutput(last_hidden_state=x * 1, hidden_states=(x,))

    found = Behind(Encoder(), Double())(x := torch.randn(2, 3))
    assert isinstance(found, outputs.BaseModelOutput)
    assert torch.equal(found.last_hidden_state, 2 * x)
    assert torch.equal(found[0], 2 * x)
    assert torch.equal(found.hidden_states[0], x)


class Sum(nn.Module):
    def forward(self, a, *, b, scale=1):
        return (a + b) * scale


def test_inputs_are_exchanged_by_place_and_by_name():
    x = torch.randn(3, 4)
    for wrap in (lambda m, norm, *a, **k: InFront(norm, m)(*a, **k), run_inserted):
        assert torch.equal(wrap(Sum(), Double(), x, b=x), 4 * x)  # one tensor in two places stays one
        assert torch.equal(wrap(Sum(), Double(), 1, b=x, scale=2), 2 * (1 + 2 * x))
        assert torch.equal(wrap(Sum(), Double(), x, b=x.clone()), 3 * x)


def run_inserted(module, layer, *args, **kwargs):
    model = Around(module)
    with inserted(model, {Insertion("inner", "before", "LayerNorm", 4, 1): layer}):
        return model(*args, **kwargs)


def test_without_a_tensor_nothing_happens():
    class Words(nn.Module):
        def forward(self, text):
            return text.upper()

    assert Behind(Words(), Double())("a") == "A"
    assert InFront(Double(), Words())("a") == "A"
    assert run_inserted(Words(), Double(), "a") == "A"
    assert exchanged({"a": {1, 2}}, torch.ones(1), torch.zeros(1)) == {"a": {1, 2}}


def test_the_model_is_left_as_it_was_found():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(5, 4)
    before = model(x)
    places = [Insertion("0", "after", "BatchNorm1d", 4, 1), Insertion("2", "before", "LayerNorm", 4, 1)]
    with inserted(model, {place: normalization(place) for place in places}):
        assert not torch.allclose(model(x), before)
        with pytest.raises(RuntimeError):
            model(x[:, :3])
    assert torch.equal(model(x), before)
    assert model.state_dict().keys() == state.keys()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_unknown_modules_leave_no_hook_behind():
    model = nn.Sequential(nn.Linear(4, 4))
    places = [Insertion("0", "after", "LayerNorm", 4, 1), Insertion("1", "after", "LayerNorm", 4, 1)]
    with pytest.raises(UsageError, match="no module '1'"), watching(model, places, lambda place, tensor: None):
        pass
    assert not model[0]._forward_hooks


@pytest.mark.parametrize(
    ("norm", "axis", "shape"),
    [
        ("BatchNorm1d", 1, (20, 6)),
        ("BatchNorm2d", 1, (5, 6, 4, 3)),
        ("GroupNorm", 2, (5, 7, 6)),
        ("LayerNorm", 2, (5, 7, 6)),
        ("RMSNorm", 1, (5, 6, 4)),
    ],
)
def test_standardizations_against_numpy(norm, axis, shape):
    place = Insertion("inner", "after", norm, 6, axis)
    model = Around(Nested("tuple"))
    batches = [torch.randn(shape) * 3 + 100, torch.randn(shape) - 5]
    batches[1].flatten()[0] = torch.nan  # its row is left out

    def forward():
        for batch in batches:
            model(batch)

    found = standardizations(model, [place], forward)[place]
    rows = np.concatenate([np.moveaxis(batch.numpy().astype(float), axis, -1).reshape(-1, 6) for batch in batches])
    rows = rows[np.isfinite(rows).all(axis=1)]
    if norm == "RMSNorm":
        mean, std = np.zeros(6), np.full(6, np.sqrt((rows**2).mean()))
    elif norm == "LayerNorm":
        mean, std = np.full(6, rows.mean()), np.full(6, rows.std())
    else:
        mean, std = rows.mean(axis=0), rows.std(axis=0)
    assert np.allclose(found.mean, mean, rtol=1e-5, atol=1e-5)
    assert np.allclose(found.std, std, rtol=1e-5)


def test_all_calls_of_a_module_count_and_one_that_never_runs_is_an_error():
    model = nn.Module()
    model.fc, model.idle = nn.Linear(3, 3), nn.Linear(3, 3)
    x = torch.randn(50, 3)
    place = Insertion("fc", "before", "BatchNorm1d", 3, 1)
    found = standardizations(model, [place], lambda: model.fc(model.fc(x)))[place]
    both = torch.cat([x, model.fc(x)])
    assert torch.allclose(found.mean, both.mean(0), atol=1e-5)
    with pytest.raises(UsageError, match="never calls 'idle'"):
        standardizations(model, [Insertion("idle", "after", "LayerNorm", 3, 1)], lambda: model.fc(x))
