"""JUnit XML as GitHub's, GitLab's and Jenkins' readers show it well.

pytest writes the file. Here it gets a suite for each deployment of a scenario variant, with what
the machine and the mail server were as its properties; and each test that did not pass names the
files of its evidence in the way that GitLab, and Jenkins with its plugin for attachments, make
links of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from harness.observations import Observation, deployment_id, read, variant_and_repetition
from harness.report.marks import EVIDENCE, INFRASTRUCTURE, REPETITION

if TYPE_CHECKING:
    from harness.pytest_run import Run

COUNTED: Final = {"failures": "failure", "errors": "error", "skipped": "skipped"}
FIRST: Final[tuple[str, ...]] = ("mail.log", "podman-logs.txt", "journal.txt", "console.txt")
"""The files of the evidence that tell most; GitLab makes a link of the first one only."""
RETRY: Final = "retry"
"""The kind of observation that says that a machine had to be made anew."""
MADE_ANEW: Final = "machines made anew"
COPIED: Final = ("timestamp", "hostname")
FACTS: Final = (
    "distribution",
    "podman",
    "systemd",
    "kernel",
    "netavark",
    "passt",
    "slirp4netns",
    "docker-mailserver",
)
"""What is said of a machine, where it is known."""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot have, and DEL."""

Properties = dict[str, str]


def path_of(option: str) -> Path:
    """The file that pytest writes for its option `--junitxml`."""
    return Path(os.path.abspath(Path(os.path.expandvars(option)).expanduser()))  # noqa: PTH100


def complete_for(run: Run) -> None:
    """Make the file that pytest wrote for a run one that tells more, where it was asked to."""
    option: str | None = run.config.getoption("xmlpath", None)
    if not option or run.is_worker or not path_of(option).is_file():
        return
    observations = run.folder / "observations.jsonl" if run.has_folder else None
    kind = run.machine.kind if run.has_folder else ""
    complete(path_of(option), observations, kind, run.config.rootpath)


def complete(path: Path, observations: Path | None, machine: str, root: Path) -> None:
    """Make the file that pytest has written one that tells more.

    Args:
        path: the file.
        observations: those of the run, or None where it deployed nothing.
        machine: the kind of machine.
        root: the folder that the tests' paths begin at.
    """
    tree = ElementTree.parse(path)  # noqa: S314 - pytest has written it
    top = tree.getroot()
    kinds = ("machine", "mail server", RETRY)
    facts = _facts(read(observations, kinds) if observations else [])
    for suite in top.findall("testsuite"):
        variants: dict[str, list[Element]] = {}
        for case in suite.findall("testcase"):
            known = _properties(case)
            _say_where(case, root)
            if INFRASTRUCTURE in known:
                _say_it_is_no_failure(case)
            if EVIDENCE in known:
                _attach(case, Path(known[EVIDENCE]))
            if "scenario" in known:
                variant = f"{known['scenario']}-{known['variant']}"
                repetition = int(known.get(REPETITION, "0"))
                variants.setdefault(deployment_id(variant, repetition), []).append(case)
                suite.remove(case)
        for variant, cases in variants.items():
            name, repetition = variant_and_repetition(variant)
            scenario, _, name = name.partition("-")
            said = {"scenario": scenario, "variant": name, "machine": machine}
            if repetition:
                said[REPETITION] = str(repetition)
            if not_tried := sum(INFRASTRUCTURE in _properties(case) for case in cases):
                said["tests not tried for infrastructure errors"] = str(not_tried)
            top.append(_suite(variant, cases, said | facts.get(variant, {}), suite))
        if suite.find("testcase") is None and variants:
            top.remove(suite)
        else:
            _count(suite)
    for name in ("tests", "failures", "errors"):
        top.set(name, str(sum(int(suite.get(name, "0")) for suite in top.findall("testsuite"))))
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    tree.write(fresh, encoding="utf-8", xml_declaration=True)
    fresh.replace(path)


def _suite(name: str, cases: Iterable[Element], said: Mapping[str, str], like: Element) -> Element:
    suite = Element("testsuite", {"name": name})
    properties = Element("properties")
    for key, value in said.items():
        properties.append(Element("property", {"name": key, "value": _FORBIDDEN.sub("?", value)}))
    suite.append(properties)
    suite.extend(cases)
    _count(suite)
    for key in COPIED:
        if key in like.attrib:
            suite.set(key, like.attrib[key])
    return suite


def _count(suite: Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, tag in COUNTED.items():
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', '0')) for case in cases):.3f}")


def _properties(case: Element) -> Properties:
    return {each.get("name", ""): each.get("value", "") for each in case.iter("property")}


def _say_it_is_no_failure(case: Element) -> None:
    """Have a test that a machine or this computer kept from being tried be an error."""
    for tag in ("failure", "error"):
        for each in case.findall(tag):
            each.tag = "error"
            each.set("type", INFRASTRUCTURE)


def _say_where(case: Element, root: Path) -> None:
    """Name the test's file, which pytest leaves out by default and GitLab makes a link of."""
    words = case.get("classname", "").split(".")
    for end in range(len(words), 0, -1):
        file = f"{'/'.join(words[:end])}.py"
        if "file" not in case.attrib and (root / file).is_file():
            case.set("file", file)


def _attach(case: Element, folder: Path) -> None:
    """Name the files of the evidence, one a line, the most telling first."""
    if not folder.is_dir():
        return
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    ordered = [name for name in FIRST if name in names]
    ordered += [name for name in names if name not in FIRST]
    lines = "".join(f"[[ATTACHMENT|{folder.absolute() / name}]]\n" for name in ordered)
    out = case.find("system-out")
    if out is None:
        out = Element("system-out")
        case.append(out)
    before = out.text or ""
    out.text = before + ("\n" if before and not before.endswith("\n") else "") + lines


def _facts(seen: Iterable[Observation]) -> dict[str, Properties]:
    """What was noted of each variant's machine and mail server; the latest counts."""
    facts: dict[str, Properties] = {}
    for each in seen:
        known = facts.setdefault(each.deployment, {})
        if each.kind == "machine" and each.subject in FACTS:
            known[each.subject] = each.outcome
        elif each.kind == RETRY:
            known[MADE_ANEW] = str(int(known.get(MADE_ANEW, "0")) + 1)
        elif (each.kind, each.subject) == ("mail server", "image"):
            known["image source"] = each.outcome.partition(" ")[0]
            known["image"] = each.outcome
    return facts
