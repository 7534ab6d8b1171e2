#!/usr/bin/env python3
"""Copies damaged and hostile files into a mount, and files that crash the worker; measures the daemon and
other users meanwhile.

Fails unless every file reads back unchanged and the queue drains.
"""
import argparse, json, os, shutil, struct, subprocess, sys, tempfile, threading, time, zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bombs(folder):
    """Creates files for which ExifTool takes all memory, or computes without end."""
    os.makedirs(folder)
    packer = zlib.compressobj(1)
    text = b"".join(packer.compress(bytes(1_000_000)) for _ in range(1500)) + packer.flush()
    for number in range(3):
        head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3 + number, 2, 8, 2, 0, 0, 0))
        open(f"{folder}/memory{number}.png", "wb").write(head + chunk(b"zTXt", b"Comment\0\0" + text) + chunk(b"IEND", b""))
    # ExifTool parses XMP with regular expressions, and scans each of these levels again for the next.
    deep = b"<rdf:li><rdf:Bag>" * 60_000
    xmp = b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>' + deep
    open(f"{folder}/loop.xmp", "wb").write(xmp)
    open(f"{folder}/endless.xmp", "wb").write(xmp + b"<dc:subject>x</dc:subject>" * 2_000_000)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--binary", default=os.path.dirname(__file__) + "/../../.build/release/assetfs")
    options = parser.parse_args()
    binary, folder = os.path.abspath(options.binary), tempfile.mkdtemp(prefix="assetfs-hostile-", dir="/var/tmp")
    mount, library = folder + "/mount", folder + "/library"
    os.mkdir(mount)
    bombs(folder + "/bombs")
    daemon = subprocess.Popen([binary, "mount", "-f", library, mount], stderr=open(folder + "/log", "w"))
    try:
        while not os.path.ismount(mount):
            time.sleep(0.05)
        measure(daemon.pid, binary, mount, [os.path.abspath(f) for f in options.folders] + [folder + "/bombs"])
    finally:
        subprocess.run([binary, "umount", mount])
        daemon.wait()
        shutil.rmtree(folder)
    sys.exit(daemon.returncode)


def measure(pid, binary, mount, folders):
    target, latencies, memory, isOver = mount + "/folders/", [], [], threading.Event()
    os.mkdir(target + "other")

    def other():
        while not isOver.is_set():
            start = time.perf_counter()
            with open(f"{target}other/{len(latencies) % 50}", "w") as file:
                file.write("x")
            latencies.append(time.perf_counter() - start)
            memory.append(next(int(l.split()[1]) // 1024 for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")))
            time.sleep(0.02)

    thread = threading.Thread(target=other)
    thread.start()
    time.sleep(2)
    before, start = len(latencies), time.monotonic()
    for folder in folders:
        subprocess.run(["cp", "-r", folder, target], check=True)
    copied = time.monotonic() - start
    subprocess.run([binary, "jobs", "--wait", mount], check=True, capture_output=True)
    drained = time.monotonic() - start
    isOver.set()
    thread.join()

    def describe(values):
        values = sorted(v * 1e3 for v in values)
        return f"p50 {values[len(values) // 2]:.1f}, p99 {values[len(values) * 99 // 100]:.1f}, max {values[-1]:.1f} ms"

    count = 0
    for folder in folders:
        for name in os.listdir(folder):
            count += 1
            with open(f"{folder}/{name}", "rb") as one, open(f"{target}{os.path.basename(folder)}/{name}", "rb") as two:
                assert one.read() == two.read(), name
    print(f"{count} files copied in {copied:.1f} s, the queue empty after {drained:.1f} s; all read back as they were")
    print(f"another user's open, write, close: before {describe(latencies[:before])}; meanwhile {describe(latencies[before:])}")
    print(f"memory of the daemon: first {memory[0]} MiB, last {memory[-1]} MiB, most {max(memory)} MiB")
    failed = [json.loads(l) for l in subprocess.run([binary, "jobs", "--json", mount], capture_output=True, text=True).stdout.splitlines()]
    print(f"{len(failed)} files that could not be looked into:")
    for job in failed:
        print(f"   {job['filename'][:50]}: {job['error']}")


main()
