"""Integration tests of real docker-mailserver deployments on Podman."""
