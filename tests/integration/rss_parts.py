#!/usr/bin/env python3
"""Takes real services apart: of each process that lasted, at each point, the parts of RSS add up to it within 2 %, and it is
what /proc says of the process at that time.

    rss_parts.py --prefix DIR NAME...     NAME: one of those in SERVICES, or all

--prefix: where leakhunt is installed. A service that is not installed here is left out, and said so.
"""

import argparse
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

PARTS = ["heap_live_bytes", "allocator_slack_bytes", "unseen_bytes", "mmap_bytes", "stack_bytes", "file_bytes",
         "shared_bytes", "leakhunt_bytes"]
TOLERANCE = 0.02
COUNTER_SLACK = 1 << 20  # the kernel's own counter of RSS is kept by CPU, and summed now and then
LEAST_POINTS = 2
SECONDS = 10

# Each runs for some ten seconds, works, holds memory of its own kind, and ends. {work}: a directory of its own.
SERVICES = {
    "redis": ("redis-server", f"""
        redis-server --port 0 --unixsocket {{work}}/s --save '' --daemonize no & server=$!
        sleep 1; LD_PRELOAD= redis-benchmark -s {{work}}/s -q -n 200000 -r 100000 -d 300 -t set,lpush >/dev/null
        sleep {SECONDS - 4}; kill $server; wait"""),
    "nginx": ("nginx", f"""
        mkdir -p {{work}}/logs; printf 'daemon off; master_process on; worker_processes 2; pid {{work}}/pid; error_log stderr crit;
        events {{{{}}}} http {{{{ access_log off; client_body_temp_path {{work}}/b; proxy_temp_path {{work}}/p; fastcgi_temp_path {{work}}/f;
        uwsgi_temp_path {{work}}/u; scgi_temp_path {{work}}/c; server {{{{ listen unix:{{work}}/s; return 200 yes; }}}} }}}}' >{{work}}/conf
        nginx -p {{work}} -c {{work}}/conf & server=$!
        for i in $(seq {SECONDS * 3}); do LD_PRELOAD= curl -s --unix-socket {{work}}/s http://x/ >/dev/null; sleep .3; done
        kill $server; wait"""),
    "node": ("node", f"""
        exec node -e 'const keep = []; let made = 0; const step = setInterval(() => {{{{ keep.push(Buffer.alloc(100000, 1));
        for (let i = 0; i < 2000; ++i) keep.push({{{{made: ++made}}}}); }}}}, 50);
        setTimeout(() => clearInterval(step), {SECONDS // 2}000); setTimeout(() => {{{{}}}}, {SECONDS}000)'"""),
    "java": ("java", f"""
        cat >{{work}}/Holds.java <<'END'
        import java.util.ArrayList;
        public class Holds {{{{
          public static void main(String[] words) throws Exception {{{{
            ArrayList<Object> kept = new ArrayList<>();
            for (int i = 0; i < {SECONDS * 10}; ++i) {{{{
              kept.add(new byte[300000]);
              kept.add(java.nio.ByteBuffer.allocateDirect(100000));
              Thread.sleep(100);
            }}}}
            System.exit(kept.isEmpty() ? 1 : 0);
          }}}}
        }}}}
        END
        exec java {{work}}/Holds.java"""),
    "python": ("python3", f"""
        exec python3 -c '
        import mmap, threading, time
        kept = [bytearray(50000) for i in range(400)] + [str(i) for i in range(200000)]
        area = mmap.mmap(-1, 30 << 20); area.write(b"x" * (10 << 20))
        threads = [threading.Thread(target=time.sleep, args=({SECONDS},)) for i in range(20)]
        [thread.start() for thread in threads]'"""),
    "postgres": ("initdb", f"""
        initdb -D {{work}}/data -A trust >/dev/null
        postgres -D {{work}}/data -k {{work}} -c listen_addresses= -c shared_buffers=64MB -c logging_collector=off & server=$!
        sleep 2; pgbench -h {{work}} -i -q postgres 2>/dev/null; pgbench -h {{work}} -c 4 -T {SECONDS - 3} postgres >/dev/null 2>&1
        kill -INT $server; wait"""),
    "chromium": ("chromium", f"""
        exec timeout -s TERM {SECONDS} chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --user-data-dir={{work}}/profile \\
          --disable-background-networking --disable-component-update --disable-sync --remote-debugging-port=0 about:blank 2>/dev/null"""),
    "jemalloc": ("libjemalloc.so.2", f"""
        LD_PRELOAD="$LD_PRELOAD libjemalloc.so.2" exec python3 -c '
        import time
        for i in range({SECONDS * 2}):
            kept = [bytearray(3000 + 100 * i) for j in range(2000)]
            time.sleep(0.15)
        time.sleep({SECONDS // 2})'"""),
}


class Sampler(threading.Thread):
    """VmRSS of every process, five times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = {}  # by pid: (time, bytes) in order
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(0.2):
            for status in pathlib.Path("/proc").glob("[1-9]*/status"):
                try:
                    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
                except OSError:
                    continue
                if found:
                    self.seen.setdefault(int(status.parent.name), []).append((time.time(), int(found[1]) * 1024))

    def error_of(self, pid, point):
        """How far the point is from what was sampled around it; None where RSS moved then."""
        near = [rss for at, rss in self.seen.get(pid, []) if abs(at - point["time"]) < 0.5]
        if len(near) < 3 or max(near) - min(near) > TOLERANCE / 2 * max(near):
            return None
        return max(0, abs(point["rss_bytes"] - near[0]) - COUNTER_SLACK) / near[0]


def installed(wanted):
    if wanted.endswith(".so.2"):
        return any(pathlib.Path("/usr/lib").glob(f"*/{wanted}"))
    return shutil.which(wanted) is not None


def run(prefix, name, work):
    """The recording of the service. PostgreSQL refuses root: it and its collector run as its user."""
    _, script = SERVICES[name]
    recording = work / "recording"
    command = [prefix / "bin/leakhunt-collect", "--quiet", "--interval", "1s", "--output", recording, "--", "bash", "-c",
               textwrap.dedent(script).format(work=work)]
    who = {}
    if name == "postgres" and os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        shutil.chown(work, "postgres")
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    subprocess.run(command, cwd=work, timeout=120, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)
    return recording


def points_of(prefix, recording):
    """(pid, its points whose RSS was taken apart), of each process that has enough of them."""
    for directory in sorted(recording.iterdir()):
        done = subprocess.run([prefix / "bin/leakhunt-report", "vitals", directory, "--format", "json"], stdout=subprocess.PIPE)
        if done.returncode != 0:
            continue
        answer = json.loads(done.stdout)
        points = [point for point in answer["points"] if point["mmap_bytes"] is not None]
        if len(points) >= LEAST_POINTS:
            yield answer["process"]["pid"], points


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", type=pathlib.Path, required=True)
    parser.add_argument("names", nargs="+")
    options = parser.parse_args()
    names = list(SERVICES) if options.names == ["all"] else options.names
    os.environ["PATH"] += ":/usr/sbin:" + ":".join(str(path) for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    failed = False
    for name in names:
        if not installed(SERVICES[name][0]):
            print(f"{name} is not installed here")
            continue
        sampler = Sampler()
        sampler.start()
        with tempfile.TemporaryDirectory() as work:
            os.chmod(work, 0o755)
            processes = list(points_of(options.prefix, run(options.prefix, name, pathlib.Path(work))))
        sampler.done.set()
        points = [(pid, point) for pid, points in processes for point in points if point["rss_bytes"] > 0]
        parts = max((abs(sum(point[part] for part in PARTS) / point["rss_bytes"] - 1) for _, point in points), default=1)
        errors = [error for pid, point in points if (error := sampler.error_of(pid, point)) is not None]
        print(f"{name}: {len(processes)} processes, {len(points)} points: the parts are off by {parts:.2%} at most, "
              f"RSS by {max(errors, default=1):.2%} at most ({len(errors)} at rest)")
        failed |= parts > TOLERANCE or max(errors, default=1) > TOLERANCE
    sys.exit(failed)


main()
