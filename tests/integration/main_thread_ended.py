#!/usr/bin/env python3
"""A process whose first thread has ended alone is recorded as any other: call sites, descriptors, vital signs. Attaching to one
is refused in a line that says why.

    main_thread_ended.py --bin DIR --program FILE --work DIR
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time


def start(command):
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    return program


def finish(program):
    program.stdin.close()
    assert program.wait(20) == 0


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--program", "--work"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    collect, tool = (os.path.join(options.bin, name) for name in ("leakhunt-collect", "leakhunt-report"))
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)

    def report(*words):
        return json.loads(subprocess.run([tool, *words, recording, "--format", "json", "--limit", "0"], stdout=subprocess.PIPE,
                                         check=True, timeout=60).stdout)

    recording = os.path.join(options.work, "recording")
    program = start([collect, "--quiet", "--sample-bytes", "1", "--interval", "1", "--output", recording, "--", options.program])
    time.sleep(3.5)  # two sweeps with everything open
    answer = report("handles")
    assert answer["snapshot"]["reason"] == "interval", answer["snapshot"]
    site = next(site for site in answer["sites"] if site["stack"] and site["stack"][0]["function"] == "keeps")
    assert (site["open"], site["type"]) == (10, "device"), site
    assert (answer["totals"]["open"], answer["totals"]["untracked"], answer["totals"]["vanished"]) == (10, 0, 0), answer["totals"]
    sites = report("top-sites")
    live = sum(site["live_count"]["value"] for site in sites["sites"] if site["stack"] and site["stack"][0]["function"] == "keeps")
    assert live == 100 and sites["losses"]["unknown_stacks"] == 0, (live, sites["losses"])
    point = report("vitals")["points"][-1]
    assert point["rss_bytes"] > 500_000 and point["open_handles"] >= 13 and point["threads"] == 2, point
    finish(program)

    program = start([options.program])
    refused = subprocess.run([collect, "--pid", str(program.pid), "--duration", "1", "--output", os.path.join(options.work, "none")],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    finish(program)
    assert refused.returncode != 0, refused
    assert refused.stdout == f"leakhunt-collect: cannot attach to process {program.pid}: its first thread has ended\n", refused.stdout
    print("10 descriptors, 100 blocks, vital signs; one clear refusal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
