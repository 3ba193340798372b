"""Open a model and a series of its checkpoints, one module per format.

``STANDALONE`` opens formats that carry their architecture, ``READERS`` reads weights for the architecture
of a factory, which ``FACTORY`` opens with them and ``UNTRAINED`` without any; ``STEPS`` reads the training step that a
file states about itself. What a run needs is imported and no more: torch alone takes a second.
"""

from typing import TYPE_CHECKING

from covscan.registry import resolve

if TYPE_CHECKING:
    from covscan.config.settings import Settings
    from covscan.models.types import Source

__all__ = ["FACTORY", "READERS", "STANDALONE", "STEPS", "UNTRAINED", "open_source"]

UNTRAINED = "covscan.models.untrained:UntrainedSource"
FACTORY = "covscan.models.factory_source:open_factory"

STANDALONE = {
    "torch": "covscan.models.pickled_module:open_pickled_module",
    "safetensors": "covscan.models.factory_source:refuse_without_architecture",
    "torchscript": "covscan.models.torchscript:open_torchscript",
    "exported": "covscan.models.exported:open_exported",
    "huggingface": "covscan.models.huggingface:open_huggingface",
    "onnx": "covscan.models.onnx_file:open_onnx",
}

READERS = {
    "torch": "covscan.models.torch_file:read_torch",
    "safetensors": "covscan.models.safetensors_file:read_safetensors",
    "torchscript": "covscan.models.torchscript:read_torchscript",
    "exported": "covscan.models.exported:read_exported",
    "huggingface": "covscan.models.contents:read_folder",
}

STEPS = {
    "torch": "covscan.models.torch_file:stated_steps",
    "safetensors": "covscan.models.safetensors_file:stated_steps",
    "torchscript": "covscan.models.torchscript:stated_steps",
    "exported": "covscan.models.exported:stated_steps",
    "huggingface": "covscan.models.contents:folder_steps",
    "onnx": "covscan.models.onnx_file:stated_steps",
}


def open_source(settings: "Settings", *, untrained: bool = False) -> "Source":
    """Open the model and the checkpoints that ``settings`` names, in training order.

    Every file is found, hashed and read once here, and every set of weights is compared with the
    architecture by names and shapes, so that what can fail fails before anything is measured. With
    ``untrained``, a factory without checkpoints gives a series of one: the network as it is built, to list
    its sites and not to judge it.
    What was decided for the user stands in the source's ``notes``, a list of sentences.
    Raises UsageError, or InputErrors where several files are at fault.
    """
    open_with = resolve("covscan.models.opening:open_source")
    source: Source = open_with(settings, untrained=untrained)
    return source
