"""Reads YAML, and JSON as a part of it, into plain values: no tags, no bombs, no duplicate keys.

Values are those of YAML 1.2, as compose has them: `25:25` is a text, `no` is one as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.reproduce import limits
from harness.reproduce.notes import Notes, shown

if TYPE_CHECKING:
    import yaml

Value = None | bool | int | str | list["Value"] | dict[str, "Value"]

_PLAIN_TAGS = tuple(
    f"tag:yaml.org,2002:{name}"
    for name in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value", "map", "seq")
)
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}")
_WORDS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class NotYamlError(ValueError):
    """A text is no YAML that is read here: says why."""


def parse(text: str, name: str, notes: Notes) -> Value:
    """A document's value.

    Args:
        text: the document.
        name: the file's name, for what is said of it.
        notes: takes what is said of duplicate keys.

    Raises:
        NotYamlError: it is none, or has more in it than is read, or tags.
    """
    import yaml

    if len(text.encode()) > limits.YAML:
        raise NotYamlError(f"longer than {limits.YAML >> 10} KB")
    try:
        _look_at_depth(text)
        # The pure Python loader: what it composes is looked at before any value is made of it.
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NotYamlError(shown(" ".join(str(error).split()))) from None
    if node is None:
        return None
    _count(node, {}, set())
    return _value(node, name, "", notes)


def _look_at_depth(text: str) -> None:
    """Events come one by one, however deep they are; composing them calls itself."""
    import yaml

    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > limits.YAML_DEPTH:
            raise NotYamlError(f"more than {limits.YAML_DEPTH} values deep")
        if number > 3 * limits.YAML_NODES:
            raise NotYamlError(f"more than {limits.YAML_NODES} values")


def _count(node: yaml.Node, known: dict[int, tuple[int, int]], above: set[int]) -> tuple[int, int]:
    """How many values a node stands for, and how deep they are, with those behind aliases."""
    import yaml

    if id(node) in above:
        raise NotYamlError("an alias that contains itself")
    if id(node) in known:
        return known[id(node)]
    above.add(id(node))
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        parts = node.value
    counted = [_count(part, known, above) for part in parts]
    total = 1 + sum(count for count, _ in counted)
    depth = 1 + max((deep for _, deep in counted), default=0)
    above.discard(id(node))
    if total > limits.YAML_NODES:
        raise NotYamlError(f"more than {limits.YAML_NODES} values where aliases are written out")
    if depth > limits.YAML_DEPTH + 1:
        raise NotYamlError(f"more than {limits.YAML_DEPTH} values deep")
    known[id(node)] = total, depth
    return total, depth


def _value(node: yaml.Node, name: str, where: str, notes: Notes) -> Value:
    import yaml

    if node.tag not in _PLAIN_TAGS:
        raise NotYamlError(f"{shown(where) or 'the document'}: the tag {shown(node.tag)}")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(part, name, f"{where}[{n}]", notes) for n, part in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    made: dict[str, Value] = {}
    merged: dict[str, Value] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise NotYamlError(f"{shown(where) or 'the document'}: a key that is no text")
        key = str(key_node.value)
        value = _value(value_node, name, f"{where}.{key}".lstrip("."), notes)
        if key == "<<" and key_node.tag.endswith(":merge"):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    merged = {**one, **merged}
            continue
        if key in made:
            raise NotYamlError(f"the key {shown(f'{where}.{key}'.lstrip('.'))} is there twice")
        made[key] = value
    return {**merged, **made}


def _scalar(node: yaml.ScalarNode) -> Value:
    text = str(node.value)
    if node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _NUMBER.fullmatch(text) else text


# What readers ask of values that may be anything.


def mapping(value: Value) -> dict[str, Value]:
    """The value where it is a mapping; else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Value) -> list[Value]:
    """The value's items; of a single one, itself; of nothing, none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def word(value: Value) -> str:
    """A scalar as text; nothing for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else ""
