"""A headless Chromium for the tests of the page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.brokers.real_kafka import kafka_required

OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WAIT_MS = 15_000


@dataclass(slots=True)
class Tab:
    """An open page, with the messages of its console."""

    page: Page
    messages: list[str] = field(default_factory=list)
    """Messages of the console, and errors of scripts."""

    def violations(self) -> list[str]:
        """Return the accessibility rules of axe-core that the page violates, with the elements."""
        violations = Axe().run(self.page).response["violations"]
        return [
            f"{violation['id']}: {node['html'][:200]}"
            for violation in violations
            for node in violation["nodes"]
        ]

    def is_as_wide_as_the_window(self) -> bool:
        """Return whether the page needs no horizontal scroll bar."""
        width = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return int(width) <= 0

    def wait_for_lanes(self) -> None:
        """Wait until the lanes are drawn and the page gets changes."""
        self.page.wait_for_selector("#sensors[data-lanes]", timeout=WAIT_MS)
        self.page.wait_for_selector("html[data-stream=open]", state="attached", timeout=WAIT_MS)


def require_chromium() -> str:
    """Return the path of Chromium; skip the test without one, and fail in CI."""
    path = shutil.which("chromium")
    if path is not None:
        return path
    reason = "no chromium on the PATH (Debian's package `chromium` has it)"
    if kafka_required():
        pytest.fail(f"{reason}, and CI needs it", pytrace=False)
    pytest.skip(reason)


@contextmanager
def a_browser(profile: Path) -> Iterator[BrowserContext]:
    """Start Chromium with its own profile folder, and stop it at the end."""
    path = require_chromium()
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=path, headless=True, args=list(OPTIONS)
        )
        try:
            yield context
        finally:
            context.close()


def open_tab(context: BrowserContext, address: str) -> Tab:
    """Open a page."""
    tab = Tab(context.new_page())
    tab.page.on("console", lambda message: tab.messages.append(message.text))
    tab.page.on("pageerror", lambda error: tab.messages.append(str(error)))
    tab.page.goto(address, timeout=WAIT_MS)
    return tab
