"""What YAML and systemd's files set, as a flat list: a path, a value, and its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import yaml

_SETTING = re.compile(r"[A-Za-z_][\w.]*(?==)")
_LEFT_OUT = re.compile(r"\s*(?:\.\.\.|…)\s*")


class UnreadableError(Exception):
    """Some text is not in the format that it should be in; says where and why."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True, slots=True)
class Leaf:
    """A setting.

    Attributes:
        path: the keys that lead to it, with dots between; all items of a list have the same.
        value: what it is set to.
        line: its number in the page or file.
    """

    path: str
    value: str
    line: int


def leaves(name: str, lines: Sequence[tuple[int, str]]) -> list[Leaf]:
    """The settings in some numbered lines; `name` tells the format: `.yaml`, else systemd's.

    Lines with nothing but `...` stand for what is left out, and are.

    Raises:
        UnreadableError: the lines are not in this format.
    """
    kept = [(number, "" if _LEFT_OUT.fullmatch(text) else text) for number, text in lines]
    if PurePath(name).suffix in (".yaml", ".yml"):
        return list(_yaml(kept))
    return list(_systemd(kept))


def _yaml(lines: Sequence[tuple[int, str]]) -> Iterator[Leaf]:
    first = lines[0][0] if lines else 1
    try:
        tree = yaml.compose("\n".join(text for _, text in lines), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first + (mark.line if mark else 0)
        raise UnreadableError(line, f"no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UnreadableError(first, f"no YAML: {error}") from None
    if tree is not None:
        yield from _below(tree, "", first)


def _below(node: yaml.Node, path: str, first: int) -> Iterator[Leaf]:
    """The settings of a tree whose first line has this number."""
    line = first + node.start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _below(value, f"{path}.{_written(key)}".removeprefix("."), first)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            setting = _SETTING.match(item.value) if isinstance(item, yaml.ScalarNode) else None
            at = first + item.start_mark.line
            if setting:  # `- NAME=value` is the other way of writing `NAME: value`
                yield Leaf(f"{path}.{setting[0]}", item.value[setting.end() + 1 :], at)
            else:
                yield Leaf(path, _written(item), at)
    else:
        yield Leaf(path, _written(node), line)


def _written(node: yaml.Node) -> str:
    """A node as text, as it is written: `25:25` and `yes` are words here."""
    if isinstance(node, yaml.MappingNode):
        pairs = sorted(f"{_written(key)}: {_written(value)}" for key, value in node.value)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(node, yaml.SequenceNode):
        return f"[{', '.join(map(_written, node.value))}]"
    return str(node.value)


def _systemd(lines: Sequence[tuple[int, str]]) -> Iterator[Leaf]:
    section = ""
    for number, text in lines:
        line = text.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[" and line[-1] == "]":
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise UnreadableError(number, f"no setting of a systemd file: {line}")
        yield Leaf(f"{section}.{key.strip()}".removeprefix("."), value.strip(), number)
