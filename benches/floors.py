"""Rows that have a server or a program of their own as their floor: the least that could do the same."""

import os
import re
import resource
import subprocess
import time

import servers
from comparison import WARM_UP_SECONDS, say

BY_HAND = servers.PEERS / "target/release/cgi"
# Processes of each round. A process takes milliseconds, and the kernel accounts microseconds.
PROCESSES = 200
# What the allocator keeps for reuse is returned within this time.
REST_SECONDS = 10


def measure(folder, sessions, rounds, seconds):
    return {
        "bare": bare(folder / "bare", sessions, rounds, seconds),
        "hot": hot(folder / "hot", sessions, rounds, seconds),
        "sealed": sealed(folder / "sealed", sessions, rounds, seconds, "/"),
        "sealed_read": sealed(folder / "sealed_read", sessions, rounds, seconds, "/read"),
        "cgi": cgi(folder / "cgi", rounds),
        "idle": idle(folder / "idle", rounds),
    }


def bare(folder, sessions, rounds, seconds):
    """The page without a session, and the same page on hyper alone: microseconds of processor time."""
    ours, hello = running = servers.servers(folder, {servers.REUSED: servers.ALL[servers.REUSED], servers.HELLO: servers.hello})
    try:
        for server in running:
            server.start()
        ours.seed(sessions)
        # hyper alone gives no cookies, and gets those of the other one.
        hello.cookies = ours.cookies
        return in_turns(rounds, lambda server, seconds: server.load("/none", seconds)["cpu"], running, seconds)
    finally:
        for server in running:
            server.stop()


def hot(folder, sessions, rounds, seconds):
    """The page that saves, with all clients on one session, and with one of many at random: microseconds of processor time."""
    (server,) = servers.servers(folder, {servers.REUSED: servers.ALL[servers.REUSED]})
    try:
        server.start()
        server.seed(sessions)
        one = folder / "one"
        one.write_text(server.cookies.read_text().splitlines()[0] + "\n")
        load = lambda cookies, seconds: server.load("/", seconds, cookies=cookies)["cpu"]
        return in_turns(rounds, load, [one, server.cookies], seconds)
    finally:
        server.stop()


def sealed(folder, sessions, rounds, seconds, page):
    """A page whose values are sealed, and the same with values that are not: microseconds of processor time."""
    of = {servers.SEALED: servers.lemon_session(servers.REUSE, seal=True), servers.REUSED: servers.ALL[servers.REUSED]}
    running = servers.servers(folder, of)
    try:
        for server in running:
            server.start()
            server.seed(sessions)
        return in_turns(rounds, lambda server, seconds: server.load(page, seconds)["cpu"], running, seconds)
    finally:
        for server in running:
            server.stop()


def in_turns(rounds, load, pair, seconds):
    """Measures both in each round, every other round in reverse, as a list for each."""
    for one in pair:
        load(one, WARM_UP_SECONDS)
    measured = ([], [])
    for number in range(rounds):
        for which in [0, 1][:: -1 if number % 2 else 1]:
            measured[which].append(load(pair[which], seconds))
        say(f"round {number + 1} of {rounds}")
    return measured


def cgi(folder, rounds):
    """A request by CGI, and a program that does the same by hand: milliseconds of processor time of a process."""
    folder.mkdir(parents=True)
    commands = [
        [servers.COMMAND, "cgi", "--storage", "sqlite:sessions.db", "--cache", folder / "cache", servers.COUNTER],
        [BY_HAND, "by-hand.db"],
    ]
    common = {
        "PATH": os.environ["PATH"], "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1", "REQUEST_URI": "/",
    }

    def answer(command, cookie=""):
        environment = {**common, "HTTP_COOKIE": cookie}
        run = subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if run.returncode or "Python Rules!" not in run.stdout:
            raise SystemExit(f"{command[0]} does not answer: {run.stderr}{run.stdout}")
        return run.stdout

    # Compiles the application, and begins the session that all further requests have.
    cookies = [re.search("(?i)^set-cookie: *([^;]*)", answer(command), re.M)[1] for command in commands]
    for command, cookie in zip(commands, cookies):
        page = answer(command, cookie)
        if "<p>count: 2</p>" not in page:
            raise SystemExit(f"{command[0]} does not count to 2: {page!r}")

    def load(which, _):
        before = used()
        for _ in range(PROCESSES):
            answer(commands[which], cookies[which])
        return (used() - before) / PROCESSES * 1e3

    return in_turns(rounds, load, [0, 1], None)


def used():
    """Seconds of processor time of all processes that this one has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def idle(folder, rounds):
    """The memory of a server that is idle, after its start and after a load."""
    found = {"started": [], "loaded": []}
    for number in range(rounds):
        (server,) = servers.servers(folder / str(number), {servers.FRESH: servers.ALL[servers.FRESH]})
        try:
            server.start()
            # What compiling the application took is measured by no round but the first, as the code is kept.
            time.sleep(REST_SECONDS)
            found["started"].append(memory(server))
            server.seed(1000)
            server.load("/", 5)
            time.sleep(REST_SECONDS)
            found["loaded"].append(memory(server))
        finally:
            server.stop()
        say(f"round {number + 1} of {rounds}")
    return found


def memory(server):
    return {"resident": server.memory(), "own": server.own_memory()}
