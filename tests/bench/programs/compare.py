#!/usr/bin/env python3
"""What leakhunt costs: workloads and real programs, each native and under several tools, interleaved in one run.

    compare.py --build DIR [--rounds N] [--variants NAME,...] [--json FILE] [WORKLOAD...]

Every round runs every variant once, in an order that rotates, so that what the machine does meanwhile falls on all of
them. A row gives the medians of CPU time (user and system, of the program, its collector or interpreter, and their
children) and of wall time, and the ratio to the native run beside it. Variants whose tool is missing are left out.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PYTHON_JSON = ("import json\nd={str(i):list(range(i%50)) for i in range(4000)}\n"
               "for _ in range(12): d=json.loads(json.dumps(d))\nprint(len(d))")
NODE_BUFFERS = ("let kept=[];for(let i=0;i<60000;i++){kept[i%500]=Buffer.alloc(4096+i%5000,i&255);"
                "if(i%7===0)JSON.parse(JSON.stringify({i,a:[1,2,3]}))}console.log(kept.length)")
SQL = ("create table t(a,b);with recursive n(i) as (select 1 union all select i+1 from n where i<150000) insert into t "
       "select i, 'text'||(i*7919%100003) from n;create index x on t(b);select count(distinct b),sum(a) from t;")
CXX = "#include <iostream>\n#include <map>\n#include <regex>\nint main(){std::map<std::string,std::regex> m;m[\"a\"];}\n"


def workloads(build, work):
    own = str(build / "tests/bench/programs/workloads")
    for name in ("churn", "deep", "threads", "containers", "growing"):
        yield name, [own, name], {}
    (work / "program.cc").write_text(CXX)
    yield "sqlite", ["sqlite3", ":memory:", SQL], {}
    yield "compile C++", ["g++", "-std=c++20", "-O1", "-c", "-o", str(work / "program.o"), str(work / "program.cc")], {}
    yield "python json", ["/usr/bin/python3", "-c", PYTHON_JSON], {"PYTHONMALLOC": "malloc"}
    yield "node buffers", ["node", "-e", NODE_BUFFERS], {}


def variants(build, work):
    """(name, words before the command, environment)"""
    collect = [str(build / "collector/leakhunt-collect"), "--quiet", "--output", str(work / "data"), "--socket",
               str(work / "socket")]
    yield "native", [], {}
    yield "bare forwarding", [], {"LD_PRELOAD": str(build / "tests/bench/programs/libforward.so")}
    yield "leakhunt", collect + ["--"], {}
    yield "leakhunt 512K", collect + ["--sample-bytes", "524288", "--"], {}
    yield "leakhunt exact", collect + ["--sample-bytes", "1", "--"], {}
    if shutil.which("heaptrack"):
        yield "heaptrack", ["heaptrack", "-o", str(work / "heaptrack")], {}
    jemalloc = next(pathlib.Path("/usr/lib").glob("*/libjemalloc.so.2"), None)
    if jemalloc:
        yield "jemalloc", [], {"LD_PRELOAD": str(jemalloc)}
        yield "jemalloc profiling", [], {"LD_PRELOAD": str(jemalloc), "MALLOC_CONF": "prof:true,lg_prof_sample:19"}
    gperftools = next(pathlib.Path("/usr/lib").glob("*/libtcmalloc.so.4"), None)
    if gperftools:
        yield "gperftools profiling", [], {"LD_PRELOAD": str(gperftools), "HEAPPROFILE": str(work / "gperf")}


def measure(command, environment):
    """(CPU seconds of the command and its children, wall seconds, peak RSS in KiB of the largest process)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=900)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        return None
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def compare(name, command, environment, tools, rounds):
    samples = {tool[0]: [] for tool in tools}
    for number in range(rounds):
        for offset in range(len(tools)):
            tool, prefix, extra = tools[(number + offset) % len(tools)]
            measured = measure(prefix + command, {**environment, **extra})
            if measured:
                samples[tool].append(measured)
    native = [statistics.median(column) for column in zip(*samples["native"])]
    for tool, _, _ in tools:
        if len(samples[tool]) < rounds:
            print(f"{name} under {tool}: {rounds - len(samples[tool])} of {rounds} runs failed", file=sys.stderr)
            continue
        cpu, wall = (statistics.median(column) for column in zip(*samples[tool]))
        cpus = [sample[0] for sample in samples[tool]]
        yield {"workload": name, "variant": tool, "cpu_s": round(cpu, 4), "wall_s": round(wall, 4),
               "cpu_ratio": round(cpu / native[0], 3), "wall_ratio": round(wall / native[1], 3),
               "cpu_s_low": round(min(cpus), 4), "cpu_s_high": round(max(cpus), 4), "runs": rounds}


def table(rows):
    tools = list(dict.fromkeys(row["variant"] for row in rows))
    ratios = {(row["workload"], row["variant"]): row["cpu_ratio"] for row in rows}
    yield "| CPU against native | native s | " + " | ".join(tools[1:]) + " |"
    yield "|---|---:|" + "---:|" * (len(tools) - 1)
    for name in dict.fromkeys(row["workload"] for row in rows):
        seconds = next(row["cpu_s"] for row in rows if row["workload"] == name and row["variant"] == "native")
        cells = [f"{ratios[name, tool]:.2f}" if (name, tool) in ratios else "-" for tool in tools[1:]]
        yield f"| {name} | {seconds:.2f} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", help="only these, beside native: NAME,...")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="leakhunt-bench-"))
    rows = []
    try:
        chosen = options.variants and ["native"] + options.variants.split(",")
        tools = [tool for tool in variants(options.build.resolve(), work) if not chosen or tool[0] in chosen]
        for name, command, environment in workloads(options.build.resolve(), work):
            if options.names and name not in options.names:
                continue
            if shutil.which(command[0]) is None:
                print(f"{name}: {command[0]} is not installed", file=sys.stderr)
                continue
            rows += compare(name, command, environment, tools, options.rounds)
            print(f"{name}: done", file=sys.stderr)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not rows:
        print("no such workload", file=sys.stderr)
        return 2
    if options.json:
        load = os.getloadavg()
        options.json.write_text(json.dumps({"schema": "leakhunt/bench/1", "processors": os.cpu_count(),
                                            "load_average": load, "rows": rows}, indent=1) + "\n")
    print("\n".join(table(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
