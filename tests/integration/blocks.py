#!/usr/bin/env python3
"""Threads nobody joins, attached segments and named semaphores are recorded as what stays of them.

    blocks.py --bin DIR --work DIR --program handle_blocks
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys

MIB = 1 << 20


def expected():
    """function -> (kind, blocks, bytes) that stay; glibc's default stack is RLIMIT_STACK, or 2 MiB without a limit"""
    limit = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = 2 * MIB if limit == resource.RLIM_INFINITY else limit
    return {
        "UnjoinedThreads": ("thread", 4, 4 * stack),
        "SmallUnjoinedThread": ("thread", 1, MIB),
        "StandardThreads": ("thread", 1, stack),
        "SharedSegments": ("mmap", 1, 303104),
        "Semaphores": ("mmap", 1, 4096),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--program", required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    subprocess.run([os.path.join(options.bin, "leakhunt-collect"), "--quiet", "--output", options.work, "--",
                    options.program], check=True, timeout=60)
    shown = subprocess.run([os.path.join(options.bin, "leakhunt-report"), "top-sites", options.work, "--snapshot", "end", "--format", "json",
                            "--limit", "0"], stdout=subprocess.PIPE, check=True, timeout=60)
    found = {}
    for site in json.loads(shown.stdout)["sites"]:
        blocks, live = site["live_count"]["value"], site.get("reserved_bytes")  # what was made, touched or not
        if site["kind"] == "heap" or blocks == 0:
            continue
        function = next(f for f in ((frame["function"] or "").split("(")[0] for frame in site["stack"]) if f)
        had = found.get(function, (site["kind"], 0, 0))
        found[function] = (site["kind"], had[1] + blocks, had[2] + live)
    wrong = 0
    for function in sorted(expected().keys() | found.keys()):
        right, is_ = expected().get(function), found.get(function)
        wrong += right != is_
        print("ok   " if right == is_ else "FAIL ", function, is_, "" if right == is_ else f"should be {right}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
