#!/usr/bin/env python3
"""Memory is what is in memory: reservations count nothing, a mapping grows as it is touched, shared memory is named, and
the parts of RSS add up to it. Usage: memory.py PREFIX PROGRAMS_DIR"""

import json
import pathlib
import subprocess
import sys
import tempfile

PARTS = ["heap_live_bytes", "allocator_slack_bytes", "unseen_bytes", "mmap_bytes", "stack_bytes", "file_bytes",
         "shared_bytes", "leakhunt_bytes"]
SECONDS = "12"
MIB = 1 << 20

prefix, programs = (pathlib.Path(a) for a in sys.argv[1:3])
failures = 0


def check(what, holds, seen):
    global failures
    print(("ok    " if holds else "FAIL  ") + what + ("" if holds else f": {seen}"))
    failures += not holds


def start(mode, work):
    return subprocess.Popen(
        [prefix / "bin/leakhunt-collect", "--quiet", "--interval", "500ms", "--socket", work / f"{mode}.socket",
         "--output", work / mode, "--", programs / "address_space", mode, SECONDS], stdout=subprocess.PIPE, text=True)


def report(command, recording):
    done = subprocess.run([prefix / "bin/leakhunt-report", command, recording, "--format", "json"],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def parts_add_up(recording):
    points = [p for p in report("vitals", recording)["points"] if p["mmap_bytes"] is not None]
    worst = max((abs(sum(p[k] for k in PARTS) / p["rss_bytes"] - 1) for p in points), default=1)
    check(f"{recording.name}: the parts of RSS add up to it at {len(points)} points", len(points) > 10 and worst < 0.02, worst)


def mapping_site(answer):
    return max((s for s in answer["sites"] if s["kind"] == "mmap"), key=lambda s: s["reserved_bytes"])


def main():
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        running = {mode: start(mode, work) for mode in ("reserve", "touch", "shared")}
        touched = {mode: int(process.communicate(timeout=60)[0]) for mode, process in running.items()}
        for mode in running:
            parts_add_up(work / mode)

        site = mapping_site(report("top-sites", work / "reserve"))
        check("reserve: live is what was touched", abs(site["live_bytes"]["value"] / touched["reserve"] - 1) < 0.1, site)
        check("reserve: the rest is reserved", site["reserved_bytes"] >= 10 * int(SECONDS) * 64 * MIB, site["reserved_bytes"])
        check("reserve: totals leave it out", report("top-sites", work / "reserve")["totals"]["live_bytes"]["value"] < 4 * MIB, "")
        trend = report("trend", work / "reserve")
        left = trend["time_to_limit_s"]
        check("reserve: no limit of memory is near", left is None or left > 86400, trend["limit"])

        trend = report("trend", work / "touch")
        site = mapping_site(trend)
        check("touch: live is what was touched", abs(site["live_bytes"]["value"] / touched["touch"] - 1) < 0.02, site["live_bytes"])
        check("touch: its points grow with it", site["points"][-1][1] > 3 * site["points"][1][1] > 0, site["points"])
        check("touch: it is no start-up", site["verdict"] not in ("startup", "bounded"), site["verdict"])
        check("touch: the process grows by mappings", trend["growth"]["class"] == "mapping", trend["growth"]["class"])

        trend = report("trend", work / "shared")
        check("shared: it is shared memory that grows", trend["growth"]["class"] == "shared-memory", trend["growth"]["class"])
    sys.exit(1 if failures else 0)


main()
