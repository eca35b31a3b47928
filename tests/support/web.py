# SPDX-License-Identifier: MIT
"""What tests of rota-fetch have in common: web servers on loopback, the program
itself, and what it left behind.

The programs are looked for in $ROTA_BIN. Whatever is started here dies with the
test that started it, also when that is killed. Nothing is waited for longer
than PATIENCE: a generous limit, not a measure.
"""
import collections
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("ROTA_BIN", "build/release/bin")
FETCH = os.path.join(BIN, "rota-fetch")
FETCH_SERVER = os.path.join(BIN, "fetch_server")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
OPENSSL = shutil.which("openssl")
FULL = bool(os.environ.get("ROTA_FETCH_FULL"))  # in full size, for minutes
PATIENCE = 60  # seconds, for anything that should be quick
NOT_TRIED = 77

PERIOD = bytes(range(251))
SET_DEATH_SIGNAL = 1  # prctl(2): PR_SET_PDEATHSIG
LIBC = ctypes.CDLL(None)


def skip_without(*needs):
    """Ends the test, as one that could not be tried here, at the first of them
    (what is missing, whether it is there) that is missing."""
    for what, there in (("rota-fetch (no libcurl)", os.path.exists(FETCH)),
                        *needs):
        if not there:
            print(f"{os.path.basename(sys.argv[0])} needs {what}")
            sys.exit(NOT_TRIED)


def more_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def die_with_parent():
    LIBC.prctl(SET_DEATH_SIGNAL, signal.SIGKILL)


def body(count, key=None):
    """What fetch_server sends as so many bytes."""
    start = (count if key is None else key) % len(PERIOD)
    return (PERIOD * (count // len(PERIOD) + 2))[start:start + count]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_until(condition):
    """True, or as long as patience lasts not."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


class Misbehaving:
    """A running fetch_server; see its answers.h for the paths."""

    def __init__(self):
        self.process = subprocess.Popen(
            [FETCH_SERVER], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=die_with_parent)
        self.port = int(self.process.stdout.readline())

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port),
                                        timeout=PATIENCE)

    def most(self):
        """How many requests were in flight at once, since this was asked."""
        with self.connect() as peer:
            peer.sendall(b"GET /most HTTP/1.1\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)
            answer = b""
            while part := peer.recv(4096):
                answer += part
        return int(answer.split(b"\r\n\r\n")[1])

    def end(self):
        """Tells it to stop: its exit status, and what it had to say."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors

    def kill(self):
        self.process.kill()
        self.process.communicate()


NGINX_CONFIG = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log {root}/access.log;
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi;
    scgi_temp_path {root}/scgi;
    default_type application/octet-stream;
    sendfile on;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {root}/server.pem;
        ssl_certificate_key {root}/server.key;
        root {root}/files;
    }}
}}
"""


def make_certificates(root):
    """An authority of our own, and by it a certificate for localhost."""
    def openssl(*arguments):
        subprocess.run([OPENSSL, *arguments], cwd=root, check=True,
                       timeout=PATIENCE, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    with open(os.path.join(root, "names"), "w", encoding="ascii") as names:
        names.write("subjectAltName=DNS:localhost\n")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-subj"]
    openssl(*new, "/CN=rota test authority", "-x509", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "/CN=localhost", "-keyout", "server.key", "-out",
            "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey",
            "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names",
            "-out", "server.pem")


class Nginx:
    """A running nginx, over HTTP and TLS, that serves the folder `files`. One
    process, so that nothing of it is left when it is killed."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="rota-nginx-")
        self.files = os.path.join(self.root, "files")
        os.mkdir(self.files)
        make_certificates(self.root)
        self.authority = os.path.join(self.root, "ca.pem")
        for _ in range(5):  # somebody may take the ports in between
            self.plain, self.tls = free_port(), free_port()
            if self.start():
                return
        raise RuntimeError("nginx does not start: " + self.log("error.log"))

    def start(self):
        path = os.path.join(self.root, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(NGINX_CONFIG.format(root=self.root, plain=self.plain,
                                           tls=self.tls))
        self.process = subprocess.Popen(
            [NGINX, "-p", self.root, "-e", "error.log", "-c", path],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        return wait_until(lambda: self.process.poll() is not None
                          or self.answers()) and self.process.poll() is None

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.tls)).close()
        except ConnectionError:
            return False
        return True

    def log(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as file:
            return file.read()

    def url(self, name, secure=False):
        return (f"https://localhost:{self.tls}/{name}" if secure
                else f"http://127.0.0.1:{self.plain}/{name}")

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.root)


class Folder:
    """Where files go: a temporary one, that goes with the test."""

    def __init__(self, case):
        self.path = tempfile.mkdtemp(prefix="rota-fetch-")
        case.addCleanup(shutil.rmtree, self.path)

    def names(self):
        return sorted(os.listdir(self.path))

    def read(self, name):
        with open(os.path.join(self.path, name), "rb") as file:
            return file.read()

    def partial(self):
        """Names of what is not complete."""
        return [name for name in self.names() if name.startswith(".")]


class Fetch:
    """A run of rota-fetch, with --json: what it reports is in `reports`, by
    URL, when it has ended. The URLs are arguments, or lines of a list on its
    standard input."""

    def __init__(self, folder, urls, *options, listed=False):
        arguments = [FETCH, "--json", "-d", folder.path, *map(str, options)]
        self.urls = []
        arguments += ["-i", "-"] if listed else ["--", *urls]
        environment = {name: value for name, value in os.environ.items()
                       if not name.lower().endswith("_proxy")}
        # To files: no pipe that is full stops it, and it can be looked at.
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE if listed else subprocess.DEVNULL,
            stdout=self.output, stderr=self.errors, text=True, env=environment,
            preexec_fn=die_with_parent)
        if listed:
            self.feed(urls)
        else:
            self.urls += urls

    def feed(self, urls):
        """More of them, to a run that takes a list, until it is to end."""
        self.urls += urls
        self.process.stdin.write("".join(url + "\n" for url in urls))
        self.process.stdin.flush()

    def tell(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def read(self):
        """What it has reported until now."""
        self.output.flush()
        text = os.pread(self.output.fileno(), 1 << 30, 0).decode()
        return [json.loads(line) for line in text.splitlines(True)
                if line.endswith("\n")]

    def descriptors(self):
        """What it has open now."""
        folder = f"/proc/{self.process.pid}/fd"
        found = []
        for name in os.listdir(folder):
            try:
                found.append(os.readlink(os.path.join(folder, name)))
            except FileNotFoundError:
                pass
        return found

    def end(self):
        """Waits until it has ended: its exit status."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait(PATIENCE * (10 if FULL else 1))
        reports = self.read()
        self.counts = collections.Counter(one["url"] for one in reports)
        self.reports = {one["url"]: one for one in reports}
        self.said = os.pread(self.errors.fileno(), 1 << 30, 0).decode()
        self.output.close()
        self.errors.close()
        return self.process.returncode

    def error(self, url):
        return self.reports[url]["error"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        self.output.close()
        self.errors.close()
