#!/usr/bin/env python3
"""Latency of requests under full allocation load while the collector runs and while it is stopped, turn by turn.

    compare.py --bin DIR --programs DIR [--rounds 15] [--json FILE]

Prints the medians over the rounds of p50, p99 and p99.9 and their ratios; nothing is judged, a machine's noise is in all
of them. Exact mode: every allocation is recorded.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        socket = pathlib.Path(directory) / "socket"
        collector = subprocess.Popen([options.bin / "leakhunt-collect", "--quiet", "--interval", "1s", "--socket", socket, "--output",
                                      pathlib.Path(directory) / "data"])
        while not socket.exists():
            time.sleep(0.02)
        program = subprocess.Popen([options.programs / "request_latency", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env={**os.environ, "LD_PRELOAD": str(options.bin.parent / "lib/libleakhunt.so"),
                                        "LEAKHUNT_SOCKET": str(socket), "LEAKHUNT_COLLECTOR": "connect", "LEAKHUNT_SAMPLE_BYTES": "1"})

        def run():
            program.stdin.write("run 1000\n")
            program.stdin.flush()
            return [int(part) for part in program.stdout.readline().split()]

        run()
        seen = {"running": [], "stopped": []}
        for number in range(options.rounds):
            for state in ("running", "stopped") if number % 2 == 0 else ("stopped", "running"):
                collector.send_signal(signal.SIGSTOP if state == "stopped" else signal.SIGCONT)
                seen[state].append(run())
        collector.send_signal(signal.SIGCONT)
        program.stdin.close()
        program.wait()
        collector.terminate()
        collector.wait()
    result = {"rounds": options.rounds, "load": os.getloadavg()[0]}
    print(f"{'':10} {'p50 ns':>10} {'p99 ns':>10} {'p99.9 ns':>10}")
    for state, rows in seen.items():
        result[state] = [statistics.median(row[i] for row in rows) for i in (1, 2, 3)]
        print(f"{state:10} " + " ".join(f"{value:10.0f}" for value in result[state]))
    result["ratios"] = [stopped / running for running, stopped in zip(result["running"], result["stopped"])]
    print(f"{'ratio':10} " + " ".join(f"{value:10.3f}" for value in result["ratios"]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
