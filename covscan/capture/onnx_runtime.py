"""ONNX Runtime, told to send nothing: from 1.29 on it reports what it runs to its makers, on Linux and macOS too.

It looks at the variable once, when it is first imported; then it makes neither an uploader nor a file that identifies
the machine. Whoever set the variable before is left with that choice. On Windows it takes a call.
"""

import os

OPT_OUT = "ORT_DISABLE_TELEMETRY"
os.environ.setdefault(OPT_OUT, "1")

import onnxruntime  # noqa: E402

if os.environ[OPT_OUT] == "1":
    onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]
