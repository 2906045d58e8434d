#!/usr/bin/env python3
"""The installer's numbers on throw-away servers: bootstrap of four hosts, apply with nothing to do.

Brings up three control planes and a worker with `ingot sandbox`, then applies again in several
rounds, each as a whole process. Needs root and dist/ingot.iso (`make bundle`). Writes JSON to
target/bench/install.json. What kubeadm takes for the same is not measured here yet.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
INGOT = Path(os.environ.get("INGOT_BIN", ROOT / "target/x86_64-unknown-linux-gnu/release/ingot"))
NAME = "bench"
ROUNDS = 7
APPLY_LIMIT = 2.0
SIZE_LIMIT_MB = 25


def ingot(*words, inside=False):
    """Runs ingot, in the servers' network where asked; returns its seconds and its output."""
    line = [INGOT, *words]
    if inside:
        line = [INGOT, "sandbox", "exec", NAME, "--", *line]
    begin = time.monotonic()
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seconds = time.monotonic() - begin
    if done.returncode:
        sys.exit(f"{' '.join(map(str, line))} ended with {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def main():
    iso, pub = ROOT / "dist/ingot.iso", ROOT / "dist/ingot.pub"
    if not iso.exists():
        sys.exit("dist/ingot.iso is not there; run `make bundle` first")
    bundle = ["--bundle", iso, "--key", pub]
    subprocess.run([INGOT, "sandbox", "delete", NAME], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ingot("sandbox", "create", NAME, "--bare", "--control-planes", "3", "--workers", "1", *bundle)
        driver = Path("/var/lib/ingot-lab") / NAME / "driver"
        site = ["--config", driver / "cluster.yaml", "--known-hosts", driver / "known_hosts", *bundle]
        first, _ = ingot("bootstrap", *site, inside=True)
        again = []
        for _ in range(ROUNDS):
            seconds, told = ingot("apply", *site, inside=True)
            if not told.startswith("nothing to do"):
                sys.exit(f"apply found something to do: {told}")
            again.append(seconds)
    finally:
        subprocess.run([INGOT, "sandbox", "delete", NAME], stdout=subprocess.DEVNULL)
    median = statistics.median(again)
    size = INGOT.stat().st_size / 1e6
    rows = [
        ("bootstrap of 3 control planes and a worker", first, "s", None),
        ("apply with nothing to do on four hosts, median", median, "s", APPLY_LIMIT),
        ("size of the program", size, "MB", SIZE_LIMIT_MB),
    ]
    ok = True
    print(f"installer, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for name, value, unit, limit in rows:
        good = limit is None or value <= limit
        ok &= good
        target = "" if limit is None else f"at most {limit} {unit}: {'reached' if good else 'MISSED'}"
        print(f"{name:<50}{value:>8.2f} {unit:<3} {target}")
    out = ROOT / "target/bench/install.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(
        json.dumps(
            {
                "benchmark": "installer",
                "bootstrap_four_hosts_seconds": round(first, 2),
                "apply_nothing_to_do_seconds": [round(one, 3) for one in again],
                "apply_median_seconds": round(median, 3),
                "program_megabytes": round(size, 1),
                "load_average": round(os.getloadavg()[0], 1),
            },
            indent=2,
        )
        + "\n"
    )
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
