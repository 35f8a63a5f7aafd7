"""Find the Chromium of this machine and start it without a desktop, a sandbox or a background life.

It needs the `dev` extra (playwright). Playwright's own download of a browser is not used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VARIABLE = "FMLORA_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",  # as root Chromium does not start with one; it only ever opens our own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A busy machine must not slow down the page that is being looked at.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
)
NO_BROWSER = (
    f"no Chromium was found: none of {', '.join(NAMES)} is in PATH, and {VARIABLE} is not set "
    "(on Debian or Ubuntu: apt install chromium)"
)


def find_browser() -> str | None:
    """Path of the browser: what FMLORA_BROWSER names, else the first known name in PATH, or None.

    Raises:
        ValueError: FMLORA_BROWSER is set and names no program.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen and not shutil.which(chosen):
        raise ValueError(f"{VARIABLE} must name a program that can be run, got {chosen!r}")
    return next((path for name in (chosen, *NAMES) if name and (path := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser with an empty profile, closed in the end; or FileNotFoundError."""
    from playwright.sync_api import sync_playwright

    path = find_browser()
    if path is None:
        raise FileNotFoundError(NO_BROWSER)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
