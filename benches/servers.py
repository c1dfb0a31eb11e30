"""The servers in the comparison: how each is started, and how its use of processor and memory is measured."""

import getpass
import grp
import http.client
import os
import re
import signal
import socket
import string
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PEERS = HERE / "peers"
PROCESSORS = os.cpu_count() or 1
COMMAND = ROOT / "target/release/lemon-session"
COUNTER = ROOT / "target/wasm32-wasip2/component/counter.wasm"
COUNTER_ASYNC = ROOT / "target/wasm32-wasip2/component/counter_async.wasm"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# The share of a peer's requests that may fail, because Django's SQLite sometimes gives up when many save. Ours may not fail.
FEW = 0.01


class Server:
    """A server in a separate folder, on a free port. Its processes end with `stop`."""

    def __init__(self, name, folder, commands):
        self.name = name
        self.folder = folder
        self.commands = commands
        self.processes = []
        self.cookies = folder / "cookies"

    def start(self):
        self.folder.mkdir(parents=True)
        self.port = free_port()
        log = open(self.folder / "log", "wb")
        for command in self.commands(self.folder, self.port):
            environment = {**os.environ, **command.get("environment", {})}
            if command.get("first"):
                subprocess.run(command["arguments"], env=environment, cwd=self.folder, stdout=log, stderr=log, check=True)
                continue
            process = subprocess.Popen(
                command["arguments"], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            self.processes.append(process)
        self.wait()

    def wait(self):
        """Waits until the server answers correctly."""
        deadline = time.monotonic() + 120
        while True:
            try:
                status, _, body = self.get(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10), "/none")
                if status == 200 and "nobody" in body:
                    return
                answer = f"status {status}"
            except OSError as error:
                answer = str(error)
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                log = (self.folder / "log").read_text(errors="replace")
                raise SystemExit(f"{self.name} does not serve ({answer}):\n{log}")
            time.sleep(0.1)

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    @staticmethod
    def get(connection, path, cookie=None):
        """Returns the status, the cookie and the body of a response."""
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        set_cookie = response.getheader("Set-Cookie")
        return response.status, set_cookie and set_cookie.split(";")[0], response.read().decode()

    def seed(self, sessions):
        """Begins sessions and writes their cookies to a file for the load."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with open(self.cookies, "w") as cookies:
            for _ in range(sessions):
                status, cookie, body = self.get(connection, "/")
                if status != 200 or not cookie or "count: 1<" not in body:
                    raise SystemExit(f"{self.name} begins no session: status {status}, {body!r}")
                cookies.write(cookie + "\n")

    def check(self):
        """Checks that the application does the same on this server as on the others."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        _, cookie, _ = self.get(connection, "/")
        page = "<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: {}</p>\n<p>count: {}</p>\n".format
        for path, expected in [
            ("/", page("Python Rules!", 2)),
            ("/", page("Python Rules!", 3)),
            ("/read", page("Python Rules!", 0)),
            ("/none", page("nobody", 0)),
            ("/", page("Python Rules!", 4)),
        ]:
            status, _, body = self.get(connection, path, cookie)
            if (status, body) != (200, expected):
                raise SystemExit(f"{self.name} answers {path} with status {status} and {body!r}, not with {expected!r}")

    def load(self, path, seconds, connections=32, cookies=None):
        """Runs wrk on one page; returns its results and the processor time that this server used."""
        before = self.cpu()
        wrk = subprocess.run(
            ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "wrk.lua"]
            + [f"http://127.0.0.1:{self.port}{path}", "--", cookies or self.cookies],
            capture_output=True,
            text=True,
        )
        used = self.cpu() - before
        found = re.search(r"RESULT requests=(\d+) microseconds=(\d+) failed=(\d+) p99=(\d+)", wrk.stdout)
        if not found:
            raise SystemExit(f"wrk measured nothing on {self.name}:\n{wrk.stdout}\n{wrk.stderr}")
        requests, microseconds, failed, p99 = map(int, found.groups())
        if not requests:
            raise SystemExit(f"{self.name} answered no request of {path} within {seconds} s")
        if failed > requests * (0 if self.name in [*OURS, *HOSTS, *VERSIONS] else FEW):
            raise SystemExit(f"{self.name} failed {failed} of {requests} requests of {path}")
        return {
            "rate": requests / microseconds * 1e6,
            "cpu": used / requests * 1e6,
            "p99": p99 / 1e3,
            "requests": requests,
            "failed": failed,
        }

    def tree(self):
        """The processes of this server and all their descendants."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parents[int(folder.name)] = int(stat(folder.name)[1])
            except OSError:
                continue
        found = {process.pid for process in self.processes}
        while True:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            if not more:
                return found
            found |= more

    def cpu(self):
        """Seconds of processor time of all its processes, including those that have ended."""
        used = 0
        for pid in self.tree():
            # utime, stime, and those of its children that have ended
            used += sum(int(ticks) for ticks in stat(pid)[11:15])
        return used / TICKS

    def memory(self):
        """Bytes of memory in use."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.tree()) * PAGE_BYTES

    def own_memory(self):
        """Bytes of memory in use that no file contains: those of files are shared with other processes."""
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self.tree())
        return sum(int(kilobytes) for kilobytes in re.findall(r"RssAnon:\s*(\d+) kB", status)) * 1024


def stat(pid):
    """The fields of /proc/PID/stat after the name, which may contain any character."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def lemon_session(reuse, durable=False, redis=None, application=COUNTER, concurrency=1, files=False, seal=False):
    def commands(folder, port):
        url = f"redis://127.0.0.1:{REDIS_PORT}\ntable = {redis}" if redis else "files:sessions" if files else "sqlite:sessions.db"
        ini = f"[storage]\nurl = {url}\n" + ("synchronous = FULL\n" if durable else "")
        ini += f"[server]\nconcurrency = {concurrency}\n" + ("[session]\nseal = on\n" if seal else "")
        (folder / "lemon.ini").write_text(ini)
        yield {
            "arguments": [COMMAND, "serve", application, "--config", "lemon.ini"]
            + ["--addr", f"127.0.0.1:{port}", "--reuse", str(reuse)]
        }

    return commands


def wasmtime(reuse, redis=None):
    """A stock runtime, with the application and its store in one component."""

    def commands(folder, port):
        provider = "redis" if redis else "files"
        yield {"arguments": [COMMAND, "compose", COUNTER, "--provider", provider, "-o", "site.wasm"], "first": True}
        (folder / "sessions").mkdir()
        options = ["-S", "cli", "--dir", "sessions::/sessions", "--env", "LEMON_SESSION_STORAGE=files:/sessions"]
        if redis:
            options = ["-S", "cli,inherit-network", "--env", f"LEMON_SESSION_STORAGE=redis://127.0.0.1:{REDIS_PORT}"]
            options += ["--env", f"LEMON_SESSION_STORAGE_TABLE={redis}"]
        yield {
            "arguments": [ROOT / "target/runtimes/bin/wasmtime", "serve", "--addr", f"127.0.0.1:{port}"]
            + ["--max-instance-reuse-count", str(reuse), *options, "site.wasm"]
        }

    return commands


class Redis:
    """A server of the benches' own, which is emptied with them."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection(("127.0.0.1", REDIS_PORT)).close()
            except OSError as error:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise SystemExit(f"redis-server does not serve: {error}")
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def axum(program, *arguments):
    def commands(folder, port):
        yield {"arguments": [PEERS / "target/release" / program, str(port), folder / "sessions.db", *arguments]}

    return commands


# hyper alone, on which there is only the page without a session.
HELLO = "hyper by hand"
hello = axum("hello")


def express(folder, port):
    yield {"arguments": ["node", PEERS / "express/server.js", str(port), folder / "sessions.db", str(PROCESSORS)],
           "environment": {"NODE_ENV": "production"}}


def django(folder, port):
    python = PEERS / "django/venv/bin"
    environment = {"COUNTER_DATABASE": str(folder / "sessions.db"), "PYTHONPATH": str(PEERS / "django")}
    yield {"arguments": [python / "python", PEERS / "django/counter.py"], "environment": environment, "first": True}
    yield {
        "arguments": [python / "gunicorn", "counter:application", "--bind", f"127.0.0.1:{port}", "--workers", str(PROCESSORS)]
        + ["--worker-class", "gthread", "--threads", "32", "--keep-alive", "60"],
        "environment": environment,
    }


def php(folder, port):
    (folder / "sessions").mkdir()
    names = {
        "FOLDER": folder, "HERE": PEERS / "php", "PORT": port,
        "USER": getpass.getuser(), "GROUP": grp.getgrgid(os.getgid()).gr_name,
    }
    for name in ["fpm.conf", "nginx.conf"]:
        (folder / name).write_text(string.Template((PEERS / "php" / name).read_text()).substitute(names))
    # --allow-to-run-as-root, in case the benches run as root.
    yield {"arguments": ["/usr/sbin/php-fpm8.2", "--allow-to-run-as-root", "--fpm-config", folder / "fpm.conf"]}
    yield {"arguments": ["/usr/sbin/nginx", "-e", folder / "nginx.log", "-c", folder / "nginx.conf"]}


REUSE = 128
FRESH = "lemon-session, a fresh instance per request"
REUSED = f"lemon-session, --reuse {REUSE}"
REUSED_DURABLE = f"lemon-session, --reuse {REUSE}, FULL"
OURS = [FRESH, REUSED, REUSED_DURABLE]
TOWER = "axum + tower-sessions, rusqlite"
FLOOR = "axum + rusqlite by hand, NORMAL"
FLOOR_DURABLE = "axum + rusqlite by hand, FULL"
PHP = "PHP-FPM + nginx, files"
EXPRESS = "express + express-session, SQLite"
DJANGO = "Django + gunicorn, SQLite"

ALL = {
    FRESH: lemon_session(1),
    REUSED: lemon_session(REUSE),
    REUSED_DURABLE: lemon_session(REUSE, durable=True),
    TOWER: axum("tower-sessions"),
    FLOOR: axum("floor", "NORMAL"),
    FLOOR_DURABLE: axum("floor", "FULL"),
    PHP: php,
    EXPRESS: express,
    DJANGO: django,
}


# The same application on a stock runtime, with its store inside, beside the command with the same reuse of instances.
REDIS_PORT = free_port()
SEALED = f"{REUSED}, sealed"
REDIS_FRESH = f"{FRESH}, Redis"
REDIS_REUSED = f"{REUSED}, Redis"
FILES_REUSED = f"{REUSED}, files"
FILES_FRESH_STOCK = "wasmtime serve, a fresh instance per request, files"
FILES_REUSED_STOCK = f"wasmtime serve, reuse {REUSE}, files"
REDIS_FRESH_STOCK = "wasmtime serve, a fresh instance per request, Redis"
REDIS_REUSED_STOCK = f"wasmtime serve, reuse {REUSE}, Redis"

HOSTS = {
    FRESH: lemon_session(1),
    REUSED: lemon_session(REUSE),
    FILES_REUSED: lemon_session(REUSE, files=True),
    FILES_FRESH_STOCK: wasmtime(1),
    FILES_REUSED_STOCK: wasmtime(REUSE),
    REDIS_FRESH: lemon_session(1, redis="sessions_1"),
    REDIS_REUSED: lemon_session(REUSE, redis="sessions_2"),
    REDIS_FRESH_STOCK: wasmtime(1, redis="sessions_3"),
    REDIS_REUSED_STOCK: wasmtime(REUSE, redis="sessions_4"),
}

# The same pages for both versions of WASI.
CONCURRENCY = 16
FRESH_0_3 = "WASI 0.3, a fresh instance per request"
REUSED_0_3 = f"WASI 0.3, --reuse {REUSE}"
CONCURRENT_0_3 = f"WASI 0.3, --reuse {REUSE}, concurrency = {CONCURRENCY}"

VERSIONS = {
    FRESH: lemon_session(1),
    REUSED: lemon_session(REUSE),
    FRESH_0_3: lemon_session(1, application=COUNTER_ASYNC),
    REUSED_0_3: lemon_session(REUSE, application=COUNTER_ASYNC),
    CONCURRENT_0_3: lemon_session(REUSE, application=COUNTER_ASYNC, concurrency=CONCURRENCY),
}


def servers(folder, only=ALL):
    """These servers, each with its own folder in `folder`."""
    return [Server(name, folder / str(number), commands) for number, (name, commands) in enumerate(only.items())]
