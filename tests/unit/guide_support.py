"""A small guide in MkDocs Material, and a folder of files that it agrees with."""

from __future__ import annotations

from pathlib import Path

from harness.claims import load_claims
from harness.guide.compare import compare
from harness.guide.drift import Drift
from harness.guide.page import scan
from harness.guide.table import load_table

GUIDE = """\
---
title: Kettle
---

# Kettle on Podman

## Set up

Kettle **must not** boil [over the
rim](#rim), and `kettle_lid` stays _shut_.

```bash
# Once.
sudo dnf install \\
    kettle
kettle --heat <80|100>
...
```

!!! note "Files"

    1. Write this file:

        ```yaml title="compose.yaml"
        services:
          kettle:
            ports:
              - "8080:80"   # steam
              - "8443:443"
            environment:
              - LID=shut
              ...
        ```

### As a unit

=== "Root"

    ```ini
    [Unit]
    Description=Kettle

    [Service]
    # It whistles, and the cook
    # hears it.
    Restart=always
    #SPOUT=long
    # lets it pour.
    ```

=== "User"

    ~~~ini
    Map=0:1:10
    Map=10:0:1
    ~~~

> Kettles differ: “new” ones are quick.

[rim]: https://kettle.example/rim
"""
TABLE = """\
[install]
section = "Set up"
[[install.command]]
run = "sudo dnf install kettle"
not_run = "it is there already"
[[install.command]]
run = "kettle --heat <80|100>"
step = "heat"
there = "kettle --heat $t"

[compose]
section = "Set up"
contained_in = ["rootless/compose.yaml"]
same = ["services.kettle.ports", "services.kettle.environment.LID"]

[unit]
section = "As a unit"
within = "Root"
equal = "rootful/kettle.service"

[map]
section = "As a unit"
contained_in = ["rootless/map.conf"]
same = ["Map"]
"""
STEPS = """\
[cool]
run = "kettle --heat 0"

[heat]
run = '''
for t in 80 100; do kettle --heat $t; done'''
"""
COMPOSE = """\
services:
  kettle:
    image: kettle
    ports:
      - "8080:80"
      - "8443:443"
    environment:
      COLOUR: red
      LID: shut
"""
UNIT = """\
[Unit]
Description=Kettle

[Service]
# It whistles, and the cook
# hears it.
Restart=always
#SPOUT=long
# lets it pour.
"""
CLAIMS = """\
[features."a whistle"]
would = "a kettle that has one"

[C1]
quote = "must not boil over the rim … stays shut"
section = "Set up"
test = "boil it"

[C2]
quote = "It whistles, and the cook hears it."
section = "As a unit"
test = "listen"

[C3]
quote = '"new" ones are quick'
section = "As a unit"
test = "time it"
"""


def folder(base: Path, table: str = TABLE, claims: str = CLAIMS) -> Path:
    """A folder of scenarios that agrees with the guide."""
    made = base / "scenarios"
    for name, text in {
        "guide.toml": table,
        "claims.toml": claims,
        "steps.toml": STEPS,
        "rootless/compose.yaml": COMPOSE,
        "rootless/map.conf": "[Container]\nMap=0:1:10\nMap=10:0:1\n",
        "rootful/kettle.service": UNIT,
    }.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


def drift(base: Path, guide: str = GUIDE, table: str = TABLE, claims: str = CLAIMS) -> list[Drift]:
    """What the folder and a guide do not agree on."""
    made = folder(base, table, claims)
    ours, quoted = made / "guide.toml", made / "claims.toml"
    page = scan(guide, "kettle.md")
    return list(compare(page, load_table(ours), ours, load_claims(quoted), quoted).drift)


def line_of(text: str, guide: str = GUIDE) -> int:
    """The number of the guide's first line that has some text in it."""
    return next(number for number, line in enumerate(guide.splitlines(), 1) if text in line)
