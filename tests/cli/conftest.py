import sys
import types
from pathlib import Path

import pytest

from covscan.cli.entry import run
from covscan.report import read

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def golden():
    """The folder of reports and their renderings."""
    return GOLDEN


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Nothing in the environment steers colour or width."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def covscan(capfdbinary):
    """Run a command line in this process; gives (exit code, standard output, standard error)."""

    def call(*words):
        code = run([str(word) for word in words])
        written = capfdbinary.readouterr()
        return code, written.out.decode(), written.err.decode()

    return call


@pytest.fixture
def pipeline(monkeypatch):
    """A pipeline that measures nothing: it hands out golden reports and keeps what it was asked for.

    ``pipeline.behave`` may be set to a function of (settings, progress) that is called in place of a measurement.
    """
    fake = types.ModuleType("covscan.pipeline")
    fake.asked = []
    fake.commands = []
    fake.report = read(GOLDEN / "digits.json")
    fake.behave = lambda settings, progress: None

    def analyze(settings, progress=None, command=""):
        fake.asked.append(settings)
        fake.commands.append(command)
        fake.behave(settings, progress)
        return fake.report

    def survey(settings):
        fake.asked.append(settings)
        fake.behave(settings, None)
        found = fake.report
        return types.SimpleNamespace(model=found.model, sites=found.sites, coverage=found.coverage, notes=found.notes)

    fake.analyze, fake.survey = analyze, survey
    monkeypatch.setitem(sys.modules, "covscan.pipeline", fake)
    return fake
