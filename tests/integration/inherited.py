#!/usr/bin/env python3
"""What a killed forked child had inherited is in its last snapshot, less what it freed, under the parent's call site.

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
    child = next(p["pid"] for p in report(options, recording, "processes")["processes"] if p["end"] == "signal")
    answer = report(options, recording, "top-sites", "--pid", str(child), "--limit", "0")
    live = sum(site["live_count"]["value"] for site in answer["sites"]
               if any(frame["function"] == "Inherited" for frame in site["stack"]))
    print(f"{live} inherited blocks live, 700 expected; lost {answer['losses']['records']}")
    return 0 if live == 700 and answer["losses"]["records"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
