"""What a session leaves to its user: deployments, their keeper, and the memory that they use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HostError
from harness.keeper.client import Keeper
from harness.kept.options import Keep

if TYPE_CHECKING:
    from harness.deployment import Deployment
    from harness.room import Place


class Keeping:
    """The deployments of a session that outlive it.

    Args:
        run: the run's folder.
        image: which mail server image they have, in words.
        keep: what the user asked to be kept, as others are told it.
        say: tells the user what is being done.
    """

    def __init__(self, run: Path, image: str, keep: Keep, say: Callable[[str], None]) -> None:
        self._run = run
        self._image = image
        self._keep = keep
        self._say = say
        self._kept: dict[str, tuple[Deployment, Place]] = {}

    def __contains__(self, deployment: Deployment) -> bool:
        """Whether it stays."""
        return any(deployment is kept for kept, _ in self._kept.values())

    def add(self, deployment: Deployment, place: Place, memory: int) -> str:
        """Have a deployment stay when the session is closed; why it cannot, or nothing.

        Args:
            deployment: up, or failed to come up.
            place: holds its memory.
            memory: megabytes that another one takes, for which there must be room beside it.
        """
        why_not = deployment.machine.ended() or place.keep(memory)
        if not why_not:
            self._kept[deployment.scenario.id] = (deployment, place)
        return why_not

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    def let_go(self, keeper: Keeper) -> str:
        """End the keeper, or leave it to the user with what is kept; what it complained about."""
        if not self._kept:
            return keeper.close()
        from harness.kept.leave import leave

        deployments = [deployment for deployment, _ in self._kept.values()]
        # Their memory is in use for as long as they are there.
        files = [place.file for _, place in self._kept.values()]
        holding = [file for file in files if file is not None]
        try:
            if warning := leave(keeper, deployments, self._run, self._image, self._keep, holding):
                self._say(f"what is kept: {warning}")
        except (OSError, HostError) as error:
            return f"nothing could be kept: {error}. {keeper.close()}"
        except BaseException:
            keeper.close()
            raise
        return ""
