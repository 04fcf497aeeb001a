#!/usr/bin/env python3
"""Runs seeded random programs alone and recorded: same output, same status, and what is held at the end of each process
equals the program's own count.

    random_programs.py --bin DIR --programs DIR --work DIR [--seeds 12 | --seconds 120] [--seed N]

Each program (tests/programs/random) runs three times: alone, recorded exactly, recorded by default. After the exact run
the blocks, bytes and descriptors under the program's Keep functions are compared with what each of its processes counted.
Prints the first seed and the number of programs; prints of a program that differs how to run it again.
"""

import argparse
import glob
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

TIME_LIMIT_S = 180  # a busy machine must not look like a hang


class Runs:
    def __init__(self, options):
        self.options = options
        self.program = os.path.join(options.programs, "random_program")
        self.plugins = [os.path.join(options.programs, name) for name in
                        ("libheap_plugin_a.so", "libheap_plugin_b.so", "situations/libsituation_plugin_1.so")]
        self.truth = os.path.join(options.work, "truth")
        self.recording = os.path.join(options.work, "recording")
        self.processes = 0

    def run(self, command):
        for path in (self.truth, self.recording):
            shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)
        plain = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_") and k != "LD_PRELOAD"}
        with subprocess.Popen(command, env={**plain, "RANDOM_TRUTH": self.truth}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, start_new_session=True) as done:
            try:
                output, errors = done.communicate(timeout=TIME_LIMIT_S)
            except subprocess.TimeoutExpired:
                where = self.where_they_are(done.pid)
                os.killpg(done.pid, signal.SIGKILL)
                done.communicate()
                return f"no end within {TIME_LIMIT_S} s", where, b""
        return done.returncode if done.returncode >= 0 else 128 - done.returncode, output, errors

    @staticmethod
    def where_they_are(session):
        """Of each thread of the session: process, name, state, what it waits in and the system call it is in."""
        lines = []
        for task in glob.glob("/proc/[0-9]*/task/[0-9]*"):
            try:
                name, state, *_ = open(f"{task}/stat", encoding="ascii", errors="replace").read().partition("(")[2].rpartition(")")[::2]
                if int(state.split()[3]) == session:
                    waits = [open(f"{task}/{file}", encoding="ascii").read().strip() for file in ("wchan", "syscall")]
                    lines.append(f"{task[6:]} {name} {state.split()[0]} {' '.join(waits)}")
            except (OSError, ValueError, IndexError):
                pass
        return lines

    def collected(self, command, *options):
        return self.run([os.path.join(self.options.bin, "leakhunt-collect"), "--quiet", *options, "--interval", "60s",
                         "--socket", os.path.join(self.options.work, "socket"), "--output", self.recording, "--", *command])

    def report(self, *words):
        shown = subprocess.run([os.path.join(self.options.bin, "leakhunt-report"), *words, self.recording, "--snapshot", "end", "--format",
                                "json", "--symbols", "auto", "--limit", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               check=True, timeout=60)
        return json.loads(shown.stdout)

    def held(self, pid):
        """Blocks, bytes and descriptors under the Keep functions of one process."""
        def kept(site):
            return any("Keep" in frame["function"] for frame in site["stack"])
        heap = [site for site in self.report("top-sites", "--pid", pid)["sites"] if site["kind"] == "heap" and kept(site)]
        handles = [site for site in self.report("handles", "--pid", pid)["sites"] if kept(site)]
        return (sum(site["live_count"]["value"] for site in heap), sum(site["live_bytes"]["value"] for site in heap),
                sum(site["open"] for site in handles))

    def differences_of_counts(self):
        with open(self.truth, encoding="ascii") as told:
            for line in told:
                pid, *counts = line.split()
                self.processes += 1
                try:
                    found = self.held(pid)
                except subprocess.CalledProcessError as failed:
                    found = failed.stderr.decode().strip()
                if found != tuple(map(int, counts)):
                    yield f"process {pid}: {found} held, by its own count {tuple(map(int, counts))} (blocks, bytes, descriptors)"

    def differences(self, seed):
        command = [self.program, str(seed), *self.plugins]
        alone = self.run(command)
        exact = self.collected(command, "--sample-bytes", "1")
        if exact != alone:
            yield f"exact: {exact} instead of {alone}"
        else:
            yield from self.differences_of_counts()
        default = self.collected(command)
        if default != alone:
            yield f"default: {default} instead of {alone}"


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--programs", "--work"):
        parser.add_argument(name, required=True)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    runs = Runs(options)
    print(f"first seed {options.seed}", flush=True)
    end = None if options.seconds is None else time.monotonic() + options.seconds
    done = bad = 0
    while done < options.seeds if end is None else time.monotonic() < end:
        seed = options.seed + done
        done += 1
        wrong = list(runs.differences(seed))
        if wrong:
            bad += 1
            print(f"seed {seed} (again: --seed {seed} --seeds 1):\n  " + "\n  ".join(wrong), flush=True)
    print(f"{done} programs, {runs.processes} processes counted, {bad} programs with a difference")
    return 1 if bad or runs.processes < done else 0


if __name__ == "__main__":
    sys.exit(main())
