"""Compose files: by docker-compose over podman's socket, and by podman-compose."""

from __future__ import annotations

from harness.launchers.container import ContainerLauncher

SERVICE = "mailserver"
"""What the guide calls the service in compose.yaml."""


class Compose(ContainerLauncher):
    """`docker compose up -d mailserver` over root's or the user's podman socket."""

    @property
    def _compose(self) -> str:
        # After the guide's `dnf install docker-compose` there need not be a `docker` command.
        return (
            f"export DOCKER_HOST=unix://{self.socket}; "
            "compose() { if docker compose version >/dev/null 2>&1; "
            'then docker compose "$@"; else docker-compose "$@"; fi; }; compose'
        )

    @property
    def socket(self) -> str:
        """Where the user's podman listens, as the guide names it."""
        return (
            "/run/podman/podman.sock"
            if self.user == "root"
            else ("/var/run/user/$(id -u)/podman/podman.sock")
        )

    def start(self) -> None:
        """Create the network and the container, and start it."""
        self.do(f"{self._compose} up -d {SERVICE}")

    def stop(self) -> None:
        """Remove the container and the network."""
        self.do(f"{self._compose} down")


class PodmanCompose(Compose):
    """The same by podman-compose, which calls podman's command line."""

    @property
    def _compose(self) -> str:
        return "podman-compose"
