"""Draws what this folder holds, from `samples/digits-sigmoid`: python samples/pictures/make.py (or make pictures).

A Chromium is needed, and playwright and pillow, which are among the development packages.
"""

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

import covscan
from covscan.render import render
from covscan.report import Report

HERE = Path(__file__).parent
DIGITS = HERE.parent / "digits-sigmoid"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLOURS = 256
"""Enough for a page, and half of the bytes."""


def measured() -> Report:
    """What `make demo` measures."""
    training = {"target": "y", "loss": "cross_entropy", "optimizer": "sgd", "lr": 0.1}
    with contextlib.chdir(DIGITS):
        return covscan.analyze("plain", model="nets.py:plain", data="sample.npz", **training)


def small(content: bytes) -> bytes:
    """The same picture with few colours."""
    file = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def photograph(page: Page, address: str, scheme: str) -> None:
    """The top of the page, and the map with a layer beside it."""
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    (HERE / f"page-{scheme}.png").write_bytes(small(page.screenshot()))
    page.evaluate("location.hash = 'layer=fc4:out'")
    page.locator("#layer-spread svg").wait_for()
    page.wait_for_timeout(300)  # until the page beside the panel has its new width
    for place in ("shift", "layer-bands-figure"):
        page.evaluate("(place) => document.getElementById(place).scrollIntoView()", place)
    (HERE / f"layer-{scheme}.png").write_bytes(small(page.screenshot()))


def main() -> None:
    """Measure once, and write every picture anew."""
    report = measured()
    picture = render(report, "png")
    assert isinstance(picture, bytes)
    (HERE / "shift.png").write_bytes(small(picture))
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit(f"make: no browser for the pages' pictures: none of {', '.join(BROWSERS)} is on the path")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(str(render(report, "html")), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=found, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": 1280, "height": 800}, color_scheme=scheme, offline=True, reduced_motion="reduce"
            )
            photograph(context.new_page(), file.as_uri(), scheme)
        browser.close()


if __name__ == "__main__":
    main()
