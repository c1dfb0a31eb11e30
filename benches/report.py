"""Writes RESULTS.md and comparison.svg from the measurements."""

import html
import platform
from pathlib import Path

import goals
import servers

HERE = Path(__file__).resolve().parent


def write(results):
    (HERE / "RESULTS.md").write_text("\n".join(lines(results)) + "\n")
    if "comparison" in results:
        (HERE / "comparison.svg").write_text(chart(results["comparison"]))


def lines(results):
    yield "# Results"
    yield ""
    yield f"Written by `make bench` on {results['date']}: {machine()}."
    yield "Times and rates depend on the machine; compare the ratios. Each ratio is the median of several rounds, in which the"
    yield "subject and its baseline were measured in turns."
    yield ""
    yield "## Goals"
    yield ""
    yield "| subject | baseline | goal | measured | |"
    yield "| --- | --- | --- | --- | --- |"
    rows = [*goals.process(results.get("process", []))]
    if "comparison" in results:
        rows += goals.over_http(results["comparison"])
    if "floors" in results:
        rows += goals.on_floors(results["floors"])
    if "hosts" in results:
        rows += goals.on_hosts(results["hosts"])
    rows += goals.endured(results.get("endurance", {}))
    for what, floor, goal, measured, met in rows:
        verdict = {True: "met", False: "**missed**", None: ""}[met]
        yield f"| {what} | {floor} | {goal} | {measured} | {verdict} |"
    if "comparison" in results:
        yield ""
        yield from peers(results["comparison"], results["load"])
    if "hosts" in results:
        yield ""
        yield from hosts(results["hosts"])
    if "versions" in results:
        yield ""
        yield from versions(results["versions"])


def peers(measured, load):
    yield "## The same application on all servers"
    yield ""
    yield "`/` adds one to a counter in the session and saves it; `/read` reads one variable; `/none` has no session. A page has"
    yield f"about 100 bytes. wrk uses 32 keep-alive connections and picks one of {load['sessions']:,} stored sessions at random. The"
    yield f"figures are medians of {load['rounds']} rounds of {load['seconds']} s, in which all servers took turns. CPU is the"
    yield "processor time per request of all processes of a server."
    yield ""
    yield "![Requests per second of each server](comparison.svg)"
    yield ""
    yield from table(measured)
    for name, pages in measured.items():
        loads = [load for loads in pages.values() for load in loads]
        failed, requests = (sum(load[what] for load in loads) for what in ["failed", "requests"])
        if failed:
            yield ""
            yield f"Of the {requests:,} requests to {name}, {failed:,} failed."


def hosts(measured):
    yield "## The same application on a stock runtime"
    yield ""
    yield "`wasmtime serve` 48 runs the application, the session component and a provider as one component. The command runs the"
    yield "same application with the same number of requests per instance. wrk sends the load described above. The CPU figures"
    yield "leave out Redis."
    yield ""
    yield from table(measured)


def versions(measured):
    yield "## The same application for WASI 0.2 and 0.3"
    yield ""
    yield "The command runs both. The application of WASI 0.3 awaits its sessions (`sessions-async`). Each server ran alone under the"
    yield "load described above, with this number of connections; its memory was read after the load."
    yield ""
    yield "| clients | application | `/` req/s | `/` CPU µs | `/` p99 ms | `/read` req/s | `/read` CPU µs | memory MB |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for clients, servers_measured in measured.items():
        for name in servers_measured:
            columns = [("/", "rate"), ("/", "cpu"), ("/", "p99"), ("/read", "rate"), ("/read", "cpu")]
            values = [goals.number(goals.median(servers_measured, name, page, what)) for page, what in columns]
            values.append(f"{goals.median(servers_measured, name, 'memory', 'bytes') / 1e6:.0f}")
            yield f"| {clients} | {name} | {' | '.join(values)} |"


def table(measured):
    yield "| server | `/` req/s | `/` CPU µs | `/` p99 ms | `/read` req/s | `/read` CPU µs | `/none` req/s | `/none` CPU µs |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in measured:
        columns = [("/", "rate"), ("/", "cpu"), ("/", "p99"), ("/read", "rate"), ("/read", "cpu"), ("/none", "rate"), ("/none", "cpu")]
        values = (goals.number(goals.median(measured, name, page, what)) for page, what in columns)
        yield f"| {name} | {' | '.join(values)} |"


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return f"{servers.PROCESSORS} processors ({model}), Linux {platform.release()}, client and server on one machine"


WIDTH, LEFT, BAR, GAP = 860, 300, 16, 8


def chart(measured):
    """Horizontal bars, one group per page, the fastest server first."""
    parts, y = [], 8
    longest = max(goals.median(measured, name, page, "rate") for name in measured for page in ["/", "/read"])
    for page, title in [("/", "adds one to a counter and saves"), ("/read", "reads one variable")]:
        y += 20
        parts.append(f'<text class="title" x="8" y="{y}">{page} {title}: requests per second</text>')
        y += 12
        for name in sorted(measured, key=lambda name: -goals.median(measured, name, page, "rate")):
            rate = goals.median(measured, name, page, "rate")
            length = (WIDTH - LEFT - 80) * rate / longest
            kind = "ours" if name in servers.OURS else "peer"
            parts.append(f'<text x="{LEFT - 8}" y="{y + BAR - 4}" text-anchor="end">{html.escape(name)}</text>')
            parts.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}"/>')
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + BAR - 4}">{rate:,.0f}</text>')
            y += BAR + GAP
    style = (
        "text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600}.ours{fill:#d4a800}.peer{fill:#9aa4ad}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}.peer{fill:#6b747c}}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" width="{WIDTH}" height="{y + 8}">'
    return "\n".join([head, f"<style>{style}</style>", *parts, "</svg>"]) + "\n"
