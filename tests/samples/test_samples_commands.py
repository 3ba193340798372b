"""The commands in the samples' READMEs do what they promise, run from the project's folder as they stand there."""

import json
import shlex
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent.parent.parent / "samples"
COMMANDS = [
    pytest.param(line.strip(), id=f"{readme.parent.name}-{number}")
    for readme in sorted(SAMPLES.glob("*/README.md"))
    for number, line in enumerate(
        line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith("    covscan ")
    )
]


def expanded(word: str, root: Path) -> list[str]:
    """A word of the command line as a shell would give it."""
    if "*" not in word:
        return [word]
    return sorted(path.relative_to(root).as_posix() for path in root.glob(word))


def test_every_sample_has_a_command() -> None:
    assert len(COMMANDS) >= len(list(SAMPLES.glob("*/make.py")))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_the_readme_measures_every_checkpoint(
    command: str, root: Path, tmp_path: Path, run_covscan
) -> None:
    program, *words = shlex.split(command)
    assert program == "covscan"
    arguments = [each for word in words for each in expanded(word, root)]
    report = tmp_path / "report.json"
    # Fewer samples and one kind of output more than the reader would have: the rest is the command itself.
    ran = run_covscan(*arguments, "--samples", "48", "-o", f"json={report}")
    assert ran.returncode == 0, ran.stderr
    assert "Suggestions" in ran.stdout
    measured = json.loads(report.read_text(encoding="utf-8"))
    steps = [checkpoint["step"] for checkpoint in measured["checkpoints"]]
    assert len(steps) >= 4
    assert steps == sorted(steps)
    assert measured["coverage"]["measured"] > 10
    assert not measured["coverage"]["non_finite"]
    identifiers = {checkpoint["id"] for checkpoint in measured["checkpoints"]}
    assert all(set(site["statistics"]) == identifiers for site in measured["sites"] if not site["same_as"])
