"""How much longer everything may take on a machine that is slow.

Time limits are written for a machine on a processor of its own; a virtual machine without an
accelerator takes about ten times as long for all that it does. Whatever waits there, for something
to happen or for nothing to happen any more, waits so much longer.
"""

from __future__ import annotations

_factor = 1.0


def stretch(factor: float) -> None:
    """Let everything in this process take `factor` times as long, from now on."""
    global _factor
    _factor = factor


def patient(seconds: float) -> float:
    """The limit for what takes at most `seconds` elsewhere."""
    return seconds * _factor
