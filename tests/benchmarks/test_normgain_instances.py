import numpy as np
import pytest
import torch
from instances import INSTANCES, build, data

from covscan.config.loading import load_object
from covscan.prove.objective import open_objective


def test_there_are_enough_instances_of_every_family():
    families = [instance.family for instance in INSTANCES]
    assert len(INSTANCES) >= 112
    assert {families.count(family) for family in families} == {19}
    assert [instance.number for instance in INSTANCES] == list(range(len(INSTANCES)))


@pytest.mark.parametrize("number", range(0, 114, 8))
def test_an_instance_is_the_same_every_time_and_its_loss_is_finite(number):
    arrays = data(number)
    assert len(arrays["x"]) == len(arrays["y"])
    one, again, other = build(number, 1), build(number, 1), build(number, 2)
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name], rtol=0, atol=0)
    assert any(not torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())
    x, y = (torch.from_numpy(arrays[name][:16]) for name in ("x", "y"))
    loss = open_objective(INSTANCES[number].loss)(one(x), y)
    assert torch.isfinite(loss.detach())


def test_a_seed_leaves_torchs_random_numbers_alone_and_without_one_they_are_drawn():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build(0, 1)
    torch.testing.assert_close(torch.rand(3), expected)
    torch.manual_seed(5)
    one = build(0)
    torch.manual_seed(5)
    again, other = build(0), build(0)
    key = next(iter(one.state_dict()))
    assert torch.equal(one.state_dict()[key], again.state_dict()[key])
    assert not torch.equal(one.state_dict()[key], other.state_dict()[key])


def test_the_command_line_can_name_the_factory(root):
    factory = load_object(str(root / "benchmarks" / "normgain" / "instances.py") + ":build", what="--model")
    assert isinstance(factory(number=17), torch.nn.Module)


@pytest.mark.parametrize("number", [n for n in range(114) if INSTANCES[n].init.startswith(("all", "one"))][::4])
def test_a_faulty_scale_is_that_much_larger_or_smaller(number):
    instance = INSTANCES[number]
    size = float(instance.init[4:]) ** (1 if instance.init[3] == "*" else -1)
    square = {"tanh": 1.0, "sigmoid": 4.0}.get(instance.act.lower(), 2.0)
    layers = [p.detach() for n, p in build(number, 0).named_parameters() if p.ndim > 1 and "weight" in n]
    hidden = [w for w in layers[:-1] if not (instance.data == "text" and w.shape[0] == 96)]
    found = np.array([float(w.square().mean()) * w[0].numel() / square for w in hidden]) ** 0.5
    wanted = np.isclose(found, size, rtol=0.35)
    assert wanted.all() if instance.init.startswith("all") else wanted.any()
