"""The same application on all servers, under the same load, in turns."""

import http.client
import resource
import socket
import statistics
import time

import servers

PAGES = ["/", "/read", "/none"]
WARM_UP_SECONDS = 1
# How many clients send requests at the same time, where versions of WASI are compared.
CLIENTS = [1, 32, 256]


def compare(folder, sessions, rounds, seconds, only=servers.ALL):
    """Returns the results of wrk for each server, page and round."""
    running = servers.servers(folder, only)
    measured = {server.name: {page: [] for page in PAGES} for server in running}
    try:
        for server in running:
            server.start()
            server.check()
            server.seed(sessions)
            for page in PAGES:
                server.load(page, WARM_UP_SECONDS)
            say(f"{server.name}: ready")
        for number in range(rounds):
            # Every other round in reverse, so that no server always runs after the same one.
            for page in PAGES:
                for server in running[:: -1 if number % 2 else 1]:
                    measured[server.name][page].append(server.load(page, seconds))
            say(f"round {number + 1} of {rounds}")
    finally:
        for server in running:
            server.stop()
    return measured


def hosts(folder, sessions, rounds, seconds):
    """Compares stock runtimes, with the store inside the component, with the command."""
    redis = servers.Redis(folder / "redis")
    try:
        return compare(folder, sessions, rounds, seconds, servers.HOSTS)
    finally:
        redis.stop()


def versions(folder, sessions, rounds, seconds):
    """Compares applications of WASI 0.3 with the same of 0.2, by the number of clients. Each server runs alone, for its memory."""
    measured = {}
    for clients in CLIENTS:
        found = measured[str(clients)] = {name: {"/": [], "/read": [], "memory": []} for name in servers.VERSIONS}
        for number in range(rounds):
            for server in servers.servers(folder / f"{clients}-{number}", servers.VERSIONS):
                try:
                    server.start()
                    server.check()
                    server.seed(sessions)
                    server.load("/", WARM_UP_SECONDS, clients)
                    for page in ["/", "/read"]:
                        found[server.name][page].append(server.load(page, seconds, clients))
                    found[server.name]["memory"].append({"bytes": server.memory()})
                finally:
                    server.stop()
            say(f"{clients} clients: round {number + 1} of {rounds}")
    return measured


def endure(folder, sessions, requests):
    """Measures the memory of lemon-session after some ten thousand requests, after many, and with idle connections."""
    endured = {}
    for name in [servers.FRESH, servers.REUSED]:
        (server,) = servers.servers(folder / name.split()[-1], {name: servers.ALL[name]})
        try:
            server.start()
            server.seed(sessions)
            # The memory for 32 concurrent requests is allocated in the first second.
            first = done = sessions + server.load("/", 1)["requests"]
            before = server.memory()
            while done < requests:
                done += server.load("/", 10)["requests"]
            after = server.memory()
            endured[name] = {"first": first, "before": before, "requests": done, "after": after}
            if name == servers.REUSED:
                endured[name] |= idle(server)
        finally:
            server.stop()
        say(f"{name}: {done} requests")
    return endured


def idle(server, connections=9_900):
    """Measures a page while many connections are open and idle. The server accepts 10,000."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    before = server.memory()
    opened = []
    try:
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            connection.sendall(b"GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{server.name} does not answer on connection {len(opened) + 1}")
            opened.append(connection)
        visitor = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        times = []
        for _ in range(500):
            started = time.perf_counter()
            if server.get(visitor, "/")[0] != 200:
                raise SystemExit(f"{server.name} fails with {len(opened)} connections open")
            times.append(time.perf_counter() - started)
        memory = server.memory()
    finally:
        for connection in opened:
            connection.close()
    return {"idle": connections, "idle_memory": memory - before, "idle_milliseconds": statistics.median(times) * 1e3}


def say(text):
    print(f"  {text}", flush=True)
