#!/usr/bin/env python3
"""Fuzzes each parser of untrusted input with libFuzzer and AddressSanitizer.

    fuzz.py [--seconds 600 | --runs 1000] [--jobs 1] [--target queries,times | --parts] [--merge]
            [--skip-build] [--scratch FOLDER]

Inputs that reach new code are stored in .build-fuzz/corpus, finds in .build-fuzz/finds. With --merge the
smallest inputs that reach as much code replace libFuzzer's inputs in Tests/Fuzz/corpus; files with other
names stay: each is a former find, or an initial example.
"""
import argparse, concurrent.futures, glob, os, re, shutil, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
scratch = f"{ROOT}/.build-fuzz"
SANITIZERS = "fuzzer,address"
# Parts in C: the program that runs each of them, and its compiler arguments.
PARTS = {
    "worker-fetch": ["fetch.c", "-lcurl"], "worker-names": ["names.c"], "log-writes": ["log.c", "-lsqlite3"],
    "relevance": ["relevance.c", "-lsqlite3", "-lm"], "fuse-requests": ["requests.c", "-I/usr/include/fuse3", "-lfuse3"],
}
# The limits of the corpus in the repository: files per target, and bytes per file.
FILES, BYTES = 50, 1024


def build(targets):
    if any(target not in PARTS for target in targets):
        # One argument: of several --sanitize options the compiler takes the last, and Swift code would have
        # no counters.
        command = ["swift", "build", "--package-path", ROOT, "--scratch-path", scratch, "-c", "release", "--product", "fuzz",
                   "-Xswiftc", "-enable-testing", "-Xswiftc", f"-sanitize={SANITIZERS}", "-Xcc", f"-fsanitize={SANITIZERS}"]
        subprocess.run(command, env=dict(os.environ, ASSETFS_FUZZ="1"), check=True)
        # SwiftPM gives each program a `main`, and libFuzzer has one.
        objects = f"@{scratch}/release/fuzz.product/Objects.LinkFileList"
        subprocess.run(["swiftc", f"-sanitize={SANITIZERS}", "-use-ld=lld", objects, "-lfuse3", "-lsqlite3", "-lcrypto", "-o",
                        f"{scratch}/swift-targets"], check=True)
    os.makedirs(scratch, exist_ok=True)
    for target in targets:
        if target not in PARTS: continue
        source, *libraries = PARTS[target]
        includes = [f"-I{path}" for path in glob.glob(f"{ROOT}/Sources/*/include")]
        command = [compiler(), "-g", "-O1", f"-fsanitize={SANITIZERS},undefined", "-Wno-deprecated-declarations", *includes]
        # Uses lld, because gold warns about each symbol of the sanitizer.
        subprocess.run(command + [f"{HERE}/C/{source}", "-o", f"{scratch}/{target}", "-fuse-ld=lld", *libraries], check=True)


def compiler():
    """Returns the path of the clang that has the same sanitizers as Swift."""
    own = f"{os.path.dirname(os.path.realpath(shutil.which('swift')))}/clang"
    return own if os.path.exists(own) else "clang"


def command(target):
    return [f"{scratch}/{target}" if target in PARTS else f"{scratch}/swift-targets"]


def run(target, limit):
    """Runs a target up to a limit, which is an option of libFuzzer.

    Returns the seconds of the run, the number of inputs, the number of edges that the corpus and all inputs
    reach, and the file of the find, if there is one.
    """
    corpus, finds = f"{scratch}/corpus/{target}", f"{scratch}/finds"
    for folder in corpus, finds: os.makedirs(folder, exist_ok=True)
    arguments = [limit, "-timeout=5", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1",
                 "-use_value_profile=1", f"-artifact_prefix={finds}/{target}-", corpus, f"{HERE}/corpus/{target}"]
    # Swift's own crash report takes minutes with these sanitizers; the reason is printed without it.
    environment = dict(os.environ, ASSETFS_FUZZ_TARGET=target, SWIFT_BACKTRACE="enable=no",
                       ASAN_OPTIONS="detect_leaks=0:allocator_may_return_null=1")
    if target not in PARTS:
        words = f"{scratch}/{target}.words"
        with open(words, "w") as file:
            subprocess.run(command(target), env=dict(environment, ASSETFS_FUZZ_WORDS="1"), stdout=file, check=True)
        # libFuzzer rejects a dictionary without words.
        if os.path.getsize(words) > 0: arguments.insert(0, f"-dict={words}")
    start = time.monotonic()
    result = subprocess.run(command(target) + arguments, env=environment, capture_output=True, text=True, errors="replace")
    duration = time.monotonic() - start
    text = result.stdout + result.stderr
    count = re.findall(r"stat::number_of_executed_units: (\d+)", text) or re.findall(r"^#(\d+)", text, re.M)
    edges = re.findall(r"cov: (\d+)", text) or ["0"]
    find = re.findall(r"Test unit written to (\S+)", text)
    if result.returncode != 0 and not find: find = ["no input; " + text[-2000:]]
    if find: print("\n".join(line for line in text.splitlines() if not line.startswith("#"))[-3000:])
    return duration, int(count[-1]) if count else 0, int(edges[0]), int(edges[-1]), find


def merge(target):
    """Replaces libFuzzer's inputs in the repository's corpus by few small inputs that together reach most
    code."""
    stored, merged = f"{HERE}/corpus/{target}", f"{scratch}/merged/{target}"
    shutil.rmtree(merged, ignore_errors=True)
    os.makedirs(merged)
    for path in glob.glob(stored + "/*"):
        if re.fullmatch("[0-9a-f]{40}", os.path.basename(path)): os.replace(path, f"{scratch}/corpus/{target}/{os.path.basename(path)}")
    environment = dict(os.environ, ASSETFS_FUZZ_TARGET=target, ASAN_OPTIONS="detect_leaks=0")
    control = merged + ".control"
    if os.path.exists(control): os.remove(control)
    subprocess.run(command(target) + ["-merge=1", f"-merge_control_file={control}", merged, stored, f"{scratch}/corpus/{target}"],
                   env=environment, check=True, capture_output=True)
    with open(control) as file: lines = file.read().splitlines()
    paths = lines[2:2 + int(lines[0])]
    reached = {paths[int(words[1])]: set(words[2:]) for words in map(str.split, lines[2 + len(paths):]) if words[0] == "FT"}
    # Keeps stored files of other names; then adds the input that reaches most code beyond them, of several
    # the smallest, and so on.
    kept = [path for path in paths if os.path.dirname(path) == stored]
    known = set().union(*(reached.get(path, set()) for path in kept))
    rest = {path for path in reached if path not in kept and os.path.getsize(path) <= BYTES}
    for _ in range(FILES - len(os.listdir(stored))):
        best = max(rest, key=lambda path: (len(reached[path] - known), -os.path.getsize(path)), default=None)
        if not best or not reached[best] - known: break
        shutil.copy(best, stored)
        known |= reached[best]
        rest.remove(best)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--runs", type=int, help="instead of seconds: so many inputs")
    parser.add_argument("--jobs", type=int, default=1, help="so many targets at once")
    parser.add_argument("--target", help="these alone")
    parser.add_argument("--parts", action="store_true", help="those in C alone")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--skip-build", action="store_true")
    parser.add_argument("--scratch", help="where all is built, and inputs and finds go; else .build-fuzz")
    options = parser.parse_args()
    global scratch
    scratch = options.scratch or scratch
    all_targets = sorted(os.listdir(f"{HERE}/corpus"))
    targets = options.target.split(",") if options.target else sorted(PARTS) if options.parts else all_targets
    limit = f"-runs={options.runs}" if options.runs else f"-max_total_time={options.seconds}"
    if not set(targets) <= set(all_targets): sys.exit(f"--target is some of {', '.join(all_targets)}.")
    if not options.skip_build: build(targets)
    hasFailed = False
    print(f"{'target':14} {'seconds':>7} {'executions':>13} {'edges of the corpus':>19} {'of all':>7}  finds", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(run, target, limit): target for target in targets}
        for done in concurrent.futures.as_completed(runs):
            target, (duration, count, before, after, find) = runs[done], done.result()
            hasFailed = hasFailed or bool(find)
            print(f"{target:14} {duration:7.0f} {count:13,} {before:19,} {after:7,}  {' '.join(find) or 'none'}", flush=True)
            if options.merge and not find: merge(target)
    sys.exit(1 if hasFailed else 0)


main()
