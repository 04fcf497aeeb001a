#!/usr/bin/env python3
"""What leakhunt costs: workloads and real programs, each native and under several tools, interleaved in one run.

    compare.py --build DIR [--rounds N] [--variants NAME,...] [--instructions] [--json FILE] [--markdown FILE] [WORKLOAD...]

Every round runs every variant once, in an order that rotates, so that what the machine does meanwhile falls on all of
them. A row gives the medians of CPU time (user and system, of the program, its collector or interpreter, and their
children) and of wall time, the ratio to the native run beside it, the memory that the program had at its peak, and for
leakhunt the collector's share of the CPU, its peak of memory and the size of the snapshots. What an allocation costs is the
CPU that a tool adds by the number of allocations, which leakhunt counts in exact mode. Variants whose tool is
missing are left out. With --instructions, the workloads of our own are also counted under callgrind.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
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


# Allocations that a workload of our own makes at scale 1 (workloads.cc).
OPERATIONS = {"churn": 3e6, "churn2": 6e6, "deep": 0.7e6, "threads": 3e6, "growing": 2e6}


def workloads(build, work):
    """(name, command, environment)"""
    own = str(build / "tests/bench/programs/workloads")
    for name in ("churn", "churn2", "deep", "threads", "containers", "growing"):
        yield name, [own, name], {}
    yield "redis", ["redis-server", "--port", "0", "--unixsocket", str(work / "redis"), "--save", "", "--daemonize", "no",
                    "--dir", str(work)], {}
    yield "sqlite", ["sqlite3", ":memory:", SQL], {}
    # The compiler itself: its driver allocates next to nothing, and a tool that does not follow children would see only that.
    (work / "program.cc").write_text(CXX)
    compiler = subprocess.run(["g++", "-print-prog-name=cc1plus"], capture_output=True, text=True, check=True).stdout.strip()
    machine = subprocess.run(["g++", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    yield "compile C++", [compiler, "-quiet", "-imultiarch", machine, "-D_GNU_SOURCE", str(work / "program.cc"), "-O1",
                          "-std=c++20", "-o", str(work / "program.s")], {}
    yield "python json", ["/usr/bin/python3", "-c", PYTHON_JSON], {"PYTHONMALLOC": "malloc"}
    yield "node buffers", ["node", "-e", NODE_BUFFERS], {}


class Variant:
    """A way to run a program: words before the command, an environment, and for leakhunt the options of a collector."""

    def __init__(self, name, prefix=(), environment=None, collector=None):
        self.name, self.prefix, self.environment, self.collector = name, list(prefix), environment or {}, collector


def variants(build, work):
    guest = {"LD_PRELOAD": str(build / "preload/libleakhunt.so"), "LEAKHUNT_SOCKET": str(work / "socket"),
             "LEAKHUNT_COLLECTOR": "connect"}
    collect = [str(build / "collector/leakhunt-collect"), "--quiet", "--output", str(work / "data"), "--socket",
               str(work / "socket")]
    yield Variant("native")
    yield Variant("bare forwarding", environment={"LD_PRELOAD": str(build / "tests/bench/programs/libforward.so")})
    yield Variant("leakhunt", environment=guest, collector=collect)
    yield Variant("leakhunt 512K", environment=guest, collector=collect + ["--sample-bytes", "524288"])
    yield Variant("leakhunt exact", environment=guest, collector=collect + ["--sample-bytes", "1"])
    if shutil.which("heaptrack"):
        yield Variant("heaptrack", ["heaptrack", "-o", str(work / "heaptrack")])
    jemalloc = next(pathlib.Path("/usr/lib").glob("*/libjemalloc.so.2"), None)
    if jemalloc:
        yield Variant("jemalloc", environment={"LD_PRELOAD": str(jemalloc)})
        yield Variant("jemalloc profiling",
                      environment={"LD_PRELOAD": str(jemalloc), "MALLOC_CONF": "prof:true,lg_prof_sample:19"})
    gperftools = next(pathlib.Path("/usr/lib").glob("*/libtcmalloc.so.4"), None)
    if gperftools:
        yield Variant("gperftools profiling", environment={"LD_PRELOAD": str(gperftools), "HEAPPROFILE": str(work / "gperf")})


def start(command, environment):
    return subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def peak_rss(process):
    """MiB; ru_maxrss would count what the process was before it became the program, too"""
    try:
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1)) / 1024
    except (AttributeError, OSError):
        return 0


def finish(process):
    """(exit status, CPU seconds, peak RSS in MiB) of a process; the CPU with the descendants it waited for"""
    peak = peak_rss(process)
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.02)
        peak = max(peak, peak_rss(process))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime, peak


def wait_for(path):
    for _ in range(500):
        if path.exists():
            return
        time.sleep(0.01)
    raise RuntimeError(f"{path} did not appear")


def load(name, work, server):
    """What a server has to be given to do, until it ends; its peak RSS in MiB just before."""
    peak = 0
    if name == "redis":
        wait_for(work / "redis")
        subprocess.run(["redis-benchmark", "-s", str(work / "redis"), "-q", "-n", "100000", "-P", "4", "-r", "20000", "-d",
                        "200", "-t", "set,get,lpush,lpop,hset"], check=True, stdout=subprocess.DEVNULL)
        peak = peak_rss(server)
        subprocess.run(["redis-cli", "-s", str(work / "redis"), "shutdown", "nosave"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return peak


def measure(name, command, environment, variant, work):
    """The figures of one run; None when it failed."""
    collector = None
    if variant.collector:
        shutil.rmtree(work / "data", ignore_errors=True)
        collector = start(variant.collector, {})
        wait_for(work / "socket")
    began = time.monotonic()
    program = start(variant.prefix + command, {**environment, **variant.environment})
    peak = load(name, work, program)
    status, cpu, rss = finish(program)
    figures = {"cpu_s": cpu, "wall_s": time.monotonic() - began}
    if not variant.prefix:
        figures["rss_mib"] = max(rss, peak)
    if collector:
        time.sleep(0.1)
        collector.send_signal(signal.SIGTERM)
        _, collector_cpu, collector_rss = finish(collector)
        files = list((work / "data").rglob("*.lhs"))
        figures |= {"cpu_s": cpu + collector_cpu, "collector_cpu_s": collector_cpu, "collector_rss_mib": collector_rss,
                    "snapshots": len(files), "snapshot_kib": max((f.stat().st_size for f in files), default=0) / 1024}
    return figures if status == 0 else None


def count_allocations(build, data):
    """Of all processes of an exact recording; None where nothing was recorded."""
    said = subprocess.run([str(build / "viewer/leakhunt-report"), "top-sites", str(data), "--all", "--symbols", "off",
                           "--format", "json", "--limit", "1"], capture_output=True, text=True)
    return json.loads(said.stdout)["totals"]["total_count"]["value"] if said.returncode == 0 else None


def compare(name, command, environment, tools, rounds, build, work):
    samples = {tool.name: [] for tool in tools}
    allocations = None
    for number in range(rounds):
        for offset in range(len(tools)):
            tool = tools[(number + offset) % len(tools)]
            measured = measure(name, command, environment, tool, work)
            if measured:
                samples[tool.name].append(measured)
            if measured and tool.name == "leakhunt exact" and allocations is None:
                allocations = count_allocations(build, work / "data")

    def median(tool, figure):
        return statistics.median(sample[figure] for sample in samples[tool])

    for tool in samples:
        if len(samples[tool]) < rounds:
            print(f"{name} under {tool}: {rounds - len(samples[tool])} of {rounds} runs failed", file=sys.stderr)
            continue
        row = {"workload": name, "variant": tool, "runs": rounds}
        row |= {figure: round(median(tool, figure), 4) for figure in samples[tool][0]}
        cpus = [sample["cpu_s"] for sample in samples[tool]]
        row |= {"cpu_s_low": round(min(cpus), 4), "cpu_s_high": round(max(cpus), 4),
                "cpu_ratio": round(row["cpu_s"] / median("native", "cpu_s"), 3),
                "wall_ratio": round(row["wall_s"] / median("native", "wall_s"), 3)}
        if allocations:
            more = row["cpu_s"] - (0 if tool == "native" else median("native", "cpu_s"))
            row |= {"allocations": allocations, "ns_an_allocation": round(more * 1e9 / allocations, 1)}
        if "rss_mib" in row:
            row["rss_more_mib"] = round(row["rss_mib"] - median("native", "rss_mib"), 2)
        yield row


def count_instructions(build, work):
    """Instructions an allocation and its free: the difference of two scales, so that start and end fall out."""
    own = str(build / "tests/bench/programs/workloads")
    for name, operations in OPERATIONS.items():
        for tool in variants(build, work):
            if tool.prefix or tool.name in ("leakhunt", "jemalloc profiling", "gperftools profiling"):
                continue  # the budget's interval depends on time, which is not the same under callgrind
            counts = []
            environment = dict(tool.environment)
            if tool.collector:
                environment |= {"LEAKHUNT_SOCKET": str(work / "none"), "LEAKHUNT_SAMPLE_BYTES": tool.collector[-1]}
            for scale in (0.02, 0.04):
                said = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", own, name, str(scale)],
                                      env={**os.environ, **environment}, capture_output=True, text=True, check=True).stderr
                counts.append(int(re.search(r"Collected : (\d+)", said).group(1)))
            yield {"workload": name, "variant": tool.name, "instructions": round((counts[1] - counts[0]) / (0.02 * operations), 1)}


def table(rows, figure, title, first=None, digits=2):
    """Workloads down, variants across; `first`: a column of the native run's own figure before them."""
    tools = [tool for tool in dict.fromkeys(row["variant"] for row in rows if figure in row) if tool != "native" or not first]
    cells = {(row["workload"], row["variant"]): row for row in rows}
    yield f"| {title} | " + (f"{first[0]} | " if first else "") + " | ".join(tools) + " |"
    yield "|---|" + "---:|" * (len(tools) + bool(first))
    for name in dict.fromkeys(row["workload"] for row in rows):
        line = [name] + ([f"{cells[name, 'native'][first[1]]:.2f}"] if first else [])
        line += [f"{cells[name, tool][figure]:.{digits}f}" if figure in cells.get((name, tool), {}) else "-" for tool in tools]
        yield "| " + " | ".join(line) + " |"


def tables(rows, instructions):
    yield from table(rows, "cpu_ratio", "CPU against native", ("native s", "cpu_s"))
    yield ""
    yield from table(rows, "ns_an_allocation", "ns more an allocation", ("native ns from one to the next", "ns_an_allocation"), 0)
    yield ""
    yield from table(rows, "rss_more_mib", "MiB more than native", ("native MiB", "rss_mib"), 1)
    for figure, title, digits in (("collector_cpu_s", "collector, CPU s", 3), ("collector_rss_mib", "collector, MiB", 1),
                                  ("snapshot_kib", "largest snapshot, KiB", 0)):
        yield ""
        yield from table([row for row in rows if figure in row], figure, title, digits=digits)
    if instructions:
        yield ""
        yield from table(instructions, "instructions", "instructions a malloc and free", digits=0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", help="only these, beside native: NAME,...")
    parser.add_argument("--instructions", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--markdown", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    build = options.build.resolve()
    work = pathlib.Path(tempfile.mkdtemp(prefix="leakhunt-bench-"))
    rows, instructions = [], []
    try:
        chosen = options.variants and ["native"] + options.variants.split(",")
        tools = [tool for tool in variants(build, work) if not chosen or tool.name in chosen]
        for name, command, environment in workloads(build, work):
            if options.names and name not in options.names:
                continue
            if shutil.which(command[0]) is None:
                print(f"{name}: {command[0]} is not installed", file=sys.stderr)
                continue
            rows += compare(name, command, environment, tools, options.rounds, build, work)
            print(f"{name}: done", file=sys.stderr)
        if options.instructions:
            instructions = list(count_instructions(build, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not rows:
        print("no such workload", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps({"schema": "leakhunt/bench/3", "processors": os.cpu_count(),
                                            "load_average": os.getloadavg(), "rows": rows,
                                            "instructions": instructions}, indent=1) + "\n")
    text = "\n".join(tables(rows, instructions))
    if options.markdown:
        options.markdown.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
