#!/usr/bin/env python3
"""What people who hunt leaks need to be told, each by the command that tells it, on a service with one of each.

    needs.py --bin DIR --programs DIR --work DIR

Four runs side by side, recorded once: the service, its next version with the leaks mended, one that fragments its heap,
and one that is killed. Each check below names the need.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

SECONDS = 18
failures = 0


def check(need, holds, what=""):
    global failures  # pylint: disable=global-statement
    print(f"{'ok   ' if holds else 'FAIL '} {need}{'' if holds else ': ' + str(what)[:1500]}")
    failures += not holds


class Reports:
    def __init__(self, programs):
        self.report = programs / "leakhunt-report"

    def text(self, *arguments, status=0):
        done = subprocess.run([self.report, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=120, env={**os.environ, "COLUMNS": "200"})
        if done.returncode != status:
            check(f"{arguments[0]} exits with {status}", False, f"{done.returncode}: {done.stderr}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.text(*arguments, "--format", "json"))


def record(programs, work, name, command, *options, limit=None):
    def limits():
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return subprocess.Popen([programs / "leakhunt-collect", "--quiet", "--interval", "1s", "--output", work / name, "--socket",
                             work / f"{name}.socket", *options, "--", *map(str, command)], stdout=subprocess.DEVNULL, preexec_fn=limits)


def function_of(site):
    return [frame["function"].split("(")[0] for frame in site["stack"]]


def site_with(answer, function, kind="sites"):
    return next((site for site in answer[kind] if function in function_of(site)), None)


def main():
    parser = argparse.ArgumentParser()
    for name in ("bin", "programs", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    o = parser.parse_args()
    shutil.rmtree(o.work, ignore_errors=True)
    o.work.mkdir(parents=True)
    service, mended = o.programs / "needy_service", o.programs / "needy_service_fixed"

    runs = [record(o.bin, o.work, "leaky", [service, "steady", SECONDS], "--snapshot-at-rss", "6M,9M", limit=1 << 32),
            record(o.bin, o.work, "mended", [mended, "steady", SECONDS]),
            record(o.bin, o.work, "fragmented", [service, "fragment", 12])]
    killed = record(o.bin, o.work, "killed", [service, "steady", 60])
    time.sleep(6)
    pid = int(pathlib.Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    check("N10 the collector passes on how the program died", killed.wait(30) == 137 or killed.returncode == -9, killed.returncode)
    for run in runs:
        run.wait(60)
    r, leaky = Reports(o.bin), o.work / "leaky"

    findings = r.json("findings", leaky)
    check("N1 is it leaking at all", findings["process_verdict"] == "leaking", findings["summary"])
    check("N1 how fast, per minute", re.search(r"leaking [\d.]+ [KM]iB/min", findings["summary"]), findings["summary"])
    sampling = r.json("processes", leaky)["processes"][0]["sampling"]  # it allocates 4.5 MB/s: 25 blocks a second and more
    check("N1 from blocks enough, though it sleeps and its descriptors take the budget", sampling["mean_bytes"] < 180_000, sampling)
    check("N1 time to the limit, which limit", findings["time_to_limit_s"] > 0 and findings["limit"]["kind"], findings["limit"])
    check("N1 CI can fail on it", r.text("findings", leaky, "--fail-on", "leaking", status=3) != "")

    handles = r.json("handles", leaky)
    device = site_with(handles, "sync_peer")
    check("N3 open handles by call site, with age and path", device and device["type"] == "device" and device["open"] > 100 and
          device["examples"][0]["label"] == "/dev/null" and device["oldest_age_s"] > 5, device)
    check("N3 growth and time to RLIMIT_NOFILE", device["growth_per_s"] > 1 and handles["totals"]["time_to_limit_s"] > 0, handles["totals"])

    check("N4 the growth has a class", findings["growth"]["class"] in ("heap", "handle"), findings["growth"])
    parts = {part["name"]: part["bytes"] for part in findings["growth"]["parts"]}
    points = r.json("vitals", leaky)["points"]
    check("N4 RSS taken apart", parts.get("live heap", 0) > 1e6 and any(p["allocator_slack_bytes"] is not None for p in points), parts)

    fragmented = r.text("findings", o.work / "fragmented")
    check("N5 fragmentation, not a leak, said outright", "fragmentation, not a leak" in fragmented and "no leak found" in fragmented, fragmented)

    files = list((next(leaky.iterdir())).glob("*.lhs"))
    check("N6 a snapshot every interval", len(files) >= SECONDS - 3, len(files))
    reasons = {r.json("top-sites", file, "--limit", "1", "--symbols", "off")["snapshot"]["reason"] for file in files}
    check("N7 a snapshot at each RSS threshold", any("rss" in reason for reason in reasons), reasons)

    grown = r.json("diff", "first", "last", leaky)["sites"][0]
    check("N8 what grew between two snapshots", "make_session" in function_of(grown) and grown["change"] in ("new", "grown"), grown)
    check("N8 in markdown, for a ticket", "make\\_session needy\\_service.c:" in r.text("diff", "first", "last", leaky, "--format", "markdown"))

    trend = r.json("trend", leaky)
    leak = site_with(trend, "make_session")
    check("N9 the trend of every site", leak and leak["verdict"] == "leaking" and len(leak["points"]) > 8, leak and leak["verdict"])
    check("N9 as markdown", "### Trend" in r.text("trend", leaky, "--format", "markdown"))

    processes = r.json("processes", o.work / "killed")["processes"]
    check("N10 after kill -9: how it ended", processes[0]["end"] == "signal" and processes[0]["signal"] == 9, processes[0])
    check("N10 after kill -9: who held the memory", site_with(r.json("top-sites", o.work / "killed"), "make_session"))

    categories = {c["name"]: c["share"] for c in findings["categories"]}
    check("N11 which operation leaks, by its scope", categories.get("sync", 0) > 0.9, categories)
    by_pattern = r.json("findings", leaky, "--pattern", "sessions=make_session", "--pattern", "pages=serve_page")
    check("N11 by a pattern on frames", by_pattern["categories"][0]["name"] == "sessions", by_pattern["categories"])

    by_thread = r.json("findings", leaky, "--by", "thread")
    check("N11 by thread name", by_thread["categories"][0]["name"] == "needy_service", by_thread["categories"])

    worst = next(f for f in findings["findings"] if f["function"] == "make_session")
    check("N13 severity, place, impact, evidence, advice", worst["severity"] in ("high", "critical") and
          worst["file"].endswith("needy_service.c") and worst["line"] > 0 and "MiB/min" in worst["impact"] and
          worst["evidence"]["trend"] and worst["recommendation"], worst)

    table, cache = site_with(trend, "load_table"), site_with(trend, "serve_page")
    check("N14 a start-up table is no leak", table and table["verdict"] == "startup", table and table["verdict"])
    check("N14 a cache that turns over is no leak", cache and cache["verdict"] not in ("leaking", "onset"), cache and cache["verdict"])

    diff = r.json("diff", leaky, o.work / "mended")
    fixed = {function_of(f)[0]: f for f in diff["fixes"]}
    session = fixed.get("make_session")
    check("N15 fixed, by names across two builds", session and session["state"] in ("fixed", "gone"), diff["fixes"])
    check("N15 at most so much a second", session["at_most_per_s"] * 10 < session["rate_before_per_s"]["value"], session)
    check("N15 the later run is stable", r.text("findings", o.work / "mended", "--fail-on", "leaking").count("no leak found") == 1)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
