#!/usr/bin/env python3
"""A service with steady churn and two slow leaks, recorded for as long as asked; every bound is looked at every second.

    soak.py --bin DIR --programs DIR [--duration 2m] [--mode default|exact] [--keep DIR]

Bounds, each checked as long as it runs:
  guest      3 MiB + 64 KiB a thread + 96 bytes a live sampled block (at its peak) + 4 MiB of stacks
  collector  10 MiB + 100 bytes a live block
  descriptors of the collector: as many as after the first ten seconds
  disk       --max-disk, and snapshots are thinned
At the end both leaks must be called so (where there was a minute to see them), and the churn must not.
Prints a line every minute and a table at the end; exit status 1 when a bound was passed.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
MAX_DISK = 2 * MIB
LIVE_BLOCKS = 4000  # of the churn, for the collector's bound; what leaks comes on top of it
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text):
    matched = re.fullmatch(r"(\d+)([smhd])", text)
    if matched is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration like 90s, 2m, 12h or 3d")
    return int(matched[1]) * UNITS[matched[2]]


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024


def processes_of(pid):
    """The collector and its own children (judge, HTTP server), without the recorded program."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [int(child) for child in children
                    if pathlib.Path(f"/proc/{child}/comm").read_text().startswith("leakhunt")]


def sizes(data):
    """Of the files that stay: one that is just being written may be gone, renamed."""
    found = {}
    for path in data.rglob("*"):
        try:
            found[path] = path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            pass
    return found


class Bounds:
    """The highest value of each thing, beside the lowest bound it had to keep."""

    def __init__(self):
        self.rows, self.passed = {}, []

    def see(self, name, value, bound):
        highest, least, _ = self.rows.get(name, (0, bound, 0))
        self.rows[name] = (max(highest, value), min(least, bound), value)
        if value > bound:
            self.passed.append(f"{name}: {value} is more than {bound}")

    def table(self):
        lines = [f"{'':24} {'last':>12} {'highest':>12} {'bound':>12}"]
        return "\n".join(lines + [f"{name:24} {last:12,} {highest:12,} {bound:12,}"
                                  for name, (highest, bound, last) in self.rows.items()])


def report(options, command, data, *arguments):
    answer = subprocess.run([options.bin / "leakhunt-report", command, data, "--format", "json", "--symbols", "auto", *arguments],
                            stdout=subprocess.PIPE, check=True, timeout=120)
    return json.loads(answer.stdout)


def guest_bound(options, data, threads):
    blocks = sum(site["live_count"]["value"] for site in report(options, "top-sites", data, "--limit", "0")["sites"])
    return int(3 * MIB + 64 * 1024 * threads + 96 * blocks + 4 * MIB)


def verdicts(options, data):
    found = {}
    answer = report(options, "findings", data, "--limit", "0")
    for site in answer["sites"] + answer["handle_sites"]:
        for frame in site["stack"]:
            found.setdefault(frame["function"], site["verdict"])
    return found


def watch(options, collector, program, data, bounds):
    began, settled, said = time.monotonic(), None, 0
    while time.monotonic() - began < options.duration:
        time.sleep(1)
        if collector.poll() is not None:
            return [f"the collector ended with {collector.returncode}"]
        passed = time.monotonic() - began
        own = processes_of(collector.pid)
        descriptors = len(os.listdir(f"/proc/{collector.pid}/fd"))
        if passed > 10:
            settled = settled or descriptors + 2
            bounds.see("collector's descriptors", descriptors, settled)
        bounds.see("collector, bytes", resident(collector.pid), 10 * MIB + 100 * LIVE_BLOCKS)
        bounds.see("its helpers, bytes", sum(map(resident, own[1:])), 64 * MIB)
        recording = sizes(data)
        bounds.see("disk, bytes", sum(recording.values()), MAX_DISK)
        bounds.see("snapshots", sum(path.suffix == ".lhs" for path in recording), 2000)
        if passed // 60 > said:
            said = passed // 60
            vitals = [point for point in report(options, "vitals", data)["points"] if point.get("leakhunt_bytes")]
            if vitals:
                bounds.see("guest, bytes", vitals[-1]["leakhunt_bytes"], guest_bound(options, data, 5))
            print(f"{said:.0f} min: program {resident(program) // 1024} KiB, " + ", ".join(
                f"{name} {row[2]:,}" for name, row in bounds.rows.items()), flush=True)
    return []


def program_of(collector):
    for child in pathlib.Path(f"/proc/{collector.pid}/task/{collector.pid}/children").read_text().split():
        if os.readlink(f"/proc/{child}/exe").endswith("/steady_leak"):
            return int(child)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--duration", type=seconds_of, default=120)
    parser.add_argument("--mode", choices=["default", "exact"], default="default")
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = options.keep or pathlib.Path(directory) / "data"
        interval = max(1, min(60, options.duration // 60))
        sampling = ["--sample-bytes", "1"] if options.mode == "exact" else []
        collector = subprocess.Popen([options.bin / "leakhunt-collect", "--quiet", "--interval", f"{interval}s", "--max-disk",
                                      f"{MAX_DISK // MIB}M", "--output", data, *sampling, "--", options.programs / "steady_leak"],
                                     stdout=subprocess.DEVNULL)
        time.sleep(1)
        bounds = Bounds()
        faults = watch(options, collector, program_of(collector), data, bounds)
        collector.send_signal(signal.SIGTERM)
        status = collector.wait(60)
        if status != 0:
            faults.append(f"the program's status {status}")
        shown = verdicts(options, data)
        last = [point for point in report(options, "vitals", data)["points"] if point.get("leakhunt_bytes")]
        if last:
            bounds.see("guest, bytes", last[-1]["leakhunt_bytes"], guest_bound(options, data, 5))
    faults += bounds.passed[:10]
    # By default little of it may be sampled in minutes, of a program that uses next to no CPU: then that is what is said.
    undecided = {"growing-unproven", "inconclusive", None} if options.mode == "default" and options.duration < 3600 else set()
    for function, allowed in (("SlowLeak", undecided), ("SlowOpen", set())) if options.duration >= 100 else ():
        if shown.get(function) not in {"leaking"} | allowed:
            faults.append(f"{function} is {shown.get(function)}")
    if shown.get("Churn") in ("leaking", "onset"):
        faults.append("Churn is called a leak")
    print(bounds.table())
    print("verdicts:", {name: shown.get(name) for name in ("SlowLeak", "SlowOpen", "Churn")})
    print("soak: " + ("; ".join(faults) if faults else f"{options.duration} s, every bound kept"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
