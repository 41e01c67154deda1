"""A run says which variants its machines cannot show, on the screen and in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.report import not_applicable
from harness.report.marks import NOT_APPLICABLE

NO_PASTA = "no pasta network: podman version 4.3.1"
NO_QUADLET = "no quadlet: podman version 4.3.1"


def reporter(*skipped: tuple[str, str]) -> Any:
    """What pytest's has heard of tests that were skipped: node id, reason."""
    reports = [
        SimpleNamespace(nodeid=f"test_x.py::test_y[{node}]", longrepr=("plugin.py", 1, reason))
        for node, reason in skipped
    ]
    return SimpleNamespace(stats={"skipped": reports})


SKIPPED = reporter(
    (
        "rootless_pasta_run-permit_unset-self_v4-imaps",
        f"Skipped: {NOT_APPLICABLE}{NO_PASTA}",
    ),
    (
        "rootless_pasta_run-permit_unset-self_v6-imaps",
        f"Skipped: {NOT_APPLICABLE}{NO_PASTA}",
    ),
    ("rootful_quadlet-fail2ban", f"Skipped: {NOT_APPLICABLE}{NO_QUADLET}"),
    ("rootful_compose-facts", "Skipped: another reason"),
)


def test_each_reason_has_a_line_with_its_variants() -> None:
    assert not_applicable.in_words(not_applicable.why(SKIPPED)) == [
        f"not applicable here: {NO_PASTA}: rootless_pasta_run-permit_unset (2)",
        f"not applicable here: {NO_QUADLET}: rootful_quadlet-fail2ban (1)",
    ]


def test_the_folder_has_a_line_for_each_variant(tmp_path: Path) -> None:
    facts = {"podman": "podman version 4.3.1", "distro": "debian-12", "host_key": "secret"}
    not_applicable.write(tmp_path, not_applicable.why(SKIPPED), facts)
    lines = (tmp_path / not_applicable.FILE).read_text().splitlines()
    made_of = {"distro": "debian-12", "podman": "podman version 4.3.1"}
    assert [json.loads(line) for line in lines] == [
        {"scenario": "rootless_pasta_run-permit_unset", "reason": NO_PASTA, **made_of},
        {"scenario": "rootful_quadlet-fail2ban", "reason": NO_QUADLET, **made_of},
    ]


def test_there_is_no_file_where_all_could_be_judged(tmp_path: Path) -> None:
    not_applicable.write(tmp_path, not_applicable.why(reporter()), {})
    assert list(tmp_path.iterdir()) == []
