#!/usr/bin/env python3
"""Sampled figures are unbiased and their 95 % limits are right: the same live set recorded under many seeds.

    sampling_statistics.py --bin DIR --work DIR --program sampling_mix [--runs 200]

Three intervals, three mixes of sizes. Of live bytes and live blocks the mean of the estimates must be within 0.5 % of the
truth, or within three standard errors where those are more (few runs; counts of blocks much smaller than the interval).
The limits must cover the truth in 93 to 97 % of all runs taken together; one combination alone may be at 89 to 99.5 %,
some three standard deviations of 200 draws. Where nothing is left to chance (every block is larger than the interval) the
figure must be exact.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys

SAMPLES = 4000  # about as many samples a run, so that one run is off by some 2 %
INTERVALS = [4096, 16384, 65536]
MIXES = ["small", "mixed", "large"]


def one_run(options, mix, interval, seed):
    """((true bytes, true blocks), (estimate of bytes, estimate of blocks))"""
    recording = os.path.join(options.work, "recording")
    shutil.rmtree(recording, ignore_errors=True)
    collect = [os.path.join(options.bin, "leakhunt-collect"), "--quiet", "--sample-bytes", str(interval), "--track", "heap",
               "--output", recording, "--socket", os.path.join(options.work, "socket"), "--"]
    done = subprocess.run(collect + [options.program, mix, str(SAMPLES * interval)], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "LEAKHUNT_SEED": str(seed)}, timeout=120)
    shown = subprocess.run([os.path.join(options.bin, "leakhunt-report"), "top-sites", recording, "--format", "json",
                            "--symbols", "off", "--limit", "1"], stdout=subprocess.PIPE, check=True, timeout=60)
    answer = json.loads(shown.stdout)
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
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    os.makedirs(options.work)

    wrong, covered, chance = [], 0, 0
    for interval in INTERVALS:
        for mix in MIXES:
            tallies = {"bytes": Tally(), "blocks": Tally()}
            for seed in range(1, options.runs + 1):
                truth, estimates = one_run(options, mix, interval, seed)
                for tally, true_value, estimate in zip(tallies.values(), truth, estimates):
                    tally.add(true_value, estimate)
            for what, tally in tallies.items():
                name = f"interval {interval}, {mix}, live {what}"
                print(f"{name}: mean {tally.mean() - 1:+.3%} ± {tally.standard_error():.3%}, "
                      f"covered {tally.covered} of {tally.chance}, exact {tally.exact}", flush=True)
                wrong += judge(name, tally)
                covered += tally.covered
                chance += tally.chance
    share = covered / chance
    slack = 3 * math.sqrt(0.95 * 0.05 / chance)
    print(f"together: covered {covered} of {chance}, {share:.2%} (seeds 1 to {options.runs})")
    if not min(0.93, 0.95 - slack) <= share <= max(0.97, 0.95 + slack):
        wrong.append(f"together: the limits cover the truth in {share:.2%} of the runs, should be 93 to 97 %")
    print("\n".join("WRONG " + line for line in wrong) or "unbiased, and the limits are right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
