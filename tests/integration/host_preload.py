#!/usr/bin/env python3
"""/etc/ld.so.preload names the library, as docs/services.md tells: every process of the host has it, those of leakhunt and
privileged ones too. In a mount namespace with an /etc of its own; the machine's own files are not touched. Exits with 77 where
namespaces are not permitted.

usage: host_preload.py PREFIX PROGRAMS_DIR
"""
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

NOBODY = 65534
PATIENCE_S = 20


def wait_for(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Test:
    def __init__(self, prefix, programs, work):
        self.bin = pathlib.Path(prefix) / "bin"
        self.program = pathlib.Path(programs) / "situations/situation_goes_away"
        self.work = work
        self.data = work / "data"
        self.failures = 0

    def expect(self, what, good, detail=""):
        print(f"{'ok  ' if good else 'FAIL'}  {what}{'' if good else f': {detail}'}")
        self.failures += not good

    def recorded(self, data=None):
        return sorted({os.path.basename(os.path.dirname(file)).rsplit("-", 2)[0] for file in glob.glob(f"{data or self.data}/*/*.lhs")})

    def run(self, program, user=0, **settings):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAKHUNT_")}
        return subprocess.run([program, "stay", "."], user=user, group=user, extra_groups=[], cwd=self.work, check=False,
                              env={**environment, **settings}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def served(self):
        """A collector for the host, with its HTTP API and a judge; programs of two users."""
        door, port = self.work / "door", free_port()
        collector = subprocess.Popen([self.bin / "leakhunt-collect", "--socket", door, "--output", self.data, "--interval", "100ms",
                                      "--http", f"127.0.0.1:{port}"], cwd=self.work)
        self.expect("a collector serves", wait_for(door.exists))
        for user in (0, NOBODY):
            done = self.run(self.program, user, LEAKHUNT_SOCKET=str(door), LEAKHUNT_SAMPLE_BYTES="1")
            self.expect(f"a program of user {user} answers as ever", (done.returncode, done.stdout, done.stderr) == (7, b"", b""), done)
        asleep = subprocess.Popen(["sleep", "60"], env={**os.environ, "LEAKHUNT_SOCKET": str(door)})
        self.expect("both are recorded", wait_for(lambda: len(glob.glob(f"{self.data}/situation_goes_*/*.lhs")) >= 2))
        self.expect("a program that runs is, too", wait_for(lambda: len(glob.glob(f"{self.data}/sleep-*/*.lhs")) >= 9), self.recorded())

        def answer():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/api/processes", timeout=10).read()
            except OSError:
                return b""
        self.expect("the HTTP API answers", wait_for(lambda: b"sleep" in answer()), answer())
        report = subprocess.run([self.bin / "leakhunt-report", "processes", self.data], check=False, stdout=subprocess.PIPE,
                                env={**os.environ, "LEAKHUNT_SOCKET": str(door)})
        self.expect("reports are made", report.returncode == 0 and b"sleep" in report.stdout, report)
        asleep.kill()
        asleep.wait()
        collector.terminate()
        self.expect("the collector leaves when it is asked to", collector.wait(PATIENCE_S) == 0)
        self.expect("no program of leakhunt was recorded", self.recorded() == ["situation_goes_", "sleep"], self.recorded())

    def spawned(self):
        """Without a collector: the one that is started does not record itself, or it would have a client for ever."""
        room = self.work / "spawned"
        done = self.run(self.program, LEAKHUNT_SOCKET=str(self.work / "none.sock"), LEAKHUNT_OUTPUT=str(room))
        self.expect("a program starts its collector", done.returncode == 7 and not done.stderr, done)
        self.expect("and is recorded alone", wait_for(lambda: self.recorded(room)) and len(self.recorded(room)) == 1, self.recorded(room))
        wanted = f"LEAKHUNT_OUTPUT={room}".encode()

        def collectors():
            found = []
            for directory in glob.glob("/proc/[0-9]*"):
                try:
                    if wanted in pathlib.Path(directory, "environ").read_bytes().split(b"\0"):
                        found.append(int(directory[6:]))
                except OSError:
                    pass
            return found
        self.expect("the collector leaves after it", wait_for(lambda: not collectors()), collectors())
        for pid in collectors():
            os.kill(pid, signal.SIGKILL)

    def privileged(self, kind, program):
        """A privileged program believes none of its caller's variables and leaves no trace."""
        room = self.work / kind
        room.mkdir()
        os.chown(room, NOBODY, NOBODY)
        settings = {"LEAKHUNT_LOG": f"{room}/log", "LEAKHUNT_OUTPUT": f"{room}/output", "LEAKHUNT_SOCKET": f"{room}/socket",
                    "LEAKHUNT_BUDGET": "a line of the caller's", "LEAKHUNT_COLLECTOR": "spawn"}
        plain = shutil.copy(self.program, room / "plain")
        before = self.run(plain, NOBODY, **settings)
        self.expect(f"{kind}: a plain program does believe them", before.returncode == 7 and (room / "log").exists(), before)
        self.expect(f"{kind}: and is recorded", wait_for(lambda: self.recorded(room / "output")))
        shutil.rmtree(room / "output")
        for file in room.glob("log"):
            file.unlink()
        done = self.run(program, NOBODY, **settings)
        self.expect(f"{kind}: answers as ever", (done.returncode, done.stdout, done.stderr) == (7, b"", b""), done)
        time.sleep(0.5)  # a collector, were there one, would have written by then
        self.expect(f"{kind}: no file", not (room / "log").exists() and not (room / "output").exists(), list(room.iterdir()))


def inside(prefix, programs, work):
    etc = work / "etc"
    subprocess.run(["cp", "-a", "/etc", etc], check=True)
    library = next(pathlib.Path(prefix).glob("lib*/libleakhunt.so"))
    (etc / "ld.so.preload").write_text(f"{library}\n")
    test = Test(prefix, programs, work)
    set_uid = shutil.copy(test.program, work / "set_uid")
    capable = shutil.copy(test.program, work / "capable")
    os.chmod(set_uid, 0o4755)
    # Version 2, effective; CAP_NET_BIND_SERVICE permitted.
    os.setxattr(capable, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
    os.environ["LEAKHUNT_COLLECTOR"] = "auto"
    test.served()
    test.spawned()
    test.privileged("set-uid", set_uid)
    test.privileged("file-capabilities", capable)
    return 1 if test.failures else 0


def main():
    if sys.argv[1] == "--inside":
        return inside(*sys.argv[2:4], pathlib.Path(sys.argv[4]))
    prefix, programs = (os.path.abspath(path) for path in sys.argv[1:3])
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0 or subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("namespaces are not permitted here")
        return 77
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        return subprocess.run([*unshare, sys.executable, __file__, "--inside", prefix, programs, work], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
