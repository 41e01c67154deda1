"""Generations side by side in a browser: where they differ is seen, and can be seen alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import reported
from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Opened

Visit = Callable[..., "Opened"]
DEBIAN_12 = "nspawn, debian-12, podman 4.3.1"
DEBIAN_13 = "nspawn, debian-13, podman 5.4.2"
FORKY = "nspawn, debian-forky, podman 5.8.0"
FEDORA = "vagrant, fedora-44, podman 5.8.1"


def block(opened: Opened, picture: str, name: str) -> object:
    return opened.page.locator(f"#{picture} tbody.block", has_text=name)


def test_what_differs_is_framed_and_what_agrees_is_one_line(visit: Visit, night: Path) -> None:
    opened = visit(night)
    page = opened.page
    agreeing = page.locator("#relay tbody.block", has_text="4/4")
    expect(agreeing).to_have_count(1)
    expect(agreeing.locator("tr[data-of]")).to_have_count(1)
    differing = page.locator("#relay tbody.differs", has_text="permit_container")
    lines = differing.locator("tr[data-of]")
    expect(lines).to_have_count(2)
    expect(lines.nth(0).locator("th a")).to_have_text(
        [f"compose permit_container in {each}" for each in (DEBIAN_12, DEBIAN_13)]
    )
    expect(lines.nth(1).locator("td.d")).to_have_count(6)
    outline = "each => getComputedStyle(each).outlineWidth"
    assert lines.nth(1).locator("td.d").first.evaluate(outline) == "4px"
    assert lines.nth(1).locator("td.alike").first.evaluate(outline) != "4px"
    assert opened.complaints == []


def test_only_what_differs(visit: Visit, night: Path) -> None:
    opened = visit(night)
    page = opened.page
    agreeing = page.locator("#relay tbody.block:not(.differs)", has_text="permit_unset")
    expect(agreeing.first).to_be_visible()
    expect(page.locator("#relay tbody", has_text="podman 4.3 has no Quadlet")).to_be_visible()
    expect(opened.deployment(f"pasta_quadlet-permit_unset in {FORKY}")).to_be_visible()
    page.get_by_label("Only what differs").check()
    expect(page.locator("#relay tbody.block", has_text="4/4")).to_be_hidden()
    expect(page.locator("#relay tbody.differs", has_text="permit_container")).to_be_visible()
    expect(page.locator("#relay tbody", has_text="podman 4.3 has no Quadlet")).to_be_hidden()
    expect(page.locator("#versions tr", has_text="systemd")).to_have_count(0)
    expect(page.locator("#versions tr", has_text="selinux")).to_be_hidden()
    expect(page.locator("#versions tr", has_text="podman version 5.8.0")).to_be_visible()
    page.get_by_label("Only what differs").uncheck()
    expect(agreeing.first).to_be_visible()


def test_a_link_leads_to_what_is_hidden(visit: Visit, night: Path) -> None:
    opened = visit(night)
    page = opened.page
    page.get_by_label("Only what differs").check()
    claim = page.locator("details.claim").first
    expect(claim).to_be_hidden()
    page.evaluate("id => { location.hash = id; }", claim.get_attribute("id"))
    expect(claim).to_be_visible()
    expect(page.get_by_label("Only what differs")).not_to_be_checked()


def test_a_line_leads_to_each_generation_and_a_cell_to_its_observations(
    visit: Visit, night: Path
) -> None:
    opened = visit(night)
    page = opened.page
    differing = page.locator("#relay tbody.differs", has_text="permit_container")
    differing.get_by_role("link", name=FEDORA).click()
    deployment = opened.deployment(f"compose-permit_container in {FEDORA}")
    expect(deployment.locator("table.seen")).to_be_visible()
    differing.locator("td.d a[data-vantage=outside_far_v4]").last.click()
    deployment = opened.deployment(f"compose-permit_container in {FORKY}")
    expect(deployment.locator(".seen tbody tr")).to_have_count(5)
    expect(deployment.locator(".seen tbody tr").first).to_contain_text("refused")


def test_not_applicable_and_not_run_are_said(visit: Visit, night: Path) -> None:
    page = visit(night).page
    variant = page.locator(".variant", has_text="podman 4.3 has no Quadlet").first
    expect(variant.locator("p.absent").first).to_contain_text(f"{DEBIAN_12}: not applicable")
    expect(variant.locator("p.absent").last).to_contain_text(f"{FEDORA}: not run")
    strip = page.locator(".strips")
    expect(strip).to_have_attribute("aria-label", _containing("2 not applicable"))
    expect(strip).to_have_attribute("aria-label", _containing("1 not run"))


def _containing(text: str) -> object:
    import re

    return re.compile(re.escape(text))


def test_flaky_repetitions_are_both_shown(visit: Visit, night: Path) -> None:
    page = visit(night).page
    flaky = page.locator("#relay tbody.differs", has_text="repetitions disagree")
    expect(flaky.locator("tr[data-of]")).to_have_count(2)
    expect(flaky.locator("tr[data-of]").last).to_contain_text("1 of 2 times")
    expect(page.locator("#differences")).to_contain_text(
        "deployed 2 times, with different outcomes"
    )


def test_filter_keeps_lines_and_blocks_together(visit: Visit, night: Path) -> None:
    opened = visit(night)
    opened.page.get_by_label("Words").fill("compose-permit_container debian-13")
    opened.counts("1 of 22 deployments")
    expect(opened.page.locator("#relay tbody.block:visible")).to_have_count(1)
    expect(opened.page.locator("#relay tr[data-of]:visible")).to_have_count(1)
    expect(opened.page.locator(".variant:visible")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_violations(visit: Visit, night: Path, colours: str, width: int) -> None:
    opened = visit(night, width=width, color_scheme=colours)
    opened.open(f"compose-permit_container in {FEDORA}").locator(".seen summary").first.click()
    opened.open(f"rootful-permit_unset in {FEDORA}")
    opened.page.locator("details.time > summary").first.click()
    for claim in opened.page.locator("details.claim > summary").all()[:4]:
        claim.click()
    result = Axe().run(opened.page)
    assert result.response["passes"], "axe looked at nothing"
    assert result.violations_count == 0, result.generate_report()
    assert opened.complaints == []


@pytest.mark.parametrize("width", [1280, 360])
def test_a_narrow_page_does_not_scroll_sideways(visit: Visit, night: Path, width: int) -> None:
    opened = visit(night, width=width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_goes_from_line_to_line(visit: Visit, night: Path) -> None:
    opened = visit(night)
    page = opened.page
    page.get_by_label("Only what differs").focus()
    page.keyboard.press("Space")
    expect(page.get_by_label("Only what differs")).to_be_checked()
    lines = page.locator("#relay tbody.differs tr[data-of]")
    lines.nth(0).locator("th a").first.focus()
    page.keyboard.press("ArrowDown")
    expect(lines.nth(1).locator("th a").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("data-vantage", "outside_lan_a_v4")
    page.keyboard.press("Enter")
    expect(page.locator("details.deployment[open] > summary")).to_be_focused()


def test_is_readable_without_javascript(visit: Visit, night: Path) -> None:
    page = visit(night, java_script_enabled=False).page
    expect(page.locator("#only")).to_be_hidden()
    expect(page.locator("#differences td.rank-odd").first).to_be_visible()
    expect(page.locator("#relay tbody.differs td.d").first).to_be_visible()


def test_a_night_of_many_observations_opens_in_seconds(visit: Visit, tmp_path: Path) -> None:
    from generation_samples import DEBIAN_12, DEBIAN_13, FEDORA, FORKY, as_if
    from report_samples import deployed

    run = tmp_path / "one"
    run.mkdir()
    for part in range(5):
        deployed(run, f"large-part_{part}", more_dns=2_000)
    for number, made in enumerate((DEBIAN_12, DEBIAN_13, FORKY, FEDORA)):
        as_if(run, tmp_path / "night" / str(number), made)
    file = reported(tmp_path / "night")
    lines = (run / "observations.jsonl").read_bytes().count(b"\n") * 4
    assert file.stat().st_size < 70 * lines
    begun = time.monotonic()
    opened = visit(file)
    assert time.monotonic() - begun < 10
    opened.page.get_by_label("Words").fill("domain7.example")
    opened.counts("20 of 20 deployments, 20 of ")
    assert opened.complaints == []
