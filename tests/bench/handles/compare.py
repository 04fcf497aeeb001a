#!/usr/bin/env python3
"""What tracking descriptors costs: loops of the calls themselves, a server's request, and the throughput of nginx and redis.

    compare.py --build DIR [--rounds N] [--only CASE]... [--json FILE]

Loops: native and recorded runs alternate; CPU of the process a turn; many short runs, for a neighbour on the machine makes
whole seconds slow, and the ratio is of two runs that follow each other. A request: server_request.c, which leads it through the
library and around it in turn, in one process; what is more is known to some nanoseconds. Services: two servers, one native and one under
leakhunt-collect, share one processor and are loaded at the same time from another, so that what disturbs one disturbs
both; they are started anew for each pair, because where a process lies in memory is worth a percent, too. The ratios
are of requests in the same time and of CPU a request, the median of the pairs.

The error of a ratio is a standard error: of a median, that of the mean times sqrt(pi / 2) (of normal samples; Kendall & Stuart,
The Advanced Theory of Statistics I, on standard errors of quantiles).
"""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TARGETS = {"open": 1.15, "accept": 1.15, "dup": 1.5, "pipe": 1.15, "nginx": 0.99, "redis": 0.99, "nginx CPU": 1.01, "redis CPU": 1.01,
           "nginx, 20 a connection": 0.99, "nginx, 20 a connection CPU": 1.01}
CASES = ("open", "accept", "dup", "pipe", "request", "nginx", "nginx, 20 a connection", "redis")


def median_and_error(ratios):
    error = math.sqrt(math.pi / 2) * statistics.stdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else None
    return {"ratio": round(statistics.median(ratios), 4), "ratio_error": error and round(error, 4)}


def collect(build, work, *settings):
    return [str(build / "collector/leakhunt-collect"), "--quiet", "--output", str(work / "data"), *settings, "--"]


def loops(build, work, rounds, wanted):
    program = str(build / "tests/bench/handles/handle_loops")
    pinned = ["taskset", "-c", "0"] if os.cpu_count() > 1 else []
    for name, count in (("open", 40_000), ("accept", 4_000), ("dup", 100_000), ("pipe", 20_000)):
        if not wanted(name):
            continue
        command = pinned + [program, name, str(count)]
        pairs = []
        for _ in range(rounds * 5):
            native, recorded = (float(subprocess.run(prefix + command, capture_output=True, check=True).stdout)
                                for prefix in ([], collect(build, work)))
            pairs.append((native, recorded))
        native, recorded = (statistics.median(column) for column in zip(*pairs))
        yield {"case": name, "unit": "ns a turn", "native": native, "leakhunt": recorded,
               **median_and_error([b / a for a, b in pairs])}


def request(build, work, rounds, wanted):
    if not wanted("request"):
        return
    (work / "file").write_bytes(bytes(750))
    pinned = ["taskset", "-c", "0"] if os.cpu_count() > 1 else []
    # A far interval: a process that goes around the library half of the time would spend its whole budget in the other half.
    command = collect(build, work, "--sample-bytes", "67108864") + pinned + [
        str(build / "tests/bench/handles/server_request"), str(3000 * rounds), str(work / "file")]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        way, native, more, error = line.split()[0], *map(float, line.split()[1:])
        yield {"case": "request" if way == "all" else f"request, {way} alone", "unit": "ns a request", "native": native,
               "leakhunt": native + more, "ratio": round(1 + more / native, 4), "ratio_error": round(error / native, 5),
               "more": more, "standard_error": error}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


def nginx(work, port, more=""):
    """A static page; as nginx comes, a connection is kept for 1,000 requests."""
    (work / "index.html").write_text("<p>static</p>\n" * 50)
    configuration = work / "nginx.conf"
    configuration.write_text(f"""daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/error.log;
        events {{ worker_connections 512; }}
        http {{ access_log off; {more} client_body_temp_path {work}/b; proxy_temp_path {work}/p;
        fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
        server {{ listen 127.0.0.1:{port}; location / {{ root {work}; }} }} }}""")
    return ["nginx", "-p", str(work), "-c", str(configuration)]


def nginx_of_short_connections(work, port):
    return nginx(work, port, "keepalive_requests 20;")


# Servers on one processor and the load on another: where the scheduler puts them would matter more than leakhunt does.
def on_processor(number):
    return (lambda: os.sched_setaffinity(0, {number})) if os.cpu_count() > 1 else None


def load_nginx(port, seconds):
    return ["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://127.0.0.1:{port}/index.html"]


def wrk_said(said):
    """(requests a second, requests)"""
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1)), int(re.search(r"(\d+) requests in", said).group(1))


def redis(_, port):
    return ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]


REDIS_REQUESTS_A_SECOND = 40_000  # of each of the two, about


def load_redis(port, seconds):
    return ["redis-benchmark", "-p", str(port), "-n", str(REDIS_REQUESTS_A_SECOND * seconds), "-c", "16", "-t", "set", "--csv"]


def redis_benchmark_said(said):
    rate = float(re.search(r'"SET","([\d.]+)"', said).group(1))
    return rate, None


def service_cpu_ns(pid, is_collector):
    """CPU of a service and its workers; of the collector's children when it runs under one. proc(5), sched-stats.rst."""
    listed = [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    own = 0 if is_collector else int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return own + sum(service_cpu_ns(child, False) for child in listed)


WARM_UP_S, LOADED_S = 1, 5


def loaded(load, ports, seconds):
    """What the loads of all these ports say, run at the same time."""
    runs = [subprocess.Popen(load(port, seconds), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                             preexec_fn=on_processor(1)) for port in ports]
    return [run.communicate()[0] for run in runs]


def one_pair(build, work, name, command, load, said):
    """((requests a second, CPU ns a request) native, the same recorded)"""
    ports, servers = [], []
    for recorded in (False, True):
        port, place = free_port(), work / f"{load.__name__}-{recorded}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        place.chmod(0o755)
        prefix = collect(build, work) if recorded else []
        pinned = ["taskset", "-c", "0"] if os.cpu_count() > 1 else []  # the service; the collector runs where it may
        servers.append(subprocess.Popen(prefix + pinned + command(place, port), stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL))
        ports.append(port)
        wait_for(port)
    loaded(load, ports, WARM_UP_S)
    before = [service_cpu_ns(server.pid, which == 1) for which, server in enumerate(servers)]
    answers = [said(text) for text in loaded(load, ports, LOADED_S)]
    spent = [service_cpu_ns(server.pid, which == 1) - before[which] for which, server in enumerate(servers)]
    for server in servers:
        server.send_signal(signal.SIGQUIT if load is load_nginx else signal.SIGTERM)
        server.wait(timeout=30)
    return [(rate, ns / (requests or REDIS_REQUESTS_A_SECOND * LOADED_S)) for (rate, requests), ns in zip(answers, spent)]


def services(build, work, rounds, wanted):
    for name, program, command, load, said in (
            ("nginx", "nginx", nginx, load_nginx, wrk_said),
            ("nginx, 20 a connection", "nginx", nginx_of_short_connections, load_nginx, wrk_said),
            ("redis", "redis-server", redis, load_redis, redis_benchmark_said)):
        if not wanted(name):
            continue
        if shutil.which(program) is None:
            print(f"{program} is not installed", file=sys.stderr)
            continue
        pairs = [one_pair(build, work, name, command, load, said) for _ in range(rounds)]
        for case, unit, which in ((name, "requests a second", 0), (f"{name} CPU", "ns a request", 1)):
            native, recorded = ([pair[side][which] for pair in pairs] for side in (0, 1))
            ratios = sorted(b / a for a, b in zip(native, recorded))
            yield {"case": case, "unit": unit, "native": round(statistics.median(native), 1),
                   "leakhunt": round(statistics.median(recorded), 1), **median_and_error(ratios),
                   "ratio_low": round(ratios[0], 4), "ratio_high": round(ratios[-1], 4)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", choices=CASES, help="(default: all)")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build, work = options.build.resolve(), pathlib.Path(tempfile.mkdtemp(prefix="leakhunt-bench-"))
    work.chmod(0o755)
    try:
        def wanted(case):
            return not options.only or case in options.only

        rows = [*loops(build, work, options.rounds, wanted), *request(build, work, options.rounds, wanted),
                *services(build, work, 2 * options.rounds, wanted)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("| case | unit | native | leakhunt | ratio | error | target |\n|---|---|---:|---:|---:|---:|---:|")
    for row in rows:
        bound = TARGETS.get(row["case"])
        target = "" if bound is None else f"{'<=' if bound > 1 else '>='} {bound}"
        error = "" if row["ratio_error"] is None else f"{row['ratio_error']:.4f}"
        print(f"| {row['case']} | {row['unit']} | {row['native']:.6g} | {row['leakhunt']:.6g} | {row['ratio']:.3f} | {error} | "
              f"{target} |")
    if options.json:
        options.json.write_text(json.dumps({"schema": "leakhunt/bench-handles/1", "processors": os.cpu_count(),
                                            "load_average": os.getloadavg(), "rows": rows}, indent=1) + "\n")


main()
