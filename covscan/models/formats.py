"""One saved state of a network as it lies on disk, and the names of the formats."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Format = Literal["torch", "safetensors", "torchscript", "exported", "onnx", "huggingface"]

TITLES: dict[Format, str] = {
    "torch": "PyTorch checkpoint",
    "safetensors": "safetensors",
    "torchscript": "TorchScript",
    "exported": "torch.export program",
    "onnx": "ONNX",
    "huggingface": "Hugging Face directory",
}

SUFFIXES = frozenset(
    {".pt", ".pth", ".bin", ".ckpt", ".chkpt", ".tar", ".model", ".pkl", ".pickle", ".safetensors"}
    | {".pt2", ".jit", ".ts", ".torchscript", ".onnx"}
)
"""Suffixes that promise a model."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint on disk.

    ``path`` is what the user named or what was found for it. ``files`` are all the files whose content it is,
    ``weights`` those that hold tensors (the shards, where it is sharded). ``listed`` is True for what a
    folder or a glob brought along, False for what was named one by one.
    """

    path: Path
    format: Format
    files: tuple[Path, ...]
    weights: tuple[Path, ...]
    listed: bool = False
