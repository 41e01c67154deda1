"""What stands for the reporter's names, secrets and addresses, and where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reproduce_support import SAMPLES, SCENARIOS, planned

from harness.reproduce.engine import Asked, plan
from harness.reproduce.scrub import Scrubber
from harness.reproduce.summary import Result, as_markdown

ORIGINALS = (
    *("acme-widgets", "jane", "Tr0ub4dor", "cheap-pills", "jdoe", "Zm9yLXRlc3Rz", "vps-31337"),
    *("blumen-krause", "fisch-handel", "g3heim", "postausgang", "vereinsheim", "51.15.44.9"),
    "kleine-firma",
)


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_nothing_of_the_reporters_is_in_what_is_deployed_or_sent(sample: str) -> None:
    made = planned(sample)
    texts = [*made.files.values(), *made.sent().values(), str(made.table)]
    texts += [as_markdown(Result("not comparable", "", made.notes), made.scrub)]
    for original in ORIGINALS:
        assert not [text for text in texts if original in text], original


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("RELAY_PASSWORD", True),
        ("LDAP_BIND_PW", True),
        ("SASL_PASSWD", True),
        ("RSPAMD_API_TOKEN", True),
        ("POSTFIX_SASL_SECRET", True),
        ("DMS_LICENSE_KEY", True),
        ("ENABLE_FAIL2BAN", False),
        ("SSL_KEY_PATH", False),
    ],
)
def test_a_secret_in_the_environment_is_replaced(
    tmp_path: Path, name: str, is_secret: bool
) -> None:
    shutil.copytree(SAMPLES / "old_podman_run", tmp_path, dirs_exist_ok=True)
    with (tmp_path / "mailserver.env").open("a") as file:
        file.write(f"{name}=of-the-reporter-'s\n" if is_secret else f"{name}=of-the-reporter\n")
    made = plan(tmp_path, Asked(SCENARIOS))
    everything = "".join([*made.files.values(), *made.sent().values()])
    assert ("of-the-reporter" in everything) is not is_secret
    assert f"{name}=" in made.files["mailserver.env"]


def test_the_same_name_has_the_same_substitute_everywhere() -> None:
    scrub = Scrubber()
    scrub.site("mail.victim.de", "victim.de")
    text = scrub.text("to=<a@victim.de>, helo=<mx.victim.de>, MX.Victim.DE, from=<b@other.org>")
    assert text.count("host2.example.com") == 2
    assert "example.net" in text
    assert scrub.text("b@other.org and a@victim.de").split()[0] in text
    assert not scrub.left_in([text])


@pytest.mark.parametrize(
    "address", ["10.89.0.2", "192.168.1.4", "127.0.0.1", "203.0.113.51", "fe80::1", "::1"]
)
def test_an_address_that_is_nobodys_stays(address: str) -> None:
    assert Scrubber().text(f"connect from [{address}]") == f"connect from [{address}]"


@pytest.mark.parametrize("address", ["51.15.44.9", "2a01:4f8:1c1c::25"])
def test_a_public_address_does_not_stay(address: str) -> None:
    assert address not in Scrubber().text(f"connect from x[{address}]:25, {address}.")


@pytest.mark.parametrize(
    "text",
    [
        "relay_password = hunter2hunter2",
        '"token": "hunter2hunter2"',
        "AUTH PLAIN hunter2hunter2",
        "a@example.com|{SHA512-CRYPT}$6$hunter2$hunter2hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2 and cut off",
    ],
)
def test_a_secret_in_free_text_is_replaced(text: str) -> None:
    assert "hunter2" not in Scrubber().text(text)
