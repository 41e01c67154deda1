"""The scenario model: a folder with an operator's own files, and what is said about them.

`scenario.toml` says what an operator does by hand around the files, how they are launched, and
what is expected; `harness.scenario_file` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.addresses import CLIENTS, MACHINE, vantages_of
from harness.needs import YES
from harness.observations import deployment_id, variant_and_repetition
from harness.scenario_expected import ClientAddress
from harness.scenario_parts import Step, VariantTable
from harness.scenario_table import ScenarioTable
from harness.scenario_words import STANDARD_PORTS, UNANSWERED, LauncherName, NetworkName
from harness.site import Account
from harness.vantage import Family

NEEDED_BY_LAUNCHER: Mapping[LauncherName, Mapping[str, str]] = {
    "quadlet": {"quadlet": YES},
    "compose": {"compose": ".+"},
    "podman_compose": {"podman-compose": ".+"},
}
NEEDED_BY_NETWORK: Mapping[NetworkName, Mapping[str, str]] = {
    "pasta": {"pasta network": YES},
    "slirp4netns": {"slirp4netns network": YES},
}
"""What no scenario has to say: its launcher and its network cannot be without it."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """One variant of a scenario: what is deployed, and what is expected of it.

    Attributes:
        id: `FOLDER-VARIANT`, what `pytest -k` selects by; of a repetition `FOLDER-VARIANT.3`.
        folder: where the operator's files lie.
        base: where those of them lie that are not in `folder`, or None.
        written: the table with what is expected on any machine, where that differs; `table` is
            what is expected on this run's.
        variant: the variant's name.
        is_first: whether it is the first variant of its folder, in which things are shown that
            do not depend on the variant.
        table: what `scenario.toml` says.
        repetition: its number where the variant is deployed several times in a run, else 0.
    """

    id: str
    folder: Path
    variant: str
    is_first: bool
    table: ScenarioTable
    base: Path | None = None
    written: ScenarioTable | None = None
    repetition: int = 0

    def __str__(self) -> str:
        return self.id

    def repeated(self, times: int) -> list[Scenario]:
        """The variant as often as it is to be deployed, each by itself; as it is for once."""
        if times == 1:
            return [self]
        return [
            replace(self, id=deployment_id(self.id, number), repetition=number)
            for number in range(1, times + 1)
        ]

    @property
    def variant_id(self) -> str:
        """`FOLDER-VARIANT`, whichever repetition it is."""
        return variant_and_repetition(self.id)[0]

    @property
    def settings(self) -> VariantTable:
        """What makes this variant."""
        return self.table.variants[self.variant]

    @property
    def domain(self) -> str:
        """The mail domain: that of the first account."""
        return self.table.accounts[0].address.partition("@")[2]

    @property
    def accounts(self) -> list[Account]:
        """The mailboxes."""
        return [Account(each.address, each.password) for each in self.table.accounts]

    @property
    def closed_ports(self) -> list[int]:
        """The ports that a mail server may have and this one does not publish."""
        return [port for port in STANDARD_PORTS if port not in self.table.publish.values()]

    @property
    def forwarded_ports(self) -> list[int]:
        """The ports that the firewall leads to; outside they are reached by no other way."""
        return list(self.table.forwarded.values())

    @property
    def listening_ports(self) -> set[int]:
        """The ports that something listens on for the mail server, on the machine itself."""
        return set({**self.table.publish, **self.table.forwarded}.values())

    @property
    def relays_from(self) -> set[str]:
        """The vantages from which anybody is expected to be able to relay."""
        return {v for word in self.settings.expect.relays_from for v in vantages_of(word)}

    @property
    def needs(self) -> dict[str, str]:
        """What a machine must have, as `harness.needs.why_not` takes it."""
        of_launcher = NEEDED_BY_LAUNCHER.get(self.table.launcher, {})
        of_network = NEEDED_BY_NETWORK.get(self.table.network, {})
        of_user = {"rootful containers": YES} if self.table.user == "root" else {}
        return {**of_user, **of_launcher, **of_network, **self.table.needs, **self.settings.needs}

    @property
    def prepare(self) -> tuple[Step, ...]:
        """What is done by hand before the start, in order."""
        return self.table.prepare + self.settings.prepare

    @property
    def place(self) -> Mapping[str, str]:
        """Which of the operator's files lies where on the machine."""
        return {**self.table.place, **self.settings.place}

    @property
    def interface(self) -> str:
        """What the machine's network interface is called."""
        return self.settings.interface or self.table.interface

    @property
    def second_interface(self) -> str | None:
        """What the machine's other network interface is called, or None where it has but one."""
        return self.settings.second_interface or self.table.second_interface

    @property
    def words(self) -> set[str]:
        """What `pytest -k` selects it by, beside its id: one word for each of its dimensions."""
        mode = "rootful" if self.table.user == "root" else "rootless"
        return {
            mode,
            self.table.launcher,
            self.table.network,
            f"{mode}_{self.table.network}",
            self.settings.checks,
            self.interface,
        }

    @property
    def reachable(self) -> list[str]:
        """The vantages from which the published ports are expected to answer."""
        return [one for one in self.table.vantages if self._rule(one).is_ not in UNANSWERED]

    @property
    def outside_family(self) -> Family | None:
        """The first IP version that anybody outside is expected to get through over, or None."""
        for vantage in self.reachable:
            if vantage.startswith("outside"):
                return 4 if vantage.endswith("4") else 6
        return None

    @property
    def main_vantage(self) -> str:
        """Where what is tried once is tried from: the first outside client that gets through."""
        return self.reachable[0]

    @property
    def unreachable(self) -> list[str]:
        """The vantages from which nothing is expected to answer."""
        return [one for one in self.table.vantages if self._rule(one).is_ in UNANSWERED]

    def unanswered(self, vantage: str) -> tuple[str, str]:
        """What is seen instead of an answer from a vantage that has none, and why."""
        rule = self._rule(vantage)
        return rule.is_, rule.why

    def _rule(self, vantage: str) -> ClientAddress:
        return _rules(self)[vantage]

    def client_address(self, vantage: str) -> tuple[str, str]:
        """The address or network that the server logs for a vantage's clients, and why."""
        rule = self._rule(vantage)
        place, _, family = vantage.rpartition("_v")
        digit: Family = 4 if family == "4" else 6
        if rule.is_ == "machine" or (rule.is_ == "own" and place == "self"):
            return MACHINE[digit], rule.why
        if rule.is_ == "own":
            own = {client.place: client.addresses[digit] for client in CLIENTS}
            own["localhost"] = "127.0.0.1" if digit == 4 else "::1"
            return own[place], rule.why
        return rule.is_, rule.why

    @property
    def noted(self) -> dict[str, Any]:
        """What a run's record says is expected, for whoever reads it without the scenario.

        Returns:
            `vantages`, from which the ports answer; `checks`, what the variant shows;
            `relays_from`, those of them from which anybody may relay; `fails`, the regular
            expression for the error where it must not come up, or None; `why`, the reason.
        """
        return {
            "vantages": self.reachable,
            "checks": self.settings.checks,
            "relays_from": [one for one in self.reachable if one in self.relays_from],
            "fails": self.settings.expect.fails,
            "why": self.settings.expect.why,
        }

    def files(self, name: str) -> dict[str, Path]:
        """The files behind a name of `place`: its own, and those that only the base has.

        Returns:
            Path below the name → file; a name that is a file itself has the path `""`.
        """
        found: dict[str, Path] = {}
        for folder in (self.base, self.folder):
            source = folder / name if folder else None
            if source is not None and source.is_file():
                found = {"": source}
            elif source is not None and source.is_dir():
                found.pop("", None)
                inside = (file for file in sorted(source.rglob("*")) if file.is_file())
                found |= {file.relative_to(source).as_posix(): file for file in inside}
        return found

    def environment(self) -> str:
        """The environment file with the variant's settings appended; nothing without a file."""
        if self.table.env_file is None:
            return ""
        text = self.files(self.table.env_file)[""].read_text(encoding="utf-8")
        if self.settings.env:
            text += f"\n# {self.variant}\n"
            text += "".join(f"{key}={value}\n" for key, value in self.settings.env.items())
        return text


@cache  # asked thousands of times while tests are collected
def _rules(scenario: Scenario) -> Mapping[str, ClientAddress]:
    """What is expected of each vantage: the variant's rules come before the scenario's."""
    rules = (*scenario.table.client_address, *scenario.settings.client_address)
    return {vantage: rule for rule in rules for vantage in vantages_of(rule.of)}
