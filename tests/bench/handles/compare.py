#!/usr/bin/env python3
"""What tracking descriptors costs: loops of the calls themselves, and the throughput of nginx and redis.

    compare.py --build DIR [--rounds N] [--json FILE]

Native and recorded runs alternate. Loops: CPU of the process a turn; many short runs, for a neighbour on the machine makes
whole seconds slow, and the ratio is of two runs that follow each other. Services: two servers, one native and one under
leakhunt-collect, are loaded in turn; the ratio is of requests a second, the median of the pairs.
"""

import argparse
import json
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

TARGETS = {"open": 1.15, "accept": 1.15, "dup": 1.5, "pipe": 1.15, "nginx": 0.99, "redis": 0.99, "nginx CPU": 1.01, "redis CPU": 1.01}


def collect(build, work):
    return [str(build / "collector/leakhunt-collect"), "--quiet", "--output", str(work / "data"), "--"]


def loops(build, work, rounds):
    program = str(build / "tests/bench/handles/handle_loops")
    pinned = ["taskset", "-c", "0"] if os.cpu_count() > 1 else []
    for name, count in (("open", 40_000), ("accept", 4_000), ("dup", 100_000), ("pipe", 20_000)):
        command = pinned + [program, name, str(count)]
        pairs = []
        for _ in range(rounds * 5):
            native, recorded = (float(subprocess.run(prefix + command, capture_output=True, check=True).stdout)
                                for prefix in ([], collect(build, work)))
            pairs.append((native, recorded))
        native, recorded = (statistics.median(column) for column in zip(*pairs))
        yield {"case": name, "unit": "ns a turn", "native": native, "leakhunt": recorded,
               "ratio": round(statistics.median(b / a for a, b in pairs), 4)}


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


def nginx(work, port):
    (work / "index.html").write_text("<p>static</p>\n" * 50)
    configuration = work / "nginx.conf"
    configuration.write_text(f"""daemon off; worker_processes 1; pid {work}/nginx.pid; error_log {work}/error.log;
        events {{ worker_connections 512; }}
        http {{ access_log off; keepalive_requests 20; client_body_temp_path {work}/b; proxy_temp_path {work}/p;
        fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;
        server {{ listen 127.0.0.1:{port}; location / {{ root {work}; }} }} }}""")
    return ["nginx", "-p", str(work), "-c", str(configuration)]


# Servers on one processor and the load on another: where the scheduler puts them would matter more than leakhunt does.
def on_processor(number):
    return (lambda: os.sched_setaffinity(0, {number})) if os.cpu_count() > 1 else None


def load_nginx(port):
    said = subprocess.run(["wrk", "-t1", "-c32", "-d1s", f"http://127.0.0.1:{port}/index.html"], capture_output=True,
                          check=True, text=True, preexec_fn=on_processor(1)).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
    return rate, int(re.search(r"(\d+) requests in", said).group(1))


def redis(_, port):
    return ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]


def load_redis(port):
    said = subprocess.run(["redis-benchmark", "-p", str(port), "-n", "75000", "-c", "32", "-t", "set", "--csv"],
                          capture_output=True, check=True, text=True, preexec_fn=on_processor(1)).stdout
    return float(re.search(r'"SET","([\d.]+)"', said).group(1)), 75_000


def service_cpu_s(pid, is_collector):
    """User and system seconds of a service and its workers; of the collector's children when it runs under one."""
    listed = [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    own = 0 if is_collector else sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    return own / os.sysconf("SC_CLK_TCK") + sum(service_cpu_s(child, False) for child in listed)


def services(build, work, rounds):
    for name, command, load in (("nginx", nginx, load_nginx), ("redis", redis, load_redis)):
        if shutil.which(f"{name}-server" if name == "redis" else name) is None:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        ports, servers = [], []
        for recorded in (False, True):
            port, place = free_port(), work / f"{name}-{recorded}"
            place.mkdir()
            place.chmod(0o755)
            prefix = collect(build, work) if recorded else []
            pinned = ["taskset", "-c", "0"] if os.cpu_count() > 1 else []  # the service; the collector runs where it may
            servers.append(subprocess.Popen(prefix + pinned + command(place, port), stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL))
            ports.append(port)
            wait_for(port)
        pairs, costs = [], []
        for number in range(rounds + 1):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            rates, cost = {}, {}
            for which in order:
                before = service_cpu_s(servers[which].pid, which == 1)
                rates[which], requests = load(ports[which])
                cost[which] = (service_cpu_s(servers[which].pid, which == 1) - before) * 1e6 / requests
            if number > 0:  # the first warms up
                pairs.append((rates[0], rates[1]))
                costs.append((cost[0], cost[1]))
        for server in servers:
            server.send_signal(signal.SIGQUIT if name == "nginx" else signal.SIGTERM)
            server.wait(timeout=30)
        for case, unit, measured in ((name, "requests a second", pairs), (f"{name} CPU", "us a request", costs)):
            native, recorded = (statistics.median(column) for column in zip(*measured))
            ratios = sorted(b / a for a, b in measured)
            yield {"case": case, "unit": unit, "native": round(native, 3), "leakhunt": round(recorded, 3),
                   "ratio": round(statistics.median(ratios), 4), "ratio_low": round(ratios[0], 4), "ratio_high": round(ratios[-1], 4)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build, work = options.build.resolve(), pathlib.Path(tempfile.mkdtemp(prefix="leakhunt-bench-"))
    work.chmod(0o755)
    try:
        rows = list(loops(build, work, options.rounds)) + list(services(build, work, 4 * options.rounds))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("| case | unit | native | leakhunt | ratio | target |\n|---|---|---:|---:|---:|---:|")
    for row in rows:
        bound = TARGETS[row["case"]]
        print(f"| {row['case']} | {row['unit']} | {row['native']:.6g} | {row['leakhunt']:.6g} | {row['ratio']:.3f} | "
              f"{'<=' if bound > 1 else '>='} {bound} |")
    if options.json:
        options.json.write_text(json.dumps({"schema": "leakhunt/bench-handles/1", "processors": os.cpu_count(),
                                            "load_average": os.getloadavg(), "rows": rows}, indent=1) + "\n")


main()
