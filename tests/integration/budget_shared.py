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
    seen, unseen = mean_bytes(options, "seen"), mean_bytes(options, "unseen")
    # The heap keeps a quarter of the budget: some four times the interval, when it has settled.
    assert 1.5 * unseen <= seen <= 8 * unseen, f"{seen} bytes where descriptors are seen, {unseen} where they are not"
    return 0


if __name__ == "__main__":
    sys.exit(main())
