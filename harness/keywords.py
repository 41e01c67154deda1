"""Which scenario variants `pytest -k` can select at all, told before their tests are made.

There are tens of thousands of tests; making all of them only to deselect them takes seconds.
What is told apart here is left out early; pytest itself still decides about the rest.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import TypeVar

from _pytest.mark.expression import Expression

T = TypeVar("T")

_WORD = re.compile(r"[\w:+\-.\[\]\\/]+")
_OPERATORS = frozenset({"and", "or", "not"})
UNKNOWN_AT_MOST = 6
"""Beyond so many words that may or may not match, everything is kept."""


def may_match(expression: str, names: Collection[str], others: Collection[str]) -> bool:
    """Whether an expression can be true of any test that has some names.

    Args:
        expression: what was given to `-k`.
        names: what every one of the tests is called by.
        others: what some of them are called by as well.
    """
    try:
        compiled, words = _parsed(expression)
    except SyntaxError:
        return True  # pytest says what is wrong with it
    known = {word: True for word in words if _is_in(word, names)}
    unknown = [word for word in words if word not in known and _is_in(word, others)]
    if len(unknown) > UNKNOWN_AT_MOST:
        return True
    for truths in itertools.product((True, False), repeat=len(unknown)):
        truth = known | dict(zip(unknown, truths, strict=True))
        if compiled.evaluate(lambda word, /, **_: truth.get(word.lower(), False)):  # noqa: B023
            return True
    return False


def narrowed(expression: str, called: Mapping[T, Collection[str]]) -> list[T]:
    """What an expression can be meant for, told from names alone, before there are any tests.

    A word that is in none of the names is one of some tests' own: it may be said of any.

    Args:
        expression: what was given to `-k`.
        called: what each is called by.
    """
    names = set().union(*called.values())
    others = [word for word in _WORD.findall(expression.lower()) if not _is_in(word, names)]
    return [each for each, own in called.items() if may_match(expression, own, others)]


def near(expression: str, names: Collection[str]) -> str:
    """What may have been meant by the words of an expression that are in no name.

    Args:
        expression: what was given to `-k`.
        names: of scenarios and variants.

    Returns:
        A question, or nothing where no name is near.
    """
    words = {word.lower() for word in _WORD.findall(expression)} - _OPERATORS
    meant = {
        word: difflib.get_close_matches(word, names, 3, 0.7)
        for word in sorted(words)
        if not _is_in(word, names)
    }
    questions = [f"for {word!r}, {' or '.join(found)}" for word, found in meant.items() if found]
    return f"did you mean {'; '.join(questions)}?" if questions else ""


@cache
def _parsed(expression: str) -> tuple[Expression, frozenset[str]]:
    words = {word.lower() for word in _WORD.findall(expression)}
    return Expression.compile(expression), frozenset(words - _OPERATORS)


def _is_in(word: str, names: Collection[str]) -> bool:
    return any(word in name.lower() for name in names)
