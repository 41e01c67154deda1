"""`dms-harness list`: what can be selected."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from harness.commands.options import add_json, add_scenarios
from harness.needs import YES

if TYPE_CHECKING:
    from harness.scenario import Scenario

JSON = {
    "scenarios": "the variants: `id`, `folder`, `variant`, `title`, `user`, `launcher`, `network`,"
    " `ports` (service: port), `families`, `interface`, `checks`, `needs` (of a machine: fact:"
    " what it must be), `words` (what `-k` takes),"
    " `vantages` and what is `expected`",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which scenarios."""
    add_scenarios(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """List the scenarios, their variants and what is expected of them."""
    from harness.scenario_file import load_all

    scenarios = load_all(args.scenarios)
    if args.json:
        from harness.report.as_json import print_json

        print_json("list", {"scenarios": [_plain(scenario) for scenario in scenarios]})
        return 0
    for scenario in scenarios:
        table, settings = scenario.table, scenario.settings
        if scenario.is_first:
            mode = "rootful" if table.user == "root" else "rootless"
            families = " and ".join(f"IPv{family}" for family in table.families)
            ports = ", ".join(str(port) for port in table.publish.values())
            print(f"\n{scenario.folder.name}: {table.title}")
            print(
                f"  {mode}, launcher {table.launcher}, network {table.network}, ports {ports},"
                f" {families}, interface {table.interface}"
            )
            if scenario.needs:
                needs = ", ".join(
                    fact if wanted in (YES, ".+") else f"{fact} {wanted}"
                    for fact, wanted in scenario.needs.items()
                )
                print(f"  needs {needs}")
        print(f"  {scenario.variant:28} {settings.checks:10} {_expected(scenario)}")
    print(f"\n{len(scenarios)} variants; any word above selects: pytest -k 'rootless and compose'")
    return 0


def _plain(scenario: Scenario) -> dict[str, Any]:
    """A variant, for other programs."""
    table, settings = scenario.table, scenario.settings
    return {
        "id": scenario.id,
        "folder": scenario.folder.name,
        "variant": scenario.variant,
        "title": table.title,
        "user": "root" if table.user == "root" else "rootless",
        "launcher": table.launcher,
        "network": table.network,
        "ports": dict(table.publish),
        "families": list(table.families),
        "interface": scenario.interface,
        "checks": settings.checks,
        "needs": scenario.needs,
        "words": sorted(scenario.words),
        "vantages": {"reachable": scenario.reachable, "unreachable": scenario.unreachable},
        "expected": {
            "fails": settings.expect.fails,
            "relays_from": list(settings.expect.relays_from),
            "bans": list(settings.expect.bans),
            "in_words": _expected(scenario),
            "why": settings.expect.why,
        },
    }


def _expected(scenario: Scenario) -> str:
    """What is expected of a variant, in a few words."""
    expect = scenario.settings.expect
    if expect.fails is not None:
        return f"does not come up: {expect.fails}"
    match scenario.settings.checks:
        case "matrix":
            return f"relays for strangers from {', '.join(expect.relays_from) or 'nowhere'}"
        case "bans":
            return f"fail2ban keeps out {', '.join(expect.bans) or 'nobody'}"
        case "ports":
            return f"answers {', '.join(scenario.reachable) or 'nobody'}"
    return expect.why
