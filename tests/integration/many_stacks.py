#!/usr/bin/env python3
"""A program with a hundred thousand call sites: every one is told apart and exact, and the collector's memory is bounded.

    many_stacks.py --bin DIR --program PROGRAM --work DIR
"""

import argparse
import csv
import pathlib
import re
import shutil
import subprocess
import sys
import time

STACKS, LIVE = 100_000, 50_000
MOST_MIB = 10 + 100 * LIVE / 2**20  # what is promised for one process, however many call sites it has


def memory(pid, field):
    try:
        return int(re.search(rf"{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024
    except (OSError, AttributeError):
        return None


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--program", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    collector = subprocess.Popen([options.bin / "leakhunt-collect", "--quiet", "--sample-bytes", "1", "--interval", "2s", "--output",
                                  options.work, "--", options.program, "5"], stdout=subprocess.DEVNULL)
    peak = 0
    while collector.poll() is None:
        peak = max(peak, memory(collector.pid, "VmHWM") or 0)
        time.sleep(0.02)
    assert collector.returncode == 0, collector.returncode
    print(f"collector: {peak:.1f} MiB at its peak (bound {MOST_MIB:.1f})")
    answer = subprocess.run([options.bin / "leakhunt-report", "top-sites", options.work, "--snapshot", "end", "--format", "csv", "--limit", "0"],
                            stdout=subprocess.PIPE, check=True, timeout=100, text=True)
    sites = [site for site in csv.DictReader(answer.stdout.splitlines())
             if site["where"].startswith("Allocate") and (site["live_count"], site["live_bytes"]) == ("1", "40")]
    print(f"{len(sites)} sites of one live block each")
    return 0 if len(sites) == LIVE and peak <= MOST_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
