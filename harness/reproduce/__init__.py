"""Deploys what a reporter of a bug has sent, and holds what is seen against the report.

Whatever comes in is hostile until shown otherwise. It is read into memory within limits, parsed by
lists of what is allowed, and written anew: no byte of a report reaches a machine, or a shell, that
was not checked against a pattern first. What cannot be taken over is said by name.
"""
