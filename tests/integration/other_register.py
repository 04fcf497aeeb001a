#!/usr/bin/env python3
"""A frame whose rules name another register than rsp and rbp: its stack is whole, and the walks made again are counted.

    other_register.py --bin DIR --program PROGRAM --work DIR
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

BLOCKS = 1000


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--program", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    subprocess.run([options.bin / "leakhunt-collect", "--quiet", "--sample-bytes", "1", "--output", options.work, "--",
                    options.program], check=True, timeout=60)
    answer = json.loads(subprocess.run([options.bin / "leakhunt-report", "top-sites", options.work, "--snapshot", "end", "--format", "json"],
                                       stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    site = answer["sites"][0]
    functions = [frame["function"] for frame in site["stack"]]
    print(f"{site['live_count']['value']} blocks from {' < '.join(functions)}; losses {answer['losses']}")
    assert site["live_count"]["value"] == BLOCKS and site["live_bytes"]["value"] == 48 * BLOCKS, site
    assert functions[:3] == ["Allocate", "AroundRbx", "main"], functions
    assert answer["losses"]["fallback_walks"] >= BLOCKS, answer["losses"]
    assert answer["losses"]["truncated_stacks"] == 0, answer["losses"]
    return 0


if __name__ == "__main__":
    sys.exit(main())
