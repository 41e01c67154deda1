"""Hosts that a mail server is deployed on. A new kind is one module and one line in `kinds`."""
