#!/usr/bin/env python3
"""The installer's numbers on throw-away servers, beside those of a script around kubeadm.

Both bring the same programs and images to servers that only answer SSH, and both end when every node is
Ready and the cluster's DNS answers. They take turns, each on servers made anew. Then `ingot apply` runs
with nothing to do, as a whole process. Needs root, openssh-client, skopeo, xorriso, bc and
dist/ingot.iso (`make bundle`). Prints a table, and writes JSON to target/bench/install.json.

    install.py [--rounds N] [--one-host-only]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from kubeadm.payload import Payload

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ROOT / "target/x86_64-unknown-linux-gnu/release"
INGOT = Path(os.environ.get("INGOT_BIN", PROGRAMS / "ingot"))
LABS = Path(os.environ.get("INGOT_LAB_DIR", "/var/lib/ingot-lab"))
ISO, KEY, PUB = ROOT / "dist/ingot.iso", ROOT / "dist/ingot.key", ROOT / "dist/ingot.pub"
BUNDLE = ["--bundle", ISO, "--key", PUB]
OUT = ROOT / "target/bench"
NAME = "bench"
APPLY_ROUNDS = 7
PLAN_ROUNDS = 3
# Control planes, workers, and what ours may take of the script's time.
SITES = {"one host": (1, 0, 0.8), "three control planes and a worker": (3, 1, 0.5)}
APPLY_LIMIT = 2.0
PLAN_LIMIT_MS = 100
# The states, the manifests, the trials of hosts before they are changed, and an SSH that does what ssh does.
SIZE_LIMIT_MB = 32


def run(*words, inside=False, talk=None):
    """Runs a program, in the servers' network where asked; returns its seconds and its output."""
    line = [str(word) for word in words]
    if inside:
        line = [str(INGOT), "sandbox", "exec", NAME, "--", *line]
    begin = time.monotonic()
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=talk or subprocess.PIPE, text=True)
    seconds = time.monotonic() - begin
    if done.returncode:
        sys.exit(f"{' '.join(line)} ended with {done.returncode}:\n{done.stdout}{done.stderr or ''}")
    return seconds, done.stdout


class Site:
    """Bare servers, removed at the end."""

    def __init__(self, control_planes, workers):
        self.counts = ["--control-planes", control_planes, "--workers", workers]

    def __enter__(self):
        self.remove()
        run(INGOT, "sandbox", "create", NAME, "--bare", *self.counts, *BUNDLE)
        driver = LABS / NAME / "driver"
        self.config, self.known_hosts, self.key = driver / "cluster.yaml", driver / "known_hosts", driver / "id_ed25519"
        nodes = re.findall(r"address: (\S+)\s+roles: \[(.*)\]", self.config.read_text())
        self.control_planes = [address for address, roles in nodes if "control-plane" in roles]
        self.workers = [address for address, roles in nodes if "control-plane" not in roles]
        return self

    def __exit__(self, *_):
        self.remove()

    @staticmethod
    def remove():
        subprocess.run([INGOT, "sandbox", "delete", NAME], capture_output=True)

    def ingot(self, verb, *words):
        where = ["--config", self.config, "--known-hosts", self.known_hosts]
        os.environ["INGOT_JOURNAL"] = str(OUT / "runs.jsonl")
        return run(INGOT, verb, *where, *BUNDLE, *words, inside=True)

    def kubeadm(self, payload):
        script = Path(__file__).resolve().parent / "kubeadm/install.sh"
        lists = [" ".join(self.control_planes), " ".join(self.workers)]
        return run(script, payload.directory, self.key, self.known_hosts, *lists, inside=True, talk=sys.stderr)


def plan(site):
    """Milliseconds in which the agent of a control plane finds that nothing of the catalog is to be changed."""
    milliseconds = []
    for _ in range(PLAN_ROUNDS):
        plans = json.loads(site.ingot("plan", "--output", "json")[1].splitlines()[-1])
        for found in plans.values():
            if any(resource["action"] in ("change", "react") for resource in found["resources"]):
                sys.exit(f"plan found something to do: {found}")
            if any("kube-apiserver" in resource["id"] for resource in found["resources"]):
                milliseconds.append(found["milliseconds"])
    return milliseconds


def again(site):
    """Seconds of `ingot apply` with nothing to do."""
    seconds = []
    for _ in range(APPLY_ROUNDS):
        took, told = site.ingot("apply")
        if not told.startswith("nothing to do"):
            sys.exit(f"apply found something to do: {told}")
        seconds.append(took)
    return seconds


def shipped():
    """Bytes of the program that the bundle carries; the one of a workspace build has features of tests."""
    bundle = json.loads(run(INGOT, "bundle", "inspect", "--output", "json", *BUNDLE)[1])
    return next(file["size"] for file in bundle["files"] if file["path"] == "ingot")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--one-host-only", action="store_true")
    arguments = arguments.parse_args()
    if not ISO.exists():
        sys.exit("dist/ingot.iso is not there; run `make bundle` first")
    OUT.mkdir(parents=True, exist_ok=True)
    payload = Payload(OUT / "kubeadm", PROGRAMS / "iso-builder", ROOT, ISO, KEY, PUB)
    sites = list(SITES.items())[: 1 if arguments.one_host_only else None]
    rows, applied, planned = [], [], []
    for name, (control_planes, workers, limit) in sites:
        ours, theirs = [], []
        for turn in range(arguments.rounds):
            print(f"{name}, round {turn + 1} of {arguments.rounds}", file=sys.stderr)
            with Site(control_planes, workers) as site:
                theirs.append(site.kubeadm(payload)[0])
                print(f"  kubeadm {theirs[-1]:.1f} s", file=sys.stderr)
            with Site(control_planes, workers) as site:
                ours.append(site.ingot("bootstrap")[0])
                print(f"  ingot   {ours[-1]:.1f} s", file=sys.stderr)
                if turn == 0:
                    applied, planned = again(site), plan(site)
        rows.append((name, ours, theirs, limit))
    report(rows, applied, planned)


def report(rows, applied, planned):
    ok, sites = True, []
    print(f"installer, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; medians")
    print(f"{'from bare SSH to Ready with DNS':<36}{'ingot s':>9}{'kubeadm s':>11}{'ratio':>7}  target")
    for name, ours, theirs, limit in rows:
        ratio = statistics.median(ours) / statistics.median(theirs)
        ok &= ratio <= limit
        word = "reached" if ratio <= limit else "MISSED"
        print(f"{name:<36}{statistics.median(ours):>9.1f}{statistics.median(theirs):>11.1f}{ratio:>7.2f}  at most {limit}: {word}")
        sites.append(
            {
                "site": name,
                "ingot_seconds": [round(one, 2) for one in ours],
                "kubeadm_seconds": [round(one, 2) for one in theirs],
                "ratio": round(ratio, 3),
                "target": limit,
                "reached": ratio <= limit,
            }
        )
    apply, size = statistics.median(applied), shipped() / 1e6
    for name, value, unit, limit in [
        ("apply with nothing to do, on the last of these", apply, "s", APPLY_LIMIT),
        ("plan of a control plane with nothing to do", statistics.median(planned), "ms", PLAN_LIMIT_MS),
        ("size of the program in the bundle", size, "MB", SIZE_LIMIT_MB),
    ]:
        ok &= value <= limit
        print(f"{name:<50}{value:>8.2f} {unit:<3} at most {limit} {unit}: {'reached' if value <= limit else 'MISSED'}")
    result = {
        "benchmark": "installer",
        "sites": sites,
        "apply_nothing_to_do_seconds": [round(one, 3) for one in applied],
        "apply_median_seconds": round(apply, 3),
        "plan_nothing_to_do_milliseconds": [round(one, 2) for one in planned],
        "program_megabytes": round(size, 1),
        # Of the last minute, this benchmark included.
        "load_average": round(os.getloadavg()[0], 1),
    }
    (OUT / "install.json").write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
