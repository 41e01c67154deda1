"""Where the stand-in image's recipe is; holds no tests itself."""

from pathlib import Path

STANDIN = Path(__file__).parents[2] / "harness" / "mailserver" / "standin"
ROOTFS = STANDIN / "rootfs"
LIBRARY = ROOTFS / "usr/local/lib/standin"
COMMANDS = ROOTFS / "usr/local/bin"
