#!/usr/bin/env python3
"""`make -j8` of a C++ project with LD_PRELOAD set: the same files, the same output, and one collector for all of it.

    make_tree.py --prefix PREFIX --work DIR [--sources 12]

Builds the project twice, alone and under leakhunt, and compares every byte; every collector that was started for it is
seen, and only one of them may have stayed.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time


def write_project(directory, sources):
    directory.mkdir(parents=True)
    for i in range(sources):
        (directory / f"part{i}.cc").write_text(
            "#include <map>\n#include <string>\n#include <vector>\n"
            f"std::map<std::string, std::vector<int>> Part{i}(int n) {{\n  std::map<std::string, std::vector<int>> m;\n"
            f"  for (int k = 0; k < n + {i}; ++k) m[std::to_string(k)].push_back(k);\n  return m;\n}}\n")
    calls = "".join(f"  sum += static_cast<int>(Part{i}(n).size());\n" for i in range(sources))
    declared = "".join(f"std::map<std::string, std::vector<int>> Part{i}(int);\n" for i in range(sources))
    (directory / "main.cc").write_text("#include <cstdio>\n#include <map>\n#include <string>\n#include <vector>\n" + declared +
                                       f"int main() {{\n  int n = 3, sum = 0;\n{calls}  std::printf(\"%d\\n\", sum);\n}}\n")
    objects = " ".join(f"part{i}.o" for i in range(sources)) + " main.o"
    (directory / "Makefile").write_text(f"program: {objects}\n\tg++ -o $@ {objects}\n\t./$@ >answer\n%.o: %.cc\n\tg++ -O1 -c -o $@ $<\n"
                                        "\t@size $@ | tail -n 1 | cut -f 1 >$@.size\n")


class Watch(threading.Thread):
    """Notes every collector of this socket."""

    def __init__(self, socket):
        super().__init__(daemon=True)
        self.socket, self.seen, self.going = str(socket).encode(), {}, True

    def now(self):
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text().startswith("leakhunt-colle") and self.socket in (process / "environ").read_bytes():
                    found.append(int(process.name))
            except OSError:
                pass
        return found

    def run(self):
        while self.going:
            for pid in self.now():
                self.seen[pid] = self.seen.get(pid, 0) + 1
            time.sleep(0.05)


def build(directory, **options):
    ran = subprocess.run(["make", "-j8", "--no-print-directory"], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, **options)
    lines = sorted(ran.stdout.decode().splitlines())  # of eight jobs, in whatever order
    return ran.returncode, lines, ran.stderr.decode()


def files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--sources", type=int, default=12)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True, mode=0o700)
    tree, socket, data = options.work / "tree", options.work / "socket", options.work / "data"

    write_project(tree, options.sources)
    alone = build(tree)
    made_alone = files(tree)
    shutil.rmtree(tree)
    write_project(tree, options.sources)
    watch = Watch(socket)
    watch.start()
    under = build(tree, env={**os.environ, "LD_PRELOAD": str(options.prefix / "lib/libleakhunt.so"), "LEAKHUNT_SOCKET": str(socket),
                             "LEAKHUNT_OUTPUT": str(data)})
    made_under = files(tree)
    time.sleep(0.5)
    stayed = watch.now()
    watch.going = False
    watch.join()
    assert alone[0] == 0 and under == alone, f"another result:\n{alone}\n{under}"
    different = [name for name in made_alone.keys() | made_under.keys() if made_alone.get(name) != made_under.get(name)]
    assert not different, f"different files: {different}"
    daemons = [pid for pid in watch.seen if watch.seen[pid] > 20]  # longer than a second: not one that handed over and left
    assert len(stayed) == 1 and len(daemons) <= 1, f"{stayed} stayed, {daemons} served"
    deadline = time.monotonic() + 30
    while watch.now():
        assert time.monotonic() < deadline, "the collector does not leave"
        time.sleep(0.2)
    listed = json.loads(subprocess.run([options.prefix / "bin/leakhunt-report", "processes", data, "--format", "json"],
                                       stdout=subprocess.PIPE, check=True, timeout=60).stdout)["processes"]
    compilers = sum(bool(re.search(r"cc1plus$", process["executable"])) for process in listed)
    assert compilers == options.sources + 1, f"{compilers} compilers recorded of {options.sources + 1}"
    lost = sum(process["losses"]["records"] for process in listed)
    print(f"{len(made_under)} files are equal; {len(listed)} processes recorded, {compilers} compilers, by one collector; {lost} records lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
