"""What peers get wrong or leave out, shown on networks small enough to know the right answer.

    python benchmarks/traps.py OUT.json

Each function returns what should be found and what a peer finds; those whose peer is not installed are left out.
"""

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

Trap = dict[str, str]


def trap(peer: str, what: str, expected: str, found: str) -> Trap:
    return {"peer": peer, "what": what, "expected": expected, "found": found}


def _pair(*, inplace: bool) -> tuple[nn.Module, nn.Module]:
    """The same two checkpoints, with or without activations in place."""
    torch.manual_seed(0)
    pair = [
        nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace))
        ).eval()
        for _ in range(2)
    ]
    return pair[0], pair[1]


def _images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def _cka(one: nn.Module, other: nn.Module, data: torch.Tensor, batch: int, layers: list[str] | None) -> list[float]:
    from cka import compute_cka

    loader = torch.utils.data.DataLoader(data.split(batch), batch_size=None)
    (matrix,) = compute_cka(one, other, loader, layers=layers, device="cpu", progress=False)
    return matrix.diagonal().tolist()


def cka_in_place() -> Trap:
    layers = ["0", "1"]
    right = _cka(*_pair(inplace=False), _images(32), 32, layers)
    wrong = _cka(*_pair(inplace=True), _images(32), 32, layers)
    return trap(
        "pytorch-cka",
        "CKA at a convolution in front of an in-place ReLU",
        f"{right[0]:.3f}, as where the ReLU is not in place",
        f"{wrong[0]:.3f}, which is the ReLU's ({right[1]:.3f}): what is kept by reference has been overwritten",
    )


def cka_batches() -> Trap:
    pair = _pair(inplace=False)
    values = {batch: _cka(*pair, _images(64), batch, ["2"])[0] for batch in (8, 64)}
    return trap(
        "pytorch-cka",
        "CKA of the same 64 samples in batches of 8",
        f"{values[64]:.3f}, as in one batch",
        f"{values[8]:.3f}: samples of different batches never meet",
    )


def cka_last_batch() -> Trap:
    try:
        _cka(*_pair(inplace=False), _images(35), 32, ["0"])
    except ValueError as error:
        return trap("pytorch-cka", "35 samples in batches of 32", "a value", f"ValueError: {error}")
    return trap("pytorch-cka", "35 samples in batches of 32", "a value", "a value")


class _Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def cka_module_list() -> Trap:
    what = "all layers (its default) of a network with a ModuleList"
    try:
        _cka(_Listed().eval(), _Listed().eval(), torch.randn(8, 4), 8, None)
    except KeyError as error:
        return trap("pytorch-cka", what, "two layers", f"KeyError: {error}")
    return trap("pytorch-cka", what, "two layers", "two layers")


def torchinstruments_interval() -> Trap:
    import polars as pl
    from torchinstruments import inject_observer, remove_observer

    network = nn.Sequential(nn.Linear(4, 4))
    with tempfile.TemporaryDirectory() as folder:
        inject_observer(network, output_dir=Path(folder) / "stats")
        with torch.inference_mode():
            for _ in range(8):
                network(torch.randn(4, 4))
        remove_observer(network)
        sampled = pl.read_parquet(Path(folder) / "stats" / "history.parquet")["sample_id"].n_unique()
    return trap(
        "torchinstruments",
        "8 passes at the default settings",
        "8 measured",
        f"{sampled} measured: the first, then one a minute",
    )


def torchinstruments_ragged() -> Trap:
    from torchinstruments import AlwaysSampler, inject_observer, remove_observer

    network = nn.Sequential(nn.Identity())
    data = torch.cat([torch.zeros(9, 4), torch.ones(1, 4)])
    with tempfile.TemporaryDirectory() as folder:
        inject_observer(network, output_dir=Path(folder) / "stats", sampler=AlwaysSampler())
        with torch.inference_mode():
            for batch in data.split(9):
                network(batch)
        remove_observer(network)
        records = json.loads((Path(folder) / "stats" / "result.json").read_text())
    mean = next(each for each in records if each["layer"] == "0")["tensors"][0]["statistics"]["mean"]["mean"]
    return trap(
        "torchinstruments",
        "mean of 9 zeros and a one, in batches of 9",
        "0.1",
        f"{mean:.1f}: each batch counts the same, however many samples it holds",
    )


def delve_sequences() -> Trap:
    from delve import SaturationTracker

    network = nn.Sequential(nn.Linear(4, 6))
    with tempfile.TemporaryDirectory() as folder:
        tracker = SaturationTracker(f"{folder}/run", save_to="csv", modules=network, device="cpu")
        network.eval()(torch.randn(8, 10, 4))
        rows = tracker.logs["eval-covariance-matrix"]["0"]._tlen
        tracker.add_saturations()
        tracker.close()
    return trap(
        "delve",
        "a linear layer over 8 sequences of 10 tokens",
        "80 rows",
        f"{rows} rows: of each sequence the last token alone",
    )


def delve_hooks() -> Trap:
    from delve import SaturationTracker

    network = nn.Sequential(nn.Linear(4, 6))
    with tempfile.TemporaryDirectory() as folder:
        SaturationTracker(f"{folder}/run", save_to="csv", modules=network, device="cpu").close()
    return trap(
        "delve", "hooks on a layer after close()", "0", f"{len(network[0]._forward_hooks)}: they stay on the model"
    )


def _graph(folder: str) -> Path:
    path = Path(folder) / "net.onnx"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _calibrator(folder: str, method: str, **options: Any) -> Any:
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    return create_calibrator(
        _graph(folder),
        augmented_model_path=f"{folder}/augmented.onnx",
        calibrate_method=CalibrationMethod[method],
        extra_options=options,
    )


def _reader(*arrays: np.ndarray) -> Any:
    from worker import Reader

    return Reader(iter(arrays))


def minmax_dropped() -> Trap:
    largest = [np.full((1, 4), value, np.float32) for value in (5, 1, 2)]
    with tempfile.TemporaryDirectory() as folder:
        calibrator = _calibrator(folder, "MinMax", max_intermediate_outputs=2)
        calibrator.collect_data(_reader(*largest))
        found = float(np.max(calibrator.compute_data()["x"].range_value[1]))
    return trap(
        "onnxruntime MinMax",
        "maximum of three batches, 5, 1 and 2, with max_intermediate_outputs=2",
        "5",
        f"{found:.0f}: batches that fill the bound are dropped and not merged",
    )


def histogram_ragged() -> Trap:
    what = "5 samples in batches of 4"
    with tempfile.TemporaryDirectory() as folder:
        calibrator = _calibrator(folder, "Percentile")
        try:
            calibrator.collect_data(_reader(np.ones((4, 4), np.float32), np.ones((1, 4), np.float32)))
        except ValueError as error:
            return trap("onnxruntime Histogram", what, "a histogram", f"ValueError: {str(error)[:90]}")
    return trap("onnxruntime Histogram", what, "a histogram", "a histogram")


TRAPS: dict[str, tuple[Callable[[], Trap], ...]] = {
    "cka": (cka_in_place, cka_batches, cka_last_batch, cka_module_list),
    "torchinstruments": (torchinstruments_interval, torchinstruments_ragged),
    "delve": (delve_sequences, delve_hooks),
    "onnxruntime.quantization.calibrate": (minmax_dropped, histogram_ragged),
}
"""By the module that each needs."""


def main() -> None:
    found = []
    for module, functions in TRAPS.items():
        try:
            __import__(module)
        except ImportError as error:
            print(f"left out, {module} is not installed: {error}")
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found += [function() for function in functions]
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
