import pytest
import torch
from torch import nn

from covscan.errors import UsageError
from covscan.models.factory import build, name_of
from covscan.models.unwrapping import unwrap


def failing(model, **arguments):
    with pytest.raises(UsageError) as caught:
        build(model, arguments)
    return caught.value


def test_a_function_a_class_a_method_and_a_module(bench):
    spec = f"{bench.folder / 'nets.py'}:"
    assert build(spec + "build", {}).head.in_features == 4
    assert build(spec + "build", {"width": 6}).head.in_features == 6
    assert build(spec + "Net", {}).head.in_features == 4
    assert build(spec + "Net.wide", {}).head.in_features == 8
    with bench.folder.joinpath("nets.py").open("a") as file:
        file.write("\n")
    bench.folder.joinpath("made.py").write_text("from torch import nn\nnet = nn.Linear(2, 3)\n")
    assert build("made.py:net", {}).out_features == 3
    assert build("torch.nn:Identity", {}).training is False


def test_a_module_is_copied_and_stays_as_it_was():
    net = nn.Linear(2, 3)
    built = build(net, {})
    assert built is not net
    assert net.training
    assert torch.equal(built.weight, net.weight)
    assert name_of(net) == "Linear"
    assert failing(net, width=3).found == "width"


def test_a_module_that_cannot_be_copied():
    net = nn.Linear(2, 3)
    net.cached = net.weight * 2
    assert failing(net).code == "factory-failed"


def test_a_module_that_refuses_to_be_copied_in_its_own_way():
    class Refusing(nn.Linear):
        def __deepcopy__(self, memo):
            raise AssertionError("not this one")

    error = failing(Refusing(2, 3))
    assert error.code == "factory-failed"
    assert "not this one" in error.found


def test_what_the_function_prints_goes_to_stderr(bench, capsys):
    build(f"{bench.folder / 'nets.py'}:build", {})
    out, err = capsys.readouterr()
    assert out == ""
    assert "building" in err


def test_the_function_draws_the_same_numbers_and_leaves_the_random_state():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first = build(lambda: nn.Linear(2, 2), {})
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert torch.equal(build(lambda: nn.Linear(2, 2), {}).weight, first.weight)


def test_an_exception_in_the_function_is_named_with_its_text():
    def broken():
        raise ValueError("no such depth: 19")

    error = failing(broken)
    assert error.code == "factory-failed"
    assert "broken" in error.message
    assert "ValueError: no such depth: 19" in error.found
    assert isinstance(error.__cause__, ValueError)


def test_a_function_that_exits():
    def leaves():
        raise SystemExit(2)

    assert failing(leaves).code == "factory-failed"


def test_arguments_that_the_function_does_not_take():
    def make(width, depth=2):
        return nn.Linear(width, depth)

    error = failing(make, width=1, dept=3)
    assert error.code == "bad-model-arg"
    assert error.hint == "did you mean 'depth'?"
    assert "(width, depth=2)" in error.found
    error = failing(make)
    assert "missing a required argument: 'width'" in error.found
    assert "--model-arg" in error.hint


def test_a_builtin_without_a_signature():
    assert failing(dict, a=1).code == "not-a-module"


@pytest.mark.parametrize(
    ("model", "found"),
    [(lambda: (nn.Linear(1, 1), 3), "a builtins.tuple"), (lambda: None, "a builtins.NoneType")],
)
def test_a_function_that_returns_no_module(model, found):
    error = failing(model)
    assert (error.code, error.found) == ("not-a-module", found)


def test_a_name_that_is_no_function(bench):
    bench.folder.joinpath("made.py").write_text("width = 3\n")
    error = failing("made.py:width")
    assert (error.code, error.found) == ("not-a-module", "a int")
    error = failing(f"{bench.folder / 'nets.py'}:biuld")
    assert error.hint == "did you mean 'build'?"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wrappers_of_training_are_taken_off():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    averaged = torch.optim.swa_utils.AveragedModel(net)
    assert type(unwrap(averaged)) is nn.Sequential
    assert unwrap(nn.DataParallel(net)) is net
    assert unwrap(torch.compile(net, backend="eager")) is net
    assert unwrap(nn.DataParallel(torch.compile(net, backend="eager"))) is net


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_parts_are_replaced_by_what_was_compiled():
    part = nn.Linear(2, 2)
    net = nn.Sequential(torch.compile(part, backend="eager"), nn.ReLU())
    net.compile(backend="eager")
    assert unwrap(net)[0] is part
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    assert net._compiled_call_impl is None


def test_a_users_own_class_with_a_wrappers_name_is_kept():
    class DataParallel(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

    net = DataParallel()
    assert unwrap(net) is net


def test_a_callable_object_has_the_name_of_its_class():
    class Maker:
        def __call__(self):
            return nn.Linear(1, 1)

    assert name_of(Maker()) == "Maker"
    assert isinstance(build(Maker(), {}), nn.Linear)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_module_of_the_caller_stays_compiled():
    net = nn.Sequential(torch.compile(nn.Linear(2, 2), backend="eager"))
    built = build(net, {})
    assert type(built[0]) is nn.Linear
    assert type(net[0]) is not nn.Linear


def test_a_wrapper_that_holds_nothing_is_kept():
    empty = type("AveragedModel", (nn.Module,), {"__module__": "torch.somewhere"})()
    assert unwrap(empty) is empty
