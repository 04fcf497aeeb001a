"""What the real programs are made to do, each in some seconds and with the same answer every time.

A case is a function (run, work) -> None. `run` is a Runner (real_programs.py): it starts the program under test, plain
or under leakhunt, and keeps what has to be equal. `work` is a private directory of the case, the same path both times.
"""

import os
import pathlib
import re
import socket
import subprocess
import textwrap
import time

PYTHON = "/usr/bin/python3"


def mask_numbers(text):
    """Timings, process ids and dates: every run of digits becomes one N, with what surrounds it kept."""
    return re.sub(rb"[ \t]+", b" ", re.sub(rb"\d+(?:[.,:]\d+)*", b"N", text))


def mask_rates(text):
    """As mask_numbers; units of a time or size may change with it, and so may the number of progress lines."""
    lines = [line for line in re.split(rb"[\r\n]+", text) if line.strip() and b"rps=" not in line]
    return re.sub(rb"N ?(us|ms|s|KB|MB|B|k|%)\b", b"N", mask_numbers(b"\n".join(lines)))


def without_lines(text, part):
    """What a probe provokes when it comes too early."""
    return b"\n".join(line for line in text.split(b"\n") if part not in line)


def wait_until(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)


def accepts(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path, text):
    path.write_text(textwrap.dedent(text).lstrip())
    return path


def redis(run, work):
    address = str(work / "redis.sock")
    server = run.start(["redis-server", "--port", "0", "--unixsocket", address, "--save", "", "--appendonly", "no"])
    wait_until("redis listens", lambda: accepts(address))
    run.client(["redis-benchmark", "-s", address, "-n", "10000", "-c", "20", "-t", "set,get,lpush,hset,zadd", "-q"],
               mask_rates)
    commands = "\n".join(["FLUSHALL"] + [f"HSET h{i % 50} f{i} {'v' * (i % 40)}" for i in range(500)] +
                         ["HGETALL h7", "DBSIZE", "OBJECT ENCODING h7", "SHUTDOWN NOSAVE"])
    run.client(["redis-cli", "-s", address], stdin=commands.encode())
    run.finish(server, mask_stdout=mask_numbers)


def nginx(run, work):
    port = free_port()
    (work / "html").mkdir()
    (work / "html" / "index.html").write_text("<p>static</p>\n" * 300)
    os.chmod(work, 0o755)
    write(work / "nginx.conf", f"""
        daemon off;
        worker_processes 2;
        pid {work}/nginx.pid;
        error_log stderr error;
        events {{ worker_connections 128; }}
        http {{
          access_log off;
          client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
          uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
          gzip on; gzip_types text/plain;
          server {{
            listen 127.0.0.1:{port};
            location / {{ root {work}/html; }}
            location /made {{ return 200 "made of $request_method $arg_x\\n"; }}
            location /again {{ proxy_pass http://127.0.0.1:{port}/made?x=again; }}
          }}
        }}
        """)
    server = run.start(["nginx", "-p", str(work), "-c", str(work / "nginx.conf")])
    wait_until("nginx listens", lambda: accepts(("127.0.0.1", port)))
    base = f"http://127.0.0.1:{port}"
    for path in ("/", "/made?x=1", "/again", "/missing"):
        run.client(["curl", "-sS", "--compressed", base + path])
    done = run.client(["wrk", "-t1", "-c10", "-d2s", base + "/again"], keep=None)
    run.keep("wrk saw errors", b"Non-2xx" in done or b"Socket errors" in done)
    os.kill(int((work / "nginx.pid").read_text()), 3)  # SIGQUIT: graceful
    run.finish(server, mask_stderr=mask_numbers)


def node(run, work):
    script = write(work / "service.js", """
        const http = require('http');
        const { Worker } = require('worker_threads');
        const zlib = require('zlib');
        const kept = [];
        const server = http.createServer((request, response) => {
          kept.push(Buffer.alloc(20000, request.url));
          response.end(JSON.stringify({ url: request.url, kept: kept.length }));
        });
        const get = (port, path) => new Promise((resolve, reject) => http.get({ port, path, host: '127.0.0.1' }, (answer) => {
          let text = '';
          answer.on('data', (part) => { text += part; });
          answer.on('end', () => resolve(text));
        }).on('error', reject));
        server.listen(0, '127.0.0.1', async () => {
          for (let i = 0; i < 300; i++) {
            const text = await get(server.address().port, '/item' + i);
            if (i % 100 === 0) console.log(text);
          }
          console.log(zlib.gunzipSync(zlib.gzipSync('x'.repeat(1e6))).length);
          const worker = new Worker("require('worker_threads').parentPort.postMessage(Buffer.alloc(1e6, 'w').length)", { eval: true });
          worker.on('message', (bytes) => {
            console.log('worker', bytes);
            console.error('done with', kept.length);
            process.exit(3);
          });
        });
        """)
    run.finish(run.start(["node", str(script)]))


def python3(run, work):
    script = write(work / "service.py", """
        import json, os, sqlite3, subprocess, sys, threading, zlib
        kept = []
        def work(n):
            for i in range(60):
                kept.append(json.loads(json.dumps({"n": n, "values": list(range(i * 5)), "text": "t" * i * 20})))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(len(kept), sum(len(k["values"]) for k in kept))
        print(subprocess.run(["sh", "-c", "echo from a child; exit 5"], capture_output=True))
        db = sqlite3.connect(":memory:")
        db.execute("create table t(x)")
        db.executemany("insert into t values (?)", [(i,) for i in range(5000)])
        print(db.execute("select count(*), sum(x) from t").fetchone())
        print(len(zlib.decompress(zlib.compress(os.urandom(100000)))))
        pid = os.fork()
        if pid == 0:
            kept.clear()
            os._exit(9)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        first = os.open("/dev/null", os.O_RDONLY)
        print("descriptor", first)
        print("on stderr", file=sys.stderr)
        sys.exit(4)
        """)
    run.finish(run.start([PYTHON, str(script)]))


def python3_malloc(run, work):
    run.environment["PYTHONMALLOC"] = "malloc"
    python3(run, work)


def sqlite3(run, work):
    sql = """
        create table t(id integer primary key, name text, amount real);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000)
          insert into t select i, 'name' || (i * 7919 % 10007), i * 1.5 from n;
        create index by_name on t(name);
        select count(distinct name), sum(amount) from t;
        select substr(name, 1, 6) as p, count(*) from t group by p order by 2 desc, 1 limit 20;
        update t set amount = amount + 1 where id % 3 = 0;
        delete from t where id % 5 = 0;
        vacuum;
        select count(*), total(amount), max(length(name)) from t;
        select no_such_column from t;
        """
    run.finish(run.start(["sqlite3", "-batch", str(work / "t.db")], stdin=sql.encode()))


def git(run, work):
    script = write(work / "history.sh", """
        set -e
        cd "$1"
        git init -q -b main repository && cd repository
        git config user.name Tester && git config user.email tester@example.org
        for n in 1 2 3 4 5 6 7 8; do
          seq 1 $((n * 500)) > numbers.txt
          echo "line $n" >> lines.txt
          git add . && git commit -q -m "change $n"
        done
        git checkout -q -b side HEAD~3 && echo side > side.txt && git add . && git commit -q -m side
        git merge -q --no-edit main
        git log --graph --oneline --stat
        git diff HEAD~2 --stat
        git gc -q && git fsck --no-progress && git count-objects -v | head -n 3
        git blame -s lines.txt | tail -n 3
        git show no-such-revision
        """)
    date = "2024-05-06T07:08:09Z"
    run.environment.update(GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date, GIT_CONFIG_NOSYSTEM="1", HOME=str(work))
    run.finish(run.start(["sh", str(script), str(work)]))


def compile_cxx(run, work):
    source = write(work / "program.cc", """
        #include <iostream>
        #include <map>
        #include <string>
        #include <vector>
        int main() {
          std::map<std::string, std::vector<int>> m;
          for (int i = 0; i < 100; ++i) m["k" + std::to_string(i % 7)].push_back(i);
          int unused;
          for (auto& [k, v] : m) std::cout << k << ' ' << v.size() << '\\n';
        }
        """)
    program = work / "program"
    run.finish(run.start(["g++", "-std=c++20", "-O1", "-Wall", "-o", str(program), str(source)]))
    run.keep("the program's answer", subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout)
    program.unlink()


def compile_error(run, work):
    source = write(work / "wrong.cc", "#include <vector>\nint main() { std::vector<int> v; v.push(3); return w; }\n")
    run.finish(run.start(["g++", "-std=c++20", "-c", "-o", str(work / "wrong.o"), str(source)]))


def postgres(run, work):
    data, programs = work / "data", max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    run.as_user("postgres")
    run.helper([str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync"])
    server = run.start([str(programs / "postgres"), "-D", str(data), "-k", str(work), "-c", "listen_addresses=",
                        "-c", "log_checkpoints=off", "-c", "fsync=off", "-c", "autovacuum=off"])
    host = ["-h", str(work), "-U", "postgres"]
    ready = [str(programs / "pg_isready"), "-q"] + host
    wait_until("PostgreSQL accepts", lambda: subprocess.run(ready, check=False).returncode == 0)
    run.helper([str(programs / "pgbench"), "-i", "-q", "-s", "1"] + host + ["postgres"])
    run.client([str(programs / "pgbench"), "-c", "4", "-t", "150"] + host + ["postgres"], mask_rates)
    run.client([str(programs / "psql"), "-X"] + host + ["postgres"], stdin=b"""
        select count(*), sum(aid) from pgbench_accounts;
        select count(*) from pgbench_history;
        create table t as select i, md5(i::text) as h from generate_series(1, 20000) i;
        select left(h, 1), count(*) from t group by 1 order by 1;
        select no_such_function();
        """)
    # SIGTERM waits for the sessions to end, so that none is cut off in the middle of leaving.
    os.kill(int((data / "postmaster.pid").read_text().split()[0]), 15)
    run.finish(server, mask_stderr=lambda text: mask_numbers(without_lines(text, b"the database system is starting up")))


CASES = {
    "redis": redis, "nginx": nginx, "node": node, "python3": python3, "python3_malloc": python3_malloc,
    "sqlite3": sqlite3, "git": git, "compile_cxx": compile_cxx, "compile_error": compile_error, "postgres": postgres,
}
