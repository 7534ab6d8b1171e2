"""The benchmarks of former commits, a JSON line each in history.jsonl, and a comparison of the last two lines
of one machine.

CPU and counts hardly depend on other load. A time is worse if both the time and its ratio to bindfs within
the run are worse.
"""
import argparse
import json
import os
import platform
import re
import subprocess
import sys

from mounts import ROOT

PATH = f"{ROOT}/Benchmarks/history.jsonl"
LIMIT = 1.2
FIGURES = {
    "seconds": "s", "cpu": "µs of CPU", "switches": "context switches", "requests": "requests", "statements": "SQL statements",
    "background statements": "SQL statements in the background", "calls": "system calls",
    "background calls": "system calls in the background", "wakes": "own wakes",
}
# Differences below these amounts are noise at any ratio.
NOISE = {"seconds": 0.01, "cpu": 2, "switches": 0.2, "requests": 0.05, "statements": 0.1, "background statements": 10, "calls": 0.5,
         "background calls": 10, "wakes": 0.1}


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return f"{os.cpu_count()} × {model[1].strip() if model else platform.machine()}, Linux {'.'.join(platform.release().split('.')[:2])}"


def git(*arguments):
    # Root may measure the checkout of another user.
    result = subprocess.run(["git", "-c", "safe.directory=*", "-C", ROOT, *arguments], check=False, capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""


def commit():
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "Sources", "Package.swift", "Package.resolved")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+changes" if changed else "")


def append(path, line):
    with open(path, "a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def worse(before, after):
    """Yields the figures that are worse by more than a fifth: the step, the figure, and both values."""
    for figure in FIGURES:
        for step, value in after.get(figure, {}).items():
            former = before.get(figure, {}).get(step)
            if former is None or value <= former * LIMIT or value - former <= NOISE[figure]:
                continue
            ratios = [line.get("bindfs", {}).get(step) for line in (before, after)]
            if figure == "seconds" and None not in ratios and ratios[1] <= ratios[0] * LIMIT:
                continue
            yield step, figure, former, value


def compare(path):
    """Prints the figures of the last line that are worse than in the former one of its machine and kind;
    returns whether there are any."""
    with open(path) as file:
        lines = [json.loads(line) for line in file if line.strip()]
    if not lines:
        print("The history is empty.")
        return False
    last = lines[-1]
    former = [line for line in lines[:-1] if all(line[key] == last[key] for key in ("machine", "mode", "files"))]
    title = f"{last['commit']} ({last['date'][:10]}, {last['mode']})"
    if not former:
        print(f"{title} is the first of its kind on {last['machine']}.")
        return False
    found = list(worse(former[-1], last))
    print(f"{title} beside {former[-1]['commit']} ({former[-1]['date'][:10]}): "
          + (f"{len(found)} figures are worse by more than a fifth" if found else "nothing is worse by more than a fifth"))
    for step, figure, before, after in found:
        print(f"{step:20} {before:>10g} → {after:<10g} {FIGURES[figure]} (× {after / before if before else float('inf'):.2f})")
    return bool(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", default=PATH)
    sys.exit(1 if compare(parser.parse_args().history) else 0)


if __name__ == "__main__":
    main()
