#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-echo as its users meet it: options, stopping, slow and rude peers.

Each test starts a server of its own on a free port. The programs are looked for
in $ROTA_BIN. Nothing here asserts how long something takes, only that it ends
within a generous limit.
"""
import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
import echo_server
from echo_server import ECHO, PATIENCE, receive, receive_all

STYLES = {"": [], "Stream": ["--stream"], "Serve": ["--serve"],
          "Loops": ["--loops", "3"],
          "Each": ["--loops", "2", "--accept", "each", "--stream"]}


class Server(echo_server.Server):
    """`with` ends it and checks that it ends well."""

    def stop(self, number=signal.SIGTERM):
        self.tell(number)
        return self.end()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, kind, value, trace):
        with contextlib.ExitStack() as at_last:
            at_last.callback(super().__exit__)
            if self.process.poll() is None:
                code = self.stop()
                if kind is None and code != 0:
                    raise AssertionError(f"exit {code}: {self.errors}")


def refused(*options):
    done = subprocess.run([ECHO, *options], capture_output=True, text=True,
                          timeout=PATIENCE)
    return done.returncode, done.stderr


class Options(unittest.TestCase):
    def test_a_wrong_option_is_one_line_and_exit_2(self):
        for options in (["--nonsense"], ["--port", "70000"], ["--port", "x"],
                        ["--port", ""], ["--port"], ["extra"],
                        ["--max-connections", "0"], ["--grace-ms", "-1"],
                        ["--unix", "/tmp/x", "--address", "::1"]):
            with self.subTest(options=options):
                code, errors = refused(*options)
                self.assertEqual(code, 2)
                self.assertIn("--", errors)

    def test_help_is_the_usage_and_exit_0(self):
        done = subprocess.run([ECHO, "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        self.assertIn("--idle-timeout-ms", done.stdout)

    def test_a_port_in_use_is_one_line_and_exit_1(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            code, errors = refused("--port", str(other.getsockname()[1]))
        self.assertEqual(code, 1)
        self.assertRegex(errors, r"^rota-echo: cannot listen on 127.0.0.1:"
                                 r"\d+: Address already in use\n$")

    def test_an_address_that_is_not_ours_is_one_line_and_exit_1(self):
        for address in ("192.0.2.1", "not an address", "localhost"):
            code, errors = refused("--address", address, "--port", "0")
            self.assertEqual(code, 1)
            self.assertEqual(errors.count("\n"), 1)

    def test_it_listens_on_ipv6(self):
        with Server("--address", "::1") as server:
            self.assertRegex(server.name, r"^\[::1\]:\d+$")
            with server.connect() as peer:
                peer.sendall(b"six")
                self.assertEqual(receive(peer, 3), b"six")

    def test_it_listens_on_a_unix_socket_and_removes_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "echo")
            with Server("--unix", path) as server:
                self.assertEqual(server.name, "unix:" + path)
                with server.connect() as peer:
                    peer.sendall(b"local")
                    self.assertEqual(receive(peer, 5), b"local")
            self.assertFalse(os.path.exists(path))

    def test_a_unix_path_that_is_too_long_is_refused_whole(self):
        code, errors = refused("--unix", "/tmp/" + "x" * 400)
        self.assertEqual(code, 1)
        self.assertIn("Invalid argument", errors)

    def test_quiet_prints_nothing(self):
        process = subprocess.Popen([ECHO, "--port", "0", "--quiet"],
                                   stdout=subprocess.PIPE)
        time.sleep(0.3)
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(out, b"")


class Styled:
    """Behaviour that all three ways to serve a connection have."""

    style = []

    def server(self, *options, **more):
        return Server(*self.style, *options, **more)


class Stopping(Styled):
    def test_both_signals_end_it_with_0(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            server = self.server()
            self.assertEqual(server.stop(number), 0)
            self.assertEqual(server.errors, "")

    def test_idle_connections_end_at_once(self):
        with self.server("--grace-ms", PATIENCE * 10000) as server:
            peers = [server.connect() for _ in range(50)]
            for peer in peers:
                peer.sendall(b"x")
                self.assertEqual(receive(peer, 1), b"x")
            self.assertEqual(server.stop(), 0)
            for peer in peers:
                self.assertEqual(receive_all(peer), b"")
                peer.close()

    def test_what_was_received_is_sent_back(self):
        with self.server() as server:
            peer = server.connect()
            data = os.urandom(200000)
            peer.sendall(data)
            time.sleep(0.3)  # all of it is in the server's hands
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(receive_all(peer), data)
            self.assertEqual(server.end(), 0)

    def test_a_peer_that_never_reads_is_cut_off_after_the_grace(self):
        with self.server("--grace-ms", 200) as server:
            peer = server.connect()
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    peer.send(b"x" * 65536)
            self.assertEqual(server.stop(), 0)
            peer.close()


class Peers(Styled):
    def test_a_half_closed_peer_gets_all_of_its_bytes(self):
        with self.server() as server, server.connect() as peer:
            data = os.urandom(3000000)

            def send():
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            self.assertEqual(receive_all(peer), data)
            sender.join()

    def test_a_peer_that_trickles_single_bytes_is_served(self):
        with self.server() as server, server.connect() as peer:
            for byte in b"trickle":
                peer.sendall(bytes([byte]))
                self.assertEqual(receive(peer, 1), bytes([byte]))

    def test_resets_leave_nothing_behind(self):
        with self.server() as server:
            fds = f"/proc/{server.process.pid}/fd"
            before = len(os.listdir(fds))
            for _ in range(200):
                peer = server.connect()
                peer.sendall(b"y" * 100000)
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
                peer.close()
            deadline = time.monotonic() + PATIENCE
            while len(os.listdir(fds)) > before:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)

    def test_the_idle_timeout_ends_a_silent_connection(self):
        with self.server("--idle-timeout-ms", 100) as server:
            with server.connect() as peer:
                peer.sendall(b"z")
                self.assertEqual(receive(peer, 1), b"z")
                self.assertEqual(receive_all(peer), b"")

    def test_the_idle_timeout_ends_a_peer_that_never_reads(self):
        with self.server("--idle-timeout-ms", 200, "--max-connections", 1) as server:
            deaf = server.connect()
            deaf.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    deaf.send(b"x" * 65536)
            with server.connect() as peer:  # waits for the slot
                peer.sendall(b"next")
                self.assertEqual(receive(peer, 4), b"next")
            deaf.close()

    def test_at_the_cap_new_connections_wait(self):
        if "each" in self.style:
            return      # each listener has its own, and the kernel deals
        with self.server("--max-connections", 2) as server:
            first, second, third = (server.connect() for _ in range(3))
            for peer in (first, second):
                peer.sendall(b"a")
                self.assertEqual(receive(peer, 1), b"a")
            third.sendall(b"b")
            third.settimeout(0.2)
            with self.assertRaises(TimeoutError):
                third.recv(1)
            first.close()
            third.settimeout(PATIENCE)
            self.assertEqual(receive(third, 1), b"b")
            second.close()
            third.close()

    def test_stopping_and_going_on_by_job_control_changes_nothing(self):
        with self.server() as server, server.connect() as peer:
            server.process.send_signal(signal.SIGSTOP)
            peer.sendall(b"asleep")
            time.sleep(0.2)
            server.process.send_signal(signal.SIGCONT)
            self.assertEqual(receive(peer, 6), b"asleep")


class Descriptors(Styled):
    def test_3000_connections_against_1024_descriptors(self):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most[1] < 4000:
            self.skipTest("this process may not open 3,000 connections")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most[1], most[1]))
        # More are allowed than there are descriptors: EMFILE comes.
        with self.server("--max-connections", 5000, descriptors=1024) as server:
            peers = [server.connect() for _ in range(3000)]
            for peer in peers:
                peer.sendall(b"n")
            before = server.cpu_seconds()
            time.sleep(1)
            # It waits for a descriptor, it does not spin.
            self.assertLess(server.cpu_seconds() - before, 0.3)
            for peer in peers:
                self.assertEqual(receive(peer, 1), b"n")
                peer.close()
            self.assertEqual(server.stop(), 0)
            lines = server.errors.splitlines()
            self.assertGreaterEqual(len(lines), 1)
            self.assertLess(len(lines), 100)
            for line in lines:
                self.assertIn("no descriptor left (EMFILE", line)
        resource.setrlimit(resource.RLIMIT_NOFILE, most)


def each_style(scope):
    """A class of tests for each behaviour and style."""
    for behaviour in Styled.__subclasses__():
        for name, style in STYLES.items():
            kind = behaviour.__name__ + name
            scope[kind] = type(kind, (behaviour, unittest.TestCase),
                               {"style": style})


each_style(globals())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
