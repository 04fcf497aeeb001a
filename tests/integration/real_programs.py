#!/usr/bin/env python3
"""Runs one real program plain and under leakhunt: standard output, standard error and exit status must be the same
(timings masked), and the recording must hold call sites with resolved frames.

    real_programs.py --prefix DIR --case NAME [--mode default|exact] [--allocator LIBRARY] [--keep]

--prefix: where leakhunt is installed. --allocator: a library preloaded beside leakhunt, both times.
Exit status 77: the program is not installed here (the test counts as skipped).
"""

import argparse
import difflib
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import real_cases  # noqa: E402

SECONDS = 120


class Runner:
    """Starts what a case asks for and keeps what has to be equal, in order, as (what, value)."""

    def __init__(self, prefix_command, environment, work):
        self.prefix_command = prefix_command
        self.environment = {"PATH": os.environ["PATH"] + ":/usr/sbin", "LC_ALL": "C", "TZ": "UTC",
                            "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(work)}
        self.preload = environment
        self.work = work
        self.user = None
        self.kept = []
        self.processes = []

    def as_user(self, name):
        """Services that refuse root run as this user, and so does the collector around them."""
        if os.getuid() == 0:
            self.user = pwd.getpwnam(name)
            for directory in (self.work, self.work.parent):
                shutil.chown(directory, name)

    def popen(self, command, environment, **options):
        if self.user:
            options.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        process = subprocess.Popen(command, env=environment, cwd=self.work, **options)
        self.processes.append(process)
        return process

    def start(self, command, stdin=b""):
        """The program under test. Its streams go to files, so that nothing waits for a reader."""
        if shutil.which(command[0], path=self.environment["PATH"]) is None:
            print(f"{command[0]} is not installed here")
            sys.exit(77)
        (self.work / "stdin").write_bytes(stdin)
        with open(self.work / "stdin", "rb") as source, open(self.work / "stdout", "wb") as out, \
                open(self.work / "stderr", "wb") as err:
            return self.popen(self.prefix_command + command, {**self.environment, **self.preload},
                              stdin=source, stdout=out, stderr=err)

    def finish(self, process, mask_stdout=bytes, mask_stderr=bytes):
        self.keep("exit status", process.wait(SECONDS))
        self.keep("stdout", mask_stdout((self.work / "stdout").read_bytes()))
        self.keep("stderr", mask_stderr((self.work / "stderr").read_bytes()))

    def client(self, command, keep=bytes, stdin=b""):
        """A client of the service, without leakhunt: what it says must be equal too."""
        process = self.popen(command, self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        said, _ = process.communicate(stdin, timeout=SECONDS)
        self.keep(f"exit status of {command[0]}", process.returncode)
        if keep:
            self.keep(f"what {' '.join(command[:2])} said", keep(said))
        return said

    def helper(self, command):
        """A step that only prepares."""
        process = self.popen(command, self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = process.communicate(timeout=SECONDS)
        if process.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {said.decode(errors='replace')}")

    def keep(self, what, value):
        self.kept.append((what, value))

    def stop_all(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def run_case(case, prefix_command, environment, work):
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    runner = Runner(prefix_command, environment, work)
    try:
        case(runner, work)
    finally:
        runner.stop_all()
    return runner.kept


def differences(plain, hunted):
    if [what for what, _ in plain] != [what for what, _ in hunted]:
        yield "the case took another course"
    for (what, before), (_, after) in zip(plain, hunted):
        if before == after:
            continue
        yield f"{what} differs (-: without leakhunt, +: with):"
        lines = [str(v).splitlines() if not isinstance(v, bytes) else v.decode(errors="replace").splitlines()
                 for v in (before, after)]
        yield "\n".join(list(difflib.unified_diff(*lines, lineterm="", n=1))[:40])


def check_recording(prefix, recording, mode):
    """What must be true of any recording; prints what it holds."""
    shown = subprocess.run([prefix / "bin" / "leakhunt-report", "top-sites", recording, "--all", "--format", "json",
                            "--limit", "50"], stdout=subprocess.PIPE, timeout=SECONDS, check=False)
    if shown.returncode != 0:
        yield f"leakhunt-report ended with {shown.returncode}"
        return
    answer = json.loads(shown.stdout)
    sites, totals = answer["sites"], answer["totals"]
    named = [site for site in sites if any(frame.get("function") for frame in site["stack"])]
    print(f"recorded: {len(sites)} sites, {len(named)} with names, {totals['total_count']['value']:.0f} blocks of "
          f"{totals['total_bytes']['value']:.0f} bytes in all, lost {answer['losses']['records']}")
    if not sites:
        yield "no site was recorded"
    elif len(named) * 2 < len(sites):
        yield f"only {len(named)} of {len(sites)} sites have a function name"
    if totals["total_bytes"]["value"] <= 0:
        yield "nothing was counted"
    if mode == "exact" and answer["sampling"]["mode"] != "exact":
        yield f"asked for exact mode, recorded in {answer['sampling']['mode']}"
    if answer["losses"]["records"]:
        yield f"records were lost: {answer['losses']}"


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", required=True, type=pathlib.Path)
    parser.add_argument("--case", required=True, choices=real_cases.CASES)
    parser.add_argument("--mode", default="default", choices=["default", "exact"])
    parser.add_argument("--allocator")
    parser.add_argument("--keep", action="store_true", help="leave the working directory")
    return parser.parse_args()


def main():
    options = parse_options()
    case = real_cases.CASES[options.case]
    # Short and readable by any user: sockets go in it, and services that drop root read it.
    room = pathlib.Path(tempfile.mkdtemp(prefix="leakhunt-real-", dir="/tmp"))
    os.chmod(room, 0o755)
    prefix = pathlib.Path(shutil.copytree(options.prefix, room / "prefix", symlinks=True))
    preload = {"LD_PRELOAD": options.allocator} if options.allocator else {}
    collect = [str(prefix / "bin" / "leakhunt-collect"), "--quiet", "--output", str(room / "recording"),
               "--socket", str(room / "socket")] + (["--sample-bytes", "1"] if options.mode == "exact" else []) + ["--"]
    try:
        plain = run_case(case, [], preload, room / "work")
        hunted = run_case(case, collect, preload, room / "work")
        wrong = list(differences(plain, hunted)) + list(check_recording(prefix, room / "recording", options.mode))
    finally:
        if options.keep:
            print(f"left in {room}")
        else:
            shutil.rmtree(room, ignore_errors=True)
    print("\n".join(wrong) or f"{options.case}: {len(plain)} observations equal")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
