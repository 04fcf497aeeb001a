#!/usr/bin/env python3
"""SIGKILL at random moments under four allocating threads: the last snapshot holds every block, and no more than was in
flight.

    kills.py --bin DIR --work DIR --program killed_at_work [--kills 12]

Prints the seed. Each kill must leave a readable recording whose process ended by signal 9, with 2,000 held blocks, at
most one more block a thread, no record lost and none refused by the collector's checks.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

HELD, THREADS = 2000, 4


def one_kill(options, wait_s):
    recording = os.path.join(options.work, "recording")
    shutil.rmtree(recording, ignore_errors=True)
    collect = [os.path.join(options.bin, "leakhunt-collect"), "--quiet", "--sample-bytes", "1", "--interval", "60s",
               "--output", recording, "--socket", os.path.join(options.work, "socket"), "--", options.program]
    with subprocess.Popen(collect, stdout=subprocess.PIPE) as collector:
        assert collector.stdout.readline() == b"works\n"
        children = f"/proc/{collector.pid}/task/{collector.pid}/children"
        with open(children, encoding="ascii") as listed:
            program = next(int(pid) for pid in listed.read().split()
                           if os.readlink(f"/proc/{pid}/exe") == os.path.realpath(options.program))
        time.sleep(wait_s)  # the moment of the kill is what varies
        os.kill(program, signal.SIGKILL)
        status = collector.wait(timeout=60)
    shown = subprocess.run([os.path.join(options.bin, "leakhunt-report"), "top-sites", recording, "--format", "json",
                            "--limit", "0"], stdout=subprocess.PIPE, check=True, timeout=60)
    return status, json.loads(shown.stdout)


def faults(status, answer):
    blocks = {"Hold": 0, "other": 0}
    for site in answer["sites"]:
        functions = [frame["function"] for frame in site["stack"]]
        if site["kind"] == "heap" and any(name in functions for name in ("Hold", "Churn")):
            blocks["Hold" if "Hold" in functions else "other"] += site["live_count"]["value"]
    found = []
    if status != 128 + signal.SIGKILL:
        found.append(f"exit status {status}")
    if answer["process"]["end"] != "signal":
        found.append(f"end {answer['process']['end']}")
    if blocks["Hold"] != HELD:
        found.append(f"{blocks['Hold']} held blocks instead of {HELD}")
    if blocks["other"] > THREADS:
        found.append(f"{blocks['other']} blocks in flight of {THREADS} threads")
    if answer["losses"]["records"] != 0 or answer["losses"].get("invalid_records", 0) != 0:
        found.append(f"losses {answer['losses']}")
    return found


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--work", "--program"):
        parser.add_argument(name, required=True)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    print(f"seed {options.seed}")
    moments = random.Random(options.seed)
    bad = 0
    for kill in range(options.kills):
        wrong = faults(*one_kill(options, moments.uniform(0, 0.3)))
        if wrong:
            bad += 1
            print(f"kill {kill}: " + "; ".join(wrong))
    print(f"{options.kills} kills, {bad} with a fault")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
