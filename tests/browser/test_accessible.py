"""The report without eyes or without a mouse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

if TYPE_CHECKING:
    from conftest import Opened

Visit = Callable[..., "Opened"]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_violations(visit: Visit, sample: Path, colours: str, width: int) -> None:
    opened = visit(sample, width=width, color_scheme=colours)
    for name in ("compose-permit_container", "guide-as_written"):
        opened.open(name).locator(".seen summary").first.click()
    failing = opened.open("compose-permit_none")
    failing.locator("details.test summary").click()
    for claim in opened.page.locator("details.claim > summary").all()[:8]:
        claim.click()
    result = Axe().run(opened.page)
    assert result.response["passes"], "axe looked at nothing"
    assert result.violations_count == 0, result.generate_report()


def test_axe_would_find_a_violation(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    assert Axe().run(opened.page).violations_count == 0
    opened.page.evaluate("document.querySelector('#words').labels[0].remove()")
    assert "label" in [each["id"] for each in Axe().run(opened.page).response["violations"]]


def test_the_keyboard_is_enough(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    page = opened.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

    # Into the picture, across its cells, and from one of them to its observations.
    row = page.locator("#relay tr[data-of]", has_text="permit_container").get_by_role("link").first
    until_focused(opened, row)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("data-vantage", "outside_lan_a_v6")
    page.keyboard.press("Enter")
    deployment = opened.deployment("compose-permit_network")
    expect(deployment.locator("> summary")).to_be_focused()
    expect(deployment.locator(".seen tbody tr")).to_have_count(5)

    evidence = deployment.locator(".seen summary").first
    until_focused(opened, evidence)
    page.keyboard.press("Enter")
    expect(deployment.locator(".seen dd").first).to_be_visible()
    page.keyboard.press("Space")
    expect(deployment.locator(".seen dd").first).to_be_hidden()


def test_focus_is_seen(visit: Visit, sample: Path) -> None:
    opened = visit(sample)
    opened.page.keyboard.press("Tab")
    opened.page.keyboard.press("Tab")
    width = "getComputedStyle(document.activeElement).outlineWidth"
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert opened.page.evaluate(width) == "3px"
    assert opened.page.evaluate(style) == "solid"


def test_count_is_announced(visit: Visit, sample: Path) -> None:
    page = visit(sample).page
    expect(page.locator("#count")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("contentinfo")).to_have_count(1)
    expect(page.get_by_role("search")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)


def until_focused(opened: Opened, target: object, at_most: int = 150) -> None:
    """Press Tab until something is focused."""
    for _ in range(at_most):
        if target.evaluate("each => each === document.activeElement"):  # type: ignore[attr-defined]
            return
        opened.page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {target} within {at_most} steps")
