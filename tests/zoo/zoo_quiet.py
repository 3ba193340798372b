"""Packages that warn when they are imported beside this release of torch."""

import logging
import warnings
from types import ModuleType


def peft() -> ModuleType:
    """The package."""
    torchao()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import peft as imported
    return imported


def torchao() -> ModuleType:
    """The package with its quantization; its kernels for GPUs are not there, and it says so."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchao as imported
            import torchao.quantization
    finally:
        logging.disable(logging.NOTSET)
    return imported
