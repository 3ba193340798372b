import numpy as np
import pytest
import torch
from torch.nn import functional

from covscan.errors import UsageError
from covscan.prove.objective import class_axis, open_objective, prediction

DRAW = torch.Generator().manual_seed(0)
LOGITS = torch.randn(4, 5, generator=DRAW)
CLASSES = torch.tensor([0, 4, 2, 1])


def test_cross_entropy_of_classes_on_axis_1():
    loss = open_objective("cross_entropy")(LOGITS, CLASSES)
    expected = -(LOGITS - LOGITS.logsumexp(1, keepdim=True))[torch.arange(4), CLASSES].mean()
    assert torch.allclose(loss, expected)


@pytest.mark.parametrize(("shape", "axis"), [((2, 7, 3), 1), ((2, 7, 3), 2), ((2, 6, 4, 4), 1), ((2, 4, 4, 6), 3)])
def test_cross_entropy_finds_the_class_axis_from_the_targets_shape(shape, axis):
    logits = torch.randn(shape, generator=DRAW)
    positions = tuple(size for place, size in enumerate(shape) if place != axis)
    target = torch.randint(shape[axis], positions, generator=DRAW)
    assert class_axis(logits, target) == axis
    expected = functional.cross_entropy(logits.movedim(axis, 1), target)
    assert torch.allclose(open_objective("cross_entropy")(logits, target), expected)


def test_as_many_positions_as_classes_means_classes_last_as_sequence_models_give_them():
    logits, target = torch.randn(2, 5, 5, generator=DRAW), torch.randint(5, (2, 5), generator=DRAW)
    expected = functional.cross_entropy(logits.flatten(0, 1), target.flatten())
    assert torch.allclose(open_objective("cross_entropy")(logits, target), expected)


def test_cross_entropy_takes_probabilities_columns_and_folded_positions():
    objective = open_objective("cross_entropy")
    soft = torch.softmax(torch.randn(4, 5, generator=DRAW), 1)
    assert torch.allclose(objective(LOGITS, soft), functional.cross_entropy(LOGITS, soft))
    assert torch.allclose(objective(LOGITS, CLASSES[:, None]), functional.cross_entropy(LOGITS, CLASSES))
    assert torch.allclose(objective(LOGITS, CLASSES.view(2, 2)), functional.cross_entropy(LOGITS, CLASSES))


def test_padding_is_no_target():
    logits, target = torch.randn(2, 3, 4, generator=DRAW), torch.tensor([[0, 1, 3], [2, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    expected = functional.cross_entropy(logits[mask], target[mask])
    assert torch.allclose(open_objective("cross_entropy")(logits, target, mask), expected)
    values = torch.randn(2, 3, generator=DRAW)
    assert torch.allclose(open_objective("mse")(values, values + mask.float(), mask), torch.tensor(1.0))


def test_mse_and_bce_take_flattened_and_one_column_targets():
    values, target = torch.randn(4, 1, generator=DRAW), torch.tensor([0.0, 1.0, 1.0, 0.0])
    assert torch.allclose(open_objective("mse")(values, target), (values[:, 0] - target).square().mean())
    expected = functional.binary_cross_entropy_with_logits(values[:, 0], target)
    assert torch.allclose(open_objective("bce")(values, target.long()), expected)
    picture = torch.randn(4, 1, 2, 2, generator=DRAW)
    assert open_objective("mse")(picture.flatten(1), picture) == 0


@pytest.mark.parametrize(
    "output",
    [{"hidden": torch.zeros(3), "logits": LOGITS}, (None, torch.arange(3), LOGITS), [LOGITS, torch.zeros(1)]],
)
def test_the_prediction_is_found_in_nested_outputs(output):
    assert prediction(output) is LOGITS


@pytest.mark.parametrize(
    ("loss", "output", "target", "code", "words"),
    [
        ("cross_entropy", LOGITS, torch.tensor([0, 5, 1, 1]), "bad-target", "0 to 5 for logits of 5 classes"),
        ("cross_entropy", LOGITS, torch.tensor([0, -1, 1, 1]), "bad-target", "-1 to 1"),
        ("cross_entropy", LOGITS, torch.zeros(3, dtype=torch.long), "bad-target", "output (4, 5), target (3,)"),
        ("mse", LOGITS, torch.zeros(4, 4), "bad-target", "output (4, 5), target (4, 4)"),
        ("mse", LOGITS, None, "no-target", "--target"),
        ("mse", LOGITS, {"a": LOGITS}, "bad-target", "holds a dict"),
        ("mse", (None, 3), LOGITS, "no-prediction", "no floating tensor"),
    ],
)
def test_what_does_not_fit_is_said_with_both_shapes(loss, output, target, code, words):
    with pytest.raises(UsageError) as caught:
        open_objective(loss)(output, target)
    assert caught.value.code == code
    assert words in str(caught.value)


def test_an_unknown_loss_gets_a_hint():
    with pytest.raises(UsageError, match="did you mean 'cross_entropy'"):
        open_objective("crossentropy")


def test_a_function_of_the_users_own_gets_output_and_target_as_they_are(tmp_path):
    (tmp_path / "own.py").write_text("def loss(output, target):\n    return (output['a'] - target).abs().mean()\n")
    objective = open_objective(f"{tmp_path / 'own.py'}:loss")
    assert objective({"a": torch.tensor([1.0, 3.0])}, torch.tensor([0.0, 0.0])) == 2
    with pytest.raises(UsageError, match="KeyError"):
        objective({"b": LOGITS}, LOGITS)
    with pytest.raises(UsageError, match="does not return one floating number"):
        open_objective(lambda output, target: output)(LOGITS, CLASSES)
    assert np.isclose(float(open_objective(lambda output, target: output.sum()[None])(LOGITS, None)), LOGITS.sum())
