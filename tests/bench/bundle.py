#!/usr/bin/env python3
"""The bundle's numbers: size, unchanged rebuild, verification beside `sha256sum`.

Needs dist/ingot.iso with its keys (`make bundle`). Writes JSON to target/bench/bundle.json.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "target/x86_64-unknown-linux-gnu/release/iso-builder"


def main():
    iso = ROOT / "dist/ingot.iso"
    if not iso.exists():
        sys.exit("dist/ingot.iso is not there; run `make bundle` first")
    out = ROOT / "target/bench/bundle.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    bench = ROOT / "iso-builder/builder/bench.sh"
    words = [PROGRAM, ROOT / "images/catalog.yaml", ROOT / "dist/ingot.key", ROOT / "dist/ingot.pub", iso, out]
    print("bundle", flush=True)
    done = subprocess.run([bench, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    sys.exit(1 if done.returncode or "MISSED" in done.stdout else 0)


if __name__ == "__main__":
    main()
