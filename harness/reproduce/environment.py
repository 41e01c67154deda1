"""The settings of a report: environment files, and what stands in compose, Quadlet or a command."""

from __future__ import annotations

import re
from typing import Final

from harness.reproduce import limits
from harness.reproduce.notes import Notes

KNOWN: Final = re.compile(
    r"(ENABLE|POSTFIX|DOVECOT|POSTSCREEN|RELAY|SASLAUTHD|LDAP|SSL|RSPAMD|FAIL2BAN|SPAM|SPAMASSASSIN"
    r"|SA|AMAVIS|CLAMAV|SRS|GETMAIL|FETCHMAIL|PFLOGSUMM|LOGWATCH|LOGROTATE|POSTGREY|MOVE|MARK|OAUTH2"
    r"|SUPERVISOR|DMS|LOG|REPORT|QUOTA|MTA|VIRUSMAILS)_[A-Z0-9_]+"
    r"|NETWORK_INTERFACE|PERMIT_DOCKER|TLS_LEVEL|TZ|UPDATE_CHECK_INTERVAL|ACCOUNT_PROVISIONER"
    r"|ONE_DIR|DEFAULT_RELAY_HOST|SMTP_ONLY|SPOOF_PROTECTION|OVERRIDE_HOSTNAME|POSTMASTER_ADDRESS"
    r"|SASL_PASSWD|LOGWATCH_INTERVAL|OPENDKIM_KEY_SIZE|DEFAULT_VHOST|HOSTNAME|DOMAINNAME"
)
"""The names that docker-mailserver documents, by their beginnings."""
SECRET: Final = re.compile(
    r"(.*_)?(PASSWORD|PASSWD|PASS|PW|SECRET|KEY|TOKEN|BIND_PW|CREDENTIALS?)(_\d+)?(__FILE)?"
)
"""What a name ends in whose value is nobody's business."""
_NOT_SECRET = re.compile(r"(SSL_(ALT_)?KEY_PATH|.*_KEY_SIZE|.*_PATH)")
_UNFIT = re.compile(r"[\x00-\x1f\x7f'`\\]|\$\(|\$\{")
"""What a setting that docker-mailserver writes between single quotes cannot have."""


def is_secret(name: str) -> bool:
    """Whether a setting's value is a secret, by its name."""
    upper = name.upper()
    return SECRET.fullmatch(upper) is not None and _NOT_SECRET.fullmatch(upper) is None


def settings_of(text: str, name: str, notes: Notes) -> dict[str, str]:
    """The settings in an environment file: `NAME=value` lines, `#` comments.

    Args:
        text: the file's.
        name: its name.
        notes: takes what is left out.
    """
    found: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.removeprefix("export ").partition("=")
        if not equals:
            notes.add("left out", f"{name}:{number}", "a name without a value")
        elif len(raw) > limits.LINE:
            notes.add("refused", f"{name}:{number}", f"longer than {limits.LINE} characters")
        else:
            found[key.strip()] = unquoted(value.strip())
    return found


def unquoted(value: str) -> str:
    """A value without the quotes around it, or the comment behind it."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def taken(given: dict[str, str], where: str, notes: Notes) -> dict[str, str]:
    """Those of the settings that docker-mailserver knows, with values that are only values."""
    kept: dict[str, str] = {}
    for key, value in given.items():
        said = f"{where}: {key}"
        if key.endswith("__FILE"):
            notes.add("left out", said, "names a file with a secret")
        elif not KNOWN.fullmatch(key):
            notes.add("left out", said, "no setting of docker-mailserver's")
        elif len(value) > limits.LINE or len(kept) >= limits.WORDS:
            notes.add("refused", said, "too long, or too many of them")
        elif not is_secret(key) and _UNFIT.search(value):
            notes.add("refused", said, "a value with quotes, substitutions or control characters")
        else:
            kept[key] = value
    return kept
