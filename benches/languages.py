#!/usr/bin/env python3
"""Measures what the example `visits` costs in each language, for the table in docs/languages.md.

After `make build` and `make languages`; needs wrk.
"""

import http.client
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from servers import ROOT, TICKS, free_port, stat

PAGES = ["visits", "visits-python", "visits-js", "visits-ts", "visits-go"]


class Page:
    """A page that is being served, with the seconds that its start took."""

    def __init__(self, name, cache, reuse):
        self.port = free_port()
        command = [ROOT / "dist/lemon-session", "serve", ROOT / f"dist/{name}.wasm", "--storage", "memory:"]
        command += ["--addr", f"127.0.0.1:{self.port}", "--reuse", str(reuse)]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            command, env={**os.environ, "XDG_CACHE_HOME": cache}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if "Serving" not in self.process.stdout.readline():
            raise SystemExit(f"{name} is not served")
        self.seconds = time.perf_counter() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cookie(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/")
        return connection.getresponse().getheader("Set-Cookie").split(";")[0]

    def cpu(self):
        """Milliseconds of processor time per request."""
        header = f"Cookie: {self.cookie()}"
        used = lambda: sum(int(ticks) for ticks in stat(self.process.pid)[11:13])
        before = used()
        address = f"http://127.0.0.1:{self.port}/"
        wrk = subprocess.run(["wrk", "-t1", "-c4", "-d5s", "-H", header, address], capture_output=True, text=True, check=True)
        requests = int(re.search(r"(\d+) requests in", wrk.stdout)[1])
        return (used() - before) / TICKS / requests * 1e3


def main():
    print("| page | component | first start | later starts | CPU, fresh instance | CPU, `--reuse 100` |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name in PAGES:
        size = Path(ROOT / f"dist/{name}.wasm").stat().st_size / 1e6
        with tempfile.TemporaryDirectory() as cache:
            with Page(name, cache, 1) as page:
                first = page.seconds
            with Page(name, cache, 1) as page:
                later, fresh = page.seconds, page.cpu()
            with Page(name, cache, 100) as page:
                reused = page.cpu()
        print(f"| `{name}` | {size:.1f} MB | {first:.1f} s | {later * 1e3:.0f} ms | {fresh:.2f} ms | {reused:.2f} ms |", flush=True)


if __name__ == "__main__":
    main()
