#!/usr/bin/env python3
"""Copies real files into a mount and compares the fields of assetfs with `exiftool -j` on the originals.

Every field must have the value of one of the tags that it is mapped from, and every tag must have the value
of ExifTool; differences are printed. The same run measures the files per second until all are extracted,
beside `exiftool -j -r`, and the time of cp(1) with and without extraction. CORPUS is a folder of files;
build.py creates one.
"""
import argparse, collections, json, os, re, shutil, subprocess, sys, tempfile, time

FIELDS = {
    "caption": "MWG:Description XMP-dc:Description IPTC:Caption-Abstract IFD0:ImageDescription ExifIFD:UserComment IFD0:XPComment "
    "File:Comment PNG:Description PNG:Comment Keys:Description ItemList:Description UserData:Comment ID3*:Comment "
    "Vorbis:Description Vorbis:Comment ItemList:Comment APE:Comment ASF:Description RIFF:Comment",
    "title": "XMP-dc:Title IPTC:ObjectName IFD0:XPTitle PNG:Title Keys:Title Keys:DisplayName ItemList:Title UserData:Title "
    "ID3*:Title Vorbis:Title APE:Title ASF:Title Matroska:Title RIFF:Title PDF:Title XML-dc:Title FlashPix:Title "
    "PostScript:Title HTML:Title RTF:Title ID3v1:Title",
    "description": "XMP-iptcCore:ExtDescrAccessibility XML-dc:Description PDF:Subject FlashPix:Subject FlashPix:Comments",
    "alternative_text": "XMP-iptcCore:AltTextAccessibility",
    "photographer": "MWG:Creator XMP-dc:Creator IPTC:By-line IFD0:Artist IFD0:XPAuthor Keys:Artist Keys:Author ItemList:Artist "
    "ID3*:Artist Vorbis:Artist APE:Artist RIFF:Artist ASF:Author PDF:Author XML-dc:Creator FlashPix:Author "
    "XMP-meta:Initial-creator ID3v1:Artist",
    "copyright_notice": "MWG:Copyright XMP-dc:Rights IPTC:CopyrightNotice IFD0:Copyright ID3*:Copyright Vorbis:Copyright "
    "ASF:Copyright ItemList:Copyright XML-dc:Rights",
    "camera_make": "IFD0:Make XMP-tiff:Make Keys:Make Keys:AndroidMake UserData:Make RIFF:Make MIE-Camera:Make",
    "camera_model": "IFD0:Model XMP-tiff:Model Keys:Model Keys:AndroidModel UserData:Model RIFF:Model MIE-Camera:Model",
    "exposure_time": "ExifIFD:ExposureTime XMP-exif:ExposureTime Composite:ShutterSpeed",
    "f_number": "ExifIFD:FNumber XMP-exif:FNumber Composite:Aperture",
    "iso": "ExifIFD:ISO XMP-exif:ISOSpeedRatings Composite:ISO",
    "focal_length": "ExifIFD:FocalLength XMP-exif:FocalLength",
    "language": "XMP-dc:Language PDF:Language XML-dc:Language",
    "keywords": "MWG:Keywords XMP-dc:Subject IPTC:Keywords XMP-lr:HierarchicalSubject XMP-digiKam:TagsList "
    "XMP-microsoft:LastKeywordXMP IFD0:XPKeywords PDF:Keywords XMP-pdf:Keywords XML:Keywords FlashPix:Keywords "
    "XMP-meta:Keyword ItemList:Keyword Keys:Keywords",
    "captured_at": "MWG:DateTimeOriginal XMP-exif:DateTimeOriginal MWG:CreateDate Keys:CreationDate ItemList:ContentCreateDate "
    "UserData:ContentCreateDate UserData:DateTimeOriginal QuickTime:CreateDate Track1:MediaCreateDate "
    "Matroska:DateTimeOriginal RIFF:DateTimeOriginal ASF:CreationDate M2TS:DateTimeOriginal H264:DateTimeOriginal "
    "ID3*:RecordingTime ID3*:Year ID3*:Date Vorbis:Date APE:Year ID3v1:Year Composite:GPSDateTime",
}
FIELDS = {name: sources.split() for name, sources in FIELDS.items()}


def values(tags, source):
    names = [source.replace("ID3*", "ID3v2_%d" % n) for n in (4, 3, 2)] if "*" in source else [source]
    for name in names:
        if name in tags:
            value = tags[name]
            return [str(v) for v in value] if isinstance(value, list) else [str(value)]
    return []


def plain(text):
    return re.sub(r"\s+", " ", text.replace("\0", " ")).strip()


def equal(field, ours, theirs, tags):
    """Returns whether one of ExifTool's values equals our value of a field."""
    if field == "keywords":
        words = {w.casefold() for v in theirs for w in re.split(r"[,;|/]", v.replace("\u201a", ",")) for w in [plain(w)] if w}
        return all(plain(w).casefold() in words for w in re.split(r"[,\u201a/;|]", ours) if plain(w))
    if field == "captured_at":
        def time(text):
            return re.sub(r"\D", "", re.sub(r"([+-]\d\d:?\d\d|Z)$", "", text)).rstrip("0")
        return any(time(ours) == time(v) for v in theirs)
    if field == "photographer":
        return plain(ours) == plain("; ".join(p for v in theirs for p in v.split(";"))) or plain(ours) == "; ".join(
            plain(p) for v in theirs for p in v.split(";") if plain(p))
    if field == "copyright_notice":
        return any(plain(ours) == plain(v.split("\n")[0]) for v in theirs)
    if field == "camera_model":
        return any(plain(v).casefold().endswith(plain(ours).casefold()) for v in theirs)
    if field in ("exposure_time", "f_number", "iso", "focal_length"):
        return any(v.split()[:1] == [ours] for v in theirs)
    return any(plain(ours) == plain(v) for v in theirs)


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Mount:
    def __init__(self, binary, *options):
        self.folder = tempfile.mkdtemp(prefix="assetfs-corpus-", dir="/var/tmp")
        self.binary, self.library, self.path = binary, self.folder + "/library", self.folder + "/mount"
        os.mkdir(self.path)
        run(binary, "mount", self.library, self.path, *options)

    def wait(self):
        run(self.binary, "jobs", "--wait", self.path)

    def end(self):
        subprocess.run([self.binary, "umount", self.path])
        for _ in range(100):
            if not subprocess.run(["pgrep", "-f", self.library], capture_output=True).stdout:
                break
            time.sleep(0.1)
        shutil.rmtree(self.folder)


def timed(*command):
    start = time.monotonic()
    run(*command)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--binary", default=os.path.dirname(__file__) + "/../../.build/release/assetfs")
    options = parser.parse_args()
    binary, corpus = os.path.abspath(options.binary), os.path.abspath(options.corpus)
    names = sorted(os.listdir(corpus))
    exiftool = ["exiftool", "-j", "-a", "-G1", "-n", "-use", "MWG", "-api", "largefilesupport=1", "-api", "quicktimeutc=1",
                "-charset", "exif=UTF8", "-struct", "-ext", "*"]
    environment = dict(os.environ, TZ="UTC")

    start = time.monotonic()
    subprocess.run(["exiftool", "-j", "-ext", "*", "-r", corpus], capture_output=True)
    reference = time.monotonic() - start
    mount = Mount(binary)
    try:
        start = time.monotonic()
        copying = timed("cp", "-r", corpus, mount.path + "/folders/corpus")
        mount.wait()
        ready = time.monotonic() - start
        folder = mount.path + "/folders/corpus/"
        ours = {n: json.loads(os.getxattr(folder + n, "user.asset.info", )) for n in names}
        text = subprocess.run(exiftool + ["-r", corpus], capture_output=True, env=environment).stdout.decode("utf-8", "replace")
        theirs = {os.path.basename(t["SourceFile"]): t for t in json.loads(text, parse_float=str, parse_int=str)}
        report(names, ours, theirs)
        print(f"\n{len(names)} files: exiftool -j -r {reference:.2f} s, {len(names) / reference:.0f} files/s; "
              f"assetfs, cp included, {ready:.2f} s, {len(names) / ready:.0f} files/s to all ready, {reference / ready:.1f} times as fast")
        print(f"cp -r took {copying:.2f} s of that")
    finally:
        mount.end()
    copies(binary, corpus)


def copies(binary, corpus, rounds=5):
    """Returns the times of cp(1) during extraction and without it: without its worker assetfs extracts
    nothing."""
    alone = tempfile.mkdtemp(prefix="assetfs-alone-")
    shutil.copy(binary, alone + "/assetfs")
    small = tempfile.mkdtemp(prefix="assetfs-small-", dir="/var/tmp")
    for number in range(3000):
        with open(f"{small}/{number}.txt", "w") as file:
            file.write(f"{number}\n" * 200)
    for what, source in (("the same files", corpus), ("3000 texts of 1 KB", small)):
        times = {True: [], False: []}
        for number in range(2 * rounds):
            isOn = number % 2 == 0
            mount = Mount(binary if isOn else alone + "/assetfs")
            try:
                times[isOn].append(timed("cp", "-r", source, mount.path + "/folders/c"))
            finally:
                mount.end()
        on, off = (sorted(times[key])[rounds // 2] for key in (True, False))
        print(f"cp -r of {what}, median of {rounds}: {on:.2f} s while they are looked into, {off:.2f} s where nobody looks: {on / off:.2f} times")
    for folder in (alone, small):
        shutil.rmtree(folder)


def report(names, ours, theirs):
    table, tagCount = collections.defaultdict(collections.Counter), 0
    differences, missing = [], []
    for name in names:
        info, tags = ours[name], theirs.get(name, {})
        kind = tags.get("File:FileType", "none")
        row = table[kind]
        row["files"] += 1
        for field in info.get("fields", {}):
            row[field] += 1
        for key in ("width", "duration", "pages", "contains_audio", "contains_video"):
            if info.get(key) not in (None, False):
                row[key] += 1
        for field, sources in FIELDS.items():
            value = info.get("fields", {}).get(field)
            said = [v for v in ([v for v in values(tags, s) if plain(v)] for s in sources) if v]
            if value is None:
                if said:
                    missing.append((field, name, said[0][0][:50]))
            elif field == "keywords":
                if not equal(field, value, [v for vs in said for v in vs], tags):
                    differences.append((field, name, value[:60], said))
            elif not any(equal(field, value, v, tags) for v in said):
                differences.append((field, name, value[:60], said[:2]))
        # Groups tags by their names and their groups of family 0; the groups of family 1 are ignored.
        byName = collections.defaultdict(set)
        for key, value in tags.items():
            texts = [json.dumps(v) if isinstance(v, dict) else str(v) for v in (value if isinstance(value, list) else [value])]
            byName[key.split(":")[-1]].add(plain(", ".join(texts)))
        for key, value in info.get("tags", {}).items():
            tagCount += 1
            tag = key.split(".", 1)[1]
            if tag in byName and plain(value) not in byName[tag] and value.lower() not in (v.lower() for v in byName[tag]):
                differences.append((key, name, value[:60], sorted(byName[tag])[:2]))
    columns = ["files", "caption", "title", "keywords", "photographer", "copyright_notice", "captured_at", "gps", "camera_model",
               "lens", "iso", "width", "duration", "contains_audio", "contains_video", "pages"]
    print("type".ljust(12) + "".join(c.replace("contains_", "")[:9].rjust(10) for c in columns))
    for kind in sorted(table, key=lambda k: -table[k]["files"]):
        print(kind[:11].ljust(12) + "".join(str(table[kind][c] or "").rjust(10) for c in columns))
    total = sum(table.values(), collections.Counter())
    print("all".ljust(12) + "".join(str(total[c]).rjust(10) for c in columns))
    states = collections.Counter(i["status"] for i in ours.values())
    print(f"\nstates: {dict(states)}; tags compared: {tagCount}")
    print(f"values that differ: {len(differences)}")
    for line in differences:
        print("  ", *line)
    print(f"values that ExifTool has and no field takes: {len(missing)}")
    for field, group in sorted(collections.Counter((m[0]) for m in missing).items()):
        examples = [f"{m[1][:30]}: {m[2]!r}" for m in missing if m[0] == field]
        print(f"   {field}: {group}, such as {'; '.join(examples[:4])}")


main()
