#!/usr/bin/env python3
"""Searches a large library: each of many random queries is compared with a search of our own through all
values that were set on the files, and timed, beside find(1) on the filesystem of the disk.

Everything goes through the mount: files are written, described by setxattr(2), and found by listing
search/QUERY/.
"""
import argparse, array, math, os, random, re, statistics, struct, subprocess, sys, tempfile, time, unicodedata, zlib

parser = argparse.ArgumentParser()
parser.add_argument("--assets", type=int, default=200_000)
parser.add_argument("--images", type=int, default=4_000)
parser.add_argument("--queries", type=int, default=1000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--binary", default=os.path.join(os.path.dirname(__file__), "../.build/release/assetfs"))
options = parser.parse_args()
rng = random.Random(options.seed)

# Words as in real archives: a few are very common, most are rare.
syllables = ["ba", "ke", "li", "mo", "nu", "ra", "si", "to", "vé", "wü", "zo", "tra", "sten", "berg", "see", "hof"]
words = sorted({"".join(rng.choice(syllables) for _ in range(rng.randint(2, 4))) for _ in range(6000)})
rng.shuffle(words)
weights = [1 / (rank + 3) for rank in range(len(words))]


def some(low, high):
    return rng.choices(words, weights, k=rng.randint(low, high))


def tokens(text):
    """Returns the tokens that FTS5's unicode61 makes of a text, without diacritics."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", plain)


class Asset:
    texts = ["name", "title", "caption", "keywords", "description", "camera", "credit", "other"]


def png(width, height, number):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"tEXt", b"n\0" + str(number).encode()) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))


def build(folders, plain):
    """Writes the files, into the mount and beside it, and returns their descriptions."""
    assets = []
    tree = [""]
    for _ in range(options.assets // 100):
        above = rng.choice(tree)
        while above.count("/") > 3: above = rng.choice(tree)
        tree.append(os.path.join(above, "_".join(some(1, 2)) + str(len(tree))))
        for root in (folders, plain):
            os.makedirs(os.path.join(root, tree[-1]), exist_ok=True)
    for number in range(options.assets):
        asset = Asset()
        asset.folder = rng.choice(tree)
        asset.is_image = number < options.images
        asset.name = f"{'-'.join(some(1, 3))}_{number}.{'png' if asset.is_image else 'txt'}"
        asset.width, asset.height = (rng.randint(1, 8000), rng.randint(1, 6000)) if asset.is_image else (None, None)
        if asset.is_image:
            content = png(asset.width, asset.height, number)
        else:
            # One in twenty has the content of another.
            content = (f"text {rng.randrange(max(1, number)) if rng.random() < 0.05 else number}\n" + "x" * int(rng.paretovariate(0.7) * 10 % 20000)).encode()
        asset.content, asset.size = content, len(content)
        fields = {}
        if rng.random() < 0.6: fields["caption"] = " ".join(some(3, 12))
        if rng.random() < 0.4: fields["title"] = " ".join(some(1, 4)).title()
        if rng.random() < 0.5: fields["keywords"] = ",".join(some(1, 6))
        if rng.random() < 0.2: fields["description"] = " ".join(some(10, 40))
        if rng.random() < 0.2: fields["camera_model"] = rng.choice(["EOS 5D", "Z 6II", "X-T4", "iPhone 15"])
        if rng.random() < 0.2: fields["photographer"] = " ".join(some(2, 2)).title()
        if rng.random() < 0.2: fields["rank"] = str(rng.randint(-2, 10))
        if rng.random() < 0.1: fields["gps"] = f"{rng.uniform(-60, 70):.4f},{rng.uniform(-179, 179):.4f}"
        if rng.random() < 0.3:
            fields["captured_at"] = f"{rng.randint(1990, 2025)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:00:00Z"
        if rng.random() < 0.1: fields["access"] = rng.choice(["PRIVATE", "PUBLIC_INDEXABLE", "HIDDEN_PRIVATE", "SENSITIVE"])
        asset.fields = fields
        path = os.path.join(folders, asset.folder, asset.name)
        for target in (path, os.path.join(plain, asset.folder, asset.name)):
            with open(target, "wb") as file: file.write(content)
        for key, value in fields.items(): os.setxattr(path, "user.asset." + key, value.encode())
        asset.id = int(os.getxattr(path, "user.asset.id"))
        asset.made = time.time()
        asset.tokens = {column: tokens(text) for column, text in {
            "name": asset.name, "title": fields.get("title", ""), "caption": fields.get("caption", ""), "keywords": fields.get("keywords", ""),
            "description": fields.get("description", ""), "camera": fields.get("camera_model", ""), "credit": fields.get("photographer", "")}.items()}
        asset.words = {word for list_ in asset.tokens.values() for word in list_}
        assets.append(asset)
    return assets, tree


# Each returns a part of a query, and a function that returns whether an asset matches.
def has_phrase(asset, phrase, prefix, column=None):
    for name, list_ in asset.tokens.items():
        if column and name != column: continue
        for start in range(len(list_) - len(phrase) + 1):
            part = list_[start:start + len(phrase)]
            if part[:-1] == phrase[:-1] and (part[-1].startswith(phrase[-1]) if prefix else part[-1] == phrase[-1]): return True
    return False


def word_term():
    word = rng.choices(words, weights)[0]
    found = tokens(word)
    return word, lambda a: found[0] in a.words if len(found) == 1 else has_phrase(a, found, False)


def prefix_term():
    word = rng.choice(words)[:rng.randint(3, 5)]
    found = tokens(word)
    return word + "*", lambda a: any(w.startswith(found[0]) for w in a.words)


def phrase_term(assets):
    while True:
        asset = rng.choice(assets)
        text = asset.fields.get("caption")
        if text:
            list_ = text.split()
            start = rng.randrange(len(list_) - 1)
            phrase = " ".join(list_[start:start + 2])
            return f'"{phrase}"', lambda a: has_phrase(a, tokens(phrase), False)


def column_term():
    column, word = rng.choice(["title", "caption", "keywords", "name", "camera"]), rng.choices(words, weights)[0]
    if column == "camera": word = "iPhone"
    return f"{column}:{word}", lambda a: has_phrase(a, tokens(word), False, column)


def number_term():
    key = rng.choice(["size", "width", "height", "rank"])
    value = {"size": lambda a: a.size, "width": lambda a: a.width, "height": lambda a: a.height, "rank": lambda a: int(a.fields["rank"]) if "rank" in a.fields else None}[key]
    limit = rng.choice([0, 1, 5, 30, 1000, 4000])
    sign = rng.choice([">", "<", ">=", "<=", ""])
    compare = {">": lambda x: x > limit, "<": lambda x: x < limit, ">=": lambda x: x >= limit, "<=": lambda x: x <= limit, "": lambda x: x == limit}[sign]
    return f"{key}:{sign}{limit}", lambda a: value(a) is not None and compare(value(a))


def date_term():
    year, month = rng.randint(1990, 2025), rng.randint(1, 12)
    key = rng.choice(["after", "before", "date"])
    text = f"{year}-{month:02}"
    def when(a): return a.fields["captured_at"][:7] if "captured_at" in a.fields else time.strftime("%Y-%m", time.gmtime(a.made))
    return f"{key}:{text}", {"after": lambda a: when(a) >= text, "before": lambda a: when(a) < text, "date": lambda a: when(a) == text}[key]


def type_term():
    kind = rng.choice(["image", "text", "png", "video"])
    return f"type:{kind}", {"image": lambda a: a.is_image, "png": lambda a: a.is_image, "text": lambda a: not a.is_image, "video": lambda a: False}[kind]


def access_term():
    kind = rng.choice(["private", "public"])
    return f"access:{kind}", {"private": lambda a: a.fields.get("access") in ("PRIVATE", "SENSITIVE"), "public": lambda a: a.fields.get("access") == "PUBLIC_INDEXABLE"}[kind]


def duplicate_term(contents):
    return "duplicate:yes", lambda a: contents[a.content] > 1


def folder_term(tree):
    folder = rng.choice(tree[1:])
    return "in:" + folder.replace("/", "%2F"), lambda a: a.folder == folder or a.folder.startswith(folder + "/")


def near_term(assets):
    asset = rng.choice([a for a in assets if "gps" in a.fields])
    lat, lon = map(float, asset.fields["gps"].split(","))
    km = rng.choice([10, 200, 2000])
    def distance(a):
        other = map(math.radians, map(float, a.fields["gps"].split(",")))
        p, q = (math.radians(lat), math.radians(lon)), tuple(other)
        h = math.sin((q[0] - p[0]) / 2) ** 2 + math.cos(p[0]) * math.cos(q[0]) * math.sin((q[1] - p[1]) / 2) ** 2
        return 2 * 6371.0088 * math.asin(min(1, math.sqrt(h)))
    return f"near:{lat},{lon},{km}km", lambda a: "gps" in a.fields and distance(a) <= km


def query(assets, tree, contents):
    makers = ([word_term] * 6 + [prefix_term, column_term, column_term, number_term, date_term, type_term, access_term] + [lambda: phrase_term(assets)] * 2
              + [lambda: duplicate_term(contents), lambda: folder_term(tree), lambda: folder_term(tree), lambda: near_term(assets)])
    terms = [rng.choice(makers)() for _ in range(rng.randint(1, 3))]
    text, test = terms[0]
    for word, other in terms[1:]:
        how = rng.random()
        if how < 0.15:
            text, test = f"({text} OR {word})", (lambda a, t=test, o=other: t(a) or o(a))
        elif how < 0.3:
            text, test = f"{text} -{word}", (lambda a, t=test, o=other: t(a) and not o(a))
        else:
            text, test = f"{text} {word}", (lambda a, t=test, o=other: t(a) and o(a))
    # The longest name of a directory.
    return (text, test) if len(text.encode()) <= 255 else query(assets, tree, contents)


def compare(queries, listed):
    wrong = 0
    for text, test, found in queries:
        expected = array.array("q", sorted(a.id for a in listed if test(a)))
        if found != expected:
            wrong += 1
            print(f"differs: {text}: {len(found)} found, {len(expected)} expected", flush=True)
    return wrong


def main():
    scratch = tempfile.mkdtemp(prefix="assetfs-search-", dir="/var/tmp")
    mount, plain = f"{scratch}/mount", f"{scratch}/plain"
    os.mkdir(mount), os.mkdir(plain)
    subprocess.run([options.binary, "mount", f"{scratch}/library", mount], check=True)
    try:
        began = time.time()
        assets, tree = build(f"{mount}/folders", plain)
        print(f"{len(assets)} assets in {len(tree)} folders, described: {time.time() - began:.0f} s", flush=True)
        began = time.time()
        subprocess.run([options.binary, "jobs", "--wait", mount], check=True, stdout=subprocess.DEVNULL)
        print(f"all looked into: {time.time() - began:.0f} s more", flush=True)
        began = time.time()
        os.listdir(f"{mount}/search/nothingatall")
        print(f"the first search, which brings the rest of the changes into the index: {time.time() - began:.2f} s; "
              f"search.sqlite has {os.path.getsize(f'{scratch}/library/search.sqlite') >> 20} MiB", flush=True)
        contents = {}
        for asset in assets: contents[asset.content] = contents.get(asset.content, 0) + 1
        listed = [a for a in assets if not a.fields.get("access", "").startswith("HIDDEN")]
        times, sizes, queries = [], [], []
        for _ in range(options.queries):
            text, test = query(assets, tree, contents)
            began = time.perf_counter()
            found = os.listdir(f"{mount}/search/{text}")
            times.append((time.perf_counter() - began, len(found), text))
            sizes.append(len(found))
            queries.append((text, test, array.array("q", sorted(int(name.split("-", 1)[0]) for name in found))))
        # Afterwards, by two processes: it takes far longer than the searches.
        child = os.fork()
        wrong = compare(queries[(0 if child else 1)::2], listed)
        if not child: os._exit(min(wrong, 250))
        wrong += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seconds = sorted(t for t, _, _ in times)
        few = sorted(t for t, n, _ in times if n <= 100)
        print(f"{options.queries} random queries, {wrong} of them with other results than a search through everything; "
              f"results: median {statistics.median(sizes):.0f}, most {max(sizes)}")
        print(f"listed: median {seconds[len(seconds) // 2] * 1000:.1f} ms, 99 of 100 within {seconds[len(seconds) * 99 // 100] * 1000:.1f} ms, "
              f"worst {seconds[-1] * 1000:.1f} ms ({max(times)[1]} results: {max(times)[2]})")
        print(f"the {len(few)} of them with at most 100 results: median {few[len(few) // 2] * 1000:.1f} ms, worst {few[-1] * 1000:.1f} ms")
        finds = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(["find", plain, "-name", f"*{rng.choice(words)}*"], check=True, stdout=subprocess.DEVNULL)
            finds.append(time.perf_counter() - began)
        print(f"find -name on the disk's own filesystem, everything in its caches: median {statistics.median(finds) * 1000:.0f} ms; "
              f"ratio to the median search {statistics.median(finds) / seconds[len(seconds) // 2]:.0f}")
        return 1 if wrong else 0
    finally:
        subprocess.run([options.binary, "umount", mount], check=True)
        subprocess.run(["rm", "-rf", scratch], check=True)


sys.exit(main())
