"""Which ports answer, from everywhere; and that nothing else does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.probes.run import Run
    from harness.site import Service
    from harness.vantage import Vantage


async def observe_ports(run: Run, of_service: Callable[[Service | None], bool]) -> None:
    """Record kind `port` (subject: the port's number) for every vantage and port.

    Outcomes are those of `greeting.Greeting`. For SMTP on port 25 a second observation of kind
    `first contact` (subject `smtp`) has the seconds that the whole greeting took and its lines:
    postscreen says `220-`, waits 6 s, and says `220 `.

    Args:
        run: the run.
        of_service: which ports, by the service that is published there (None: not published).
    """
    ports = [*run.site.published, *run.site.unpublished]
    ports = [port for port in ports if of_service(run.site.published.get(port))]
    await asyncio.gather(
        *(
            run.guarded("port", str(port), vantage, _observe(run, vantage, port))
            for vantage in run.site.vantages
            for port in ports
            if vantage.leads_to(port)
        )
    )


async def _observe(run: Run, vantage: Vantage, port: int) -> None:
    greeting = await run.greeting(vantage, port)
    service = run.site.published.get(port)
    details = {"service": service, **greeting.evidence()}
    run.record("port", str(port), greeting.outcome, vantage.name, **details)
    if service == "smtp" and greeting.complete is not None:
        waited = f"{greeting.complete:.1f}"
        run.record("first contact", "smtp", waited, vantage.name, lines=list(greeting.lines))
