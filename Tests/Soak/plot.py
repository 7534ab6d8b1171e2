#!/usr/bin/env python3
"""Draws the samples of a soak. `make soak` calls it with the Python that has matplotlib:

    plot.py soak.csv docs/soak.png
"""
import csv, sys
import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot

with open(sys.argv[1], newline="") as file: rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
minutes = [row["seconds"] / 60 for row in rows]


def series(key, scale=1.0): return [row[key] / scale for row in rows]


def rate(seconds=30):
    """Returns the steps of the clients per second, as the mean of the last half minute."""
    result = []
    for index, row in enumerate(rows):
        first = rows[max(0, index - seconds)]
        result.append((row["steps"] - first["steps"]) / max(1.0, row["seconds"] - first["seconds"]))
    return result


figure, places = pyplot.subplots(4, 1, figsize=(10, 11), sharex=True, constrained_layout=True)
memory, open_files, size, load = places
memory.plot(minutes, series("resident", 1024), label="daemon, resident")
memory.plot(minutes, series("anonymous", 1024), label="daemon, anonymous")
memory.plot(minutes, series("workers_anonymous", 1024), label="workers together, anonymous", linewidth=0.8)
memory.set_ylabel("MiB")
open_files.plot(minutes, series("descriptors"), label="daemon, descriptors")
open_files.plot(minutes, series("threads"), label="daemon, threads")
open_files.plot(minutes, series("workers"), label="workers", linewidth=0.8)
size.plot(minutes, series("catalog", 1024), label="catalog.sqlite, MiB")
size.plot(minutes, series("search", 1024), label="search.sqlite, MiB")
load.plot(minutes, rate(), label="steps of the clients a second")
load.set_xlabel("minutes")
for place in places:
    place.set_ylim(bottom=0)
    place.legend(loc="upper left")
    place.grid(alpha=0.3)
    for before, row in zip(rows, rows[1:]):
        if row["mount"] != before["mount"]: place.axvline(row["seconds"] / 60, color="grey", linewidth=0.5)
figure.suptitle("make soak: each grey line is an unmount and a mount")
figure.savefig(sys.argv[2], dpi=90)
