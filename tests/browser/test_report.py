"""The report in a browser: it opens quietly, and does what its reader wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Opened

Visit = Callable[..., "Opened"]


def test_opens_without_complaints_and_asks_for_nothing(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    opened.open("compose-permit_container").locator(".seen summary").first.click()
    assert opened.requests == [sample.as_uri()]
    assert opened.complaints == []


def test_pictures_show_what_was_observed(visit: Visit, sample: Path) -> None:
    page = visit(sample).page

    def glyphs(picture: str, folder: str, variant: str) -> str:
        row = page.locator(f"#{picture} tr[data-of]").filter(
            has=page.get_by_role("link", name=f"{folder} {variant}", exact=True)
        )
        cells = row.locator("td.cell").all()
        return " ".join(re.split(r"\d", cell.inner_text())[0].split("\n")[0] for cell in cells)

    assert glyphs("relay", "compose", "permit_container") == " ".join(["R"] * 10)
    assert glyphs("relay", "compose", "permit_none") == "✓ ✓ ✓ ✓ R! ✓ ✓ ✓ ✓ ✓"
    assert glyphs("relay", "compose", "permit_network") == "✓ ✓ ✓ ✓ ✓ ✓ C! ✓ ✓ ✓"
    assert glyphs("relay", "old", "permit_host") == "R? R? R? R? ✓ ✓ ✓ ✓ ✓ ✓"
    assert glyphs("ports", "rootful", "permit_unset") == "● – ● – ● – ● – ● –"
    assert glyphs("ports", "rootful", "permit_none") == "● ● ● ● ● ● ● ● ✕ ●"


def test_every_observation_has_its_evidence_one_click_away(visit: Visit, sample: Path) -> None:
    deployment = visit(sample).open("compose-permit_container")
    expect(deployment.locator(".seen tbody tr")).to_have_count(int_of(deployment))
    row = deployment.locator(".seen tbody tr", has_text="client_address").first
    expect(row.locator("dd").first).to_be_hidden()
    row.locator("summary").click()
    expect(row.locator("dd").first).to_be_visible()
    expect(row).to_contain_text("NOQUEUE: reject: RCPT from mail.example.com[10.89.0.2]: 550")


def int_of(deployment: object) -> int:
    return int(deployment.get_attribute("data-total"))  # type: ignore[attr-defined]


def test_filter_finds_names_and_evidence(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    opened.counts("9 deployments")
    words = opened.page.get_by_label("Words")
    words.fill("permit_none")
    opened.counts("2 of 9 deployments")
    expect(opened.deployment("compose-permit_none")).to_be_visible()
    expect(opened.deployment("compose-permit_network")).to_be_hidden()
    expect(opened.page.locator("#relay tr[data-of]:visible")).to_have_count(2)

    words.fill("no such volume")  # it is in the evidence of one observation
    opened.counts("1 of 9 deployments, 1 of ")
    row = opened.open("guide-as_written").locator(".seen tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("failed")

    words.fill("nothing has this")
    opened.counts("0 of 9 deployments, 0 of ")
    opened.page.get_by_role("button", name="Clear").click()
    opened.counts("9 deployments")
    expect(opened.deployment("compose-permit_network")).to_be_visible()


def test_filter_shows_what_to_look_at(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    opened.page.get_by_label("Show", exact=True).select_option("alarm")
    opened.counts("3 of 9 deployments")
    expect(opened.deployment("compose-permit_network")).to_be_visible()
    opened.page.get_by_label("Show", exact=True).select_option("failed")
    opened.counts("2 of 9 deployments")
    expect(opened.deployment("compose-permit_none")).to_be_visible()
    expect(opened.deployment("compose-permit_none")).to_contain_text("1 failing test")


def test_cell_leads_to_its_observations(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    opened.page.locator("#relay td.s-open a").click()
    deployment = opened.deployment("compose-permit_none")
    expect(deployment).to_have_attribute("open", "")
    expect(deployment.locator(".seen tbody tr")).to_have_count(5)
    for row in deployment.locator(".seen tbody tr").all():
        expect(row).to_contain_text("relay")
        expect(row).to_contain_text("outside_far_v4")


def test_link_to_a_deployment_opens_it(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    opened.page.locator(".alarms").get_by_role("link", name="rootful-permit_none").click()
    deployment = opened.deployment("rootful-permit_none")
    expect(deployment.locator("table.seen")).to_be_visible()
    expect(deployment).to_be_in_viewport()


def test_failing_tests_say_why(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    expect(opened.page.locator(".tiles")).to_contain_text("tests failed")
    test = opened.open("compose-permit_none").locator("details.test")
    test.locator("summary").click()
    expect(test.locator("pre")).to_have_text("an open relay")


def test_network_path_is_described(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    path = opened.open("compose-permit_container").get_by_role("img")
    expect(path).to_have_accessible_name("Network path of compose-permit_container")
    said = path.locator("desc").text_content()
    assert "Forwarder: rootlessport, listens on *:25" in said
    assert "Postfix logs 10.89.0.2: another address takes the client's place" in said
    expect(path.locator(".f-replaced .logged").first).to_have_text("10.89.0.2")
    expect(path.locator(".hop.unknown")).to_have_count(1)  # firewalld


def test_colours_follow_the_reader(visit: Visit, sample: Path) -> None:
    def ground(opened: Opened) -> str:
        return str(opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light, dark = visit(sample, color_scheme="light"), visit(sample, color_scheme="dark")
    ground_of_light, ground_of_dark = ground(light), ground(dark)
    assert ground_of_light != ground_of_dark
    light.page.get_by_role("button", name="Show the page dark").click()
    assert ground(light) == ground_of_dark
    light.page.reload()
    assert ground(light) == ground_of_dark
    dark.page.get_by_role("button", name="Show the page light").click()
    assert ground(dark) == ground_of_light


def test_is_readable_without_javascript(visit: Visit, sample: Path) -> None:
    page = visit(sample, java_script_enabled=False).page
    expect(page.locator("#relay td.s-open")).to_be_visible()
    expect(page.locator("#ports td.s-none")).to_be_visible()
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("form.filter")).to_be_hidden()
    expect(page.locator("#theme")).to_be_hidden()
    deployment = page.locator('details.deployment[data-name="compose-permit_none"]')
    deployment.locator("> summary").click()
    expect(deployment.get_by_role("img")).to_be_visible()


def test_a_narrow_page_does_not_scroll_sideways(visit: Visit, sample: Path) -> None:
    opened = visit(sample, width=360)
    opened.open("compose-permit_container").locator(".seen summary").first.click()
    opened.page.locator("details.claim summary").first.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
