"""What was observed is shown and never obeyed; large records stay quick to read."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import reported
from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Opened

Visit = Callable[..., "Opened"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from report_samples import hostile_run

    return reported(hostile_run(tmp_path_factory.mktemp("hostile")))


def test_hostile_text_is_text(visit: Visit, hostile: Path) -> None:
    opened = visit(hostile)
    for summary in opened.page.locator("details.deployment > summary").all():
        summary.click()
    opened.page.locator("table.seen").last.wait_for()
    for summary in opened.page.locator(".seen summary").all():
        summary.click()
    expect(opened.page.locator("#relay table")).to_contain_text("<script>window.hacked = 1")
    expect(opened.page.locator("[data-name^=bad3] table.seen")).to_contain_text("␀␇␛[31mred␛[0m")
    body = opened.page.locator("body").text_content()
    assert "{{ 7 * 7 }} ${7 * 7}" in body
    assert "\u202e" not in body
    assert opened.page.evaluate("window.hacked") is None
    assert opened.page.locator("img").count() == 0
    assert opened.complaints == []
    assert opened.requests == [hostile.as_uri()]


def test_hostile_text_can_be_searched(visit: Visit, hostile: Path) -> None:
    opened = visit(hostile)
    opened.page.get_by_label("Words").fill("onerror='window.hacked")
    opened.counts("1 of 5 deployments")
    assert opened.complaints == []


def test_a_megabyte_of_evidence_is_drawn_when_asked_for(visit: Visit, hostile: Path) -> None:
    opened = visit(hostile)
    # What the mail server is called makes generations of these, whose names are as hostile.
    deployment = opened.page.locator("details.deployment[data-name^=big-one]")
    deployment.locator("> summary").click()
    deployment.locator(".seen summary").click()
    shown = deployment.locator(".seen pre")
    assert len(shown.text_content()) == 20_000
    deployment.get_by_role("button", name="Show all 1,048,576 characters").click()
    assert len(shown.text_content()) == 1_048_576
    expect(shown).to_be_focused()


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_page_may_not_use_the_network(
    visit: Visit, sample: Path, listener: tuple[str, list[str]]
) -> None:
    address, asked = listener
    opened = visit(sample)
    refused = opened.page.evaluate(
        """async (address) => {
            const image = new Promise((done) => {
                const made = document.createElement("img");
                made.onerror = () => done("refused");
                made.onload = () => done("loaded");
                made.src = address + "/image";
                document.body.append(made);
            });
            const fetched = fetch(address + "/fetch", { mode: "no-cors" })
                .then(() => "fetched", () => "refused");
            return [await image, await fetched];
        }""",
        address,
    )
    assert refused == ["refused", "refused"]
    assert asked == []
    urllib.request.urlopen(f"{address}/proof", timeout=10).close()  # noqa: S310
    assert asked == ["/proof"]


@pytest.mark.parametrize("number", [1_000, 20_000])
def test_large_records(visit: Visit, tmp_path: Path, number: int) -> None:
    from report_samples import deployed

    run = tmp_path / "large"
    run.mkdir()
    small = 178
    parts = max(1, number // 2_500)
    for part in range(parts):
        deployed(run, f"large-part_{part}", more_dns=number // parts - small)
    lines = (run / "observations.jsonl").read_text(encoding="utf-8").count("\n")
    file = reported(run)
    assert file.stat().st_size < (run / "observations.jsonl").stat().st_size / 4 + 300_000
    opened = visit(file)
    opened.counts(f"{lines:,} observations")
    opened.page.get_by_label("Words").fill("domain7.example")
    opened.counts(f"{parts} of {parts} deployment")
    opened.page.get_by_role("button", name="Clear").click()
    opened.counts(f"{lines:,} observations")
    deployment = opened.open("large-part_0")
    rows = deployment.locator(".seen tbody tr")
    drawn = deployment.locator(".seen tbody th, .seen tbody tr:has(td:nth-child(6))")
    total = int(deployment.get_attribute("data-total"))
    expect(drawn).to_have_count(200)
    for _ in range(-(-total // 200) - 1):
        deployment.get_by_role("button", name="more of").click()
    expect(drawn).to_have_count(total)
    expect(rows.last.locator("summary")).to_be_visible()
