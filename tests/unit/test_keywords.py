"""What `pytest -k` may select is kept, and what it cannot is left out early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.keywords import may_match, narrowed, near

NAMES = {"rootful_compose-permit_host", "rootful", "test_ports.py", "test_published_port_answers"}
OTHERS = {"outside_lan_a_v4", "localhost_v4", "smtp", "imaps"}


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("rootful", True),
        ("Permit_HOST and ports", True),
        ("rootless", False),
        ("rootful and not compose", False),
        ("not rootful", False),
        ("not rootless", True),
        # Some of the tests have the word and some have not: both ways are possible.
        ("smtp", True),
        ("not smtp", True),
        ("smtp and not smtp", False),
        ("rootless or (imaps and not localhost_v4)", True),
        ("rootless or not compose", False),
        # Whatever is wrong with it is pytest's to say.
        ("rootful and (", True),
        (" or ".join(f"v{n}" for n in "0123456789"), True),
    ],
)
def test_what_may_match_is_kept(expression: str, kept: bool) -> None:
    assert may_match(expression, NAMES, OTHERS) is kept


@pytest.mark.parametrize(
    ("expression", "left"),
    [
        ("rootful_compose-permit_host", ["host"]),
        ("compose", ["host", "none"]),
        ("compose and not permit_none", ["host"]),
        ("rootless and compose", []),
        # What a test is called by may be said of any of them.
        ("outside_lan_a_v4 and permit_none", ["none"]),
        ("not outside_lan_a_v4", ["host", "none", "quadlet"]),
        ("compose and (", ["host", "none", "quadlet"]),
    ],
)
def test_what_may_be_meant_is_told_from_names_alone(expression: str, left: list[str]) -> None:
    called = {
        "host": {"rootful_compose-permit_host", "rootful"},
        "none": {"rootful_compose-permit_none", "rootful"},
        "quadlet": {"rootless_pasta_quadlet-permit_host", "rootless"},
    }
    assert narrowed(expression, called) == left


def test_a_word_that_is_in_no_name_is_set_right() -> None:
    names = {"rootful_compose", "rootful_quadlet", "permit_host"}
    assert near("rootfull_quadlet and permit_host", names) == (
        "did you mean for 'rootfull_quadlet', rootful_quadlet?"
    )
    assert near("compose and permit_host", names) == ""
    assert near("nothing_like_it", names) == ""


def test_too_many_unknown_words_keep_everything() -> None:
    words = {f"word{number}" for number in range(8)}
    assert may_match(" and ".join(f"{word} and not {word}" for word in words), NAMES, words)


@pytest.mark.parametrize(
    "expression",
    ["permit_none and relay and localhost_v4", "rootless and not pasta and comes_up", "alias"],
)
def test_pytest_selects_the_same_without_it(expression: str) -> None:
    code = "import sys, pytest, harness.selection as s; {}sys.exit(pytest.main(sys.argv[1:]))"

    def selected(change: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", code.format(change), "--co", "-q", "-k", expression],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        return {line for line in done.stdout.splitlines() if "::" in line}

    everything = selected("s._may_be_selected = lambda *_: True; ")
    assert everything
    assert selected("") == everything
