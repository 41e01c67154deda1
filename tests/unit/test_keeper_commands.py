"""What is kept of what a long command writes."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from harness.keeper.commands import LAST, follow

RUBY = """
print("start_domain.rb:470:in 'call': cannot set up guest memory (Error)")
for frame in range(50):
    print(f"\\tfrom warden.rb:{frame}:in 'call'")
raise SystemExit(1)
"""


async def _ignored(_: str) -> None: ...


def test_backtrace_does_not_push_out_what_it_is_about() -> None:
    with pytest.raises(OSError, match="cannot set up guest memory") as failed:
        asyncio.run(follow(_ignored, [sys.executable, "-c", RUBY], os.environ, (), "vagrant"))
    assert "warden.rb" not in str(failed.value)


def test_last_lines_are_kept() -> None:
    counting = f"for line in range({LAST} + 5): print('line', line)"
    last = asyncio.run(follow(_ignored, [sys.executable, "-c", counting], os.environ, (), "x"))
    assert last == [f"line {number}" for number in range(5, LAST + 5)]
