"""What is expected of a scenario on one machine: expectations may be for some machines only.

A row with `where` is for the machines that are so. Among rows about the same thing it comes before
the row for all others, which has none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from harness.needs import holds

if TYPE_CHECKING:
    from harness.scenario import Scenario
    from harness.scenario_parts import VariantTable
    from harness.scenario_table import ScenarioTable
    from harness.scenario_words import Row

RowT = TypeVar("RowT", bound="Row")
Facts = Mapping[str, str]


def rows_for(
    rows: Sequence[RowT], facts: Facts, about: Callable[[RowT], Hashable]
) -> tuple[RowT, ...]:
    """The rows that are for a machine, each where the first one about the same thing stands.

    Args:
        rows: all that are written.
        facts: what the machine is made of; empty while that is not known, and then no row with a
            condition is for it.
        about: tells what a row is about: there is one row for each such thing in the end.
    """
    chosen: dict[Hashable, RowT] = {}
    for row in rows:
        if row.where and not holds(row.where, facts):
            continue
        key = about(row)
        if key not in chosen or row.where:
            chosen[key] = row
    return tuple(chosen.values())


def is_conditional(table: ScenarioTable) -> bool:
    """Whether anything that is expected depends on the machine."""
    rows: list[Row] = [*table.client_address, *table.remains, *table.plain_login]
    for each in table.variants.values():
        rows += [*each.client_address, *each.seen, *each.otherwise]
    return any(row.where for row in rows)


def resolved(table: ScenarioTable, facts: Facts) -> ScenarioTable:
    """A scenario's table with what is expected on a machine, and nothing about others."""
    return table.model_copy(
        update={
            "client_address": rows_for(table.client_address, facts, lambda row: row.of),
            "remains": rows_for(table.remains, facts, lambda row: row.what),
            "plain_login": rows_for(table.plain_login, facts, lambda row: row.service),
            "variants": {name: _variant(each, facts) for name, each in table.variants.items()},
        }
    )


def _variant(variant: VariantTable, facts: Facts) -> VariantTable:
    other = rows_for(variant.otherwise, facts, lambda row: id(row))
    return variant.model_copy(
        update={
            "client_address": rows_for(variant.client_address, facts, lambda row: row.of),
            "seen": rows_for(variant.seen, facts, lambda row: row.subject),
            "expect": other[-1].expect if other else variant.expect,
            "otherwise": (),
        }
    )


def on_machine(scenarios: Sequence[Scenario], facts: Facts) -> list[Scenario]:
    """The same variants, each with what is expected of it on a machine that is made of this."""
    tables: dict[int, ScenarioTable] = {}
    made = []
    for each in scenarios:
        if each.written is None:
            made.append(each)
            continue
        key = id(each.written)
        if key not in tables:
            tables[key] = resolved(each.written, facts)
        made.append(dataclasses.replace(each, table=tables[key]))
    return made
