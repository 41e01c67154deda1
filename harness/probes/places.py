"""Which of a site's vantages a probe needs, where not all of them would tell more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.site import Site
    from harness.vantage import Vantage


def first_of_each_family(site: Site) -> list[Vantage]:
    """The first outside client and localhost, over IPv4 and IPv6: at most four."""
    chosen: dict[tuple[bool, int], Vantage] = {}
    for vantage in site.vantages:
        if vantage.is_outside or vantage.place == "localhost":
            chosen.setdefault((vantage.is_outside, vantage.family), vantage)
    return list(chosen.values())


def main_client(site: Site) -> Vantage:
    """The first outside client over IPv4 (else any outside client, else any vantage)."""
    ranked = sorted(site.vantages, key=lambda one: (not one.is_outside, one.family))
    return ranked[0]


def near_and_far(site: Site) -> list[Vantage]:
    """Every vantage of two outside places: one on the machine's network, one beyond it.

    The near one is the first outside place; the far one is the first whose name says `far`,
    else the last. An address range that trusts the LAN trusts the one and not the other.
    """
    places = list(dict.fromkeys(one.place for one in site.vantages if one.is_outside))
    if not places:
        return []
    far = next((place for place in places if "far" in place), places[-1])
    near = next((place for place in places if place != far), far)
    return [one for one in site.vantages if one.place in (near, far)]
