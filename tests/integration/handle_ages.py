#!/usr/bin/env python3
"""A handle's age, where the thread that opened it had opened so many within one tick that it did not read the clock for each.

    handle_ages.py --bin DIR --work DIR --program burst_then_leak

The program opens and closes in a burst, is quiet for some seconds, and leaves one open. The burst's date would make that older
by the pause: it may be older by the time between two snapshots, and not younger.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

INTERVAL_S = 1
SLACK_S = 0.5  # a snapshot may be late on a busy machine


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--work", "--program"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    recording = os.path.join(options.work, "recording")
    shutil.rmtree(recording, ignore_errors=True)
    said = subprocess.run([os.path.join(options.bin, "leakhunt-collect"), "--quiet", "--interval", f"{INTERVAL_S}s", "--output",
                           recording, "--socket", os.path.join(options.work, "socket"), "--", options.program],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    age, quiet = (float(word) for word in said.split())
    shown = subprocess.run([os.path.join(options.bin, "leakhunt-report"), "handles", recording, "--snapshot", "end", "--format", "json"],
                           stdout=subprocess.PIPE, check=True, timeout=60)
    ages = [site["oldest_age_s"] for site in json.loads(shown.stdout)["sites"] if site["open"] == 1]
    print(f"open for {age:.2f} s after {quiet:.2f} s without any opening; by the report {ages}")
    return 0 if len(ages) == 1 and age - 0.1 <= ages[0] <= age + INTERVAL_S + SLACK_S < age + quiet else 1


if __name__ == "__main__":
    sys.exit(main())
