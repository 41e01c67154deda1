"""What runs are told apart by, what that is called, and which runs a folder stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.generations import Made, made_of, matched, names, settled
from harness.report.runs import RunsError, find, name_of

DEBIAN_12 = Made("nspawn", "debian-12", "4.3.1", "stand-in abc")
DEBIAN_13 = Made("nspawn", "debian-13", "5.4.2", "stand-in abc")
FEDORA = Made("vagrant", "fedora-44", "5.8.1", "stand-in abc")


def test_made_of_what_was_observed() -> None:
    seen = [
        ("machine", "kind", "nspawn"),
        ("machine", "distribution", "debian 13"),
        ("machine", "podman", "podman version 5.4.2"),
        ("mail server", "image", "stand-in standin-0123 (no container registry answers)"),
        ("mail server", "mynetworks", "empty"),
    ]
    assert made_of(seen) == Made("nspawn", "debian-13", "5.4.2", "stand-in standin-0123")
    # What the machine was asked for by name says more than what it says of itself.
    assert made_of([*seen, ("machine", "distro", "debian-forky")]).distribution == "debian-forky"
    assert made_of([("machine", "podman", "error")]) == Made()


def test_what_was_not_observed_is_as_in_the_rest_of_the_run_if_that_is_of_one_mind() -> None:
    unknown = Made(image="stand-in abc")
    known = [DEBIAN_13, unknown, DEBIAN_12, unknown, DEBIAN_13]
    runs = ["one", "one", "two", "two", "two"]
    assert settled(runs, known) == [
        DEBIAN_13,
        DEBIAN_13,
        DEBIAN_12,
        Made("nspawn", "", "", "stand-in abc"),
        DEBIAN_13,
    ]


def test_what_is_known_of_a_generation_must_all_be_so() -> None:
    assert DEBIAN_13.is_like(Made("", "debian-13", "5.4.2"))
    assert DEBIAN_13.is_like(Made("", "debian-13"))
    assert not DEBIAN_13.is_like(Made("", "debian-13", "5.8.0"))
    assert not DEBIAN_13.is_like(Made())


def test_names_say_what_differs_and_no_more() -> None:
    assert names([DEBIAN_12, DEBIAN_13]) == ["debian-12, podman 4.3.1", "debian-13, podman 5.4.2"]
    newer = Made("nspawn", "debian-13", "5.8.0", "stand-in abc")
    assert names([DEBIAN_13, newer]) == ["podman 5.4.2", "podman 5.8.0"]
    upstream = Made("nspawn", "debian-13", "5.4.2", "upstream 15.0.0")
    assert names([DEBIAN_13, upstream]) == ["stand-in abc", "upstream 15.0.0"]
    assert names([DEBIAN_13, Made("", "debian-13", "5.4.2", "stand-in abc")]) == [
        "nspawn",
        "unknown kind of machine",
    ]
    assert names([DEBIAN_13]) == ["debian-13, podman 5.4.2"]
    assert names([]) == []


def test_order_is_peoples() -> None:
    versions = ["5.10.0", "4.3.1", "5.4.2", "forky"]
    made = [Made("nspawn", "debian-13", version) for version in versions]
    assert [each.podman for each in sorted(made, key=lambda each: each.order)] == [
        "4.3.1",
        "5.4.2",
        "5.10.0",
        "forky",
    ]


def test_nights_are_matched_whatever_podman_is() -> None:
    newer = Made("nspawn", "debian-13", "5.4.9", "stand-in abc")
    assert matched([DEBIAN_12, DEBIAN_13], [newer, FEDORA]) == [
        (DEBIAN_12, None),
        (DEBIAN_13, newer),
        (None, FEDORA),
    ]
    # One of each is what the reader wants to have compared, whatever it is.
    assert matched([DEBIAN_12], [FEDORA]) == [(DEBIAN_12, FEDORA)]


def test_nights_are_matched_by_the_image_before_its_version() -> None:
    def on(image: str, podman: str = "5.4.2") -> Made:
        return Made("nspawn", "debian-13", podman, image)

    first = [on("upstream 14"), on("stand-in abc"), on("upstream 15")]
    second = [on("stand-in def", "5.5.0"), on("upstream 15", "5.5.0"), on("upstream 14", "5.5.0")]
    assert matched(first, second) == [
        (first[1], second[0]),
        (first[0], second[2]),
        (first[2], second[1]),
    ]
    # Nobody can say which of two versions another one came from.
    third = [on("upstream 16"), on("stand-in abc")]
    assert matched(first, third) == [
        (on("stand-in abc"), on("stand-in abc")),
        (on("upstream 14"), None),
        (on("upstream 15"), None),
        (None, on("upstream 16")),
    ]


def run(folder: Path, text: str = "{}\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "observations.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_of_cells_stands_for_all_their_runs_once(tmp_path: Path) -> None:
    one, two = run(tmp_path / "cell-1" / "20261123-1"), run(tmp_path / "cell-2" / "20261123-2")
    for each in (one, two):
        (each.parent / "latest").symlink_to(each.name)
    run(one / "demo-first" / "not-a-run")  # evidence of a run, whatever is in it
    assert list(find([tmp_path]).runs) == [one, two]
    assert list(find([tmp_path / "cell-1" / "latest", one, tmp_path]).runs) == [
        tmp_path / "cell-1" / "latest",
        two,
    ]


def test_what_observed_nothing_is_told_apart(tmp_path: Path) -> None:
    seen, empty = run(tmp_path / "seen"), run(tmp_path / "empty", "")
    skipped = tmp_path / "skipped"
    skipped.mkdir()
    (skipped / "tests.jsonl").write_text("{}\n", encoding="utf-8")
    (tmp_path / "other").mkdir()
    assert list(find([seen, empty, skipped]).runs) == [seen]
    found = find([tmp_path])
    assert (list(found.runs), list(found.empty)) == ([seen], [empty, skipped])


@pytest.mark.parametrize("name", ["missing", "file", "folder", "empty"])
def test_no_run_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    run(tmp_path / "empty", "")
    with pytest.raises(RunsError, match=name) as raised:
        find([tmp_path / name])
    assert raised.value.hint


def test_runs_of_the_same_name_have_their_whole_path(tmp_path: Path) -> None:
    runs = [tmp_path / "a" / "run", tmp_path / "b" / "run", tmp_path / "b" / "other"]
    assert [name_of(each, runs) for each in runs] == [str(runs[0]), str(runs[1]), "other"]
