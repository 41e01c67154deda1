"""What answers on the machine's ports, from every vantage."""

from __future__ import annotations

from harness import judge
from harness.observations import Observations
from harness.scenario import Scenario
from harness.site import Service


def test_published_port_answers(
    scenario: Scenario, observations: Observations, service: Service, vantage: str
) -> None:
    judge.port_answers(observations, vantage, scenario.table.publish[service])


def test_unpublished_port_is_closed(
    scenario: Scenario, observations: Observations, closed_port: int, vantage: str
) -> None:
    judge.port_is_closed(observations, vantage, closed_port)


def test_certificate_is_the_operators(
    scenario: Scenario, observations: Observations, service: Service, tls_vantage: str
) -> None:
    judge.certificate_verifies(observations, tls_vantage, service)
