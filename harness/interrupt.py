"""Ctrl-C at any moment ends a run as Ctrl-C should."""

from __future__ import annotations

from types import TracebackType


def show_where_known(traceback: TracebackType | None) -> None:
    """Cut a traceback short before its first frame without a line number.

    CPython 3.11 and later may be interrupted in an instruction that belongs to no line
    (`tb_lineno` is None then). pytest counts with that number when it shows where it was
    interrupted, and ends in a TypeError and exit status 1 instead.

    Args:
        traceback: changed in place; its first frame always stays.
    """
    while traceback is not None and traceback.tb_next is not None:
        if traceback.tb_next.tb_lineno is None:
            traceback.tb_next = None
        traceback = traceback.tb_next
