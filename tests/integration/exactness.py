#!/usr/bin/env python3
"""In exact mode, what leakhunt says is live at exit equals what valgrind says is in use at exit: bytes and blocks, in
total and by the source line of the program that allocated.

    exactness.py --bin DIR --work DIR -- PROGRAM [ARG...]

--bin is where leakhunt-collect and leakhunt-report are. What the loader allocates for a thread's TLS differs by the
number of loaded objects, which neither tool leaves alone; it is set apart by name and printed, not hidden.
"""

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

SET_APART = ("_dl_allocate_tls", "allocate_dtv", "_dl_resize_dtv", "tls_get_addr_tail", "__tls_get_addr")
LIBRARIES = ("/lib/", "/usr/lib/", "/lib64/", "/usr/libexec/valgrind/")

Site = collections.namedtuple("Site", "place bytes blocks apart")


def site_of(frames, bytes_live, blocks):
    """frames: (function, module path, file, line) innermost first. The place is the innermost one outside the system
    libraries and their headers."""
    apart = next((frame[0] for frame in frames if frame[0] in SET_APART), None)
    for function, module, file, line in frames:
        if module.startswith(LIBRARIES) or "libleakhunt" in module or "/include/c++/" in file or not (module or file):
            continue
        place = f"{os.path.basename(file)}:{line}" if file else function or "?"
        return Site(place, bytes_live, blocks, apart)
    return Site("(no frame of the program)", bytes_live, blocks, apart)


def run_valgrind(command, work):
    report = os.path.join(work, "valgrind.xml")
    done = subprocess.run(
        ["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--run-libc-freeres=no", "--run-cxx-freeres=no",
         "--num-callers=100", "--keep-debuginfo=yes", "--child-silent-after-fork=yes", "--xml=yes", "--xml-file=" + report] + command,
        stdout=open(os.path.join(work, "valgrind.stdout"), "wb"), stdin=subprocess.DEVNULL, timeout=120)
    sites = []
    for error in ElementTree.parse(report).getroot().findall("error"):
        what = error.find("xwhat")
        if not error.findtext("kind", "").startswith("Leak_"):
            continue
        frames = [(frame.findtext("fn", ""), frame.findtext("obj", ""),
                   os.path.join(frame.findtext("dir", ""), frame.findtext("file", "")), frame.findtext("line", "0"))
                  for frame in error.find("stack")]
        frames = [frame for frame in frames if "vgpreload" not in frame[1]]
        # Of a block that leads to others, leakedbytes is the sum, and the others are listed once more by themselves.
        direct = re.search(r"\(([\d,]+) direct", what.findtext("text"))
        own_bytes = int(direct.group(1).replace(",", "")) if direct else int(what.findtext("leakedbytes"))
        sites.append(site_of(frames, own_bytes, int(what.findtext("leakedblocks"))))
    return done.returncode, sites


def run_leakhunt(command, work, programs):
    recording = os.path.join(work, "recording")
    done = subprocess.run(
        [os.path.join(programs, "leakhunt-collect"), "--quiet", "--sample-bytes", "1", "--track", "heap", "--output",
         recording, "--"] + command,
        stdout=open(os.path.join(work, "leakhunt.stdout"), "wb"), stdin=subprocess.DEVNULL, timeout=120)
    shown = subprocess.run(
        [os.path.join(programs, "leakhunt-report"), "top-sites", recording, "--snapshot", "end", "--format", "json", "--limit", "1000000"],
        stdout=subprocess.PIPE, check=True, timeout=60)
    answer = json.loads(shown.stdout)
    assert answer["sampling"]["mode"] == "exact", answer["sampling"]
    assert answer["losses"]["records"] == 0, answer["losses"]
    sites = []
    for site in answer["sites"]:
        live_bytes, live_count = site["live_bytes"], site["live_count"]
        assert live_bytes["low"] == live_bytes["value"] == live_bytes["high"], live_bytes
        frames = [(frame["function"], frame["module"], frame.get("file") or "", frame.get("line") or 0)
                  for frame in site["stack"]]
        sites.append(site_of(frames, live_bytes["value"], live_count["value"]))
    totals = (answer["totals"]["live_bytes"]["value"], answer["totals"]["live_count"]["value"])
    summed = (sum(site.bytes for site in sites), sum(site.blocks for site in sites))
    assert totals == summed, f"totals {totals} are not the sum of the sites {summed}"
    return done.returncode, sites


def by_place(sites):
    table = collections.defaultdict(lambda: [0, 0])
    for site in sites:
        if site.blocks and not site.apart:
            table[site.place][0] += site.bytes
            table[site.place][1] += site.blocks
    return {place: tuple(figures) for place, figures in table.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)

    valgrind_status, expected = run_valgrind(command, options.work)
    leakhunt_status, found = run_leakhunt(command, options.work, options.bin)
    wrong = []
    if valgrind_status != leakhunt_status:
        wrong.append(f"exit status {leakhunt_status}, under valgrind {valgrind_status}")
    left, right = by_place(expected), by_place(found)
    for place in sorted(set(left) | set(right)):
        if left.get(place) != right.get(place):
            wrong.append(f"{place}: leakhunt {right.get(place)}, valgrind {left.get(place)} (bytes, blocks)")
    for name, sites in (("valgrind", expected), ("leakhunt", found)):
        apart = [site for site in sites if site.apart and site.blocks]
        print(f"{name}: {sum(s.bytes for s in sites if not s.apart)} bytes in "
              f"{sum(s.blocks for s in sites if not s.apart)} blocks; set apart (thread TLS of the loader): "
              f"{sum(s.bytes for s in apart)} bytes in {sum(s.blocks for s in apart)} blocks")
    print("\n".join("DIFFERS " + line for line in wrong) or "equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
