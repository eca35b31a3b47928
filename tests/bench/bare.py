#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-bench serve-bare: echo servers that are right also when cramped.

What is measured beside a server that loses bytes is worth nothing. The
program is looked for in $ROTA_BIN.
"""
import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest

BENCH = os.path.join(os.environ.get("ROTA_BIN", "build/release/bin"),
                     "rota-bench")
PATIENCE = 60  # seconds, for anything that should be quick


class Server:
    """A bare server that runs; `with` ends it and checks that it ends well."""

    def __init__(self, engine):
        self.process = subprocess.Popen(
            [BENCH, "serve-bare", "--port", "0", "--engine", *engine],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)$", line)[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port),
                                        timeout=PATIENCE)

    @contextlib.contextmanager
    def held_up(self):
        """All that is sent meanwhile, it finds at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        with self.process as process:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(PATIENCE)
            finally:
                process.kill()
        if kind is None and code != 0:
            raise AssertionError(f"exit {code}")


def send_all(peer, data):
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def receive(peer, count=1 << 62):
    """So many bytes, or what comes until the end."""
    parts = []
    while count > 0 and (part := peer.recv(min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def fill(peer):
    """Sends until nothing more is taken; what was."""
    sent = []
    peer.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        while True:
            data = os.urandom(16384)
            sent.append(data[:peer.send(data)])
    peer.settimeout(PATIENCE)
    return b"".join(sent)


def with_each_engine(test):
    """The test, once with a server of each kind, some of them cramped."""
    def run_all(self):
        for engine in (("uring", "--size", "64"), ("epoll", "--size", "64"),
                       ("multishot", "--buffers", "32768"),
                       ("multishot", "--buffers", "1"),
                       ("multishot", "--buffers", "2", "--buffer-bytes", "64"),
                       ("multishot", "--buffers", "128", "--buffer-bytes",
                        "64")):
            with self.subTest(engine=engine), Server(engine) as server:
                test(self, server)
    return run_all


class Bare(unittest.TestCase):
    """The bare servers keep what serve_bare.h promises."""

    def echo(self, peer, data):
        """Sends it, closes that half, reads to the end."""
        sender = threading.Thread(target=send_all, args=(peer, data))
        sender.start()
        back = receive(peer)
        sender.join()
        self.assertTrue(back == data, "other bytes came back")

    @with_each_engine
    def test_all_bytes_come_back_after_the_sending_half_is_closed(self, server):
        for size in (0, 1, 100000):
            with server.connect() as peer:
                self.echo(peer, os.urandom(size))

    @with_each_engine
    def test_one_that_never_reads_is_not_read_from_and_stops_nobody(self,
                                                                    server):
        with contextlib.ExitStack() as stack:
            stuck = [stack.enter_context(server.connect()) for _ in range(3)]
            taken = [fill(peer) for peer in stuck]
            self.assertLess(max(map(len, taken)), 100 << 20)
            with server.connect() as peer:
                self.echo(peer, os.urandom(20000))
            for peer, data in zip(stuck, taken):
                self.assertTrue(receive(peer, len(data)) == data)
                peer.sendall(b"again")
                self.assertEqual(receive(peer, 5), b"again")

    @with_each_engine
    def test_more_connections_than_buffers_all_get_their_bytes(self, server):
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(server.connect()) for _ in range(40)]
            data = [os.urandom(3000) for _ in peers]
            with server.held_up():
                for peer, sent in zip(peers, data):
                    send_all(peer, sent)
            for peer, sent in zip(peers, data):
                self.assertTrue(receive(peer) == sent)

    @with_each_engine
    def test_a_reset_connection_disturbs_nobody(self, server):
        def reset(peer):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            peer.close()

        for _ in range(3):
            peer = server.connect()
            fill(peer)
            reset(peer)
        for _ in range(20):
            peer = server.connect()
            with server.held_up():
                peer.sendall(b"x" * 200)
                reset(peer)
        with server.connect() as peer:
            self.echo(peer, os.urandom(5000))

    @with_each_engine
    def test_a_signal_ends_it_with_connections_in_every_state(self, server):
        for _ in range(2):
            self.addCleanup(server.connect().close)
            peer = server.connect()
            self.addCleanup(peer.close)
            fill(peer)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
