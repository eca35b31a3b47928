#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A farm of clients that is killed half-way through what it says.

The farm is a process of its own with some hundred connections: some ask and
read, some never read, some have said half of what they want, some have said
all of it and read nothing, and some come and go. SIGKILL ends it at any moment;
its connections are reset, or closed, as the kernel finds them. rota-echo has to
go on for others, who lose nothing, to give back what those had, and to end
well. Nothing here asserts how long something takes, only that it ends within a
generous limit.
"""
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from echo_server import ECHO, PATIENCE, complaints

GRACE = ["--grace-ms", str(PATIENCE * 10000)]  # is not to be over in a test
CONNECTIONS = 300
FARMS = 3
BYSTANDERS = 8
STYLES = {"": [], "Stream": ["--stream"], "Serve": ["--serve"],
          "Starved": ["--stream", "--buffers", "8"],
          "Loops": ["--loops", "2"],
          "LoopsStream": ["--loops", "2", "--stream"],
          "LoopsServe": ["--loops", "2", "--serve"],
          "Each": ["--loops", "2", "--accept", "each", "--serve"]}


def say(peer, text):
    with contextlib.suppress(BlockingIOError):
        return peer.send(text)
    return 0


def hear(peer):
    with contextlib.suppress(BlockingIOError):
        peer.recv(65536)


def flood(peer):
    while say(peer, b"f" * 8192):
        pass


def ask(peer):
    say(peer, b"a" * random.randrange(1, 5000))
    hear(peer)


def say_half(peer):
    say(peer, b"h")


def flood_and_end(peer):
    with contextlib.suppress(OSError):
        flood(peer)
        peer.shutdown(socket.SHUT_WR)


KINDS = [ask, flood, say_half, flood_and_end]


def farm(port):
    """Never ends by itself; says so when all have said something."""

    def connect():
        peer = socket.socket()
        # Soon full, so that a lap takes little.
        for size in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            peer.setsockopt(socket.SOL_SOCKET, size, 8192)
        peer.connect(("127.0.0.1", port))
        peer.setblocking(False)
        return peer

    peers = [connect() for _ in range(CONNECTIONS)]
    for lap in range(10 ** 9):
        for i, peer in enumerate(peers):
            KINDS[i % len(KINDS)](peer)
        if lap == 1:
            print("all have said something", flush=True)
        gone = lap % CONNECTIONS
        peers[gone].close()
        peers[gone] = connect()


class Farm:
    """The process, killed when it has all of its connections."""

    def __init__(self, port):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--farm", str(port)],
            stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def kill(self, delay):
        line = self.process.stdout.readline()
        time.sleep(delay)
        self.process.kill()
        return line

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Bystander(threading.Thread):
    """Asks and asks over one connection; each answer has to be right."""

    def __init__(self, port, number):
        super().__init__()
        self.peer = socket.create_connection(("127.0.0.1", port),
                                             timeout=PATIENCE)
        self.text = b"%d " % number * 100
        self.asked = 0
        self.fault = None
        self.over = False

    def ask(self):
        text = self.text + b"%d\n" % self.asked
        self.peer.sendall(text)
        answer = b""
        while len(answer) < len(text):
            part = self.peer.recv(len(text) - len(answer))
            if not part:
                break
            answer += part
        self.asked += 1
        if answer != text:
            self.fault = f"{answer} is not {text}"

    def run(self):
        try:
            while not self.over and not self.fault:
                self.ask()
        except OSError as error:
            self.fault = str(error)
        self.peer.close()


class Styled:
    """What holds in all ways to serve a connection."""

    style = []

    def setUp(self):
        self.server = subprocess.Popen(
            [ECHO, "--port", "0", *GRACE, *self.style, *self.options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        name = self.server.stdout.readline()
        self.port = int(name.rsplit(":", 1)[1])

    def tearDown(self):
        if self.server.poll() is None:
            self.server.kill()
        self.server.communicate()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def expect_descriptors(self, count):
        deadline = time.monotonic() + PATIENCE
        while self.descriptors() > count:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(self.server.poll())
            time.sleep(0.01)

    def end(self, bystanders):
        for one in bystanders:
            one.over = True
        for one in bystanders:
            one.join()
            self.assertIsNone(one.fault)
        self.server.send_signal(signal.SIGTERM)
        _, errors = self.server.communicate(timeout=PATIENCE)
        self.assertEqual(self.server.returncode, 0)
        self.assertEqual(complaints(errors), "")

    def play(self):
        bystanders = [Bystander(self.port, i) for i in range(BYSTANDERS)]
        for one in bystanders:
            one.ask()
        before = self.descriptors()
        for one in bystanders:
            one.start()
        for number in range(FARMS):
            with Farm(self.port) as farm:
                self.assertNotEqual(farm.kill(number * 0.05), "")
            self.expect_descriptors(before)
        self.end(bystanders)


class Killed(Styled):
    options = []

    def test_a_farm_that_is_killed_leaves_nothing_behind(self):
        self.play()


class KilledInTheBacklog(Styled):
    """Most of the connections are not accepted when their farm is killed."""

    options = ["--max-connections", "50"]

    def test_nor_does_one_that_waits_to_be_accepted(self):
        self.play()


def each_style(scope):
    """A class of tests for each behaviour and style."""
    for behaviour in Styled.__subclasses__():
        for name, style in STYLES.items():
            kind = behaviour.__name__ + name
            scope[kind] = type(kind, (behaviour, unittest.TestCase),
                               {"style": style})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--farm"]:
        with contextlib.suppress(OSError):
            farm(int(sys.argv[2]))
        sys.exit(1)
    each_style(globals())
    unittest.main(argv=[sys.argv[0], "-v"])
