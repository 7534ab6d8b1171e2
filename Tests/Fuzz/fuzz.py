#!/usr/bin/env python3
"""Fuzzes every parser of what others write with libFuzzer and AddressSanitizer.

    fuzz.py [--seconds 600] [--target queries] [--merge] [--skip-build]

Inputs that reach new code go to .build-fuzz/corpus, finds to .build-fuzz/finds. With --merge the smallest inputs that reach as much replace
those in Tests/Fuzz/corpus that libFuzzer has made; files with other names stay: each is a find of before, or a first example.
"""
import argparse, glob, os, re, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SCRATCH = f"{ROOT}/.build-fuzz"
WORKERS = {"worker-fetch": ["-lcurl"], "worker-names": []}
# In the repository: so many files of a target, and so many bytes of each.
FILES, BYTES = 50, 1024


def build(targets):
    if any(target not in WORKERS for target in targets):
        command = ["swift", "build", "--package-path", ROOT, "--scratch-path", SCRATCH, "-c", "release", "--product", "fuzz"]
        command += ["--sanitize=fuzzer", "--sanitize=address", "-Xswiftc", "-enable-testing"]
        subprocess.run(command, env=dict(os.environ, ASSETFS_FUZZ="1"), check=True)
    os.makedirs(SCRATCH, exist_ok=True)
    for target in targets:
        if target not in WORKERS: continue
        source = f"{HERE}/worker/{target.removeprefix('worker-')}.c"
        command = ["clang", "-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-Wno-deprecated-declarations", source]
        subprocess.run(command + ["-o", f"{SCRATCH}/{target}"] + WORKERS[target], check=True)


def command(target):
    return [f"{SCRATCH}/{target}" if target in WORKERS else f"{SCRATCH}/release/fuzz"]


def run(target, seconds):
    """Runs a target; returns how many inputs it has run, how many edges they reach, and the file of the find, if there is one."""
    corpus, finds = f"{SCRATCH}/corpus/{target}", f"{SCRATCH}/finds"
    for folder in corpus, finds: os.makedirs(folder, exist_ok=True)
    arguments = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1",
                 "-use_value_profile=1", f"-artifact_prefix={finds}/{target}-", corpus, f"{HERE}/corpus/{target}"]
    environment = dict(os.environ, ASSETFS_FUZZ_TARGET=target, ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1")
    if target not in WORKERS:
        words = f"{SCRATCH}/{target}.words"
        with open(words, "w") as file: subprocess.run(command(target) + ["--words"], env=environment, stdout=file, check=True)
        arguments.insert(0, f"-dict={words}")
    result = subprocess.run(command(target) + arguments, env=environment, capture_output=True, text=True, errors="replace")
    text = result.stdout + result.stderr
    count = re.findall(r"stat::number_of_executed_units: (\d+)", text) or re.findall(r"^#(\d+)", text, re.M)
    edges = re.findall(r"cov: (\d+)", text)
    find = re.findall(r"Test unit written to (\S+)", text)
    if result.returncode != 0 and not find: find = ["no input; " + text[-2000:]]
    if find: print("\n".join(line for line in text.splitlines() if not line.startswith("#"))[-3000:])
    return int(count[-1]) if count else 0, int(edges[-1]) if edges else 0, find


def merge(target):
    """Replaces what libFuzzer has made in the repository's corpus by the smallest inputs that reach as much."""
    stored, merged = f"{HERE}/corpus/{target}", f"{SCRATCH}/merged/{target}"
    shutil.rmtree(merged, ignore_errors=True)
    os.makedirs(merged)
    environment = dict(os.environ, ASSETFS_FUZZ_TARGET=target, ASAN_OPTIONS="detect_leaks=0")
    subprocess.run(command(target) + ["-merge=1", f"-max_len={BYTES}", merged, f"{SCRATCH}/corpus/{target}", stored],
                   env=environment, check=True, capture_output=True)
    made = [path for path in glob.glob(stored + "/*") if re.fullmatch("[0-9a-f]{40}", os.path.basename(path))]
    for path in made: os.remove(path)
    room = FILES - len(os.listdir(stored))
    for path in sorted(glob.glob(merged + "/*"), key=os.path.getsize)[:room]: shutil.copy(path, stored)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--target")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--skip-build", action="store_true")
    options = parser.parse_args()
    all_targets = sorted(os.listdir(f"{HERE}/corpus"))
    if options.target and options.target not in all_targets: sys.exit(f"--target is one of {', '.join(all_targets)}.")
    targets = [options.target] if options.target else all_targets
    if not options.skip_build: build(targets)
    hasFailed = False
    print(f"{'target':14} {'executions':>12} {'edges':>7}  finds")
    for target in targets:
        count, edges, find = run(target, options.seconds)
        hasFailed = hasFailed or bool(find)
        print(f"{target:14} {count:12,} {edges:7,}  {' '.join(find) or 'none'}", flush=True)
        if options.merge and not find: merge(target)
    sys.exit(1 if hasFailed else 0)


main()
