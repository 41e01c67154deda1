"""Steps and events that a scenario names, and what may be looked at after them."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenario_support import GOOD, QUESTION, folder, refusal, said_of

from harness.scenario_file import load
from harness.scenario_parts import Step

ANSWERS = '{ of = "mail server", after = "kill_it", is = "answers", why = "x" }'
LIVES = 'expect.why = "nobody"\nchecks = "life"\n'


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("seen = [{ of = 'queue', is = 'x', why = 'y' }]", ["seen.0: of: 'queue' is no look"]),
        ("seen = [{ of = 'container', is = 'x', why = 'y' }]", ["seen.0: after: is missing"]),
        (
            "seen = [{ of = 'container', run = 'true', is = 'x', why = 'y' }]",
            ["seen.0: of: 'container' is a look", "another name"],
        ),
        (
            "events = ['reboot']\n"
            "seen = [{ of = 'queued mail at last', after = 'reboot', is = 'x', why = 'y' }]",
            ["seen.0: after: 'queued mail at last' is looked at after the last event"],
        ),
        (
            "seen = [{ of = 'queued mail at last', is = 'x', why = 'y' }]",
            ["variants.first: seen.0: 'queued mail at last' needs `events`"],
        ),
    ],
)
def test_what_cannot_be_seen_of_a_life_is_a_mistake(
    tmp_path: Path, more: str, expected: list[str]
) -> None:
    said = said_of(tmp_path, 'expect.why = "nobody"', LIVES + more)
    for words in expected:
        assert words in said


def test_the_last_look_at_the_queue_has_no_event(tmp_path: Path) -> None:
    more = "events = ['reboot']\nseen = [{ of = 'queued mail at last', is = 'x', why = 'y' }]"
    text = GOOD.replace('expect.why = "nobody"', LIVES + more)
    (seen,) = load(folder(tmp_path, text))[0].settings.seen
    assert (seen.subject, str(seen)) == ("queued mail at last", "queued_mail_at_last")


def test_a_step_that_is_not_known_is_named_with_its_place_and_those_that_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "steps.toml").write_text(
        '[open_ports]\nas = "root"\nwhy = "x"\nrun = "true"\n[linger]\nwhy = "y"\nrun = "z"\n'
    )
    steps = GOOD.replace("env = {", 'prepare = ["open_prots"]\nenv = {')
    said = refusal(folder(tmp_path, steps))
    assert "variants.second_1.prepare: " in said
    assert f"{tmp_path / 'steps.toml'} has no step 'open_prots'" in said
    assert "it has open_ports" in said


def test_steps_are_taken_by_name_and_a_variants_after_the_scenarios(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text(
        '[open_ports]\nas = "root"\nwhy = "x"\nrun = "open"\nundo = "close"\n'
        '[linger]\nas = "rootless"\nwhy = "y"\nrun = "stay"\n'
    )
    steps = GOOD.replace("env = {", 'prepare = ["open_ports", "linger"]\nenv = {')
    first, second = load(folder(tmp_path, steps))
    assert [step.run for step in first.prepare] == ["true"]
    assert [(step.run, step.undo, step.user) for step in second.prepare] == [
        ("true", None, "root"),
        ("open", "close", "root"),
        ("stay", None, "rootless"),
    ]


def test_a_wrong_step_is_named_by_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text('[linger]\nwhy = "y"\nrum = "z"\n')
    steps = GOOD.replace("env = {", 'prepare = ["linger"]\nenv = {')
    said = refusal(folder(tmp_path, steps))
    assert "variants.second_1.prepare.0.rum: there is no such key; 'run' is one" in said


LIFE = 'checks = "life"\nseen = [{ of = "relay", after = "again", is = "refused", why = "x" }]\n'


def test_events_are_a_list_of_names_or_a_table_that_names_them_anew(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text('[again]\nwhy = "y"\nrun = "stop"\nas = "operator"\n')
    cases = (
        ('["reboot", "again"]', {"reboot": "reboot", "again": "stop"}),
        ('{ first = "again", again = "reboot" }', {"first": "stop", "again": "reboot"}),
        ('{ again = { why = "z", run = "own" } }', {"again": "own"}),
    )
    for position, (events, expected) in enumerate(cases):
        text = GOOD.replace("env = {", f"{LIFE}events = {events}\nenv = {{")
        _, second = load(folder(tmp_path, text, f"scenario_{position}"))
        happening = second.settings.events
        seen = {
            name: each.run if isinstance(each, Step) else each for name, each in happening.items()
        }
        assert list(seen.items()) == list(expected.items())


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ('["again", "again"]', 'events = { again = "again", again_later = "again" }'),
        ('["agian"]', "variants.second_1.events: "),
        ('{ again = "agian" }', "has no step 'agian'"),
        ('{ again = "rebot" }', "it has reboot"),
        ('["reboot"]', "there is no event 'again'; there are: reboot"),
    ],
)
def test_a_wrong_event_is_named_with_what_would_be_right(
    tmp_path: Path, events: str, expected: str
) -> None:
    (tmp_path / "steps.toml").write_text('[again]\nwhy = "y"\nrun = "stop"\n')
    text = GOOD.replace("env = {", f"{LIFE}events = {events}\nenv = {{")
    assert expected in refusal(folder(tmp_path, text))


def test_root_cannot_log_out(tmp_path: Path) -> None:
    life = f'checks = "life"\nevents = {{ away = "logout" }}\nseen = [{QUESTION}]\n'
    text = GOOD.replace("env = {", life + "env = {")
    assert len(load(folder(tmp_path, text, "rootless"))) == 2
    said = refusal(folder(tmp_path, text.replace('user = "rootless"', 'user = "root"'), "rootful"))
    assert "variants.second_1.events: root, by whom the harness looks, cannot log out" in said


def test_events_are_steps_by_name_and_seen_rows_have_names_that_k_selects(tmp_path: Path) -> None:
    (tmp_path / "steps.toml").write_text(
        '[kill_it]\nas = "operator"\nwhy = "x"\nrun = "kill $CONTAINER"\n'
    )
    life = f'checks = "life"\nevents = ["reboot", "kill_it"]\nseen = [{QUESTION}, {ANSWERS}]\n'
    _, second = load(folder(tmp_path, GOOD.replace("env = {", life + "env = {")))
    reboot, kill = second.settings.events.items()
    assert reboot == ("reboot", "reboot")
    assert (kill[0], getattr(kill[1], "run", ""), getattr(kill[1], "user", "")) == (
        "kill_it",
        "kill $CONTAINER",
        "operator",
    )
    assert [str(seen) for seen in second.settings.seen] == ["socket", "mail_server_after_kill_it"]
    assert second.settings.seen[1].subject == "mail server after kill it"
