"""What covscan tells of each family of architectures, as a table.

``python tests/zoo/zoo_survey.py [FAMILY]...`` writes it anew, or some of its lines.
"""

import re
import sys
import tempfile
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import zoo_families
from zoo_families import FAMILIES

from covscan import pipeline
from covscan.config import Settings

TABLE = Path(__file__).parents[2] / "benchmarks" / "results" / "families.md"
HEAD = [
    "| family | network | sites | excess | left out | never called | normalizations |",
    "|---|---|---|---|---|---|---|",
]
_ABOUT = """Small networks of each architecture with random weights, two checkpoints that differ by noise, and what a
tokenizer or processor gives, through `covscan.pipeline.analyze` with a factory and files. Every mean and standard
deviation, of each site and channel, is that of a hook which copies the tensor. "excess" are the outputs whose layer was
replayed. Written by `tests/zoo/zoo_survey.py`; a test holds each line to what a run gives.
"""


def analysed(name, folder):
    """The report of a family, and the weights of its second checkpoint."""
    family = FAMILIES[name]
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        net = zoo_families.build(name)
        torch.save(net.state_dict(), folder / "step-0.pt")
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.05 * parameter.std(correction=0) * torch.randn_like(parameter))
        torch.save(net.state_dict(), folder / "step-1.pt")
        np.savez(folder / "sample.npz", **family.data())
        report = pipeline.analyze(
            Settings(
                model=f"{Path(__file__).parent / 'zoo_families.py'}:build",
                model_args=(("family", name),),
                checkpoints=(str(folder),),
                data=str(folder / "sample.npz"),
                device="cpu",
                positions=None,
                per_channel=True,
                batch_size=32 if family.draws else 5,
            )
        )
    return report, net


@contextmanager
def _quiet():
    """Without what the packages warn of; what covscan warns of stays an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module="covscan")
        yield


def row(name, report):
    """The family's line of the table."""
    excess = [s.measures["excess_shift"].value for s in report.shifts if s.position == "output"]
    reasons = Counter(_short(skip.reason) for skip in report.coverage.skipped)
    norms = Counter(site.type for site in report.sites if site.role == "norm" and site.position == "output")
    cells = [
        name,
        FAMILIES[name].model,
        report.coverage.measured,
        f"{sum(value is not None for value in excess)} of {len(excess)}",
        _listed(reasons),
        len(report.coverage.never_fired) or "",
        _listed(norms),
    ]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _short(reason):
    return re.sub(r"of shape \(.*\) has no axis of \d+ samples", "holds no row for each sample", reason)


def _listed(counts):
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def written():
    """The lines of the table as it stands, by family."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")][1:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def main():
    torch.set_num_threads(1)
    lines = written() if TABLE.exists() else {}
    for name in sys.argv[1:] or FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            lines[name] = row(name, analysed(name, Path(folder))[0])
        print(lines[name], file=sys.stderr)
    rows = [lines[name] for name in FAMILIES]
    TABLE.write_text("\n".join(["# Families of architectures", "", _ABOUT, *HEAD, *rows, ""]))


if __name__ == "__main__":
    main()
