#!/usr/bin/env python3
"""Objects that come and go at the same addresses thousands of times: each block stays with the object that allocated it.

    many_loads.py --bin DIR --programs DIR --work DIR
"""

import argparse
import collections
import json
import pathlib
import shutil
import subprocess
import sys

ROUNDS = 5000  # there are places for 2,048 objects


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--programs", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    plugins = [str(options.programs / f"libheap_plugin_{letter}.so") for letter in "ab"]
    subprocess.run([options.bin / "leakhunt-collect", "--quiet", "--sample-bytes", "1", "--output", options.work, "--",
                    options.programs / "many_loads", *plugins, str(ROUNDS)], check=True, timeout=100)
    answer = json.loads(subprocess.run([options.bin / "leakhunt-report", "top-sites", options.work, "--snapshot", "end", "--format", "json",
                                        "--limit", "0"], stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    blocks = collections.Counter()
    for site in answer["sites"]:
        first = site["stack"][0] if site["stack"] else {"function": "", "module": ""}
        if site["live_bytes"]["value"] == 64 * site["live_count"]["value"] > 0 and "plugin" in first["module"]:
            blocks[first["module"]] += site["live_count"]["value"]
            assert first["function"] == "PluginAllocate", first
    print(dict(blocks), answer["losses"])
    assert blocks == {plugin: ROUNDS / 2 for plugin in plugins}, blocks
    return 0


if __name__ == "__main__":
    sys.exit(main())
