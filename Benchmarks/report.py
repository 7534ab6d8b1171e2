"""The results of a run of compare.py, as tables, JSON, a plot and a line of the history."""
import collections
import json
import os
import statistics
import sys
import time

KINDS = ("client", "requests", "background", "workers")
COUNTS = {
    "requests": "requests", "statements": "SQL statements", "background statements": "in background", "calls": "system calls",
    "background calls": "in background", "wakes": "own wakes",
}


class Counts(dict):
    """Counts of each kind, by name, for each file, call or MiB."""

    def __init__(self, serving, units):
        self.serving, self.units = serving, units

    def add(self, kind, counts):
        self[kind] = {name: count / self.units for name, count in counts.items()}

    def add_by_thread(self, kind, counts):
        """Adds counts by thread and name: those of the serving threads and, separately, those of
        background threads."""
        parts = {True: collections.Counter(), False: collections.Counter()}
        for (thread, name), count in counts.items():
            parts[thread in self.serving][name] += count
        self.add(kind, parts[True])
        self.add(f"background {kind}", parts[False])


def size(about):
    return f"{about['files']:,} files of 4 KiB, {about['mebibytes']} MiB, {about['calls']:,} calls"


def cell(value, digits=3):
    return "–" if value is None else f"{value:,.{digits}f}"


def table(title, columns, rows):
    """Returns a table: rows are a step and its cells."""
    widths = [max(11, len(column) + 2) for column in columns]
    lines = [title] + [
        f"{step:20}" + "".join(f"{text:>{width}}" for text, width in zip(cells, widths, strict=True))
        for step, cells in [("", columns), *rows]]
    return "\n".join(lines)


class Results:
    """The figures of a run: `times` has a list of rounds for each filesystem, `counts` one visit of each."""

    def __init__(self, **about):
        self.about = {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "load": [os.getloadavg()[0]], **about}
        self.times, self.counts = {}, {}

    def add_times(self, name, visit):
        self.times.setdefault(name, []).append(visit)
        self.about["load"].append(os.getloadavg()[0])

    def add_counts(self, name, visit):
        self.counts[name] = visit

    def end(self):
        self.steps = list(next(iter(self.times.values()))[0])
        self.about["load"] = [round(load, 1) for load in self.about["load"]]

    def median(self, name, step, *kinds):
        return statistics.median(sum(visit[step][kind] for kind in kinds) for visit in self.times[name])

    def ratio(self, name, other, step):
        """Returns the median of the ratios within the rounds, in which both had the same load of the
        machine."""
        if other not in self.times:
            return None
        return statistics.median(
            mine[step]["seconds"] / theirs[step]["seconds"] for mine, theirs in zip(self.times[name], self.times[other], strict=True))

    def count(self, name, step, *kinds):
        """Returns the count of some kinds for each file; None if they were not counted."""
        counts = self.counts.get(name, {}).get(step, {})
        return sum(sum(counts[kind].values()) for kind in kinds) if all(kind in counts for kind in kinds) else None

    def tables(self):
        names = self.about["assetfs"]
        parts = [self.title(), self.seconds(), self.cpu(), *map(self.costs, names), self.counted("Requests", "requests"),
                 self.counted("System calls", "calls", "background calls")]
        return "\n\n".join(part for part in parts if part)

    def table(self, title, columns, cells):
        """Returns a table with the cells that a function makes for each step."""
        return table(title, columns, [(step, cells(step)) for step in self.steps])

    def title(self):
        about, load = self.about, self.about["load"]
        return (f"{size(about)}; {about['rounds']} rounds on {about['machine']}, commit {about['commit']}, "
                f"load {min(load)} to {max(load)}")

    def seconds(self):
        names, measured = list(self.times), self.about["assetfs"]
        pairs = [(name, other) for name in measured for other in ("ext4", "bindfs") if other in names]
        pairs += [(name, measured[0]) for name in measured[1:]]

        def cells(step):
            medians = [cell(self.median(name, step, "seconds")) for name in names]
            return medians + [cell(self.ratio(*pair, step), 2) for pair in pairs]

        title = "Seconds, medians; the ratios are the medians of those within the rounds"
        return self.table(title, names + ["/".join(pair) for pair in pairs], cells)

    def cpu(self):
        title = "µs of CPU of client and daemon together for each file, call or MiB, medians"
        return self.table(title, self.times, lambda step: [cell(1e6 * self.median(name, step, *KINDS), 1) for name in self.times])

    def costs(self, name):
        counted = [kind for kind in COUNTS if any(self.count(name, step, kind) is not None for step in self.steps)]

        def cells(step):
            cpu = [cell(1e6 * self.median(name, step, kind), 1) for kind in KINDS]
            return [*cpu, cell(self.median(name, step, "switches"), 2), *(cell(self.count(name, step, kind), 2) for kind in counted)]

        title = f"{name}, for each file, call or MiB: µs of CPU by who spends them, voluntary context switches, and counts"
        return self.table(title, [*KINDS, "context switches", *(COUNTS[kind] for kind in counted)], cells)

    def counted(self, title, *kinds):
        """Returns a table of a count for all filesystems; None if none was counted."""
        if not any(self.count(name, self.steps[0], *kinds) is not None for name in self.counts):
            return None
        title += " for each file, call or MiB"
        return self.table(title, self.counts, lambda step: [cell(self.count(name, step, *kinds), 2) for name in self.counts])

    def write(self, path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        medians = {name: {step: self.median(name, step, "seconds") for step in self.steps} for name in self.times}
        with open(path, "w") as file:
            json.dump({**self.about, "seconds": rounded(medians), "times": rounded(self.times), "counts": rounded(self.counts)}, file,
                      indent=1)
            file.write("\n")

    def line(self, name):
        """Returns the figures of one assetfs that the history keeps."""
        def of(figure):
            found = {step: figure(step) for step in self.steps}
            return {step: value for step, value in found.items() if value is not None}

        figures = {
            "seconds": of(lambda step: self.median(name, step, "seconds")), "ext4": of(lambda step: self.ratio(name, "ext4", step)),
            "bindfs": of(lambda step: self.ratio(name, "bindfs", step)),
            "cpu": of(lambda step: 1e6 * self.median(name, step, *KINDS)),
            "switches": of(lambda step: self.median(name, step, "switches")),
            **{kind: of(lambda step, kind=kind: self.count(name, step, kind)) for kind in COUNTS},
        }
        load = self.about["load"]
        about = {key: self.about[key] for key in ("date", "commit", "mode", "machine", "files", "rounds")}
        return {**about, "load": [min(load), max(load)], **rounded(figures)}


def rounded(value):
    """Returns figures with four significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}")


def plot(results, path):
    """Plots the times of each step as multiples of those of ext4."""
    try:
        import matplotlib
    except ImportError:
        print("no plot: there is no matplotlib; `make bench` installs it", file=sys.stderr)
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    names = [name for name in results.times if name != "ext4"]
    if len(names) == len(results.times):
        print("no plot: ext4 was left out", file=sys.stderr)
        return
    figure, axes = pyplot.subplots(figsize=(9, 0.45 * len(results.steps) * (1 + len(names) / 4)), layout="constrained")
    colors = ["#9aa7b2", "#c9b458", "#b58a63", "#2f6fb0", "#1b9e77", "#d95f02"]
    peers = [name for name in names if name not in results.about["assetfs"]]
    shades = dict(zip(peers, colors, strict=False)) | dict(zip(results.about["assetfs"], colors[3:] * len(names), strict=False))
    height = 0.84 / len(names)
    for index, name in enumerate(names):
        ratios = [results.ratio(name, "ext4", step) for step in results.steps]
        places = [row + (index - (len(names) - 1) / 2) * height for row in range(len(results.steps))]
        bars = axes.barh(places, ratios, height, label=name, color=shades[name])
        axes.bar_label(bars, [f"{ratio:.1f}" for ratio in ratios], padding=2, fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(results.steps)), results.steps)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.08, y=0.01)
    axes.set_xlabel("times as long as ext4 (less is better)")
    about = results.about
    axes.set_title(f"{size(about)}; commit {about['commit']}, {about['date'][:10]}", fontsize=10)
    axes.legend(loc="upper right", fontsize=8)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    print(f"The picture is {path}.")
