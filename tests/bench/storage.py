#!/usr/bin/env python3
"""The volume driver's numbers on real LVM, beside those of a script and of a bare logical volume.

One virtual machine, one run: a 1 GiB thin XFS volume from nothing into a pod, by the driver and by
`lvcreate`, `mkfs.xfs`, `mount`, in turn; a hundred volumes, ten at a time; the idle agent with two
hundred; writing and comparing in sequence. The machine is emulated, so seconds are long and only
ratios, memory and counts say something of a server. Needs root and the packages of
`make guest-packages`. Prints a table, and writes JSON to target/bench/storage.json.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "target/bench/storage.json"
TEST = "guest::bench::figures_of_the_driver_on_real_lvm"
RATIO_LIMIT, RESIDENT_LIMIT_MIB, LVM_LIMIT = 1.2, 25, 2


def measure():
    """The figures of one run on a guest."""
    with tempfile.TemporaryDirectory(prefix="ingot-bench-") as directory:
        figures = Path(directory) / "figures.json"
        environment = {**os.environ, "INGOT_GUEST_TESTS": "1", "INGOT_STORAGE_BENCH": str(figures)}
        command = ["cargo", "test", "--release", "--workspace", "--test", "driver", "--"]
        command += ["--exact", TEST, "--nocapture"]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr)
        if done.returncode or not figures.exists():
            sys.exit(f"storage.py: {' '.join(command)} ended with {done.returncode} and no figures")
        return json.loads(figures.read_text())


def main():
    found = measure()
    ours, bare = found["provision_driver_seconds"], found["provision_script_seconds"]
    checks = [
        ("create, stage, publish: times the script", found["provision_ratio"], "x", RATIO_LIMIT),
        (f"agent with {found['idle_volumes']} volumes, idle", found["idle_resident_mib"], "MiB", RESIDENT_LIMIT_MIB),
        (f"programs of LVM while idle, {found['idle_pools']} thin pools", found["idle_lvm_per_minute"], "a minute", LVM_LIMIT),
    ]
    told = [
        ("create, stage, publish by the driver, median", statistics.median(ours), "s"),
        ("lvcreate, mkfs.xfs, mount by the script, median", statistics.median(bare), "s"),
        (f"{found['volumes']} volumes, {found['at_once']} at once, p50", found["create_p50_seconds"], "s"),
        (f"{found['volumes']} volumes, {found['at_once']} at once, p99", found["create_p99_seconds"], "s"),
        ("dmsetup, which asks the kernel only, while idle", found["idle_dmsetup_per_minute"], "a minute"),
        ("write in sequence, volume", found["write_mib_per_second"], "MiB/s"),
        ("write in sequence, bare logical volume", found["write_bare_mib_per_second"], "MiB/s"),
        ("read and compare, volume", found["verify_mib_per_second"], "MiB/s"),
        ("read and compare, bare logical volume", found["verify_bare_mib_per_second"], "MiB/s"),
    ]
    load = round(os.getloadavg()[0], 1)
    print(f"storage driver on real LVM, emulated machine, {os.cpu_count()} CPUs, load {load}")
    for name, value, unit in told:
        print(f"{name:<50}{value:>9.2f} {unit}")
    for name, value, unit, limit in checks:
        word = "reached" if value <= limit else "MISSED"
        print(f"{name:<50}{value:>9.2f} {unit:<9} at most {limit}: {word}")
    reached = all(value <= limit for _, value, _, limit in checks)
    # The load is of the last minute, this benchmark included.
    result = {"benchmark": "storage driver", **found, "reached": reached, "load_average": load}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"JSON: {OUT.relative_to(ROOT)}")
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
