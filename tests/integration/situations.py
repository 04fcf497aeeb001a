#!/usr/bin/env python3
"""Runs every program of tests/programs/situations alone and under libleakhunt.so, without a collector, with one, in
exact and in default mode: standard output, standard error and exit status must be the same. With --behind, all of it with another
library preloaded, which stands behind leakhunt's.

usage: situations.py [--behind LIBRARY] PROGRAMS_DIR LIBRARY COLLECTOR PROGRAM [ARGUMENT...]
"""
import os
import subprocess
import sys
import tempfile

TIME_LIMIT_S = 60


def run(command, environment):
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=TIME_LIMIT_S, check=False)
    # That nobody listens is said to whoever asked for `connect`; nothing else is.
    said = f"leakhunt: no collector listens; recording waits for one at {environment.get('LEAKHUNT_SOCKET')}\n"
    return done.returncode, done.stdout, done.stderr.replace(said.encode(), b"")


def main():
    arguments = sys.argv[1:]
    behind = [arguments.pop(0), arguments.pop(0)][1:] if arguments[0] == "--behind" else []
    directory, library, collector, program = arguments[:4]
    command = [os.path.join(directory, "situation_" + program), *arguments[4:]]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_") and k != "LD_PRELOAD"}
    if behind:
        plain["LD_PRELOAD"] = behind[0]
    truth = run(command, plain)
    if program == "sanitized" and truth[0] != 0:
        print("the sanitizer does not run on this kernel")
        return 77
    preloaded = {**plain, "LD_PRELOAD": ":".join([library, *behind])}
    failures = 0
    with tempfile.TemporaryDirectory() as room:
        for name, settings in {
                "off": {"LEAKHUNT_COLLECTOR": "off"},
                "no collector, exact": {"LEAKHUNT_COLLECTOR": "connect", "LEAKHUNT_SAMPLE_BYTES": "1",
                                        "LEAKHUNT_SOCKET": room + "/none"},
                "no collector, default": {"LEAKHUNT_COLLECTOR": "connect", "LEAKHUNT_SOCKET": room + "/none"},
        }.items():
            seen = run(command, {**preloaded, **settings})
            if seen != truth:
                failures += 1
                print(f"{program}, {name}: {seen} instead of {truth}")
        under = [collector, "--quiet", "--sample-bytes", "1", "--output", room + "/data", "--", *command]
        status, out, err = run(under, {**plain, "LEAKHUNT_LIBRARY": library})
        expected = truth[0] if truth[0] >= 0 else 128 - truth[0]
        if (status, out, err) != (expected, truth[1], truth[2]):
            failures += 1
            print(f"{program}, under the collector: {(status, out, err)} instead of {(expected, *truth[1:])}")
        if not any(files for _, _, files in os.walk(room + "/data")):
            failures += 1
            print(f"{program}: nothing was recorded")
    print(f"{program}: {failures} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
