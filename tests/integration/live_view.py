#!/usr/bin/env python3
"""leakhunt-report live on a real (pseudo) terminal: it draws, follows the recording, obeys keys, restores the screen.

  live_view.py --bin DIR --work DIR
"""
import argparse, fcntl, os, pathlib, pty, select, shutil, signal, struct, subprocess, sys, termios, time

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


def fail(why, screen=b""):
    sys.exit(f"live_view: {why}\n{screen.decode(errors='replace')}")


class View:
    def __init__(self, report, recordings):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", COLUMNS="")
            os.execv(report, [str(report), "live", str(recordings)])
        self.resize(30, 110)
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text, what, seconds=20):
        """Reads until `text` has been shown; the text before it is forgotten."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                fail(f"not shown: {what}", self.seen)
            try:
                self.seen += os.read(self.fd, 65536)
            except OSError:
                fail(f"it ended before {what}", self.seen)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def key(self, text):
        os.write(self.fd, text)

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def record(bin_dir, work, name):
    subprocess.run([bin_dir / "leakhunt-collect", "--quiet", "--output", work, "--", "sh", "-c", f": {name}; ls -R /etc | sort >/dev/null"],
                   check=True, env={**os.environ, "LEAKHUNT_SAMPLE_BYTES": "1"})


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--bin", type=pathlib.Path, required=True)
    arguments.add_argument("--work", type=pathlib.Path, required=True)
    o = arguments.parse_args()
    shutil.rmtree(o.work, ignore_errors=True)
    o.work.mkdir(parents=True)
    report = o.bin / "leakhunt-report"

    view = View(report, o.work)  # before anything is recorded
    view.until(ENTER, "the alternate screen")
    view.until(b"waiting: ", "that it waits for a recording")
    record(o.bin, o.work, "first")
    view.until(b": first;", "the recording that has come")
    view.until(b"(growth)", "what it sorts by")
    view.key(b"s")
    view.until(b"(live bytes)", "the next order")
    view.key(b"2")
    view.until(b"handles open", "the handles view")
    view.key(b"4")
    view.until(b"page tables", "the vitals view")
    record(o.bin, o.work, "second")
    view.until(b": second;", "the newer run")
    view.resize(12, 60)
    view.until(b"\x1b[J", "a frame after the resize")
    view.key(b"q")
    view.until(LEAVE, "the old screen back")
    if (status := view.status()) != 0:
        fail(f"q: exit status {status}")

    view = View(report, o.work)
    view.until(b"top-sites", "the first frame")
    os.kill(view.pid, signal.SIGTERM)
    view.until(LEAVE, "the old screen back after SIGTERM")
    if (status := view.status()) != 0:
        fail(f"SIGTERM: exit status {status}")

    piped = subprocess.run([report, "live", o.work], capture_output=True, check=True)
    if b"second" not in piped.stdout or b"\x1b" in piped.stdout:
        fail("through a pipe it should be one plain frame", piped.stdout)


main()
