#!/usr/bin/env python3
"""The live count of a thread site is that of its threads that hold a stack: those alive, detached ones too, and joinable ones
that ended and were not joined. In a pid namespace of its own as well, where a thread's id is another than the collector's.

    threads_alive.py --bin DIR --program FILE --work DIR
"""

import argparse
import json
import os
import shutil
import subprocess
import time

ALIVE = {"made_detached_stay": 12, "detached_stay": 9, "detach_themselves_stay": 7, "not_joined": 5}
GONE = {"made_detached_end": 0, "detached_end": 0, "detach_themselves_end": 0, "detached_c11_end": 0, "joined": 0}


def has_pid_namespaces():
    return subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL).returncode == 0


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--program", "--work"):
        parser.add_argument(name, required=True)
    options = parser.parse_args()
    collect, tool = (os.path.join(options.bin, name) for name in ("leakhunt-collect", "leakhunt-report"))
    shutil.rmtree(options.work, ignore_errors=True)

    def live_counts(recording):
        answer = json.loads(subprocess.run([tool, "top-sites", recording, "--all", "--format", "json", "--limit", "0"], check=True,
                                           stdout=subprocess.PIPE, timeout=60).stdout)
        sites = [site for site in answer["sites"] if site["kind"] == "thread"]
        assert all(site["live_count"]["low"] == site["live_count"]["high"] for site in sites), sites
        counts = {}
        for site in sites:
            name = next(frame["function"] for frame in site["stack"] if frame["function"] in {**ALIVE, **GONE})
            counts[name] = counts.get(name, 0) + site["live_count"]["value"]
        return counts

    def wait_for(recording, expected):
        until = time.monotonic() + 30
        while time.monotonic() < until:
            time.sleep(1)
            counts = live_counts(recording)
            if counts == expected:
                return
        raise AssertionError((expected, counts))

    def check(name, command):
        recording = os.path.join(options.work, name)
        program = subprocess.Popen([collect, "--quiet", "--interval", "1", "--output", recording, "--", *command],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert program.stdout.readline() == "ready\n"
        wait_for(recording, {**ALIVE, **GONE})
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline() == "ended\n"
        ended = {**{site: 0 for site in ALIVE}, **GONE, "not_joined": 5}
        wait_for(recording, ended)
        program.stdin.close()
        assert program.wait(20) == 0
        assert live_counts(recording) == ended, live_counts(recording)

    check("alone", [options.program])
    if has_pid_namespaces():
        check("namespace", ["unshare", "--pid", "--fork", options.program])
    print("threads that hold a stack are counted")


main()
