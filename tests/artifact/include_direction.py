#!/usr/bin/env python3
"""Checks which room of the tree includes which: the arrows of the design point one way, and never from the guest to
the host. Usage: include_direction.py SOURCE_DIR"""

import pathlib
import re
import sys

GUEST = "preload/"
# A room, and the rooms (or single headers) it may include besides itself.
ALLOWED = {
    "preload/protocol": [],
    "preload/sys": ["preload/protocol"],
    "preload/unwind": ["preload/protocol", "preload/sys"],
    "preload/transport": ["preload/protocol", "preload/sys"],
    "preload/imports": ["preload/protocol", "preload/sys", "preload/unwind"],
    "preload/core": ["preload/protocol", "preload/sys", "preload/unwind", "preload/transport"],
    "preload/hooks": ["preload/protocol", "preload/sys", "preload/unwind", "preload/transport", "preload/imports",
                      "preload/core"],
    "collector/base": [],
    "collector/snapshot": ["collector/base"],
    "collector/verdict": ["collector/base", "collector/snapshot"],
    "collector/ledger": ["collector/base", "collector/snapshot", "preload/protocol"],
    "collector/watch": ["collector/base", "collector/snapshot", "collector/verdict", "collector/ledger", "collector/notice.h"],
    "collector/record": ["collector/base", "collector/snapshot", "collector/verdict", "collector/ledger",
                         "collector/watch", "collector/notice.h", "collector/options.h", "preload/protocol"],
    "collector/ingest": ["collector/base", "collector/snapshot", "collector/ledger", "collector/watch",
                         "collector/record", "collector/notice.h", "collector/options.h", "preload/protocol"],
    "symbolizer": ["collector/base"],
    "viewer": ["collector/base", "collector/snapshot", "collector/verdict", "symbolizer"],
}
# The collector's own rooms above these may use any room of the collector, and of the guest the wire alone. Its HTTP
# answers are the report's own JSON, so `serve` may use the viewer.
COLLECTOR_TOP = ["collector", "preload/protocol", "symbolizer", "viewer"]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
SOURCES = {".h", ".cc", ".c", ".S", ".inc", ".hpp", ".cpp"}


def room_of(path):
    parts = path.split("/")
    if parts[0] in ("preload", "collector"):
        return "/".join(parts[:2]) if len(parts) > 2 else parts[0]
    return parts[0]


def within(target, rooms):
    return any(target == room or target.startswith(room + "/") for room in rooms)


def may_include(room, target):
    """room: of the including file; target: the included file."""
    if within(target, [room]):
        return True
    if room in ALLOWED:
        return within(target, ALLOWED[room])
    if room.startswith(GUEST):
        return target.startswith(GUEST)
    return room.startswith("collector") and within(target, COLLECTOR_TOP)


def includes_of(root, path):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        beside = path.parent / match.group(1)
        target = beside.resolve() if beside.exists() else root / match.group(1)
        if target.exists():
            yield number, str(target.relative_to(root))


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    checked, wrong = 0, []
    for top in ("preload", "collector", "symbolizer", "viewer"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SOURCES:
                continue
            here = str(path.relative_to(root))
            for number, target in includes_of(root, path):
                checked += 1
                if not may_include(room_of(here), target):
                    wrong.append(f"{here}:{number}: {room_of(here)} must not include {target}")
    print("\n".join(wrong) if wrong else f"{checked} includes, all in the allowed direction")
    return 1 if wrong or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
