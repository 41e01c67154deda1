"""The report as one file: templates, style and script in it, and nothing that it would load."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.report.claims import MARKS, ON_STAND_IN
from harness.report.diff_rows import by_folder
from harness.report.html import path, verdicts
from harness.report.html.facts import ReportError
from harness.report.html.matrices import GLYPHS
from harness.report.html.timeline import colour
from harness.report.visible import visible
from harness.report.wording import aside, counted, examples, place, shown

if TYPE_CHECKING:
    from harness.report.html.model import Report

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 4000
"""Characters of one value that stand on the page itself; observations are there as a whole."""
EXAMPLES = 6
"""Observations that are shown for a case of a claim."""


def clean(value: Any) -> Any:
    """A value as text that is safe to look at: no control characters, no surrogates, not endless.

    Jinja2 gives it every value before it is escaped.
    """
    if isinstance(value, Markup):
        return value
    text = str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… and {len(text) - LONGEST} characters more"
    return visible(text)


def as_html(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=clean,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "anchor": _anchor,
        "colour": colour,
        "cut": path.cut,
        "folders": by_folder,
        "many": _many,
        "soft": _soft,
        "tally": verdicts.counted,
        "thousands": "{:,}".format,
    }
    anchors = {each.deployed.deployment: each.anchor for each in report.deployments}
    environment.globals["anchors"] = _anchors
    template = environment.get_template("page.html.j2")
    return template.render(
        report=report,
        glyphs=GLYPHS,
        marks={holds: mark for holds, (mark, _) in MARKS.items()},
        on_stand_in=ON_STAND_IN,
        unknown=path.UNKNOWN,
        line=path.LINE,
        padding=path.PADDING,
        case_counted=counted,
        case_examples=lambda result: [
            (
                anchors.get(seen.observation.deployment),
                place(seen),
                shown(seen, result),
                aside(seen, result),
            )
            for seen in examples(result, EXAMPLES)
        ],
        raw=lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8")),  # noqa: S704
        packed=lambda deployment: Markup(deployment.packed),  # noqa: S704 # base64
    )


def write(report: Report, file: Path) -> None:
    """Write the page into a file, as a whole or not at all.

    Raises:
        ReportError: it cannot be written there.
    """
    page = as_html(report).encode("utf-8")
    unfinished: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".report-", delete=False) as made:
            unfinished = Path(made.name)
            made.write(page)
        unfinished.chmod(0o644)
        unfinished.replace(file)
    except OSError as error:
        raise ReportError(
            f"{file}: the report cannot be written: {error.strerror or error}",
            "name another place with --output",
        ) from None
    finally:
        if unfinished is not None:
            unfinished.unlink(missing_ok=True)


def _anchor(deployed: Any, report: Report) -> str:
    return report.anchors[id(deployed)]


def _anchors(deployed: Sequence[Any], report: Report) -> str:
    return " ".join(_anchor(each, report) for each in deployed)


def _soft(name: str) -> Markup:
    """A name that may be broken after its underscores."""
    return Markup("_<wbr>").join(escape(clean(part)) for part in str(name).split("_"))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
