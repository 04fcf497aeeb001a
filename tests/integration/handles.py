#!/usr/bin/env python3
"""Every way to open and close a descriptor: what leakhunt says is open equals what the kernel says, with the type and
the function that opened it.

    handles.py --bin DIR --work DIR --program handle_surface [--case NAME] [--valgrind]

Each case runs once under leakhunt-collect. `open` must be what the case left open, `untracked` nothing (or what a raw
system call opened), and open + untracked + inherited what the kernel held. With --valgrind, `valgrind --track-fds=yes`
is asked, too.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys

# Opened by a raw system call of a number that `syscall` reports: tracked. What an ioctl opened is known by /proc alone.
MAY_BE_UNTRACKED = {"openpty": 1}
# Opened by a signal handler that interrupted leakhunt itself: recorded without a stack.
MAY_LACK_STACKS = {"usual_in_handlers"}


# What valgrind 3.19 does not see or name as a descriptor: ioctl(TIOCGPTPEER), inotify_init (its table has no wrapper for
# the result), netlink sockets (listed without the line that says where they were opened). Calls that it does not know at
# all fail under it: exit status 77, nothing to compare.
VALGRIND_MISSES = {"openpty": 1, "inotify_init": 1, "socket_netlink": 1}


def open_by_valgrind(program, name, work):
    """Descriptors that valgrind says the program left open, less those it inherited; None: it cannot run the case."""
    done = subprocess.run(["valgrind", "--track-fds=yes", program, name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120, cwd=work)
    if done.returncode == 77:
        return None
    said = done.stderr
    main = re.search(r"==(\d+)== Memcheck", said).group(1)
    listed = re.findall(rf"=={main}== Open (?:file descriptor|AF_\w+ socket) \d+:[^\n]*\n=={main}==\s+([^\n]*)", said)
    return sum("inherited" not in place for place in listed) + VALGRIND_MISSES.get(name, 0)


def cases_of(program):
    listed = subprocess.run([program, "--list"], stdout=subprocess.PIPE, check=True, text=True).stdout
    for line in listed.splitlines():
        name, kind, count = line.split()
        yield name, kind, int(count)


def run_case(programs, program, name, work):
    """(exit status, what the program says, the report's answer or None)"""
    recording = os.path.join(work, name)
    done = subprocess.run(
        [os.path.join(programs, "leakhunt-collect"), "--quiet", "--output", recording, "--", program, name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, cwd=work)
    if done.returncode != 0:
        return done.returncode, done.stdout + done.stderr, None
    shown = subprocess.run([os.path.join(programs, "leakhunt-report"), "handles", recording, "--snapshot", "end", "--format", "json",
                            "--limit", "0"], stdout=subprocess.PIPE, check=True, timeout=60)
    return 0, done.stdout, json.loads(shown.stdout)


def judge(name, kind, count, said, answer):
    """What is wrong with the answer, one line each."""
    before = int(said.split("before ")[1].split()[0])
    by_kernel = said.count("open ")
    totals, function = answer["totals"], f"handle_{name}"
    if by_kernel != count:
        yield f"the program left {by_kernel} open, should be {count}"
    untracked = min(MAY_BE_UNTRACKED.get(name, 0), totals["untracked"])
    if totals["open"] + untracked != count:
        yield f"open {totals['open']}, the kernel says {count}"
    if totals["open"] + totals["untracked"] + totals["inherited"] != before + by_kernel:
        yield (f"open {totals['open']} + untracked {totals['untracked']} + inherited {totals['inherited']}, "
               f"the kernel held {before + by_kernel}")
    for site in answer["sites"]:
        if totals["vanished"] == 0 and site["opened"] - site["closed"] != site["open"]:
            yield f"{site['type']}: opened {site['opened']} - closed {site['closed']} is not open {site['open']}"
        if site["open"] == 0:
            continue
        functions = [(frame["function"] or "").split("(")[0] for frame in site["stack"]]
        if function not in functions and not (name in MAY_LACK_STACKS and not functions):
            yield f"{site['open']} {site['type']} without {function} in the stack: {functions[:6]}"
        if kind != "-" and site["type"] != kind:
            yield f"type {site['type']}, should be {kind}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--case")
    parser.add_argument("--valgrind", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)

    right = skipped = failed = 0
    for name, kind, count in cases_of(options.program):
        if options.case and name != options.case:
            continue
        status, said, answer = run_case(options.bin, options.program, name, options.work)
        if status == 77:
            skipped += 1
            print(f"skip  {name}: {said.strip()}")
            continue
        wrong = [f"exit status {status}: {said.strip()}"] if answer is None else list(
            judge(name, kind, count, said, answer))
        if options.valgrind and (also := open_by_valgrind(options.program, name, options.work)) not in (count, None):
            wrong.append(f"valgrind says {also} are open, should be {count}")
        right += not wrong
        failed += bool(wrong)
        for line in wrong:
            print(f"FAIL  {name}: {line}")
    print(f"{right} right, {failed} wrong, {skipped} not to be had here")
    return 1 if failed or right == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
