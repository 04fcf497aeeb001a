#!/usr/bin/env python3
"""What descriptors cost is taken off the budget before the heap's sampling interval is chosen: the same program samples
more thinly when leakhunt sees its descriptors than when they pass by it.

    budget_shared.py --bin DIR --program PROGRAM --work DIR
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys


def mean_bytes(options, kind):
    work = options.work / kind
    shutil.rmtree(work, ignore_errors=True)
    subprocess.run([options.bin / "leakhunt-collect", "--quiet", "--budget", "1%", "--output", work, "--", options.program,
                    kind, "3"], check=True, timeout=60)
    answer = json.loads(subprocess.run([options.bin / "leakhunt-report", "processes", work, "--format", "json"],
                                       stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    sampling = answer["processes"][0]["sampling"]
    print(f"descriptors {kind}: {sampling}")
    assert sampling["mode"] == "sampled" or sampling["mean_bytes"] > 1, sampling
    return sampling["mean_bytes"]


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--program", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    ratios = sorted(mean_bytes(options, "seen") / mean_bytes(options, "unseen") for _ in range(3))
    # The heap keeps a sixteenth of the budget: some sixteen times the interval, when it has settled. Of three pairs, for costs
    # are measured, and other processes take the processor while they are.
    assert 5 <= ratios[1] <= 60, f"the interval where descriptors are seen, times that where they are not: {ratios}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
