"""A headless Chromium, and reports for it to open."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.report.html.make import report_of
from harness.report.html.render import write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "unit"))  # the samples are those of the unit tests

CLAIMS = HERE.parents[1] / "scenarios" / "claims.toml"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found, "there is no Chromium: `sh harness/setup.sh browser` installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


def reported(run: Path) -> Path:
    """The report of a folder of a run, or of many, with the guide's claims."""
    file = run / "report.html"
    write(report_of([run], CLAIMS), file)
    return file


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from report_samples import sample_run

    return reported(sample_run(tmp_path_factory.mktemp("sample")))


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of four generations."""
    from generation_samples import four_generations

    return reported(four_generations(tmp_path_factory.mktemp("night")))


class Opened:
    """A report in a page, and what went on there.

    Attributes:
        page: the page.
        complaints: what it wrote on the console, and its errors.
        requests: what it asked for, the file itself included.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message: ConsoleMessage) -> None:
        self.complaints.append(f"{message.type}: {message.text}")

    @property
    def count(self) -> str:
        return self.page.locator("#count").inner_text()

    def counts(self, text: str) -> None:
        """Wait until the filter's count begins with a text."""
        from playwright.sync_api import expect

        expect(self.page.locator("#count")).to_contain_text(text)

    def deployment(self, name: str) -> Any:
        return self.page.locator(f'details.deployment[data-name="{name}"]')

    def open(self, name: str) -> Any:
        """Open a deployment, and wait for its observations."""
        deployment = self.deployment(name)
        deployment.locator("> summary").click()
        deployment.locator("table.seen").wait_for()
        return deployment


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens a report: `visit(file, width=…, color_scheme=…)`; the options are a context's."""
    contexts = []

    def visited(file: Path, width: int = 1280, **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.goto(file.as_uri())
        if options.get("java_script_enabled", True):
            opened.counts("observations")
        return opened

    yield visited
    for context in contexts:
        context.close()
