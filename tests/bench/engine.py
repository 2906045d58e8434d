#!/usr/bin/env python3
"""Forty managed files with nothing to do: `ingot states apply` beside Salt and Ansible.

All three manage forty files of the same content and mode, each in a directory of its own, on this
machine, as whole processes. They are applied once (all forty must change), then run in turn in the
same rounds, and every run must report that nothing changed. Salt runs masterless, Ansible with
pipelining and without gathering facts: each as fast as its documentation makes it.

Needs root, python3-venv, the Python package index for the first run, and the `ingot` binary
($INGOT_BIN, else the one of `cargo build --release`). Nothing outside a temporary directory and
$INGOT_CACHE is written. Prints a table, and writes JSON to target/bench/engine.json.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INPUTS = HERE / "engine"
FILES = 40
ROUNDS = 3
# The fast ones run more often in each round, so that their medians stand as firmly.
RUNS = {"ingot": 7, "salt": 3, "ansible": 1}
TARGETS = {"salt": 50, "ansible": 50}
RSS_LIMIT_MB = 20

SETTINGS = {
    "cluster": "bench",
    "limits": [{"name": f"limit-{n}", "value": n * 1024} for n in range(10)],
}


def fail(text):
    sys.exit(f"engine.py: {text}")


def cache():
    base = os.environ.get("INGOT_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ingot"
    )
    return Path(base) / "bench"


def tool(name, program):
    """The program of a Python package, installed once into an environment of its own."""
    requirements = (INPUTS / f"{name}.txt").read_text()
    home = cache() / name
    stamp = home / "installed.txt"
    if not stamp.exists() or stamp.read_text() != requirements:
        print(f"installing {name} from the package index", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", home], capture_output=True, text=True)
        if made.returncode != 0:
            fail(f"cannot make a Python environment; is python3-venv installed?\n{made.stdout}")
        pip = [home / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", INPUTS / f"{name}.txt"], check=True)
        stamp.write_text(requirements)
    return home / "bin" / program


def ingot():
    path = os.environ.get("INGOT_BIN") or ROOT / "target/x86_64-unknown-linux-gnu/release/ingot"
    if not Path(path).exists():
        fail(f"there is no {path}; run `cargo build --release -p ingot-cli`, or set INGOT_BIN")
    return Path(path)


class Tool:
    """One of the compared programs: its command line, and what it says of how much it changed."""

    def __init__(self, name, command, changed, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.changed = changed
        self.environment = {**os.environ, **(environment or {})}
        self.seconds = []
        self.megabytes = []

    def run(self, expected):
        with tempfile.TemporaryFile("w+") as output:
            begin = time.perf_counter()
            process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read()
        if process.returncode != 0:
            fail(f"{self.name} failed:\n{text}")
        if (changed := self.changed(text)) != expected:
            fail(f"{self.name} changed {changed} files where {expected} were expected:\n{text}")
        return seconds, usage.ru_maxrss / 1024

    def measure(self):
        seconds, megabytes = self.run(0)
        self.seconds.append(seconds)
        self.megabytes.append(megabytes)


def ingot_tool(work):
    catalog, files = work / "catalog/forty", work / "ingot"
    (catalog / "files").mkdir(parents=True)
    files.mkdir()
    shutil.copy(INPUTS / "state.yaml", catalog)
    shutil.copy(INPUTS / "service.conf.tera", catalog / "files")
    settings = work / "settings.json"
    settings.write_text(json.dumps({**SETTINGS, "directory": str(files)}))
    command = [ingot(), "states", "apply", "--catalog", work / "catalog", "--settings", settings]
    command += ["--journal", work / "journal", "forty"]

    def changed(text):
        count, _, rest = text.strip().splitlines()[-1].partition(" of ")
        return int(count) if rest.startswith(f"{FILES} ") else None

    return Tool("ingot", command, changed)


def salt_tool(work):
    tree, files, config = work / "salt-tree/forty", work / "salt", work / "salt-config"
    for directory in (tree, files, config):
        directory.mkdir(parents=True)
    shutil.copy(INPUTS / "init.sls", tree)
    shutil.copy(INPUTS / "service.conf.jinja", tree)
    (config / "minion").write_text(
        json.dumps(
            {
                "file_client": "local",
                "root_dir": str(work / "salt-root"),
                "file_roots": {"base": [str(work / "salt-tree")]},
                "id": "bench",
            }
        )
    )
    pillar = json.dumps({**SETTINGS, "directory": str(files)})
    command = [tool("salt", "salt-call"), "--local", "--config-dir", config, "--out", "json"]
    command += ["--log-level", "quiet", "state.apply", "forty", f"pillar={pillar}"]

    def changed(text):
        states = json.loads(text[text.index("{") :])["local"].values()
        if len(states) != FILES or not all(state["result"] for state in states):
            return None
        return sum(1 for state in states if state["changes"])

    return Tool("salt", command, changed)


def ansible_tool(work):
    files, play = work / "ansible", work / "play"
    files.mkdir()
    play.mkdir()
    shutil.copy(INPUTS / "playbook.yaml", play)
    shutil.copy(INPUTS / "service.conf.j2", play)
    settings = work / "ansible-settings.json"
    settings.write_text(json.dumps({**SETTINGS, "directory": str(files)}))
    command = [tool("ansible", "ansible-playbook"), "-i", "localhost,", "-e", f"@{settings}"]
    command += [play / "playbook.yaml"]
    environment = {
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "ANSIBLE_HOME": str(work / "ansible-home"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }

    def changed(text):
        # Ansible counts tasks; each file that changed has a line of its own.
        good = sum(1 for line in text.splitlines() if line.startswith(("ok: ", "changed: ")))
        if good != FILES or "failed=0" not in text:
            return None
        return sum(1 for line in text.splitlines() if line.startswith("changed: "))

    return Tool("ansible", command, changed, environment)


def same_files(work):
    """All three wrote the same: else they would not do the same work."""
    for number in range(FILES):
        name = f"service-{number}.conf"
        texts = {(work / tool / name).read_text().strip() for tool in RUNS}
        modes = {(work / tool / name).stat().st_mode for tool in RUNS}
        if len(texts) != 1 or len(modes) != 1:
            fail(f"the tools wrote different files as {name}")


def main():
    if os.geteuid() != 0:
        fail("files are given to root; run as root")
    with tempfile.TemporaryDirectory(prefix="ingot-bench-") as directory:
        work = Path(directory)
        tools = [ingot_tool(work), salt_tool(work), ansible_tool(work)]
        for one in tools:
            one.run(FILES)
        same_files(work)
        for turn in range(ROUNDS):
            print(f"round {turn + 1} of {ROUNDS}", file=sys.stderr)
            for one in tools:
                for _ in range(RUNS[one.name]):
                    one.measure()
    report(tools)


def report(tools):
    ours = statistics.median(tools[0].seconds)
    rows, ok = [], True
    for one in tools:
        seconds, megabytes = statistics.median(one.seconds), max(one.megabytes)
        row = {
            "tool": one.name,
            "runs": len(one.seconds),
            "median_seconds": round(seconds, 5),
            "least_seconds": round(min(one.seconds), 5),
            "most_seconds": round(max(one.seconds), 5),
            "peak_rss_mb": round(megabytes, 1),
        }
        if one.name in TARGETS:
            row["times_slower"] = round(seconds / ours, 1)
            row["target"] = f"at least {TARGETS[one.name]}"
            row["reached"] = seconds / ours >= TARGETS[one.name]
        else:
            row["target"] = f"at most {RSS_LIMIT_MB} MB"
            row["reached"] = megabytes <= RSS_LIMIT_MB
        ok &= row["reached"]
        rows.append(row)
    result = {
        "benchmark": "engine: forty managed files with nothing to do",
        "machine": {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        # Of the last minute, this benchmark included: far above 1, others were at work.
        "load_average": round(os.getloadavg()[0], 1),
        "rows": rows,
    }
    out = ROOT / "target/bench/engine.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['benchmark']}, {os.cpu_count()} CPUs, load {result['load_average']}")
    print(f"{'tool':<9}{'runs':>5}{'median s':>11}{'least s':>10}{'peak MB':>9}{'slower':>9}  target")
    for row in rows:
        slower = f"{row['times_slower']}x" if "times_slower" in row else ""
        word = "reached" if row["reached"] else "MISSED"
        print(
            f"{row['tool']:<9}{row['runs']:>5}{row['median_seconds']:>11.4f}{row['least_seconds']:>10.4f}"
            f"{row['peak_rss_mb']:>9.1f}{slower:>9}  {row['target']}: {word}"
        )
    print(f"JSON: {out.relative_to(ROOT)}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
