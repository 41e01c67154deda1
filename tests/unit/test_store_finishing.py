"""A subvolume is finished or it is not, wherever finishing it is cut off."""

from __future__ import annotations

import json
from pathlib import Path

from keeper_support import ROOT_ONLY, child

pytestmark = ROOT_ONLY

CRASHING = """
import json, sys
from pathlib import Path
from harness.keeper import netns, store as module
from harness.keeper.store import Store

class Crash(BaseException): pass
left = None
def crashing(function, torn=None):
    def wrapped(*args, **kwargs):
        global left
        if left is not None:
            if left == 0:
                raise Crash
            left -= 1
            if torn and left == 0:
                torn(*args)
                raise Crash
            if torn:
                left -= 1
        return function(*args, **kwargs)
    return wrapped

netns.leave_host_mounts()
store = Store(Path(sys.argv[1]))
store.mount()
write = Path.write_text
module._tool = crashing(module._tool)
Path.rename = crashing(Path.rename)
Path.unlink = crashing(Path.unlink)
Path.write_text = crashing(write, lambda path, text, **kw: write(path, text[:len(text) // 2]))
seen = []
for steps in range(100):
    store.create("build-old")
    write(store.path("build-old") / "file", "old")
    store.finish("build-old", "final", {"content": "old"})
    store.create("build-new")
    write(store.path("build-new") / "file", "new")
    left = steps
    try:
        store.finish("build-new", "final", {"content": "new"})
    except Crash:
        pass
    else:
        break
    finally:
        left = None
    # What another process sees now, and what it does about it.
    stamp = store.stamp("final")
    content = store.path("final") / "file"
    seen.append([stamp and stamp["content"], content.exists() and content.read_text()])
    store.delete("build-new")
    store.delete("final")
    assert [p.name for p in store.root.iterdir() if not p.name.endswith(".json.new")] == []
print(json.dumps([seen, store.stamp("final")["content"]]))
"""


def test_finishing_is_atomic_wherever_it_is_cut_off(tmp_path: Path) -> None:
    said, errors = child(CRASHING, tmp_path).communicate()
    assert errors == ""
    seen, last = json.loads(said)
    assert len(seen) >= 8
    assert last == "new"
    for stamp, content in seen:
        assert stamp is None or stamp == content, seen
    assert [None, "new"] in seen  # renamed, and not yet good
