"""The keeper: the small privileged process that owns every resource of a run.

It runs as root beside the run (which need not), creates what the run asks for after writing it
into the ledger, hands out sockets, and takes everything down when the run ends, however it ends.
It needs nothing but Python's standard library and the host's tools, so that it starts quickly.
"""
