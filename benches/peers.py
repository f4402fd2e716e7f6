#!/usr/bin/env python3
"""Duty: measure ssb beside restic, rustic and borg on one corpus, tool after tool, in one run.

usage: peers.py CORPUS [--tools A,B] [--rounds N] [--work DIR] [--only-stages A,B] [--limit PROGRAM] [--out FILE]

Every tool gets, in every round, a fresh copy of CORPUS, a fresh repository and a fresh cache, all below the work folder
(memory by default, so that no disk is measured), and goes through the stages in this order:
  cold       the first backup into an empty repository
  unchanged  the next one, nothing touched
  re-read    after every modification time was set to now, so that all contents must be read, none be stored
  changed    after one file in a hundred, at least one, got a line appended
  restore    the latest backup into an empty folder, which must then equal the source byte for byte
  check      verification that reads all stored data
  prune      forget all but the latest backup and free all that nothing refers to
`cold` always runs, for the others need it. Per stage: wall time, processor time (user + system, with all children) and
the peak memory of the largest single process (the kernel keeps no sum over processes). A stage that fails, or restores
wrong data, is marked "!" and makes the exit status 1. RESTIC, RUSTIC, BORG and SSB in the environment say where the
tools are, else PATH does.
"""
import argparse
import filecmp
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

PASSWORD = "only ever used for benchmarks"
STAGES = ("cold", "unchanged", "re-read", "changed", "restore", "check", "prune")

# The commands of a stage run one after the other. Filled in: {src}, {out}, {repo}, {cache}, {n} (number of the backup).
TOOLS = {
    "restic": dict(
        env=dict(RESTIC_REPOSITORY="{repo}", RESTIC_PASSWORD=PASSWORD, RESTIC_CACHE_DIR="{cache}"),
        version=["version"],
        init=[["init", "-q"]],
        backup=[["backup", "-q", "{src}"]],
        restore=[["restore", "-q", "latest", "--target", "{out}"]],
        sparse="--sparse",
        check=[["check", "-q", "--read-data"]],
        prune=[["forget", "-q", "--keep-last", "1", "--prune", "--max-unused", "0"]]),
    "rustic": dict(
        env=dict(RUSTIC_REPOSITORY="{repo}", RUSTIC_PASSWORD=PASSWORD, RUSTIC_CACHE_DIR="{cache}",
                 RUSTIC_NO_PROGRESS="true", RUSTIC_LOG_LEVEL="warn"),
        version=["--version"],
        init=[["init"]],
        backup=[["backup", "{src}"]],
        restore=[["restore", "latest", "{out}"]],
        sparse="--sparse=by-content",
        check=[["check", "--read-data"]],
        # Otherwise rustic rewrites no more than a tenth, and only marks packs that a later run frees.
        prune=[["forget", "--keep-last", "1", "--prune", "--max-unused", "0", "--max-repack", "unlimited",
                "--instant-delete"]]),
    "borg": dict(
        env=dict(BORG_REPO="{repo}", BORG_PASSPHRASE=PASSWORD, BORG_BASE_DIR="{cache}"),
        version=["--version"],
        init=[["init", "-e", "repokey-blake2"]],
        backup=[["create", "-C", "zstd,3", "::b{n}", "{src}"]],
        restore=[["extract", "::b{n}"]],  # into the current folder
        sparse="--sparse",
        check=[["check", "--verify-data"]],
        prune=[["prune", "--keep-last", "1"], ["compact", "--threshold", "0"]]),
    "ssb": dict(
        env=dict(SSB_REPOSITORY="{repo}", SSB_PASSWORD=PASSWORD, SSB_CACHE_DIR="{cache}"),
        version=["--version"],
        init=[["init"]],
        backup=[["backup", "-q", "{src}"]],
        restore=[["restore", "-q", "latest", "--target", "{out}"]],
        check=[["check", "-q", "--read-data"]],
        prune=[["forget", "-q", "--keep-last", "1", "--prune", "--max-unused", "0"]]),
}

# A process inherits the peak memory of the one that started it. So a bare interpreter, smaller than any of the tools,
# starts each command and reports on it, not this program, which walks large trees.
STARTER = """
import os, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
began = time.monotonic()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)])
_, status, used = os.wait4(pid, 0)
print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
"""
FOREIGN = ("RESTIC_", "RUSTIC_", "BORG_", "SSB_", "AWS_", "OPENDAL_")


def measured(argv, env, cwd, log):
    """Runs one command and says what it took: wall and processor seconds, peak MiB, exit status."""
    starter = subprocess.Popen([sys.executable, "-I", "-S", "-c", STARTER, log, *argv], env=env, cwd=cwd,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        report, _ = starter.communicate()
    except BaseException:  # an interrupt must not leave the tool at work behind
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()
        raise
    if starter.returncode:
        sys.exit(f"{argv[0]} could not be started")
    wall, cpu, peak, status = report.split()
    if int(status):
        with open(log, errors="replace") as file:
            print(f"exit status {status}: {' '.join(argv)}\n{file.read()[-2000:]}", file=sys.stderr)
    return dict(wall=float(wall), cpu=float(cpu), peak=int(peak) / 1024, failed=int(status) != 0)


def files_below(root):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(root) for name in names)


def measure(root):
    """Files, their bytes, and the bytes that the filesystem holds for them."""
    stats = [os.lstat(path) for path in files_below(root)]
    return len(stats), sum(s.st_size for s in stats), sum(s.st_blocks for s in stats) * 512


def touch(root):
    for path in files_below(root):
        os.utime(path, follow_symlinks=False)


def append(root):
    for path in files_below(root)[::100]:
        if not os.path.islink(path):
            with open(path, "ab") as file:
                file.write(b"one more line\n")


def differs(src, out):
    """Why the tree at src was not restored below out, wherever there the tool put it; None if it was."""
    parts, wanted = src.strip("/").split("/"), set(os.listdir(src))
    places = [os.path.join(out, *parts[skip:]) for skip in range(len(parts) + 1)]
    place = next((p for p in places if os.path.isdir(p) and set(os.listdir(p)) == wanted), None)
    if place is None:
        return "the source folder is not there"
    if measure(src)[:2] != measure(out)[:2]:
        return f"files and bytes are {measure(out)[:2]}, should be {measure(src)[:2]}"
    for path in files_below(src):
        other = place + path[len(src):]
        if not os.path.exists(other) or not filecmp.cmp(path, other, shallow=False):
            return f"{other} is missing or has other contents"
    return None


class Trial:
    """One tool in one round, in a folder of its own that goes away with it."""

    def __init__(self, tool, corpus, work):
        self.spec, self.exe = TOOLS[tool], executable(tool)
        self.home = tempfile.mkdtemp(prefix=f"bench-{tool}-", dir=work)
        self.names = {name: f"{self.home}/{name}" for name in ("src", "out", "repo", "cache")} | {"n": 0}
        clean = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
        own = {key: value.format(**self.names) for key, value in self.spec["env"].items()}
        self.env = clean | own | {"HOME": self.home}
        subprocess.run(["cp", "-a", corpus, self.names["src"]], check=True)
        _, size, held = measure(self.names["src"])
        self.sparse = held < size // 2

    def do(self, stage, cwd=None):
        """All commands of a stage: times add up, the peak is the largest one's."""
        self.names["n"] += stage == "backup"
        runs = []
        for command in self.spec[stage]:
            argv = [self.exe, *(word.format(**self.names) for word in command)]
            if stage == "restore" and self.sparse and "sparse" in self.spec:
                argv.insert(2, self.spec["sparse"])
            runs.append(measured(argv, self.env, cwd, f"{self.home}/log"))
        return dict(wall=sum(r["wall"] for r in runs), cpu=sum(r["cpu"] for r in runs),
                    peak=max(r["peak"] for r in runs), failed=any(r["failed"] for r in runs))

    def run(self, stages):
        src, out, repo = (self.names[name] for name in ("src", "out", "repo"))
        result = {}
        if self.do("init")["failed"]:
            sys.exit("no repository, no benchmark")
        for stage in stages:
            if stage == "re-read":
                touch(src)
            if stage == "changed":
                append(src)
            if stage in ("cold", "unchanged", "re-read", "changed"):
                before = measure(repo)[1]
                result[stage] = self.do("backup")
                result[stage]["added"] = (measure(repo)[1] - before) / 1e6
            elif stage == "restore":
                os.mkdir(out)
                result[stage] = self.do("restore", cwd=out)
                wrong = differs(src, out)
                if wrong:
                    print(f"restore of {self.exe}: {wrong}", file=sys.stderr)
                    result[stage]["failed"] = True
                shutil.rmtree(out)
            else:
                result[stage] = self.do(stage)
            if stage in ("cold", "prune"):
                result[stage]["repository"] = measure(repo)[1] / 1e6
        return result


def executable(tool):
    path = shutil.which(os.environ.get(tool.upper(), tool))
    if path is None:
        sys.exit(f"{tool} was not found: name it in {tool.upper()}, or leave it out with --tools")
    return os.path.abspath(path)


def version(tool):
    return subprocess.run([executable(tool), *TOOLS[tool]["version"]], stdout=subprocess.PIPE, text=True).stdout.strip()


def limit_round(program, corpus, work):
    """What the same kernels take without any bookkeeping: the floor below every tool."""
    home = tempfile.mkdtemp(prefix="bench-limit-", dir=work)
    try:
        whole = measured([program, corpus, f"{home}/w"], dict(os.environ), home, f"{home}/log")
        with open(f"{home}/log") as file:
            seen = {key: float(value) for key, value in re.findall(r"([a-z]+) ([0-9.]+)", file.read())}
    finally:
        shutil.rmtree(home)
    kinds = {"cold": "cold", "unchanged": "walk", "re-read": "reread", "restore": "restore", "check": "check",
             "prune": "prune"}
    result = {stage: dict(wall=seen[key], failed=whole["failed"]) for stage, key in kinds.items() if key in seen}
    if "cold" in result:
        result["cold"]["repository"] = seen["size"]
    return result


def median(rounds, stage, figure):
    values = [r[stage][figure] for r in rounds if figure in r.get(stage, {})]
    return statistics.median(values) if values else None


def tables(results, stages):
    """Three Markdown tables, of wall time with the sizes, of processor time and of peak memory."""
    def text(value, places):
        return "" if value is None else f"{value:,.{places}f}"
    for title, figure, places in (("wall s", "wall", 2), ("processor s", "cpu", 2), ("peak MiB", "peak", 0)):
        sizes = ["repository MB", "added by changed MB"] if figure == "wall" else []
        yield f"| {title} | " + " | ".join([*stages, *sizes]) + " |\n|" + "---|" * (1 + len(stages) + len(sizes))
        for tool, rounds in results.items():
            cells = [text(median(rounds, s, figure), places) for s in stages]
            cells = [c + "!" * any(r.get(s, {}).get("failed", False) for r in rounds) for c, s in zip(cells, stages)]
            if sizes:
                cells += [text(median(rounds, "cold", "repository"), 1), text(median(rounds, "changed", "added"), 2)]
            yield f"| {tool} | " + " | ".join(cells) + " |"
        yield ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", default="/dev/shm")
    parser.add_argument("--only-stages", default=",".join(STAGES))
    parser.add_argument("--limit", help="a program that is run as PROGRAM CORPUS FOLDER and prints its seconds")
    parser.add_argument("--out", help="write every round's figures there as JSON")
    args = parser.parse_args()
    corpus, tools, wanted = os.path.abspath(args.corpus), args.tools.split(","), args.only_stages.split(",")
    if set(tools) - set(TOOLS) or set(wanted) - set(STAGES) or not os.path.isdir(corpus) or args.rounds < 1:
        parser.error("no such tool, stage or corpus, or less than one round")
    stages = [s for s in STAGES if s in wanted or s == "cold"]
    count, size, held = measure(corpus)
    if shutil.disk_usage(args.work).free < 3.2 * held:
        sys.exit(f"{args.work} needs room for the copy, the repository and the restore: {3.2 * held / 1e6:.0f} MB")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the work folder is emptied then too
    versions = {t: version(t) for t in tools}
    results = {t: [] for t in tools} | ({"limit": []} if args.limit else {})
    for turn in range(args.rounds):
        order = tools[turn % len(tools):] + tools[:turn % len(tools)]  # no tool is always the first
        for tool in order:
            print(f"round {turn + 1}: {tool}", file=sys.stderr)
            trial = Trial(tool, corpus, os.path.abspath(args.work))
            try:
                results[tool].append(trial.run(stages))
            finally:
                shutil.rmtree(trial.home, ignore_errors=True)
        if args.limit:
            results["limit"].append(limit_round(os.path.abspath(args.limit), corpus, os.path.abspath(args.work)))
    print(f"{os.path.basename(corpus)}: {count:,} files, {size / 1e6:,.1f} MB; {os.cpu_count()} processors, "
          f"{platform.system()} {platform.release()}; medians of {args.rounds} rounds\n")
    print("\n".join(f"- {line}" for line in versions.values()) + "\n")
    print("\n".join(tables(results, stages)))
    if args.out:
        with open(args.out, "w") as file:
            json.dump(dict(corpus=os.path.basename(corpus), files=count, bytes=size, processors=os.cpu_count(),
                           versions=versions, rounds=results), file, indent=1)
    sys.exit(any(stage["failed"] for rounds in results.values() for r in rounds for stage in r.values()))


if __name__ == "__main__":
    main()
