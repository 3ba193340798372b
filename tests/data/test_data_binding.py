import inspect
from collections.abc import Mapping

import numpy as np
import pytest
import torch

from covscan.config import Settings
from covscan.data import open_samples
from covscan.data.binding import Bound, bind_torch, take
from covscan.data.types import Batch
from covscan.errors import UsageError

N = 4
X = np.arange(12, dtype=np.float32).reshape(N, 3)
IDS = np.arange(20, dtype=np.int32).reshape(N, 5)
MASK = np.array([[1, 1, 1, 0, 0]] * N)
Y = np.arange(N)


def batch(*positional, target=None, mask=None, **named):
    index = np.arange(N, dtype=np.int64)
    return Batch(index=index, block=index, positional=positional, named=named, target=target, mask=mask)


def bind(forward, data, dtype=torch.float32) -> Bound:
    signature = None if forward is None else inspect.signature(forward)
    return bind_torch(signature, data, torch.device("cpu"), dtype)


def received(forward, data, **options):
    """Names of what each parameter receives, found out by calling the function."""
    bound = bind(forward, data, **options)
    return forward(*bound.args, **bound.kwargs), bound.unused


def is_(tensor, array):
    return isinstance(tensor, torch.Tensor) and tensor.shape == array.shape and bool((tensor.numpy() == array).all())


def refused(forward, data):
    with pytest.raises(UsageError) as caught:
        bind(forward, data)
    return caught.value


def test_by_name_whatever_the_order():
    (given, unused) = received(lambda a, b=None, c=None: (a, b, c), batch(c=IDS, a=X))
    assert is_(given[0], X)
    assert given[1] is None
    assert is_(given[2], IDS)
    assert unused == ()


def test_names_are_compared_without_case_and_punctuation():
    given, _ = received(lambda input_ids: input_ids, batch(**{"Input.IDs": IDS}))
    assert is_(given, IDS)


def test_names_that_the_model_has_not_are_left_over():
    given, unused = received(lambda x: x, batch(x=X, y=Y, extra=IDS))
    assert is_(given, X)
    assert unused == ("y", "extra")


@pytest.mark.parametrize("labels", ["y", "label", "Labels", "targets"])
def test_images_and_labels_for_a_forward_of_x(labels):
    given, unused = received(lambda x, scale=1: (x, scale), batch(images=X, **{labels: Y}))
    assert is_(given[0], X)
    assert given[1] == 1
    assert unused == (labels,)


def test_numbers_that_the_model_has_not_are_left_over():
    given, unused = received(lambda x: x, batch(images=X, rate=np.array(3), epoch=4, nothing=None))
    assert is_(given, X)
    assert unused == ("rate", "epoch", "nothing")
    given, unused = received(lambda x, sr: (x, sr), batch(audio=X, rate=np.array(3)))
    assert is_(given[0], X)
    assert given[1] == 3


def test_labels_alone_are_an_input():
    given, _ = received(lambda x: x, batch(y=X))
    assert is_(given, X)


def test_a_model_with_a_label_gets_its_image_and_its_label():
    given, _ = received(lambda x, label=None: (x, label), batch(image=X, label=Y))
    assert is_(given[0], X)
    assert is_(given[1], Y)


def test_labels_never_fill_another_input():
    assert refused(lambda image, scale: None, batch(image=X, label=Y)).code == "unmatched-inputs"


def test_names_fall_back_to_order_if_none_matches():
    given, _ = received(lambda a, b: (a, b), batch(first=X, second=IDS))
    assert is_(given[0], X)
    assert is_(given[1], IDS)
    given, _ = received(lambda a=None, b=None: (a, b), batch(first=X))
    assert is_(given[0], X)
    assert given[1] is None


def test_a_mask_is_no_input_unless_the_model_takes_it():
    data = batch(tokens=IDS, attention_mask=MASK, targets=IDS, mask=MASK == 1)
    given, unused = received(lambda ids, segment=None: (ids, segment), data)
    assert is_(given[0], IDS)
    assert given[1] is None
    assert "attention_mask" in unused
    odd = batch(tokens=IDS, valid=MASK * 2, mask=MASK == 1)
    given, unused = received(lambda ids: ids, odd)
    assert is_(given, IDS)
    assert unused == ("valid",)
    given, _ = received(lambda ids, m: (ids, m), odd)
    assert is_(given[1], MASK * 2)


def test_too_many_arrays_name_both_sides():
    error = refused(lambda x, scale=1: None, batch(a=X, b=X, c=X))
    assert error.code == "unmatched-inputs"
    assert error.found == "the data has the arrays a, b, c; the model takes x, scale (optional)"
    assert "--target" in error.hint
    assert refused(lambda x, y: None, batch(x=X)).message.endswith("'y'")
    assert refused(lambda x=None: None, batch(a=X, b=X)).message.endswith("'x'")
    assert "2 without names" in refused(lambda a, b, c: None, batch(X, X)).found
    assert "takes nothing" in refused(lambda: None, batch(x=X)).found


def test_x_and_y_of_a_loader():
    given, unused = received(lambda x, mask=None: (x, mask), batch(X, Y))
    assert is_(given[0], X)
    assert given[1] is None
    assert unused == ("1",)


def test_inputs_of_a_loader_whose_labels_are_known():
    given, unused = received(lambda x, mask=None: (x, mask), batch(IDS, MASK, target=Y))
    assert is_(given[1], MASK)
    assert unused == ()


def test_optional_inputs_only():
    given, unused = received(lambda ids=None, mask=None: (ids, mask), batch(IDS, Y))
    assert is_(given[0], IDS)
    assert given[1] is None
    assert unused == ("1",)


def test_a_dictionary_and_labels():
    given, unused = received(lambda ids, mask=None: (ids, mask), batch({"ids": IDS, "mask": MASK}, Y))
    assert is_(given[0], IDS)
    assert is_(given[1], MASK)
    given, _ = received(lambda ids, mask=None: (ids, mask), batch({"ids": IDS}, target=Y))
    assert is_(given[0], IDS)
    given, unused = received(lambda inputs: inputs, batch({"ids": IDS}, Y))
    assert is_(given["ids"], IDS)
    assert unused == ("1",)
    same_name = batch({"ids": IDS, "1": X}, Y)
    assert is_(received(lambda ids: ids["ids"], same_name)[0], IDS)


def with_annotation(samples: dict[str, torch.Tensor]):
    return samples


def with_mapping(samples: Mapping[str, torch.Tensor], scale=2.0):
    return samples


def with_text(samples: "dict"):
    return samples


@pytest.mark.parametrize("forward", [lambda batch: batch, with_annotation, with_mapping, with_text])
def test_a_model_that_takes_the_dictionary(forward):
    given, unused = received(forward, batch(image=X, label=Y))
    assert is_(given["image"], X)
    assert is_(given["label"], Y)
    assert unused == ()


def test_a_dictionary_beside_something_that_is_missing_or_named():
    assert refused(lambda batch, scale: None, batch(image=X, id=Y, more=Y)).code == "unmatched-inputs"
    given, _ = received(lambda batch: batch, batch(batch=X))
    assert is_(given, X)


def test_any_keyword():
    given, unused = received(lambda **kwargs: kwargs, batch(a=X, b=Y))
    assert set(given) == {"a", "b"}
    given, unused = received(lambda a, **kwargs: (a, kwargs), batch(a=X, b=Y))
    assert set(given[1]) == {"b"}
    given, unused = received(lambda x, **kwargs: (x, kwargs), batch(image=X, label=Y))
    assert is_(given[0], X)
    assert given[1] == {}
    assert unused == ("label",)


def test_any_number_of_arguments():
    given, _ = received(lambda *args: args, batch(X, Y))
    assert len(given) == 2
    given, unused = received(lambda *args: args, batch(image=X, label=Y))
    assert len(given) == 1
    assert unused == ("label",)
    given, unused = received(lambda x, *rest: (x, rest), batch(X, Y))
    assert given[1] == ()
    assert unused == ("1",)
    given, unused = received(lambda x, *rest: (x, rest), batch(X, IDS, MASK, target=Y))
    assert len(given[1]) == 2


def test_without_a_signature_everything_goes_by_place():
    bound = bind(None, batch(X, Y))
    assert (len(bound.args), bound.kwargs) == (2, {})
    bound = bind(None, batch(x=X, sr=np.array(16000), y=Y))
    assert is_(bound.args[0], X)
    assert (len(bound.args), bound.unused) == (2, ("y",))
    assert refused(None, batch()).code == "unmatched-inputs"


def test_keyword_only_and_positional_only():
    def forward(a, /, *, b):
        return a, b

    given, _ = received(forward, batch(a=X, b=Y))
    assert is_(given[0], X)
    assert is_(given[1], Y)
    given, unused = received(lambda a, *, b=None: (a, b), batch(X, Y, target=Y))
    assert given[1] is None
    assert unused == ("1",)


def test_a_gap_is_passed_over_by_keyword():
    bound = bind(lambda a, b=None, c=None: None, batch(a=X, c=Y))
    assert len(bound.args) == 1
    assert set(bound.kwargs) == {"c"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("attention_mask", MASK), ("src_key_padding_mask", MASK == 0), ("key_padding_mask", MASK == 0)],
)
def test_mask_parameters_are_filled_from_the_padding(name, expected):
    parameters = [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in ("ids", name)]
    data = batch(IDS, mask=MASK == 1)
    bound = bind_torch(inspect.Signature(parameters), data, "cpu", None)
    assert is_(bound.args[1], expected)
    assert bound.args[1].dtype == (torch.int64 if name == "attention_mask" else torch.bool)
    assert bound.filled == (name,)


def test_a_mask_of_the_data_goes_before_a_made_one():
    bound = bind(lambda ids, attention_mask=None: None, batch(ids=IDS, attention_mask=MASK * 3, mask=MASK == 1))
    assert is_(bound.args[1], MASK * 3)
    assert bound.filled == ()


@pytest.mark.parametrize(
    ("array", "dtype", "expected"),
    [
        (X, torch.float32, torch.float32),
        (X, torch.bfloat16, torch.bfloat16),
        (X.astype(np.float64), torch.float32, torch.float32),
        (X.astype(np.float64), None, torch.float64),
        (IDS, torch.float32, torch.int64),
        (IDS.astype(np.int8), None, torch.int64),
        (IDS.astype(np.uint16), None, torch.int64),
        (IDS.astype(np.uint8), torch.float32, torch.uint8),
        (MASK == 1, torch.float32, torch.bool),
        (X.astype(np.complex64), torch.float32, torch.complex64),
        (X.T[:, ::-1].T, torch.float32, torch.float32),
    ],
)
def test_dtypes(array, dtype, expected):
    (tensor,) = bind(lambda x: x, batch(array), dtype=dtype).args
    assert tensor.dtype == expected
    assert np.allclose(tensor.to(torch.complex128).numpy(), array)


def test_arrays_that_must_not_be_written_to_are_copied():
    frozen = X.copy()
    frozen.flags.writeable = False
    (tensor,) = bind(lambda x: x, batch(frozen)).args
    tensor.add_(1)
    assert (frozen == X).all()


def test_structures_are_converted_inside():
    (given,) = bind(lambda x: x, batch({"a": [X, None], "b": (Y, 3)})).args
    assert is_(given["a"][0], X)
    assert given["a"][1] is None
    assert given["b"][1] == 3
    assert isinstance(given["b"], tuple)


def test_a_number_stays_a_number():
    bound = bind(lambda x, sr: None, batch(x=X, sr=np.array(16000)))
    assert bound.args[1].shape == ()
    assert int(bound.args[1]) == 16000


def test_a_real_encoder_gets_its_padding_mask(char_transformer):
    samples = open_samples(Settings(data=str(char_transformer / "sample.npz"), samples=8))
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    (data,) = samples.batches()
    source = Batch(data.index, data.block, (np.zeros((8, 64, 4), np.float32),), {}, None, data.mask)
    bound = bind_torch(inspect.signature(layer.forward), source, "cpu", torch.float32)
    assert bound.filled == ("src_key_padding_mask",)
    assert layer(*bound.args, **bound.kwargs).shape == (8, 64, 4)


def test_take_cuts_samples_and_leaves_constants():
    constant = np.arange(7)
    data = Batch(
        index=np.arange(10, 14),
        block=np.arange(N),
        positional=((X, [Y, None]),),
        named={"x": X, "sr": np.array(5), "table": constant},
        target=Y,
        mask=MASK == 1,
    )
    first = take(data, 2)
    assert first.n == 2
    assert first.index.tolist() == [10, 11]
    assert first.block.tolist() == [0, 1]
    assert first.named["x"].tolist() == X[:2].tolist()
    assert first.named["sr"] == 5
    assert first.named["table"] is constant
    assert first.positional[0][1][0].tolist() == [0, 1]
    assert first.positional[0][1][1] is None
    assert first.target.tolist() == [0, 1]
    assert first.mask.shape == (2, 5)
    assert take(batch(X), 100).n == N
    assert take(batch(X), 1).mask is None


def test_what_was_left_out_and_made_up_is_said():
    from covscan.data.matching import Bound

    assert Bound().notes() == ()
    left_out, made_up = Bound(unused=("a", "b"), filled=("state",)).notes()
    assert "'a', 'b'" in left_out
    assert "'state'" in made_up
