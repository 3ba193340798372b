"""Which operators of PyTorch compute and nothing else, so that a program of somebody else's may use them."""

COMPUTING = frozenset(
    {"aten", "prim", "prims", "quantized", "_quantized", "quantized_decomposed", "sparse", "torchvision"}
    | {"mkldnn", "mkldnn_prepacked", "onednn", "mkl", "profiler", "prepacked", "inductor_prims", "rngprims"}
)
"""Namespaces. What else packages register may do anything: read and write images, talk to other machines."""

REACHING_OUT = frozenset(
    {
        "from_file",  # maps a file, and makes it
        "save",  # writes one
        "rpc_async",
        "rpc_remote",
        "rpc_sync",
        "PythonOp",
        "IgnoredPythonOp",
    }
)
"""Operators in those namespaces that reach files, other machines or Python."""

CLASSES = frozenset({"quantized", "sparse", "mkldnn", "xnnpack", "profiler", "rnn"})
"""Namespaces of classes written in C++ that hold packed weights; others open stores and connections."""

SPEAKING = frozenset({"prim::Print", "aten::warn"})
"""Operators that write to the terminal or the log, where a line may be a command to a build server."""


def is_computing(name: str) -> bool:
    """Whether ``name`` (``aten::relu``) only computes."""
    namespace, _, operator = name.partition("::")
    return namespace in COMPUTING and operator.partition(".")[0] not in REACHING_OUT
