#!/usr/bin/env python3
"""What ends or begins past the hooks: no leak is invented of it, and nothing is put down to who did not open it.

    unseen.py --bin DIR --programs DIR --work DIR
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys


class Runs:
    def __init__(self, options):
        self.options = options
        self.program = options.programs / "unseen"
        self.number = 0

    # `starts`: the program is started by that.
    def record(self, *words, settings=("--sample-bytes", "1"), starts=(), status=0):
        """What the program says, and the directory of its recording."""
        self.number += 1
        data = self.options.work / str(self.number)
        ran = subprocess.run([self.options.bin / "leakhunt-collect", "--quiet", *settings, "--output", data, "--", *starts, self.program,
                              *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        assert ran.returncode == status, (words, ran)
        return ran, data

    def report(self, command, data):
        shown = subprocess.run([self.options.bin / "leakhunt-report", command, data, *(["--snapshot", "end"] if command in ("top-sites", "handles") else []), "--format", "json", "--limit", "0"],
                               stdout=subprocess.PIPE, check=True, timeout=60)
        return json.loads(shown.stdout)

    def under(self, answer, function):
        return [site for site in answer["sites"] if any(frame["function"] == function for frame in site["stack"])]

    def live(self, data, function="MakeResult"):
        sites = self.under(self.report("top-sites", data), function)
        return sum(site["live_count"]["value"] for site in sites), sum(site["live_bytes"]["value"] for site in sites)


def find_plugin(programs):
    return next(programs.glob("*unseen_plugin*.so"))


def deep_binding(runs):
    plugin = find_plugin(runs.options.programs)
    _, data = runs.record("deep", plugin)
    count, size = runs.live(data)
    # Released before the library was led to the hooks: in its first milliseconds.
    assert 2 <= count <= 2 + 80 and size < 200_000, (count, size)
    opened = runs.under(runs.report("handles", data), "OpenForPlugin")
    assert sum(site["open"] for site in opened) == 0, opened
    assert sum(site["closed"] for site in opened) >= 390, opened
    print(f"deep: {count} blocks of {size} bytes live of 16,002")


def direct(runs):
    _, data = runs.record("direct")
    count, size = runs.live(data)
    assert size < 1_000_000, f"{size} bytes are said to live in a program that holds 2,000"
    assert runs.report("top-sites", data)["losses"]["stale_records"] > 10_000
    print(f"direct: {count} blocks of {size} bytes live, of some 90 MB")


def types(runs):
    _, data = runs.record("types", status=128 + 9)
    handles = runs.report("handles", data)
    for function, kind in (("RawMemfd", "memfd"), ("RawDirectory", "directory"), ("RawDevice", "device"), ("RawFile", "file"),
                           ("RawHow", "directory")):
        found = [site["type"] for site in runs.under(handles, function)]
        assert found == [kind], (function, found)
    print("types: as the calls say")


def tables(runs):
    _, data = runs.record("tables")
    handles = runs.report("handles", data)
    assert not any(site["opened"] for site in runs.under(handles, "OpenInOwnTable")), runs.under(handles, "OpenInOwnTable")
    own = runs.under(handles, "OpenInMain")
    assert (sum(site["open"] for site in own), sum(site["opened"] for site in own), sum(site["closed"] for site in own)) == (15, 16, 1), own
    print("tables: each thread's own")


def stopped(runs):
    ran, data = runs.record("stopped")
    # Of 2,000 calls. Waiting for the lock's holder, each round slept three times or more; a few the kernel causes itself.
    slept = re.fullmatch(r"munmap slept (\d+) times\n", ran.stdout)
    assert slept and int(slept[1]) < 100, ran.stdout
    mapped = [site for site in runs.report("top-sites", data)["sites"] if site["kind"] == "mmap"]
    mine = [site for site in mapped if any(frame["function"] in ("Stopped", "Mutator") for frame in site["stack"])]
    assert sum(site["live_count"]["value"] for site in mine) == 0, mine
    print("stopped: no munmap waits, none is lost")


def by_loader(runs):
    loader = pathlib.Path("/lib64/ld-linux-x86-64.so.2")
    if not loader.exists():
        return print("by_loader: not this machine")
    ran, data = runs.record("direct", starts=(loader,))
    assert ran.stderr == "", ran.stderr
    found = runs.under(runs.report("top-sites", data), "MakeResult")
    assert found, "no frame of the program has a name"
    modules = {frame["module"] for site in found for frame in site["stack"] if frame["function"] in ("MakeResult", "main")}
    assert {pathlib.Path(module).name for module in modules} == {"unseen"}, modules
    print("by_loader: the program's frames are the program's")


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--programs", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--case")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    os.environ.pop("LEAKHUNT_SOCKET", None)
    runs = Runs(options)
    for case in (deep_binding, direct, types, tables, stopped, by_loader):
        if options.case in (None, case.__name__):
            case(runs)


if __name__ == "__main__":
    sys.exit(main())
