#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-echo is told to stop: nobody who came in time loses anything.

A request is in time if its peer had sent it, to the last byte, before the
signal was: then all of it has to come back. Nothing here asserts how long
something takes, only that it ends within a generous limit.
"""
import contextlib
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from echo_server import PATIENCE, Server, receive, receive_all

LONG_MS = PATIENCE * 10000  # a grace that is not to be over in a test
STYLES = {"": [], "Stream": ["--stream"], "Serve": ["--serve"],
          "Starved": ["--stream", "--buffers", "8"],
          "Loops": ["--loops", "3"],
          "Each": ["--loops", "2", "--serve"]}


def warmed(server, count):
    """Connections that have been served once: the server has accepted them."""
    peers = [server.connect() for _ in range(count)]
    for peer in peers:
        peer.sendall(b"w")
        assert receive(peer, 1) == b"w"
    return peers


class Client(threading.Thread):
    """Asks and asks, over one connection or a new one each time, and notes what
    became of each request."""

    def __init__(self, server, once, number):
        super().__init__()
        self.server = server
        self.once = once
        self.asked = []  # of each request: when it was sent, and its fate
        self.text = (b"%d " % number) * 40
        self.over = False

    def ask(self, peer):
        text = b"%s%d\n" % (self.text, len(self.asked))
        try:
            peer.sendall(text)
        except OSError:
            self.over = True
            return
        sent = time.monotonic()
        try:
            answer = receive(peer, len(text))
        except OSError as error:
            answer = str(error)
        self.over = answer != text
        self.asked.append((sent, not self.over, answer))

    def run(self):
        with contextlib.suppress(ConnectionError):
            while not self.over:
                with self.server.connect() as peer:
                    self.ask(peer)
                    while not self.over and not self.once:
                        self.ask(peer)


class Styled:
    """Behaviour that all ways to serve a connection have."""

    style = []

    def server(self, *options):
        return Server(*self.style, *options)

    def check_end(self, server):
        self.assertEqual(server.end(), 0)
        self.assertEqual(server.errors, "")


class Requests(Styled):
    def play_load(self, once):
        with self.server("--grace-ms", LONG_MS) as server:
            clients = [Client(server, once, i) for i in range(16)]
            for client in clients:
                client.start()
            time.sleep(0.3)
            told = time.monotonic()
            server.tell()
            self.check_end(server)
            for client in clients:
                client.join(PATIENCE)
        lost = [answer for client in clients
                for sent, answered, answer in client.asked
                if sent < told and not answered]
        self.assertEqual(lost, [])
        for client in clients:
            self.assertGreater(len(client.asked), 0)

    def test_under_load_each_request_that_came_in_time_is_answered(self):
        for _ in range(3):
            self.play_load(once=False)

    def test_connections_that_ask_once_are_answered_too(self):
        for _ in range(3):
            self.play_load(once=True)

    def test_requests_in_the_hands_of_the_kernel_are_answered(self):
        """The server sleeps while they come: on connections that it knows, and
        on such that it has not accepted."""
        with self.server("--grace-ms", LONG_MS) as server:
            peers = warmed(server, 100)
            server.tell(signal.SIGSTOP)
            peers += [server.connect() for _ in range(300)]
            texts = [os.urandom(100 + 40 * i) for i in range(len(peers))]
            for peer, text in zip(peers, texts):
                peer.sendall(text)
            server.tell()
            server.tell(signal.SIGCONT)
            for peer, text in zip(peers, texts):
                self.assertEqual(receive_all(peer), text)
                peer.close()
            self.check_end(server)

    def test_those_who_wait_at_the_cap_have_their_turn(self):
        with self.server("--grace-ms", LONG_MS, "--max-connections",
                         4) as server:
            peers = warmed(server, 4)
            more = [server.connect() for _ in range(40)]
            for peer in more:
                peer.sendall(b"at last")
            time.sleep(0.1)
            server.tell()
            for peer in peers:
                self.assertEqual(receive_all(peer), b"")
                peer.close()
            for peer in more:
                self.assertEqual(receive_all(peer), b"at last")
                peer.close()
            self.check_end(server)

    def connect_narrow(self, server):
        """One that takes a little at a time."""
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(PATIENCE)
        peer.connect(("127.0.0.1", int(server.name.rsplit(":", 1)[1])))
        return peer

    def test_a_long_answer_is_sent_to_the_end(self):
        with self.server("--grace-ms", LONG_MS) as server:
            peer = self.connect_narrow(server)
            data = os.urandom(400000)
            peer.sendall(data)
            time.sleep(0.3)  # all of it is in the server's hands
            server.tell()
            time.sleep(0.2)
            self.assertEqual(receive_all(peer), data)
            peer.close()
            self.check_end(server)

    def test_who_sends_on_gets_all_answers_that_it_is_owed(self):
        """The connection may be reset then, but not before."""
        with self.server("--grace-ms", LONG_MS) as server:
            peer = self.connect_narrow(server)
            data = os.urandom(400000)
            peer.sendall(data)
            time.sleep(0.3)
            server.tell()
            time.sleep(0.2)
            with contextlib.suppress(ConnectionError):
                peer.sendall(b"more")
            self.assertEqual(receive(peer, len(data)), data)
            peer.close()
            self.check_end(server)

    def test_it_drains_on_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "echo")
            with self.server("--grace-ms", LONG_MS, "--unix", path) as server:
                peers = warmed(server, 5)
                server.tell(signal.SIGSTOP)
                peers += [server.connect() for _ in range(20)]
                for peer in peers:
                    peer.sendall(b"local")
                server.tell()
                server.tell(signal.SIGCONT)
                for peer in peers:
                    self.assertEqual(receive_all(peer), b"local")
                    peer.close()
                self.check_end(server)
            self.assertFalse(os.path.exists(path))


class Ends(Styled):
    def test_idle_ones_end_without_a_reset(self):
        with self.server("--grace-ms", LONG_MS) as server:
            peers = warmed(server, 50) + [server.connect() for _ in range(50)]
            server.tell()
            for peer in peers:
                self.assertEqual(receive_all(peer), b"")
            self.check_end(server)
            for peer in peers:
                peer.close()

    def stuff(self, server):
        """A peer that never reads, until nobody takes any more of it."""
        peer = warmed(server, 1)[0]
        peer.setblocking(False)
        taken = True
        while taken:
            taken = False
            with contextlib.suppress(BlockingIOError):
                while peer.send(b"x" * 65536):
                    taken = True
            time.sleep(0.05)
        return peer

    def test_who_comes_while_it_drains_is_refused(self):
        with self.server("--grace-ms", LONG_MS) as server:
            busy = self.stuff(server)
            idle = warmed(server, 1)[0]
            server.tell()
            self.assertEqual(receive_all(idle), b"")
            # The listener may be closed a moment later.
            deadline = time.monotonic() + PATIENCE
            with self.assertRaises(ConnectionError):
                while time.monotonic() < deadline:
                    with server.connect() as late:
                        receive_all(late)
            self.assertIsNone(server.process.poll())
            busy.close()
            idle.close()
            self.assertEqual(server.end(), 0)

    def test_who_is_left_after_the_grace_is_named_and_cut_off(self):
        with self.server("--grace-ms", 100) as server:
            peer = self.stuff(server)
            server.tell()
            self.assertEqual(server.end(), 0)
            lines = server.errors.splitlines()
            self.assertEqual(len(lines), 2, server.errors)
            self.assertIn("the grace is over: task", lines[0])
            self.assertIn("accept_all", lines[0])
            self.assertRegex(lines[1], r"task \d+ serve.* \(spawned at .*, "
                                       r"group connections\) waits in")
            peer.close()

    def test_the_second_signal_leaves_no_time(self):
        for first, second in ((signal.SIGTERM, signal.SIGTERM),
                              (signal.SIGINT, signal.SIGTERM)):
            with self.server("--grace-ms", LONG_MS) as server:
                peer = self.stuff(server)
                idle = warmed(server, 1)[0]
                server.tell(first)
                self.assertEqual(receive_all(idle), b"")
                self.assertIsNone(server.process.poll())
                server.tell(second)
                self.assertEqual(server.end(), 0)
                self.assertIn("the grace is over: task", server.errors)
                peer.close()
                idle.close()

    def test_many_signals_at_once_end_it_well(self):
        for _ in range(20):
            with self.server() as server:
                peers = warmed(server, 3)
                for _ in range(5):
                    server.tell(signal.SIGINT)
                    server.tell(signal.SIGTERM)
                # One that comes when it has ended all is the kernel's to act.
                self.assertIn(server.end(),
                              (0, -signal.SIGINT, -signal.SIGTERM))
                for peer in peers:
                    peer.close()

    def test_a_peer_that_sends_all_the_time_is_cut_off(self):
        with self.server("--grace-ms", 200) as server:
            peer = warmed(server, 1)[0]
            peer.setblocking(False)
            selector = selectors.DefaultSelector()
            selector.register(peer, selectors.EVENT_READ
                              | selectors.EVENT_WRITE)
            server.tell()
            deadline = time.monotonic() + PATIENCE
            with contextlib.suppress(ConnectionError):
                while time.monotonic() < deadline:
                    selector.select(PATIENCE)
                    with contextlib.suppress(BlockingIOError):
                        peer.send(b"x" * 1000)
                    with contextlib.suppress(BlockingIOError):
                        if not peer.recv(65536):
                            break
            self.assertEqual(server.end(), 0)
            selector.close()
            peer.close()


def each_style(scope):
    """A class of tests for each behaviour and style."""
    for behaviour in Styled.__subclasses__():
        for name, style in STYLES.items():
            kind = behaviour.__name__ + name
            scope[kind] = type(kind, (behaviour, unittest.TestCase),
                               {"style": style})


each_style(globals())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"], warnings="ignore")
