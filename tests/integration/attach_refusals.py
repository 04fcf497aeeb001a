#!/usr/bin/env python3
"""Processes that cannot be attached to: one clear line each, and the process runs on.

    attach_refusals.py --bin DIR --programs DIR

Case by case: no such process, statically linked, stopped, traced by a debugger, under a seccomp filter, another user's, not
dumpable, preloaded but switched off. And two that look so and can be: a filter that the collector is under, too, and a
process that may not be looked into but comes by itself. What needs root to be set up is left out for other users.
"""

import argparse
import ctypes
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

PTRACE_SEIZE, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 0x4206, 4, 38, 22
NOBODY = 65534


class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]


libc = ctypes.CDLL(None, use_errno=True)


def allow_everything():
    """The mildest seccomp filter there is; leakhunt cannot know that."""
    one = (Filter * 1)(Filter(6, 0, 0, 0x7FFF0000))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(Program(1, one)), 0, 0) == 0


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def sleeper(**options):
    program = subprocess.Popen(["/bin/sleep", "1000"], **options)
    time.sleep(0.2)
    return program


def attach(options, pid, work, **how):
    ran = subprocess.run([options.bin / "leakhunt-collect", "--pid", str(pid), "--duration", "300ms", "--output", work / "data"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **how)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


def refused(options, work, name, pid, pattern, lines=1, **how):
    status, out, err = attach(options, pid, work, **how)
    good = status == 1 and out == "" and err.count("\n") == lines and err.startswith("leakhunt-collect: ") and re.search(pattern, err)
    print(f"{'ok  ' if good else 'FAIL'} {name}: {err.strip()}")
    return bool(good)


def comes_by_itself(options, work, programs):
    """Not dumpable, but started with the library: nothing may be taken from it, so it comes."""
    private = work / "private"
    private.mkdir(mode=0o700)
    os.chown(private, NOBODY, NOBODY)
    socket = private / "collector.sock"
    program = subprocess.Popen([options.programs / "undumpable"], preexec_fn=become_nobody, stdout=subprocess.PIPE,
                               env={"LD_PRELOAD": str(options.bin.parent / "lib/libleakhunt.so"), "LEAKHUNT_COLLECTOR": "connect",
                                    "LEAKHUNT_SOCKET": str(socket), "LEAKHUNT_SAMPLE_BYTES": "1"})
    programs.append(program)
    program.stdout.readline()
    ran = subprocess.run([options.bin / "leakhunt-collect", "--pid", str(program.pid), "--duration", "4s", "--socket", socket,
                          "--output", work / "came"], stderr=subprocess.PIPE, timeout=60, preexec_fn=become_nobody)
    shown = subprocess.run([options.bin / "leakhunt-report", "top-sites", work / "came", "--format", "json"], stdout=subprocess.PIPE)
    sites = json.loads(shown.stdout)["sites"] if shown.returncode == 0 else []
    blocks = sum(site["live_count"]["value"] for site in sites if any(frame["function"] == "Leak" for frame in site["stack"]))
    good = ran.returncode == 0 and b"waiting for it to hand over its pages" in ran.stderr and blocks > 100
    print(f"{'ok  ' if good else 'FAIL'} comes by itself: {blocks} blocks; {ran.stderr.decode().strip()}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    options = parser.parse_args()
    results, programs = [], []
    with tempfile.TemporaryDirectory() as directory:  # in which another user finds his way
        work = pathlib.Path(directory)
        os.chmod(work, 0o777)
        check = lambda *arguments, **how: results.append(refused(options, work, *arguments, **how))  # noqa: E731

        gone = subprocess.Popen(["/bin/true"])
        gone.wait()
        check("no such process", gone.pid, r"there is no process \d+")

        static = subprocess.Popen([options.programs / "static_sleeper"])
        programs.append(static)
        time.sleep(0.2)
        check("statically linked", static.pid, "statically linked")

        stopped = sleeper()
        programs.append(stopped)
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        check("stopped", stopped.pid, "is stopped: continue it")

        traced = sleeper()
        programs.append(traced)
        assert libc.ptrace(PTRACE_SEIZE, traced.pid, None, None) == 0
        check("traced", traced.pid, f"traced by process {os.getpid()}")

        filtered = sleeper(preexec_fn=allow_everything)
        programs.append(filtered)
        check("seccomp filter", filtered.pid, "seccomp filter")

        status, out, err = attach(options, filtered.pid, work, preexec_fn=allow_everything)
        results.append(status == 0)
        print(f"{'ok  ' if status == 0 else 'FAIL'} under the collector's own filter: status {status}; {err.strip()}")

        off = sleeper(env={**os.environ, "LD_PRELOAD": str(options.bin.parent / "lib/libleakhunt.so"), "LEAKHUNT_COLLECTOR": "off"})
        programs.append(off)
        check("switched off", off.pid, "started with libleakhunt.so but does not record")

        if os.geteuid() == 0:
            others = sleeper()
            programs.append(others)
            check("another user's", others.pid, "run leakhunt-collect as its user or as root", preexec_fn=become_nobody)
            undumpable = subprocess.Popen([options.programs / "static_sleeper", "undumpable"], preexec_fn=become_nobody)
            programs.append(undumpable)
            time.sleep(0.2)
            check("not dumpable, without the library", undumpable.pid, "did not hand over its pages", lines=2, preexec_fn=become_nobody)

            results.append(comes_by_itself(options, work, programs))

        for program in programs:
            assert program.poll() is None, f"{program.args} has ended"
            program.kill()
            program.wait()
    print(f"{sum(results)} of {len(results)} refused as they should be")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
