"""Odd networks, one case for each way in which they are odd, and what must be told of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nets_flow as flow
import nets_moods as moods
import nets_numbers as numbers
import nets_outputs as outputs
import nets_sequences as sequences
import nets_wrapped as wrapped
import numpy as np
import torch
from torch import nn

SAMPLES = 16
_draw = np.random.default_rng(0)
ROWS = {"x": _draw.normal(size=(SAMPLES, 6)).astype(np.float32)}
IMAGES = {"x": _draw.normal(size=(SAMPLES, 3, 8, 8)).astype(np.float32)}
SEQUENCES = {"x": _draw.normal(size=(SAMPLES, 7, 16)).astype(np.float32)}
IDS = {"ids": _draw.integers(0, 20, (SAMPLES, 5))}
COMPLEX = {"x": (ROWS["x"] + 1j * ROWS["x"][::-1]).astype(np.complex64)}
LENGTHS = np.array([7, 3, 5, 1] * (SAMPLES // 4))
RAGGED = SEQUENCES | {"lengths": LENGTHS}
PADDED = SEQUENCES | {"src_key_padding_mask": np.arange(7)[None] >= LENGTHS[:, None]}
BAD = {"x": np.where(np.arange(SAMPLES)[:, None] >= SAMPLES - 1, np.float32(77), ROWS["x"])}


@dataclass(frozen=True, slots=True)
class Case:
    """A network, its data, and what is told: of a measurement what is left out, of a refusal its code and sentence.

    ``states`` makes the weights of one checkpoint where they are not those of a second network. ``rests`` names
    modules that do not run, ``skipped`` sites with a part of the reason, ``finding`` the code of one that is due;
    ``exact`` says that every number can be compared with what hooks see.
    """

    build: Callable[[], nn.Module]
    data: Mapping[str, Any] = field(default_factory=lambda: ROWS)
    skipped: Mapping[str, str] = field(default_factory=dict)
    rests: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None
    states: Callable[[], Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    finding: str | None = None
    exact: bool = True


_Q = "Int8WeightOnlyConfig"
_SMALL = {"batch_size": 5}

CASES: dict[str, Case] = {
    # what modules give
    **{kind: Case(partial(outputs.Wrapped, kind)) for kind in outputs.WRAPPED if kind not in outputs.OPAQUE},
    "an object of an own class": Case(partial(outputs.Wrapped, "own class"), skipped={"wrap": "no tensor but Own"}),
    "a distribution": Case(partial(outputs.Wrapped, "distribution"), skipped={"wrap": "no tensor but Normal"}),
    "a loss": Case(outputs.Scalar, skipped={"mean": "its output of shape () has no separate"}),
    "None, flags and keywords": Case(outputs.Optional),
    # how modules are called
    "in-place activations": Case(flow.InPlace, IMAGES),
    "reused and recursive": Case(flow.Reused),
    "tied weights": Case(flow.Tied, IDS),
    "never fired": Case(flow.Partly, rests=("unused", "read", "past")),
    "forward past the hooks": Case(flow.Bypassed, refused=("nothing-measured", "never called: layers.0, layers.1")),
    "experts that see a part": Case(
        flow.Experts, skipped={"experts.0": "", "experts.1": ""}, rests=("experts.2",)),
    "a branch in some batches": Case(flow.Moody, settings=_SMALL, skipped={"sad": "on later samples alone"},
                                     exact=False),
    "a wrapper that hands on": Case(flow.HandedOn),
    "an attribute called graph": Case(flow.Graphed),
    "hooks of the user": Case(flow.Hooked),
    "inference mode": Case(flow.Inferring),
    "a gradient inside": Case(flow.Steered),
    "own normalizations": Case(flow.OwnGain),
    # sequences
    **{f"{kind} {'batch' if first else 'sequence'} first": Case(partial(sequences.Recurrent, kind, first), SEQUENCES)
       for kind in ("RNN", "GRU", "LSTM") for first in (True, False)},
    "packed GRU": Case(partial(sequences.Packed, "GRU"), RAGGED),
    "packed LSTM": Case(partial(sequences.Packed, "LSTM"), RAGGED),
    "nested tensors": Case(partial(sequences.Nested, torch.strided), RAGGED),
    "jagged tensors": Case(partial(sequences.Nested, torch.jagged), RAGGED),
    "padding mask": Case(sequences.Padded, PADDED,
                         rests=tuple(f"encoder.layers.{layer}.self_attn.out_proj" for layer in (0, 1))),
    "multi-head attention": Case(sequences.Attending, SEQUENCES, rests=("attention.out_proj",)),
    # numbers
    "complex activations": Case(partial(numbers.Through, torch.fft.fft, torch.abs),
                                skipped={"cast": "complex64 values"}),
    "complex weights": Case(numbers.Fourier, COMPLEX, skipped={"fc": "complex64 values"}),
    "nothing but complex": Case(partial(nn.Linear, 6, 8, dtype=torch.complex64), COMPLEX,
                                refused=("nothing-measured", "no site could be measured")),
    "integer activations": Case(partial(numbers.Through, lambda x: (x * 9).to(torch.int32)),
                                skipped={"cast": "int32 values"}),
    "bool activations": Case(partial(numbers.Through, lambda x: x > 0), skipped={"cast": "bool values"}),
    "bf16": Case(lambda: numbers.mlp().bfloat16()),
    "fp16": Case(lambda: numbers.mlp().half()),
    "double": Case(lambda: numbers.mlp().double()),
    "fp8 activations": Case(partial(numbers.Through, lambda x: x.to(torch.float8_e4m3fn))),
    "fp8 weights in the network": Case(numbers.in_eight_bits),
    "fp8 weights in the file": Case(numbers.mlp, states=lambda: {
        name: value.to(torch.float8_e5m2) for name, value in numbers.mlp().state_dict().items()}),
    "channels last": Case(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
                                                nn.Conv2d(4, 2, 1)).to(memory_format=torch.channels_last), IMAGES),
    "sparse weights": Case(numbers.Sparse),
    "sparse activations": Case(partial(numbers.Through, torch.Tensor.to_sparse, torch.Tensor.to_dense),
                               skipped={"cast": "is a sparse tensor"}),
    "compressed sparse rows": Case(partial(numbers.Through, torch.Tensor.to_sparse_csr, torch.Tensor.to_dense),
                                   skipped={"cast": "is a sparse tensor"}),
    "sparse file for a dense network": Case(
        numbers.mlp, refused=("weights-mismatch", "sparse in the file"),
        states=lambda: {name: value.to_sparse() for name, value in numbers.mlp().state_dict().items()}),
    "statically quantized": Case(numbers.statically_quantized, IMAGES, rests=("fc._packed_params",)),
    "dynamically quantized": Case(numbers.dynamically_quantized, rests=("0._packed_params", "2._packed_params")),
    "torchao int8 weights": Case(partial(numbers.by_torchao, _Q)),
    "torchao int8 throughout": Case(partial(numbers.by_torchao, "Int8DynamicActivationInt8WeightConfig")),
    "torchao float8 weights": Case(partial(numbers.by_torchao, "Float8WeightOnlyConfig")),
    "torchao file for a plain network": Case(
        numbers.mlp, states=lambda: numbers.by_torchao(_Q).state_dict(),
        refused=("weights-mismatch", "Int8Tensor in the file")),
    # what is around the network or its weights
    "weight norm": Case(wrapped.weight_norm),
    "weight norm of old": Case(wrapped.old_weight_norm),
    "weight norm of old in the file": Case(wrapped.weight_norm, states=lambda: wrapped.old_weight_norm().state_dict(),
                                           exact=False),
    "spectral norm": Case(wrapped.spectral_norm),
    "orthogonal": Case(wrapped.orthogonal),
    "pruned": Case(wrapped.pruned),
    "LoRA": Case(wrapped.lora, rests=("base_model",)),
    "LoRA, the adapter alone": Case(wrapped.lora, states=wrapped.adapter_alone,
                                    refused=("weights-mismatch", "an adapter without the network below")),
    "compiled": Case(lambda: torch.compile(numbers.mlp(), backend="eager")),
    "a compiled part": Case(lambda: nn.Sequential(torch.compile(nn.Linear(6, 8), backend="eager"), nn.ReLU())),
    "a compiled function": Case(wrapped.Compiled),
    "a TorchScript part": Case(wrapped.Scripted, skipped={"body": "it is TorchScript"}),
    "TorchScript": Case(lambda: wrapped.quiet(torch.jit.script, numbers.mlp()),
                        refused=("scripted-module", "inside of which no hook runs")),
    "DataParallel": Case(lambda: nn.DataParallel(numbers.mlp())),
    "built on the meta device": Case(partial(wrapped.on_meta, numbers.mlp), states=lambda: numbers.mlp().state_dict()),
    "a meta buffer that no file holds": Case(partial(wrapped.on_meta, wrapped.Buffered),
                                             states=lambda: wrapped.Buffered().state_dict(),
                                             refused=("meta-tensors", "build the module on the CPU")),
    "saved from the meta device": Case(numbers.mlp, states=lambda: wrapped.on_meta(numbers.mlp).state_dict(),
                                       refused=("meta-tensors", "holds no values")),
    "lazy modules": Case(wrapped.lazy, IMAGES, states=wrapped.no_longer_lazy),
    "lazy modules that saw nothing": Case(wrapped.lazy, IMAGES, refused=("blocked-global", "UninitializedParameter")),
    # moods
    "prints": Case(moods.Printing),
    "draws random numbers": Case(moods.Drawing, finding="COV111"),
    "remembers": Case(moods.Remembering),
    "fails in the third batch": Case(partial(moods.Failing, ValueError), BAD, settings={"batch_size": 7},
                                     refused=("model-failed", "ValueError on samples 14 to 15: the third batch")),
    "exits in the third batch": Case(partial(moods.Failing, SystemExit), BAD, settings={"batch_size": 7},
                                     refused=("model-failed", "SystemExit on samples 14 to 15: the third batch")),
}  # fmt: skip

BUILT: list[nn.Module] = []
"""Every network that ``build`` made."""


def build(name: str) -> nn.Module:
    """The untrained network of a case."""
    BUILT.append(CASES[name].build())
    return BUILT[-1]
