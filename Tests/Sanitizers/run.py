#!/usr/bin/env python3
"""Runs tests with ThreadSanitizer or AddressSanitizer in the daemon, and fails if there is any report.

    run.py thread|address [--filter 'FileTests|ShareTests'] [--reports FOLDER] [--skip-build]

The daemon goes on after a report, so that tests fail for reasons of their own only; the reports are counted at the end.
The worker that looks into files is built without a sanitizer: it has 1 GiB of addresses, of which a sanitizer takes more. `make fuzz` has
AddressSanitizer in what the worker reads by itself.
"""
import argparse, collections, glob, os, re, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# What kills daemons or counts system calls and seconds says nothing of races.
SKIPPED = "CounterTests|CrashTests|PowerCutTests|FullDiskTests|FuzzTests|ArchitectureTests|FeatureListTests|ToolTests|SavingTests"


def build(kind, scratch):
    environment = dict(os.environ, **({"ASSETFS_PTHREAD_MUTEX": "1"} if kind == "thread" else {}))
    command = ["swift", "build", "--package-path", ROOT, "--scratch-path", scratch]
    subprocess.run(command + [f"--sanitize={kind}", "--build-tests"], env=environment, check=True)
    plain = f"{scratch}/plain"
    subprocess.run(["swift", "build", "--package-path", ROOT, "--scratch-path", plain, "--product", "assetfs-worker"], check=True)
    target = os.path.realpath(f"{scratch}/debug/assetfs-worker")
    shutil.copy2(os.path.realpath(f"{plain}/debug/assetfs-worker"), target)


def reports(folder):
    """The reports by their summary, with the file of one of them."""
    found = collections.OrderedDict()
    for path in sorted(glob.glob(folder + "/report.*")):
        with open(path, errors="replace") as file: text = file.read()
        for summary in re.findall(r"^SUMMARY: .*|^(?:FATAL|ERROR|==\d+==ERROR): .*", text, re.M):
            summary = re.sub(r"0x[0-9a-f]+|==\d+==", "", summary)
            count, first = found.get(summary, (0, path))
            found[summary] = (count + 1, first)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["thread", "address"])
    parser.add_argument("--filter", default="MountTests|CommandTests|AssetLibraryTests|CatalogTests|BlobStoreTests")
    parser.add_argument("--reports")
    parser.add_argument("--skip-build", action="store_true")
    options = parser.parse_args()
    name = {"thread": "tsan", "address": "asan"}[options.kind]
    scratch = f"{ROOT}/.build-{name}"
    if not options.skip_build: build(options.kind, scratch)
    folder = options.reports or f"{scratch}/reports"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    settings = [f"log_path={folder}/report", "exitcode=0", "handle_abort=0"]
    if options.kind == "thread": settings += [f"suppressions={HERE}/thread.supp", "history_size=4", "second_deadlock_stack=1"]
    # What the runtime of Swift keeps to the end is no leak, and what a daemon leaks is measured by its memory.
    if options.kind == "address": settings += ["detect_leaks=0", "halt_on_error=0"]
    environment = dict(os.environ, **{name.upper() + "_OPTIONS": " ".join(settings)})
    if options.kind == "thread": environment["ASSETFS_PTHREAD_MUTEX"] = "1"
    command = ["swift", "test", "--package-path", ROOT, "--scratch-path", scratch, f"--sanitize={options.kind}", "--skip-build", "--no-parallel"]
    result = subprocess.run(command + ["--filter", options.filter, "--skip", SKIPPED], env=environment)
    found = reports(folder)
    for summary, (count, path) in found.items(): print(f"{count} × {summary}\n    {path}")
    print(f"{sum(count for count, _ in found.values())} reports of {options.kind} sanitizer, {len(found)} different; tests ended with {result.returncode}")
    sys.exit(1 if found or result.returncode else 0)


main()
