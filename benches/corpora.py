#!/usr/bin/env python3
"""Duty: make the data that backups are measured on. The same seed and scale always give the same bytes.

usage: corpora.py DIR [--only NAME[,NAME]] [--scale X] [--seed N] [--jobs N]

Each corpus becomes a folder of its own below DIR; one that exists already is left alone.
  small-files     50,000 files, 790 MB: source text, JSON, configuration, prose and some binaries in nested folders
  dumps           7 daily plain-text database dumps, 195 MB each; batches change 3 % of the rows a day and add some
  random          1 GiB of bytes in which nothing repeats and nothing compresses
  vm-image        a disk image of 8 GiB, holes but for 1 GiB of data in runs
  huge-directory  200,000 tiny files in one folder
  versions        6 successive releases of a source tree of 4,000 files, each as a tar archive
"""
import argparse
import bisect
import io
import itertools
import multiprocessing
import os
import random
import shutil
import tarfile
import time

from writer import STEMS, Writer

MIB = 1 << 20
EPOCH = 1_700_000_000  # every generated file's time lies in the year before this

KINDS = [("source", "rs"), ("json", "json"), ("prose", "md"), ("config", "conf"), ("machine", "o"), ("packed", "png")]
KIND_ODDS = list(itertools.accumulate((62, 13, 12, 8, 3.5, 1.5)))
writer = None


def put(path, data, moment):
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (moment, moment))


def spread(jobs, seed, work, tasks, chunk=1):
    """Does the tasks on all processors and gives their results in order."""
    global writer
    writer = Writer(seed)  # the workers inherit it by the fork
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(work, tasks, chunk)


def small_file(task):
    folder, number, seed = task
    rng = random.Random(f"place {seed} {number}")
    # One file in sixteen is a copy of another, as licences and vendored sources are.
    origin = rng.randrange(number) if number and rng.random() < 1 / 16 else number
    rng = random.Random(f"file {seed} {origin}")
    kind, suffix = rng.choices(KINDS, cum_weights=KIND_ODDS)[0]
    size = int(min(max(rng.lognormvariate(8.44, 1.58), 40), 2_000_000))
    data = getattr(writer, kind)(rng, size)
    put(f"{folder}/{rng.choice(STEMS)}_{number}.{suffix}", data, EPOCH - number * 600)


def small_files(out, scale, seed, jobs):
    count = max(20, int(50_000 * scale))
    rng = random.Random(f"folders {seed}")
    folders = [out]
    for number in range(1, count // 20):
        above = folders[max(0, number // 4 - rng.randrange(3))]
        folders.append(f"{above}/{rng.choice(STEMS)}{number % 100}")
        os.makedirs(folders[-1], exist_ok=True)
    tasks = ((folders[n // 20 % len(folders)], n, seed) for n in range(count))
    for _ in spread(jobs, seed, small_file, tasks, 50):
        pass


ROWS = 2_000  # rows in a block: batch jobs change whole runs of blocks
DUMP_DAYS = 7


def block_text(task):
    """The rows of one block of a table, in each version that the days give it: [(first day, text)]."""
    table, block, days, seed = task
    rng = random.Random(f"{table} {seed} {block}")
    rows, versions = [None] * ROWS, []
    for day in [0] + days:
        for n in range(ROWS):
            if not day or rng.random() < 0.75:
                key = block * ROWS + n + 1
                if table == "accounts":
                    balance = rng.randint(-5000, 5000) if day or rng.random() < 0.02 else 0
                    rows[n] = f"{key}\t{block // 50 + 1}\t{balance}\t{'':84}\n"
                else:
                    state = rng.choice(("new", "paid", "sent", "done", "done", "done"))
                    minute, day_of_year = n * 1440 // ROWS, f"{block // 28 % 12 + 1:02}-{block % 28 + 1:02}"
                    when = f"2024-{day_of_year} {minute // 60:02}:{minute % 60:02}:{rng.randrange(60):02}+00"
                    rows[n] = f"{key}\t{rng.randrange(9000)}\t{when}\t{state}\t{rng.randrange(400)}.00\n"
        versions.append((day, "".join(rows).encode()))
    return table, block, versions


def dumps(out, scale, seed, jobs):
    rng = random.Random(f"days {seed}")
    sizes = {"accounts": max(4, int(900 * scale)), "orders": max(4, int(170 * scale))}
    history, born = {}, {}  # (table, block) -> days of change, first day
    for table, size in sizes.items():
        for day in range(DUMP_DAYS):
            if day:
                touched = max(1, int(size * 0.04))
                at = rng.randrange(size - touched)
                for block in range(at, at + touched):
                    history[table, block].append(day)
            fresh = size if not day else max(1, size // 200)
            start = sum(1 for key in born if key[0] == table)
            for block in range(start, start + fresh):
                history[table, block], born[table, block] = [], day
    heads = {"accounts": "aid, bid, abalance, filler", "orders": "id, customer, placed_at, state, amount"}
    files = [open(f"{out}/shop-day{day + 1}.sql", "wb") for day in range(DUMP_DAYS)]
    for file in files:
        file.write(b"--\n-- PostgreSQL database dump\n--\n\nSET client_encoding = 'UTF8';\n")
    table = None
    tasks = [(name, block, history[name, block], seed) for name, block in sorted(history)]
    for name, block, versions in spread(jobs, seed, block_text, tasks, 4):
        for day, file in enumerate(files):
            if name != table:
                file.write(b"\\.\n" if table else b"")
                file.write(f"\nCOPY public.{name} ({heads[name]}) FROM stdin;\n".encode())
            if day >= born[name, block]:
                file.write(versions[bisect.bisect([first for first, _ in versions], day) - 1][1])
        table = name
    for day, file in enumerate(files):
        file.write(b"\\.\n\n--\n-- PostgreSQL database dump complete\n--\n")
        file.close()
        os.utime(file.name, (EPOCH + day * 86_400,) * 2)


def piece(task):
    """Writes one run of bytes of a given kind at its offset in a file."""
    path, offset, size, kind, seed = task
    data = getattr(writer, kind)(random.Random(f"piece {seed} {offset}"), size)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def pieces(path, length, tasks, seed, jobs):
    with open(path, "wb") as file:
        file.truncate(length)
    for _ in spread(jobs, seed, piece, [(path, *task, seed) for task in tasks]):
        pass
    os.utime(path, (EPOCH, EPOCH))


def random_bytes(out, scale, seed, jobs):
    step = 8 * MIB
    count = max(1, int(128 * scale))
    pieces(f"{out}/random.bin", count * step, [(n * step, step, "packed") for n in range(count)], seed, jobs)


def vm_image(out, scale, seed, jobs):
    rng = random.Random(f"image {seed}")
    group, groups, tasks = 128 * MIB, max(1, int(64 * scale)), []
    for n in range(groups):
        tasks.append((n * group, 65536, "machine"))
        run = 4096 * rng.randrange(2048, 6144)  # 8 to 24 MiB
        at = n * group + 65536 + 4096 * rng.randrange((group - run) // 4096 - 32)
        kind = rng.choice(("source", "source", "machine", "packed", "json"))
        tasks += [(at + step, min(MIB, run - step), kind) for step in range(0, run, MIB)]
    pieces(f"{out}/disk.img", groups * group, tasks, seed, jobs)


def tiny(task):
    out, first, count, seed = task
    rng = random.Random(f"tiny {seed} {first}")
    for number in range(first, first + count):
        put(f"{out}/{number:06}.msg", writer.prose(rng, rng.randint(20, 400)), EPOCH - number)


def huge_directory(out, scale, seed, jobs):
    count, step = max(100, int(200_000 * scale)), 500
    tasks = [(out, first, min(step, count - first), seed) for first in range(0, count, step)]
    for _ in spread(jobs, seed, tiny, tasks):
        pass


RELEASES = 6


def source_history(task):
    """One source file in each release that changes it: [(first release, text)]."""
    number, seed = task
    rng = random.Random(f"history {seed} {number}")
    size = int(min(max(rng.lognormvariate(8.44, 1.58), 40), 2_000_000))
    versions = [(0, writer.source(rng, size))]
    for release in range(1, RELEASES):
        if rng.random() < 0.08:
            lines = versions[-1][1].split(b"\n")
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(len(lines))
                lines[at:at + rng.randrange(5)] = writer.source(rng, rng.randint(40, 400)).split(b"\n")
            versions.append((release, b"\n".join(lines)))
    return f"src/{number % 97:02}/{rng.choice(STEMS)}_{number}.rs", versions


def source_releases(out, scale, seed, jobs):
    count = max(20, int(4_000 * scale))
    paths = [f"{out}/release-{release + 1}.tar" for release in range(RELEASES)]
    archives = [tarfile.open(path, "w") for path in paths]
    for name, versions in spread(jobs, seed, source_history, ((n, seed) for n in range(count)), 20):
        for release, archive in enumerate(archives):
            first, text = [version for version in versions if version[0] <= release][-1]
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(text), EPOCH + first * 86_400
            archive.addfile(member, io.BytesIO(text))
    for release, (path, archive) in enumerate(zip(paths, archives)):
        archive.close()
        os.utime(path, (EPOCH + release * 86_400,) * 2)


CORPORA = {"small-files": small_files, "dumps": dumps, "random": random_bytes, "vm-image": vm_image,
           "huge-directory": huge_directory, "versions": source_releases}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir")
    parser.add_argument("--only", default=",".join(CORPORA), help="names, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="0.01 makes a hundredth of the data")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()
    names = args.only.split(",")
    for name in names:
        if name not in CORPORA:
            parser.error(f"no corpus is called {name}; there are {', '.join(CORPORA)}")
    for name in names:
        out = os.path.join(args.dir, name)
        if os.path.exists(out):
            print(f"{name}: exists already, left alone")
            continue
        began, making = time.monotonic(), out + ".making"  # renamed when whole, so that a stopped run leaves no half
        shutil.rmtree(making, ignore_errors=True)
        os.makedirs(making)
        CORPORA[name](making, args.scale, args.seed, args.jobs)
        os.rename(making, out)
        sizes = [os.lstat(os.path.join(at, file)) for at, _, files in os.walk(out) for file in files]
        print(f"{name}: {len(sizes)} files, {sum(s.st_size for s in sizes) / 1e6:.1f} MB, "
              f"{sum(s.st_blocks for s in sizes) * 512 / 1e6:.1f} MB allocated, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
