#!/usr/bin/env python3
"""Every row of docs/faults.md names a test that ctest runs: whole names, suites or parts before a dot, `*` for the rest; what
stands for an integration test may leave out `integration.` and, after another one, `situation.`. A test that runs with --full
alone, or never, does not count.

usage: fault_tests.py FAULTS_MD BUILD_DIR
"""
import json
import re
import subprocess
import sys


def standard_tests(build):
    """Names of the tests of scripts/test without --full."""
    listed = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1", "--label-exclude", "full"], stdout=subprocess.PIPE,
                            check=True).stdout
    def disabled(test):
        return any(is_set["name"] == "DISABLED" and is_set["value"] for is_set in test.get("properties", ()))
    return {test["name"] for test in json.loads(listed)["tests"] if not disabled(test)}


def rows(text):
    """Fault and test cell of each row of the tables that have a column of tests."""
    of_tests = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            of_tests = False
        elif cells[-1] == "test":
            of_tests = True
        elif of_tests and not set(cells[-1]) <= set("- "):
            yield cells[0], cells[-1]


def runs(name, tests):
    wanted = re.compile(r"(integration\.)?(situation\.)?" + re.escape(name).replace(r"\*", ".*") + r"(\..*)?")
    return any(wanted.fullmatch(test) for test in tests)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        found = list(rows(file.read()))
    tests, wrong = standard_tests(sys.argv[2]), []
    for fault, cell in found:
        names = re.findall(r"`([^`]+)`", cell)
        wrong += [f"no test `{name}`: {fault}" for name in names if not runs(name, tests)] if names else [f"names no test: {fault}"]
    print("\n".join(wrong) or f"{len(found)} rows name tests that run")
    return 1 if wrong or not found or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
