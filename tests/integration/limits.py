#!/usr/bin/env python3
"""Programs at the limits of what they may have, and collectors too: resolution may fall, nothing else changes.

    limits.py --bin DIR --programs DIR

Each case runs the program alone and under leakhunt with the same limits: output, exit status and (but where it says so)
stderr must be equal. What a case needs and the machine does not allow (mounts, cgroups) is left out, and said.
"""

import argparse
import ctypes
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
NR_MEMFD_CREATE = 319
NOBODY = 65534
libc = ctypes.CDLL(None, use_errno=True)


class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]


def refuse_memfd():
    """memfd_create fails with EPERM, everything else is allowed."""
    rules = (Filter * 4)(Filter(0x20, 0, 0, 0), Filter(0x15, 0, 1, NR_MEMFD_CREATE), Filter(6, 0, 0, 0x00050001), Filter(6, 0, 0, 0x7FFF0000))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    assert libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(Program(4, rules)), 0, 0) == 0


def limit(what, value):
    return lambda: resource.setrlimit(what, (value, value))


class Cases:
    def __init__(self, options, work):
        self.options, self.work, self.faults, self.number = options, work, [], 0
        self.library = options.bin.parent / "lib/libleakhunt.so"

    def run(self, command, env, preexec):
        ran = subprocess.run([str(part) for part in command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                             preexec_fn=preexec, cwd=self.work)
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

    def compare(self, name, command, preexec=lambda: None, stderr_lines=(0,), recorded=True, minimum=2000):
        """Alone, and preloaded with a collector of its own beside it. `stderr_lines`: how many lines leakhunt may say."""
        self.number += 1
        private = self.work / f"case{self.number}"
        private.mkdir(mode=0o700)
        alone = self.run(command, {**os.environ}, preexec)
        collector = subprocess.Popen([self.options.bin / "leakhunt-collect", "--quiet", "--socket", private / "socket", "--output",
                                      private / "data", "--sample-bytes", "1"])
        while not (private / "socket").exists():
            time.sleep(0.02)
        under = self.run(command, {**os.environ, "LD_PRELOAD": str(self.library), "LEAKHUNT_SOCKET": str(private / "socket"),
                                   "LEAKHUNT_COLLECTOR": "connect", "LEAKHUNT_SAMPLE_BYTES": "1"}, preexec)
        time.sleep(0.5)
        collector.terminate()
        collector.wait(20)
        kept = self.kept(private / "data")
        said = [line for line in under[2].splitlines() if line.startswith("leakhunt: ")]
        others = [line for line in under[2].splitlines() if not line.startswith("leakhunt: ")]
        good = alone[:2] == under[:2] and others == alone[2].splitlines() and len(said) in stderr_lines and (kept >= minimum or not recorded)
        self.say(name, good, f"status {under[0]}, {kept:.0f} of 2000 kept blocks recorded" + (f"; {said[0]}" if said else ""))
        if not good:
            print(f"     alone {alone}\n     under {under}")

    def kept(self, data):
        if not list(data.glob("*/*.lhs")):
            return 0
        shown = subprocess.run([self.options.bin / "leakhunt-report", "top-sites", data, "--snapshot", "end", "--format", "json", "--limit", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        if shown.returncode != 0:
            return 0
        return sum(site["live_count"]["value"] for site in json.loads(shown.stdout)["sites"]
                   if any(frame["function"] == "Keep" for frame in site["stack"]))

    def say(self, name, good, text):
        print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)
        if not good:
            self.faults.append(name)


def collector_case(cases, name, output, pattern, preexec=lambda: None, finals_are_whole=True):
    """The collector cannot write: the program's output and status are its own, one line says what is wrong."""
    program = cases.options.programs / "limited"
    alone = cases.run([program], {**os.environ}, preexec)
    under = cases.run([cases.options.bin / "leakhunt-collect", "--interval", "100ms", "--sample-bytes", "1", "--output", output, "--", program],
                      {**os.environ}, preexec)
    lines = [line for line in under[2].splitlines() if pattern in line]
    good = under[:2] == alone[:2] and 1 <= len(lines) <= 2
    whole = True
    for snapshot in pathlib.Path(output).rglob("*.lhs") if os.access(output, os.R_OK | os.X_OK) else []:
        whole = whole and subprocess.run([cases.options.bin / "leakhunt-report", "vitals", snapshot], stdout=subprocess.DEVNULL).returncode == 0
    cases.say(name, good and whole, f"status {under[0]}; {lines[0] if lines else under[2]}")
    if not good:
        print(f"     alone {alone}\n     under {under}")


def become_nobody():
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def cgroup_case(cases):
    """A memory limit that the program alone just keeps."""
    v1 = pathlib.Path("/sys/fs/cgroup/memory")
    base = v1 if v1.is_dir() else pathlib.Path("/sys/fs/cgroup")
    group = base / f"leakhunt-limits-{os.getpid()}"
    knob = "memory.limit_in_bytes" if base == v1 else "memory.max"
    try:
        group.mkdir()
        (group / knob).write_text(str(12 * MIB))
    except OSError as error:
        print(f"left out: cgroup ({error})")
        if group.is_dir():
            group.rmdir()
        return
    enter = lambda: (group / "cgroup.procs").write_text(str(os.getpid()))  # noqa: E731
    try:
        cases.compare("cgroup of 12 MiB", [cases.options.programs / "limited"], enter, minimum=1)
    finally:
        time.sleep(0.2)
        group.rmdir()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    options = parser.parse_args()
    program = options.programs / "limited"
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        os.chmod(work, 0o755)
        cases = Cases(options, work)
        cases.compare("no limit", [program])
        cases.compare("RLIMIT_AS of 100 MiB", [program], limit(resource.RLIMIT_AS, 100 * MIB))
        cases.compare("RLIMIT_AS of 20 MiB", [program], limit(resource.RLIMIT_AS, 20 * MIB), stderr_lines=(0, 1), minimum=0)
        cases.compare("RLIMIT_FSIZE of 1 MiB", [program], limit(resource.RLIMIT_FSIZE, MIB), stderr_lines=(0, 1), minimum=0)
        cases.compare("RLIMIT_FSIZE of 0", [program], limit(resource.RLIMIT_FSIZE, 0), stderr_lines=(0, 1), recorded=False)
        cases.compare("mlockall", [program, "mlockall"])
        cases.compare("descriptors run out", [program, "descriptors"], limit(resource.RLIMIT_NOFILE, 64))
        cases.compare("eight descriptors", [program, "descriptors"], limit(resource.RLIMIT_NOFILE, 8), minimum=0)
        cases.compare("memfd refused", [program], refuse_memfd, stderr_lines=(1,), recorded=False)
        if os.geteuid() == 0:
            cases.compare("no /proc", ["unshare", "--mount", "sh", "-c", f"umount -l /proc && exec {program}"], stderr_lines=(0, 1), minimum=0)
            cgroup_case(cases)
            full = work / "full"
            full.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", full], stderr=subprocess.DEVNULL).returncode == 0:
                collector_case(cases, "disk full", full / "data", "No space left")
                subprocess.run(["umount", "-l", full], check=True)
            else:
                print("left out: disk full (no mounts here)")
            collector_case(cases, "directory not writable", "/usr/leakhunt-data", "Permission denied", become_nobody)
        if cases.faults:
            print("failed:", ", ".join(cases.faults))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
