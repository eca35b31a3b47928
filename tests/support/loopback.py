# SPDX-License-Identifier: MIT
"""Servers of other people, for tests: each is started here, on a free port of
127.0.0.1, in a directory that is gone afterwards, and ends with the test,
whatever becomes of that. As root it runs as a user of its own.

What cannot be tried is said in one line, and the test exits 77.
"""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("ROTA_BIN", "build/release/bin")
PATIENCE = 60  # seconds, for anything that should be quick
NOT_TRIED = 77


def need(what, why):
    """The path of a program; without one there is no test."""
    path = shutil.which(what, path=os.pathsep.join(
        [BIN, os.environ.get("PATH", ""), "/usr/sbin"]))
    return path or give_up(f"{os.path.basename(what)} is missing: {why}")


def give_up(why):
    print(why)
    sys.exit(NOT_TRIED)


def need_user(name):
    """Who a server may run as that does not run as root; None: who we are."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return give_up(f"there is no user {name} for the server, which may "
                       "not run as root")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until(true):
    """Asks again and again; complains if it never becomes true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("what was waited for did not come")
        time.sleep(0.01)


def listens(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


class Place:
    """A directory, and who runs in it (need_user)."""

    def __init__(self, user):
        self.path = tempfile.mkdtemp(prefix="rota-")
        self.prefix = ["setpriv", "--pdeathsig", "KILL"]
        if user:
            os.chown(self.path, user.pw_uid, user.pw_gid)
            self.prefix += ["--reuid", str(user.pw_uid), "--regid",
                            str(user.pw_gid), "--clear-groups"]

    def start(self, *command):
        environment = {"HOME": self.path, "LC_ALL": "C", "TZ": "UTC",
                       "PATH": "/usr/bin:/bin"}
        with open(os.path.join(self.path, "log"), "ab") as log:
            return subprocess.Popen(self.prefix + list(command), env=environment,
                                    cwd=self.path, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)

    def run(self, *command):
        with self.start(*command) as process:
            if process.wait(PATIENCE):
                raise AssertionError(f"{command[0]} failed:\n{self.log()}")

    def log(self):
        with open(os.path.join(self.path, "log"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """One that runs in a place, and takes connections."""

    def __init__(self, place, port, *command):
        self.place = place
        self.port = port
        self.process = place.start(*command)
        try:
            wait_until(self.is_up)
        except AssertionError:
            self.stop()
            raise

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError("the server has ended:\n" + self.place.log())
        return listens(self.port)

    def stop(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(PATIENCE)


def start_client(program, *arguments):
    """In an environment that sends it nowhere else."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("PG")
                   and not name.lower().endswith("_proxy")}
    return subprocess.Popen([program, *map(str, arguments)], text=True,
                            env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end_client(client):
    """Its exit status, and what it said."""
    try:
        output, errors = client.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        raise
    return client.returncode, output + errors


def run_client(program, *arguments):
    return end_client(start_client(program, *arguments))
