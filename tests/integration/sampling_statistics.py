#!/usr/bin/env python3
"""Sampled figures are unbiased and their 95 % limits are right: the same live set recorded under many seeds.

    sampling_statistics.py --bin DIR --work DIR --program sampling_mix [--runs 200] [--modes fixed,adaptive,thinned]

Fixed: three intervals, three mixes of sizes. Adaptive: the interval follows the budget while the program runs. Thinned: exact
mode in a memory cgroup so small that the records do not fit, and are thinned (left out where there are no cgroups). Of live bytes and live blocks the mean of the estimates must be within 0.5 % of the
truth, or within three standard errors where those are more (few runs; counts of blocks much smaller than the interval).
The limits must cover the truth in 93 to 97 % of all runs taken together; one combination alone may be at 89 to 99.5 %,
some three standard deviations of 200 draws. Where nothing is left to chance (every block is larger than the interval) the
figure must be exact.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

SAMPLES = 4000  # about as many samples a run, so that one run is off by some 2 %
INTERVALS = [4096, 16384, 65536]
MIXES = ["small", "mixed", "large"]


# Of the two modes in which the interval is not known beforehand: what the program is made to hold, per mix of sizes.
ADAPTIVE_BYTES = {"small": 100 << 20, "mixed": 400 << 20, "large": 800 << 20}
THINNED_BYTES = {"small": 30 << 20}  # 260,000 blocks, in pages for some 60,000
THINNED_LIMIT = 96 << 20  # 2 % of it would be less than the least there is, 2 MiB of pages


class Cgroup:
    """A memory cgroup of our own; `enter` is for a child before it runs the program."""

    def __init__(self, limit_bytes):
        v1 = pathlib.Path("/sys/fs/cgroup/memory")
        base = v1 if v1.is_dir() else pathlib.Path("/sys/fs/cgroup")
        self.group = base / f"leakhunt-statistics-{os.getpid()}"
        self.group.mkdir()
        (self.group / ("memory.limit_in_bytes" if base == v1 else "memory.max")).write_text(str(limit_bytes))

    def enter(self):
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        self.group.rmdir()


def one_run(options, mix, mode, seed):
    """((true bytes, true blocks), (estimate of bytes, estimate of blocks)); mode: a fixed interval, or a name."""
    recording = os.path.join(options.work, "recording")
    shutil.rmtree(recording, ignore_errors=True)
    held = {"adaptive": ADAPTIVE_BYTES, "thinned": THINNED_BYTES}.get(mode, {}).get(mix) or SAMPLES * mode
    sampling = {"adaptive": ["--budget", "1%"], "thinned": ["--sample-bytes", "1"]}.get(mode) or ["--sample-bytes", str(mode)]
    collect = [os.path.join(options.bin, "leakhunt-collect"), "--quiet", *sampling, "--track", "heap", "--output", recording,
               "--socket", os.path.join(options.work, "socket"), "--"]
    done = subprocess.run(collect + [options.program, mix, str(held)], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "LEAKHUNT_SEED": str(seed)}, timeout=120,
                          preexec_fn=options.cgroup.enter if mode == "thinned" else None)
    shown = subprocess.run([os.path.join(options.bin, "leakhunt-report"), "top-sites", recording, "--snapshot", "end", "--format", "json",
                            "--symbols", "off", "--limit", "1"], stdout=subprocess.PIPE, check=True, timeout=60)
    answer = json.loads(shown.stdout)
    if mode == "thinned":
        assert answer["sampling"]["mode"] == "sampled", answer["sampling"]
    site = answer["sites"][0]
    assert answer["losses"]["records"] == 0, answer["losses"]
    return tuple(int(word) for word in done.stdout.split()), (site["live_bytes"], site["live_count"])


class Tally:
    def __init__(self):
        self.ratios, self.covered, self.chance, self.exact = [], 0, 0, 0

    def add(self, truth, estimate):
        self.ratios.append(estimate["value"] / truth)
        if estimate["low"] == estimate["high"]:
            self.exact += estimate["value"] == truth
        else:
            self.chance += 1
            self.covered += estimate["low"] <= truth <= estimate["high"]

    def mean(self):
        return sum(self.ratios) / len(self.ratios)

    def standard_error(self):
        mean = self.mean()
        return math.sqrt(sum((r - mean) ** 2 for r in self.ratios) / max(1, len(self.ratios) - 1) / len(self.ratios))


def judge(name, tally):
    """What is wrong with one combination."""
    allowed = max(0.005, 3 * tally.standard_error())
    if abs(tally.mean() - 1) > allowed:
        yield f"{name}: the mean is off by {tally.mean() - 1:+.3%}, allowed {allowed:.3%}"
    if tally.chance and not 0.89 <= tally.covered / tally.chance <= 0.995 and len(tally.ratios) >= 200:
        yield f"{name}: the limits cover the truth in {tally.covered / tally.chance:.1%} of the runs"
    if tally.exact + tally.chance != len(tally.ratios):
        yield f"{name}: {len(tally.ratios) - tally.exact - tally.chance} figures claim to be exact and are not"


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin", "--work", "--program"):
        parser.add_argument(name, required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["fixed"])
    options = parser.parse_args()
    options.cgroup = None
    if "thinned" in options.modes:
        try:
            options.cgroup = Cgroup(THINNED_LIMIT)
        except OSError as error:
            print(f"left out: thinned ({error})")
            options.modes.remove("thinned")
    combinations = [(mode, mix) for mode in INTERVALS for mix in MIXES] if "fixed" in options.modes else []
    combinations += [("adaptive", mix) for mix in ADAPTIVE_BYTES] if "adaptive" in options.modes else []
    combinations += [("thinned", mix) for mix in THINNED_BYTES] if "thinned" in options.modes else []
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)

    wrong, covered, chance = [], 0, 0
    for mode, mix in combinations:
        tallies = {"bytes": Tally(), "blocks": Tally()}
        for seed in range(1, options.runs + 1):
            truth, estimates = one_run(options, mix, mode, seed)
            for tally, true_value, estimate in zip(tallies.values(), truth, estimates):
                tally.add(true_value, estimate)
        for what, tally in tallies.items():
            name = f"{mode if isinstance(mode, str) else f'interval {mode}'}, {mix}, live {what}"
            print(f"{name}: mean {tally.mean() - 1:+.3%} ± {tally.standard_error():.3%}, "
                  f"covered {tally.covered} of {tally.chance}, exact {tally.exact}", flush=True)
            wrong += judge(name, tally)
            covered += tally.covered
            chance += tally.chance
    if options.cgroup is not None:
        options.cgroup.remove()
    share = covered / chance
    slack = 3 * math.sqrt(0.95 * 0.05 / chance)
    print(f"together: covered {covered} of {chance}, {share:.2%} (seeds 1 to {options.runs})")
    if not min(0.93, 0.95 - slack) <= share <= max(0.97, 0.95 + slack):
        wrong.append(f"together: the limits cover the truth in {share:.2%} of the runs, should be 93 to 97 %")
    print("\n".join("WRONG " + line for line in wrong) or "unbiased, and the limits are right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
