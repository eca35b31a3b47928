# SPDX-License-Identifier: MIT
"""What tests of rota-echo have in common: a server that runs, and its peers.

The program is looked for in $ROTA_BIN. Nothing is waited for longer than
PATIENCE: a generous limit, not a measure.
"""
import os
import re
import resource
import signal
import socket
import subprocess

ECHO = os.path.join(os.environ.get("ROTA_BIN", "build/release/bin"), "rota-echo")
PATIENCE = 60  # seconds, for anything that should be quick


def complaints(errors):
    """What a server has said on stderr, but for its notices that streams have
    waited for buffers: a busy machine brings them about."""
    return "".join(line for line in errors.splitlines(keepends=True)
                   if not re.search(r"waited for buffers| of the buffers: ",
                                    line))


class Server:
    """A running rota-echo, on a free port unless it is told another one; killed
    in the end if it has not ended by itself."""

    def __init__(self, *options, descriptors=None, port=0):
        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE,
                                   (descriptors, descriptors))

        arguments = [ECHO, *map(str, options)]
        if "--unix" not in options:
            arguments += ["--port", str(port)]
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, preexec_fn=limit)
        self.line = self.process.stdout.readline().strip()
        match = re.fullmatch(r"rota-echo: listening on (.*)", self.line)
        self.name = match and match.group(1)

    def connect(self):
        if self.name.startswith("unix:"):
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(PATIENCE)
            peer.connect(self.name[5:])
            return peer
        host, port = self.name.rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)),
                                        timeout=PATIENCE)

    def tell(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def end(self):
        """Waits until it has ended: its exit code."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        self.errors = complaints(errors)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


def receive(peer, count):
    """So much, or less if the end comes first."""
    data = b""
    while len(data) < count:
        part = peer.recv(count - len(data))
        if not part:
            break
        data += part
    return data


def receive_all(peer):
    """Until the end, which has to be one: a reset raises."""
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)
