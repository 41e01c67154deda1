"""The manual, made from the code: every command, its arguments and objects, and pytest's options.

Drawn from the parsers' actions: how `argparse` itself draws help depends on Python's version and on
the terminal.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from harness import plugin
from harness.cli import COMMANDS
from harness.report.as_json import VERSION, schema

PROGRAM = "dms-harness"
HEAD = f"""\
# Manual

Generated from the code by `{PROGRAM} manual --output docs/manual.md`. What all this is for:
[README](../README.md).

An exit status is 0 where all is well, 2 after a wrong command line or an error, which is one line
on stderr with a remedy below it, 130 after Ctrl-C, and 141 where nobody reads on. Other statuses
are said at the command.

`--json` prints an object whose first key is `schema`, `{PROGRAM}/COMMAND/{VERSION}`; the number
rises where a key is removed or comes to mean something else, not where one is added. An error is
not an object: it is on stderr, with status 2.

Completion of commands, options, scenarios, runs and claims, in bash or zsh:

    eval "$({PROGRAM} completion bash)"
"""


class _Options:
    """Takes pytest's options as `argparse` would, in place of pytest's own parser."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(prog="pytest", add_help=False)

    def getgroup(self, *_: object) -> _Options:
        return self

    def addoption(self, *names: str, **settings: Any) -> None:
        self.parser.add_argument(*names, **settings)


def manual() -> str:
    """The whole of it, in Markdown."""
    parts = [HEAD, *(_command(name) for name in COMMANDS), _pytest()]
    return "\n".join(parts)


def _command(name: str) -> str:
    module = import_module(f"harness.commands.{name}")
    parser = argparse.ArgumentParser(prog=f"{PROGRAM} {name}", add_help=False)
    module.add_arguments(parser)
    about = (module.run.__doc__ or "").strip().partition("\n\n")[0]
    parts = [f"## {PROGRAM} {name}\n", f"{_joined(about)}\n", f"    {_usage(parser)}\n"]
    if parser._actions:
        parts.append(_table("argument", _arguments(parser._actions)))
    if statuses := getattr(module, "EXIT", None):
        parts.append(_table("exit status", statuses))
    if keys := getattr(module, "JSON", None):
        parts.append(_table(f"key of `{schema(name)}`", {f"`{key}`": keys[key] for key in keys}))
    return "\n".join(parts)


def _pytest() -> str:
    options = _Options()
    plugin.pytest_addoption(options)  # type: ignore[arg-type]
    return "\n".join(
        [
            "## pytest\n",
            "Options that the harness adds; `-k`, `-n` and all others are pytest's own.\n",
            _table("option", _arguments(options.parser._actions)),
        ]
    )


def _usage(parser: argparse.ArgumentParser) -> str:
    """The command's line; of arguments that exclude each other, in one bracket."""
    together = {
        id(action): group._group_actions
        for group in parser._mutually_exclusive_groups
        for action in group._group_actions
    }
    words, done = [parser.prog], set()
    for action in sorted(parser._actions, key=lambda each: not each.option_strings):
        if id(action) in done:
            continue
        either = together.get(id(action), [action])
        done |= {id(each) for each in either}
        told = " | ".join(_called(each) for each in either)
        optional = bool(action.option_strings) or action.nargs in ("?", "*")
        words.append(f"[{told}]" if optional and not action.required else told)
    return " ".join(words)


def _called(action: argparse.Action) -> str:
    """An argument as it is written: its longest name, and what it takes."""
    name = max(action.option_strings, key=len, default="")
    return " ".join(part for part in (name, _value(action)) if part)


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None and action.metavar is None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        value = str(action.metavar or action.dest.upper())
    return f"{value}…" if action.nargs in ("+", "*", argparse.REMAINDER) else value


def _arguments(actions: Iterable[argparse.Action]) -> dict[str, str]:
    """How each is written → what it is for."""
    told = {}
    for action in actions:
        names = ", ".join(action.option_strings)
        written = " ".join(part for part in (names, _value(action)) if part)
        told[f"`{written}`"] = (action.help or "") % vars(action)
    return told


def _table(head: str, rows: Mapping[str, str]) -> str:
    lines = [f"| {head} | |", "|---|---|"]
    lines += [f"| {_cell(left)} | {_cell(right)} |" for left, right in rows.items()]
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return _joined(text).replace("|", r"\|")


def _joined(text: str) -> str:
    return " ".join(text.split())
