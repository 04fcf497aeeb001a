#!/usr/bin/env python3
"""What a killed child or grandchild had inherited is in its last snapshot, less what it freed, under the call site of
whoever allocated it.

    inherited.py --bin DIR --work DIR --program inherited_blocks
"""

import argparse
import json
import os
import shutil
import subprocess
import sys


def report(options, recording, *words):
    shown = subprocess.run([os.path.join(options.bin, "leakhunt-report"), *words, recording, "--format", "json"],
                           stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(shown.stdout)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--work", "--program"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    recording = os.path.join(options.work, "recording")
    shutil.rmtree(recording, ignore_errors=True)
    subprocess.run([os.path.join(options.bin, "leakhunt-collect"), "--quiet", "--sample-bytes", "1", "--output", recording,
                    "--socket", os.path.join(options.work, "socket"), "--", options.program], check=True, timeout=60)
    processes = report(options, recording, "processes")["processes"]
    program = next(p["pid"] for p in processes if p["end"] == "exit")
    expected = {"child": {"Inherited": 700, "OfTheChild": 500}, "grandchild": {"Inherited": 600, "OfTheChild": 400}}
    wrong = 0
    for process in (p for p in processes if p["end"] == "signal"):
        who = "child" if process["parent_pid"] == program else "grandchild"
        answer = report(options, recording, "top-sites", "--pid", str(process["pid"]), "--limit", "0")
        live = {function: sum(site["live_count"]["value"] for site in answer["sites"]
                              if any(frame["function"] == function for frame in site["stack"]))
                for function in expected[who]}
        print(f"{who}: {live} inherited blocks live, {expected[who]} expected; lost {answer['losses']['records']}")
        wrong += live != expected.pop(who) or answer["losses"]["records"] != 0
    return 1 if wrong or expected else 0


if __name__ == "__main__":
    sys.exit(main())
