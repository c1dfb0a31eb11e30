#!/usr/bin/env python3
"""Measures what a session costs, and writes RESULTS.md and comparison.svg. `make bench` runs this.

The measurements are kept in target/benches.json, so that one part can be measured again without the others.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import comparison
import floors
import report
import servers

PARTS = ["process", "comparison", "floors", "hosts", "versions", "endurance"]
KEPT = servers.ROOT / "target/benches.json"


def main():
    arguments = argparse.ArgumentParser(description="Measures what a session costs; writes RESULTS.md and comparison.svg.")
    arguments.add_argument("parts", nargs="*", metavar="PART", help=f"the parts to measure: {', '.join(PARTS)} (default: all)")
    arguments.add_argument("--rounds", type=int, default=5, help="rounds of the comparison (default: %(default)s)")
    arguments.add_argument("--seconds", type=int, default=3, help="seconds of each load (default: %(default)s)")
    arguments.add_argument("--sessions", type=int, default=10_000, help="sessions stored on each server (default: %(default)s)")
    arguments.add_argument("--requests", type=int, default=1_000_000, help="requests of the endurance part (default: %(default)s)")
    arguments.add_argument("--many", type=int, default=10_000_000, help="sessions in the large store (default: %(default)s)")
    options = arguments.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        arguments.error(f"unknown part {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    parts = options.parts or PARTS

    results = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    with tempfile.TemporaryDirectory(prefix="lemon-session-benches-") as folder:
        folder = Path(folder)
        for part in parts:
            print(part, flush=True)
            if part == "process":
                results[part] = process(options.many)
            elif part in ["comparison", "hosts", "versions"]:
                measure = {"comparison": comparison.compare, "hosts": comparison.hosts, "versions": comparison.versions}
                results[part] = measure[part](folder / part, options.sessions, options.rounds, options.seconds)
                results["load"] = {name: getattr(options, name) for name in ["sessions", "rounds", "seconds"]}
            elif part == "floors":
                results[part] = floors.measure(folder / part, options.sessions, options.rounds, options.seconds)
            else:
                results[part] = comparison.endure(folder / part, options.sessions, options.requests)
            results["date"] = datetime.date.today().isoformat()
            KEPT.write_text(json.dumps(results))
    report.write(results)
    print((servers.HERE / "RESULTS.md").read_text())


def process(many):
    """Runs the crate in this folder, which prints one line per row."""
    program = servers.ROOT / "target/release/lemon-session-benches"
    rows = []
    with subprocess.Popen([program, "--sessions", str(many)], cwd=servers.ROOT, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            rows.append(json.loads(line))
            comparison.say(f"{rows[-1]['row']}: {rows[-1]['ratio']:.2f}")
    if running.returncode:
        sys.exit(f"{program} failed")
    return rows


if __name__ == "__main__":
    main()
