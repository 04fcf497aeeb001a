#!/usr/bin/env python3
"""A signal handler that jumps out of a hook blinds nobody: what the thread does afterwards is recorded as ever.

    jumps.py --bin DIR --program FILE --work DIR
"""

import argparse
import json
import pathlib
import subprocess

JUMPS, BLOCKS, DESCRIPTORS = 150, 300, 30  # as in the program


def report(options, command, data):
    shown = subprocess.run([options.bin / "leakhunt-report", command, data, "--format", "json", "--limit", "0"], stdout=subprocess.PIPE,
                           check=True, timeout=60)
    return json.loads(shown.stdout)


def under(answer, function):
    return [site for site in answer["sites"] if any(frame["function"] == function for frame in site["stack"])]


def check(options, way):
    data = options.work / way
    ran = subprocess.run([options.bin / "leakhunt-collect", "--quiet", "--sample-bytes", "1", "--output", data, "--", options.program, way],
                         stdout=subprocess.PIPE, text=True, timeout=120)
    assert ran.returncode == 0 and ran.stdout == "done\n", (way, ran)
    heap, handles = report(options, "top-sites", data), report(options, "handles", data)
    live = sum(site["live_count"]["value"] for site in under(heap, "MakeAfter"))
    opened = sum(site["open"] for site in under(handles, "OpenAfter"))
    assert (live, opened) == (BLOCKS, DESCRIPTORS), (way, live, opened)
    lost = heap["losses"]["records"]
    deep = sum(site["closed"] for site in under(handles, "OpenDeep"))
    if way == "inside":
        assert lost == 0, lost  # the frame that was interrupted lives
    else:
        assert lost > 0, "no jump left leakhunt: the program tests nothing"
    if way != "builtin":
        assert deep == JUMPS, (way, deep)
    print(f"{way}: {live} blocks, {opened} descriptors, {deep} of {JUMPS} openings after a jump; {lost} visits lost")


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--program", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    for way in ("siglongjmp", "builtin", "setcontext", "alternate", "inside"):
        check(options, way)


main()
