"""Ask PyPI for known vulnerabilities of every pinned release; what could not be asked about is no success."""

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """0: none known; 1: there are some; 2: about some releases nothing could be learned."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "pins.txt")
        wanted.write_text(pins, encoding="utf-8")
        command = [Path(sysconfig.get_path("scripts"), "pip-audit"), "--no-deps", "--disable-pip", "-r", wanted]
        done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        print(done.stderr, file=sys.stderr)
        return 2
    known = [(each["name"], each["version"], bad["id"]) for each in found for bad in each.get("vulns", [])]
    unasked = [each["name"] for each in found if "skip_reason" in each]
    for name, version, number in known:
        print(f"{name} {version}: {number}")
    asked = len(found) - len(unasked)
    print(f"{asked} of {len(found)} pinned releases were looked up, {len(known)} vulnerabilities known")
    if unasked:
        print(f"nothing could be learned about {', '.join(unasked[:5])}{' and others' if unasked[5:] else ''}")
    return 1 if known else 2 if unasked else 0


if __name__ == "__main__":
    sys.exit(main())
