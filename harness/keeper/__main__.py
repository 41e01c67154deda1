"""`python -m harness.keeper`: started by the client, never by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import traceback
from pathlib import Path

from harness.errors import HostError
from harness.keeper.runtime import SOCKET
from harness.keeper.server import Keeper


def main() -> int:
    """Serve one run; print one JSON line when ready, or one that says why not."""
    parser = argparse.ArgumentParser(prog="harness.keeper")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--without-store", action="store_true")
    args = parser.parse_args()
    # A signal to the run's process group is not meant for the one who cleans up after it.
    if os.getsid(0) != os.getpid():
        os.setsid()
    keeper = Keeper(args.cache, args.owner, args.uid, not args.without_store)
    try:
        keeper.prepare()
    except HostError as error:
        print(json.dumps({"error": error.message, "hint": error.hint}), flush=True)
        return 1
    except (OSError, ModuleNotFoundError) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{error} (in {where.name})"
        print(json.dumps({"error": said, "errno": getattr(error, "errno", None)}), flush=True)
        return 1

    def ready() -> None:
        print(json.dumps({"socket": str(keeper.runtime / SOCKET)}), flush=True)

    asyncio.run(keeper.serve(ready))
    return 0


sys.exit(main())
