#!/usr/bin/env python3
"""Breaks lines at random, one at a time, and tells which of them no test notices. Run by hand.

    mutate.py [--count 20] [--seed N] [--work DIR] [--tests REGEX] [PATH...]
    mutate.py --named [NAME...]       the mutants of named.json, each a line that a trust, a bound or a figure rests on, and
                                      the tests that are to notice: those are run alone

PATH: folders or files whose lines are broken; default preload/core preload/transport collector/ingest collector/ledger.
Works in a copy of the committed tree under --work (default build/mutation), never in the tree itself. For each mutant: the
unit tests of its side are built and run, then everything is built and the narrow integration tests run, up to the first
failure. A mutant that does not build is drawn again; one that makes a test run into its time limit counts as noticed.
Compiled through ccache where there is one.

Prints a line per mutant (noticed by which test, or SURVIVED with file, line and both texts). Exit status 1 when one survived.
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFAULT_PATHS = ["preload/core", "preload/transport", "collector/ingest", "collector/ledger"]
# Of the two sides: the programs with their unit tests, which are run first and whole.
UNIT_TESTS = {"preload": ("lh_guest_tests", "lh_guest_core_tests"), "collector": ("lh_collector_tests", "lh_snapshot_tests")}
# Then these, about a minute on two processors.
NARROW = ("exactness.*|unseen|inherited|rough_starts|limits|collector_door|threads_alive|main_thread_ended|blocks|handles|handle_ages|"
          "stopped_collector|given_up_root|memory|mappings|jumps|situation.(number_reused|number_taken_back|strict_seccomp|raw_fork|"
          "vfork_children|ends_by_exec|signal_storm|thread_teardown|closes_everything|fork_threads)")
TEST_LIMIT_S = 120

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
        self.path, self.tests = os.path.join(work, "tree"), tests or NARROW
        self.build = os.path.join(self.path, "build", "release")
        if not os.path.isdir(self.path):
            subprocess.run(["git", "clone", "--quiet", ROOT, self.path], check=True)
        subprocess.run(["git", "fetch", "--quiet", ROOT, "HEAD"], cwd=self.path, check=True)
        subprocess.run(["git", "checkout", "--quiet", "--force", "FETCH_HEAD"], cwd=self.path, check=True)
        cache = [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX") if shutil.which("ccache")]
        subprocess.run(["cmake", "--preset", "release", *cache], cwd=self.path, check=True, stdout=subprocess.DEVNULL)

    def builds(self, *targets):
        return subprocess.run(["cmake", "--build", self.build, *(["--target", *targets] if targets else [])],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def failure_of(self, program, tests):
        """What first_failure returns, of the named tests alone."""
        if program == "integration":
            return self.failing_narrow_test(tests) if self.builds() else False
        return self.failing_unit_test(program, tests) if self.builds(program) else False

    def failing_unit_test(self, program, chosen="*"):
        """Each test in a process of its own, as ctest runs them: some leave the guest's state behind."""
        found = [os.path.join(folder, program) for folder, _, names in os.walk(os.path.join(self.build, "tests/unit")) if program in names]
        suite, tests = "", []
        for line in self.said([found[0], "--gtest_list_tests", f"--gtest_filter={chosen}"])[1].splitlines():
            name = line.split("#")[0].rstrip()
            if name.startswith("  "):
                tests.append(suite + name.strip())
            elif name.endswith("."):
                suite = name
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            def run(test):
                return self.said([found[0], "--gtest_brief=1", f"--gtest_filter={test}"])[0]
            for test, status in zip(tests, pool.map(run, tests)):
                if status != 0:
                    pool.shutdown(wait=False, cancel_futures=True)
                    return test if status is not None else f"{test}, which did not end"
        return None if tests else f"{program}, which lists no tests"

    @staticmethod
    def said(command):
        """Status and output; the status is None when the time limit ended it."""
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              start_new_session=True) as process:
            try:
                output = process.communicate(timeout=TEST_LIMIT_S)[0]
                return process.returncode, output
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return None, ""

    def failing_narrow_test(self, chosen=None):
        done = subprocess.run(["ctest", "--test-dir", self.build, "--stop-on-failure", "--repeat", "until-pass:2", "--timeout", str(TEST_LIMIT_S), "--parallel",
                               str(os.cpu_count()), "--tests-regex", f"^integration.(stage|{chosen or self.tests})$", "--label-exclude", "full"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace", check=False)
        failed = re.findall(r"Test +#\d+: (\S+) .*\*\*\*(?!Skipped)", done.stdout)
        return failed[0] if failed else "ctest itself" if done.returncode != 0 else None

    def first_failure(self, file=None):
        """The name of a test that fails, None when none does, False when it does not build."""
        sides = [side for side in UNIT_TESTS if file is None or os.path.relpath(file, self.path).startswith(side)]
        for program in (program for side in sides for program in UNIT_TESTS[side]):
            if not self.builds(program):
                return False
            if failure := self.failing_unit_test(program):
                return failure
        return self.failing_narrow_test() if self.builds() else False


def with_text(file, text, act):
    """What `act` returns while the file holds `text`; then it is as it was."""
    with open(file, encoding="utf-8") as source:
        whole = source.read()
    try:
        with open(file, "w", encoding="utf-8") as target:
            target.write(text)
        return act()
    finally:
        with open(file, "w", encoding="utf-8") as target:
            target.write(whole)


def tell(copy, file, number, before, after, failure):
    print(f"{os.path.relpath(file, copy.path)}:{number}: " + (f"noticed by {failure}" if failure else "SURVIVED"), flush=True)
    print(f"    - {before.strip()}\n    + {after.strip()}", flush=True)


def random_mutants(copy, options):
    """Tells of each; returns how many survived."""
    every = list(candidates(copy.path, options.paths))
    print(f"seed {options.seed}, {len(every)} possible mutants", flush=True)
    draw = random.Random(options.seed)
    done = survived = 0
    while done < options.count:
        file, number, mutant = draw.choice(every)
        with open(file, encoding="utf-8") as source:
            lines = source.read().split("\n")
        before, lines[number] = lines[number], mutant
        failure = with_text(file, "\n".join(lines), lambda: copy.first_failure(file))
        if failure is False:
            continue
        done += 1
        survived += failure is None
        tell(copy, file, number + 1, before, mutant, failure)
    return survived


def named_mutants(copy, names):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "named.json"), encoding="utf-8") as listed:
        wanted = [mutant for mutant in json.load(listed) if not names or mutant["name"] in names]
    survived = 0
    for mutant in wanted:
        file = os.path.join(copy.path, mutant["file"])
        with open(file, encoding="utf-8") as source:
            text = source.read()
        if text.count(mutant["old"]) != 1:
            print(f"{mutant['name']}: its text stands {text.count(mutant['old'])} times in {mutant['file']}", flush=True)
            survived += 1
            continue
        failure = with_text(file, text.replace(mutant["old"], mutant["new"]), lambda: copy.failure_of(*mutant["test"]))
        if failure is False:
            print(f"{mutant['name']}: does not build", flush=True)
        survived += not failure
        print(mutant["name"], flush=True)
        tell(copy, file, text[:text.index(mutant["old"])].count("\n") + 1, mutant["old"], mutant["new"], failure)
    return survived


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "mutation"))
    parser.add_argument("--tests", default="", help="of the integration tests only those whose names match")
    parser.add_argument("--named", action="store_true", help="those of named.json")
    parser.add_argument("--trusted", action="store_true", help="do not run the unbroken tree first")
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    os.makedirs(options.work, exist_ok=True)
    copy = Copy(options.work, options.tests)
    if not options.trusted and (failure := copy.first_failure()) is not None:
        sys.exit(f"mutate.py: the unbroken tree fails: {failure or 'it does not build'}")
    names, options.paths = options.paths, options.paths or DEFAULT_PATHS
    survived = named_mutants(copy, names) if options.named else random_mutants(copy, options)
    print(f"{survived} survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
