from __future__ import annotations

import pytest

from harness.probes.relay import ERRORS_PER_CONNECTION, batches
from harness.probes.relay_forms import BY_ID, CORE, DSBL, FORMS, NMAP, PLAIN

T, B, IP = "outside.test", "mail.example.com", "192.0.2.10"
VALUES: dict[str, str | None] = {
    "outside": T,
    "server": B,
    "domain": "example.com",
    "ip": IP,
    "mailbox": "alice@example.com",
    "user": "alice",
    "alias": "info@example.com",
}
FILLED = [form.filled(VALUES) for form in FORMS]


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(FORMS)


def test_every_placeholder_is_filled() -> None:
    for form in FILLED:
        assert form is not None
        text = " ".join((form.sender, form.recipient, form.helo or "", *form.before))
        assert "{" not in text
        assert "None" not in text


def test_a_form_without_its_value_is_left_out() -> None:
    assert BY_ID["container-alias"].filled(VALUES | {"alias": None}) is None
    assert BY_ID[PLAIN].filled(VALUES | {"alias": None}) is not None
    with pytest.raises(KeyError):
        BY_ID[PLAIN].filled({})


def test_nmaps_sixteen_forms_to_the_letter() -> None:
    u = "relaytest"
    literal = f"<{u}@[{IP}]>"
    assert [(form.sender, form.recipient) for form in FILLED[:16] if form] == [
        ("<>", f"<{u}@{T}>"),
        (f"<{u}@{T}>", f"<{u}@{T}>"),
        (f"<{u}@{B}>", f"<{u}@{T}>"),
        (literal, f"<{u}@{T}>"),
        (literal, f"<{u}%{T}@[{IP}]>"),
        (literal, f"<{u}%{T}@{B}>"),
        (literal, f'<"{u}@{T}">'),
        (literal, f'<"{u}%{T}">'),
        (literal, f"<{u}@{T}@[{IP}]>"),
        (literal, f'<"{u}@{T}"@[{IP}]>'),
        (literal, f"<{u}@{T}@{B}>"),
        (literal, f"<@[{IP}]:{u}@{T}>"),
        (literal, f"<@{B}:{u}@{T}>"),
        (literal, f"<{T}!{u}>"),
        (literal, f"<{T}!{u}@[{IP}]>"),
        (literal, f"<{T}!{u}@{B}>"),
    ]
    assert len(NMAP) == 16
    assert {form.source for form in NMAP} == {"nmap"}


def test_the_other_testers_are_all_there() -> None:
    assert len(DSBL) == 16
    assert {form.source for form in FORMS} == {"nmap", "DSBL", "MAPS", "two-by-two", "container"}
    assert [form.id for form in CORE] == ["external-to-external", "internal-to-external"]
    ways = {(form.service, form.security) for form in FORMS}
    assert ways >= {
        ("smtp", "plain"),
        ("smtp", "starttls"),
        ("submission", "plain"),
        ("submission", "starttls"),
        ("submissions", "implicit"),
    }


def test_the_plain_forms_may_never_be_local() -> None:
    for form in FORMS:
        if (
            form.recipient in ("<relaytest@{outside}>", "<other@{outside}>")
            and form.way != "smuggled"
        ):
            assert not form.may_be_local, form.id


def test_batches_stay_below_the_error_limits() -> None:
    sent = batches(FORMS)
    assert sorted(form.id for batch in sent for form in batch) == sorted(BY_ID)
    for batch in sent:
        assert len({(form.service, form.security, form.way) for form in batch}) == 1
        assert sum(1 + len(form.before) for form in batch) <= ERRORS_PER_CONNECTION
        assert batch[0].way == "transaction" or len(batch) == 1
