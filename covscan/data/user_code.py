"""Run the user's code: prints go to stderr, errors are reported as the user's, random state is restored."""

import contextlib
import random
import sys
from collections.abc import Iterator

import numpy as np

from covscan.config.loading import describe_error
from covscan.errors import CovscanError, UsageError


@contextlib.contextmanager
def user_code(name: str, seed: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's global generators: a shuffling loader yields the same each time.

    Their state is put back afterwards. Whatever is raised, SystemExit included, becomes a UsageError that
    names ``name``.
    """
    import torch

    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.default_generator.manual_seed(seed % 2**63)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except CovscanError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(
            "data-function-failed",
            f"{name} failed while the sample data was read",
            found=describe_error(error),
            hint="run it in Python to see the whole traceback",
        ) from error
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
