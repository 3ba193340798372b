"""A browser for the tests that are marked with it, one for all of them."""

import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SILENT = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; the tests are skipped where it or what drives it is missing."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path (Debian: apt install chromium)")
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=SILENT.split())
        yield running
        running.close()
