#!/usr/bin/env python3
"""Breaks lines at random, one at a time, and tells which of them no test notices. Run by hand.

    mutate.py [--count 20] [--seed N] [--work DIR] [--tests REGEX] [PATH...]

PATH: folders or files whose lines are broken; default preload/core preload/transport collector/ingest collector/ledger.
Works in a copy of the committed tree under --work (default build/mutation), never in the tree itself. For each mutant: the
copy is built, the unit tests run, then the integration tests, up to the first failure. A mutant that does not build is
drawn again; one that makes a test run into its time limit counts as noticed.

Prints a line per mutant (noticed by which test, or SURVIVED with file, line and both texts). Exit status 1 when one survived.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFAULT_PATHS = ["preload/core", "preload/transport", "collector/ingest", "collector/ledger"]
# Long or by the clock: a failure of one would say little of the mutant.
NOT_RUN = "sampling_statistics|soak|hunt_|make_tree|real.compile|corpus_of_histories"

# What is broken, and into what. Each pattern is tried at every place where it matches outside comments and strings.
OPERATORS = [
    (r"==", "!="), (r"!=", "=="), (r"<=", "<"), (r">=", ">"), (r"(?<=[\w)\]]) < (?=[\w(])", " <= "),
    (r"(?<=[\w)\]]) > (?=[\w(])", " >= "), (r"&&", "||"), (r"\|\|", "&&"), (r"(?<=[\w)\]]) \+ ", " - "),
    (r"(?<=[\w)\]]) - ", " + "), (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"(?<=[(\s])!(?=[\w(])", ""),
    (r" \+= ", " -= "), (r" -= ", " += "), (r"\+\+", "--"), (r"(?<=\W)1(?=[;,)\s])", "2"), (r"(?<=\W)0(?=[;,)\s])", "1"),
    (r"\bcontinue;", ";"), (r"\bbreak;", ";"),
]
STATEMENT = re.compile(r"^\s+[A-Za-z_][\w:.>\-\[\]]*(\(.*\)| [-+|&]?= .*);$")  # a call or an assignment: left out
SKIPPED = re.compile(r"^\s*(//|#|static_assert|namespace|using|template|class|struct|enum|\[\[|inline constexpr|constexpr|case)|Log\(|asm ")


def code_of(line):
    """The line with strings and comments blanked, so that columns stay."""
    blanked = re.sub(r'"(\\.|[^"\\])*"', lambda match: " " * len(match.group()), line)
    comment = blanked.find("//")
    return blanked if comment < 0 else blanked[:comment] + " " * (len(line) - comment)


def mutants_of_line(line):
    code = code_of(line)
    if SKIPPED.search(code):
        return
    for pattern, replacement in OPERATORS:
        for match in re.finditer(pattern, code):
            yield line[:match.start()] + replacement + line[match.end():]
    if STATEMENT.match(code.rstrip()):
        yield re.match(r"\s*", line).group() + ";"


def candidates(copy, paths):
    for path in paths:
        top = os.path.join(copy, path)
        files = [top] if os.path.isfile(top) else sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names if name.endswith((".cc", ".h")))
        for file in files:
            with open(file, encoding="utf-8") as source:
                for number, line in enumerate(source.read().split("\n")):
                    for mutant in mutants_of_line(line):
                        yield file, number, mutant


class Copy:
    def __init__(self, work, tests):
        self.path, self.tests = os.path.join(work, "tree"), tests
        if not os.path.isdir(self.path):
            subprocess.run(["git", "clone", "--quiet", ROOT, self.path], check=True)
        subprocess.run(["git", "fetch", "--quiet", ROOT, "HEAD"], cwd=self.path, check=True)
        subprocess.run(["git", "checkout", "--quiet", "--force", "FETCH_HEAD"], cwd=self.path, check=True)
        subprocess.run(["cmake", "--preset", "release"], cwd=self.path, check=True, stdout=subprocess.DEVNULL)

    def builds(self):
        return subprocess.run(["cmake", "--build", "--preset", "release"], cwd=self.path, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0

    def first_failure(self):
        """The name of a test that fails, None when none does."""
        for tier in (["--label-exclude", "integration|full"],
                     ["--label-regex", "integration", "--label-exclude", "full", "--exclude-regex", NOT_RUN]):
            chosen = ["--tests-regex", f"integration.stage|{self.tests}"] if self.tests else []
            done = subprocess.run(["ctest", "--test-dir", "build/release", "--stop-on-failure", "--timeout", "240", "--parallel",
                                   str(os.cpu_count()), *tier, *chosen], cwd=self.path, stdout=subprocess.PIPE, text=True,
                                  errors="replace", check=False)
            failed = re.findall(r"Test +#\d+: (\S+) .*\*\*\*", done.stdout)
            if failed or done.returncode != 0:
                return failed[0] if failed else "ctest itself"
        return None


def broken(file, number, mutant):
    """Writes the mutant; returns the line and a function that puts it back."""
    with open(file, encoding="utf-8") as source:
        text = source.read()
    lines = text.split("\n")
    before, lines[number] = lines[number], mutant

    def mend():
        with open(file, "w", encoding="utf-8") as target:
            target.write(text)
    with open(file, "w", encoding="utf-8") as target:
        target.write("\n".join(lines))
    return before, mend


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "mutation"))
    parser.add_argument("--tests", default="", help="only tests whose names match")
    parser.add_argument("paths", nargs="*", default=DEFAULT_PATHS)
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    copy = Copy(options.work, options.tests)
    if not copy.builds() or (failure := copy.first_failure()) is not None:
        sys.exit(f"mutate.py: the unbroken tree fails: {failure if 'failure' in locals() else 'it does not build'}")
    every = list(candidates(copy.path, options.paths))
    print(f"seed {options.seed}, {len(every)} possible mutants", flush=True)
    draw = random.Random(options.seed)
    done = survived = 0
    while done < options.count:
        file, number, mutant = draw.choice(every)
        before, mend = broken(file, number, mutant)
        try:
            if not copy.builds():
                continue
            failure = copy.first_failure()
        finally:
            mend()
        done += 1
        survived += failure is None
        place = f"{os.path.relpath(file, copy.path)}:{number + 1}"
        print(f"{place}: " + (f"noticed by {failure}" if failure else "SURVIVED"), flush=True)
        print(f"    - {before.strip()}\n    + {mutant.strip()}", flush=True)
    print(f"{done} mutants, {survived} survived")
    shutil.rmtree(os.path.join(copy.path, "build", "release", "Testing"), ignore_errors=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
