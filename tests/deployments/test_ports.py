"""What answers on the machine's ports, from every vantage."""

from __future__ import annotations

import pytest

from harness import judge
from harness.observations import Observations
from harness.scenario import Scenario
from harness.site import Service


@pytest.mark.checks("matrix", "ports")
def test_published_port_answers(
    scenario: Scenario, observations: Observations, service: Service, vantage: str
) -> None:
    judge.port_answers(observations, vantage, scenario.table.publish[service])


@pytest.mark.checks("matrix", "ports")
def test_published_port_cannot_be_reached(
    scenario: Scenario, observations: Observations, service: Service, unreachable_vantage: str
) -> None:
    outcome, why = scenario.unanswered(unreachable_vantage)
    port = scenario.table.publish[service]
    try:
        judge.port_is_unanswered(observations, unreachable_vantage, port, outcome)
    except AssertionError as error:
        error.add_note(f"why it was expected: {why}")
        raise


@pytest.mark.checks("matrix", "ports")
def test_unpublished_port_is_closed(
    scenario: Scenario, observations: Observations, closed_port: int, machine_vantage: str
) -> None:
    judge.port_is_closed(observations, machine_vantage, closed_port)


@pytest.mark.checks("matrix", "ports")
def test_forwarded_port_itself_is_closed_outside(
    scenario: Scenario, observations: Observations, forwarded_port: int, outside_client: str
) -> None:
    judge.port_is_closed(observations, outside_client, forwarded_port)


def test_certificate_is_the_operators(
    scenario: Scenario, observations: Observations, service: Service, tls_vantage: str
) -> None:
    judge.certificate_verifies(observations, tls_vantage, service)
