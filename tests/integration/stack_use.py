#!/usr/bin/env python3
"""No recorded call of libc takes more than 1 KiB of the program's stack above what it takes alone: a thread's first call,
later ones, those that do leakhunt's housekeeping, and a forked child's first; exact, default and with descriptors only.

    stack_use.py LIBRARY PROGRAM

PROGRAM is tests/programs/stack_use. Everything is bound at start (LD_BIND_NOW): a first call through a lazily bound slot takes
2.5 KiB in the loader, alone and under leakhunt, and would hide the rest.
"""
import os
import subprocess
import sys
import tempfile

MOST_BYTES = 1024
TIME_LIMIT_S = 100
MODES = {"exact": {"LEAKHUNT_SAMPLE_BYTES": "1"}, "default": {}, "descriptors only": {"LEAKHUNT_TRACK": "handles"}}


def uses(program, environment):
    done = subprocess.run([program], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=TIME_LIMIT_S, check=True)
    return {name: int(value) for name, value in (line.split() for line in done.stdout.decode().splitlines())}


def main():
    library, program = sys.argv[1:]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_") and k != "LD_PRELOAD"}
    plain["LD_BIND_NOW"] = "1"
    alone = uses(program, plain)
    failures = 0
    with tempfile.TemporaryDirectory() as room:
        quiet = {"LD_PRELOAD": library, "LEAKHUNT_COLLECTOR": "connect", "LEAKHUNT_SOCKET": room + "/none", "LEAKHUNT_LOG": "off"}
        for mode, settings in MODES.items():
            seen = uses(program, {**plain, **quiet, **settings})
            more = {name: seen[name] - alone[name] for name in alone}
            worst = max(more, key=more.get)
            print(f"{mode}: at most {more[worst]} bytes more, in {worst}")
            for name in alone:
                if more[name] > MOST_BYTES:
                    failures += 1
                    print(f"  {name}: {alone[name]} bytes alone, {seen[name]} recorded")
    if len(alone) < 30:
        failures += 1
        print(f"only {len(alone)} calls were measured")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
