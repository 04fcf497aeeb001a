#!/usr/bin/env python3
"""A program that defines malloc itself: said, and served as far as its libraries' imports allow; preloaded and attached.

    own_malloc.py --bin DIR --programs DIR --work DIR
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time


def report(options, command, *arguments):
    answer = subprocess.run([options.bin / "leakhunt-report", command, *map(str, arguments), "--format", "json", "--limit", "0"],
                            stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(answer.stdout)


def texts(sites):
    """Blocks and their number made under LeakText."""
    found = [site for site in sites["sites"] if any(frame["function"] == "LeakText" for frame in site["stack"])]
    return sum(site["live_count"]["value"] for site in found), sum(site["live_bytes"]["value"] for site in found), found


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--programs", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    program = options.programs / "own_malloc"
    plain = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)

    data = options.work / "preloaded"
    ran = subprocess.run([options.bin / "leakhunt-collect", "--quiet", "--sample-bytes", "1", "--output", data, "--", program],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, timeout=60)
    assert (ran.stdout, ran.stderr) == (plain.stdout, plain.stderr), ran
    sites = report(options, "top-sites", data)
    assert texts(sites)[:2] == (300, 300 * len("this is the text number 000000001 of all\0")), texts(sites)
    lines = [site for site in sites["sites"] if any(frame["function"] == "main" for frame in site["stack"])
             and not any(frame["function"] == "LeakText" for frame in site["stack"])]
    assert sum(site["total_count"]["value"] for site in lines) >= 300, "getline's blocks were not seen"
    doctor = subprocess.run([options.bin / "leakhunt-report", "doctor", data], stdout=subprocess.PIPE, timeout=60)
    assert b"defines malloc itself" in doctor.stdout, doctor.stdout
    print(f"preloaded: {texts(sites)[0]} texts of the C library's, from the program's malloc")

    service = subprocess.Popen([program, "service"], stdout=subprocess.DEVNULL, env={**os.environ})
    time.sleep(0.3)
    data = options.work / "attached"
    subprocess.run([options.bin / "leakhunt-collect", "--quiet", "--sample-bytes", "1", "--interval", "100ms", "--duration", "3s",
                    "--output", data, "--pid", str(service.pid)], check=True, timeout=60)
    count, _, found = texts(report(options, "top-sites", data))
    assert 300 < count < 3000, count
    verdicts = {site["verdict"] for site in report(options, "findings", data).get("sites", [])}
    assert service.poll() is None
    service.kill()
    service.wait()
    print(f"attached: {count} texts in 3 s; verdicts {sorted(verdicts)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
