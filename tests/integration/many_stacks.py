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
# 10 MiB, 100 bytes a live block, and while a snapshot is written 600 bytes a call site.
MOST_MIB = 10 + (100 * LIVE + 600 * STACKS) / 2**20
BETWEEN_MIB = 20


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
    peak, seen = 0, []
    while collector.poll() is None:
        peak = max(peak, memory(collector.pid, "VmHWM") or 0)
        seen.append(memory(collector.pid, "VmRSS") or 0)
        time.sleep(0.02)
    assert collector.returncode == 0, collector.returncode
    usual = sorted(seen)[len(seen) // 2]
    print(f"collector: {peak:.1f} MiB at its peak (bound {MOST_MIB:.0f}), {usual:.1f} MiB between snapshots (bound {BETWEEN_MIB})")
    answer = subprocess.run([options.bin / "leakhunt-report", "top-sites", options.work, "--format", "csv", "--limit", "0"],
                            stdout=subprocess.PIPE, check=True, timeout=100, text=True)
    sites = [site for site in csv.DictReader(answer.stdout.splitlines())
             if site["where"].startswith("Allocate") and (site["live_count"], site["live_bytes"]) == ("1", "40")]
    print(f"{len(sites)} sites of one live block each")
    return 0 if len(sites) == LIVE and peak <= MOST_MIB and usual <= BETWEEN_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
