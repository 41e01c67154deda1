"""What all unit tests, and what they start, have in common."""

from __future__ import annotations

import signal

import pytest

# What several modules assert there is told with its values, as if each asserted it itself.
pytest.register_assert_rewrite("keeper_support")

# A shell has its background jobs ignore Ctrl-C, which all that they start inherit: a test that
# presses it would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
