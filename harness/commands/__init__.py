"""The commands of `dms-harness`, one module each.

A command's module has `add_arguments(parser)` and `run(args)`, which returns the exit status and
whose docstring is the command's help.
It may have `EXIT`, its exit statuses, and `JSON`, the keys of what `--json` prints after `schema`:
both are for the manual. What takes long to import is imported by `run`.
"""
