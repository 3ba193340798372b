"""Reports, baselines and configurations that are not what they must be: a sentence, and exit code 2."""

import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent.parent / "golden" / "digits.json"
REPORT = GOLDEN.read_text(encoding="utf-8")
HEAD = '{"schema_version": "1.0", "tool": {"name": "covscan", "version": "0"}, '


def first(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


def damaged():
    value = json.loads(REPORT)
    wrong = {**value, "sites": 3}
    return {
        "NaN": first(REPORT, '"depth": 0', '"depth": NaN') if '"depth": 0' in REPORT else HEAD + '"x": NaN}',
        "Infinity": HEAD + '"x": -Infinity}',
        "a number beyond all": HEAD + '"x": 1e999}',
        "a long number": HEAD + '"x": ' + "9" * 10_000 + "}",
        "a key twice": first(REPORT, "{", '{"schema_version": "1.0",'),
        "a key twice inside": HEAD + '"model": {"a": 1, "a": 1}}',
        "text behind": REPORT + "{}",
        "a second report": REPORT + REPORT,
        "cut off": REPORT[: len(REPORT) // 2],
        "deep": HEAD + '"x": ' + "[" * 200_000 + "]" * 200_000 + "}",
        "deep objects": HEAD + '"x": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        "a wrong type": json.dumps(wrong),
        "a list": "[]",
        "a number": "1",
        "a text": '"covscan"',
        "null": "null",
        "empty": "",
        "white space": " \n",
        "UTF-16": REPORT.encode("utf-16"),
        "Latin-1": REPORT.encode() + b"\xe9",
        "two marks": b"\xef\xbb\xbf" * 2 + REPORT.encode(),
        "a zero byte": REPORT.replace("covscan", "cov\0scan"),
        "a lone surrogate": first(REPORT, '"covscan"', '"\\ud800"'),
        "no version": first(REPORT, '"schema_version"', '"schema"'),
        "an absurd version": '{"schema_version": "' + "9" * 5000 + '.0", "tool": {"name": "covscan"}}',
        "a version of a list": '{"schema_version": [1], "tool": {"name": "covscan"}}',
        "comments": "// x\n" + REPORT,
        "single quotes": "{'schema_version': '1.0'}",
        "YAML": "a: &a [x]\nb: [*a, *a]\n",
    }


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


@pytest.mark.parametrize("name", damaged())
def test_reports(name, bench, refused):
    written(bench / "r.json", damaged()[name])
    written(bench / "good.json", REPORT)
    commands = [["render", "r.json"], ["check", "--report", "r.json"], ["diff", "r.json", "good.json"]]
    commands += [["diff", "good.json", "r.json"], ["baseline", "write", "--report", "r.json", "-o", "b.json"]]
    for words in commands:
        assert "r.json" in refused(*words)
    assert not (bench / "b.json").exists()


def test_the_same_report_undamaged_is_read(bench, covscan):
    for content in (REPORT, b"\xef\xbb\xbf" + REPORT.encode()):
        written(bench / "r.json", content)
        assert covscan("render", "r.json")[0] == 0


@pytest.mark.parametrize("name", damaged())
def test_baselines(name, bench, covscan, refused):
    written(bench / "good.json", REPORT)
    assert covscan("baseline", "write", "--report", "good.json", "-o", "b.json")[0] == 0
    assert covscan("check", "--report", "good.json", "--baseline", "b.json")[0] in (0, 1)
    baseline = (bench / "b.json").read_text(encoding="utf-8")
    own = {
        "a key twice": first(baseline, "{", '{"schema": "x",'),
        "text behind": baseline + "x",
        "a second report": baseline + baseline,
        "cut off": baseline[: len(baseline) // 2],
        "UTF-16": baseline.encode("utf-16"),
        "a zero byte": baseline.replace("covscan", "cov\0scan"),
    }
    written(bench / "b.json", own.get(name, damaged()[name]))
    assert "b.json" in refused("check", "--report", "good.json", "--baseline", "b.json")


@pytest.mark.parametrize(
    "text",
    [
        *["samples = nan", "samples = inf", "samples = 1e999", "seed = " + "9" * 5000, "samples = 1\nsamples = 2"],
        *["a = " + "[" * 100_000, "x." * 100_000 + "y = 1", "[check]\n[check]", "trust = true", "samples = [", "\0"],
        *[
            "a = {" + "b = {" * 5000,
            "[" * 5000 + "a" + "]" * 5000,
            "samples = 0x" + "f" * 100_000,
            "samples = 2026-99-99",
        ],
        *["[budgets.a]\nmeasure = 'gaussian_w2'\nmax = nan", "[budgets.a]\nmax = -inf", "# " + "x" * 2_000_000],
        *["checkpoints = ['" + "a" * 500_000 + "']\nx = 1", "samples = 'a'", "sites = [[]]", "\ufeff\ufeffsamples = 1"],
    ],
    ids=range(22),
)
def test_configurations(text, bench, refused):
    written(bench / "covscan.toml", text)
    error = refused("config")
    assert "covscan.toml" in error
    assert len(error) < 20_000


def test_configurations_of_other_encodings(bench, refused):
    for content in ("samples = 1".encode("utf-16"), b"\xff\xfe\x00", b"samples = '\xe9'"):
        written(bench / "covscan.toml", content)
        assert "covscan.toml" in refused("config")
