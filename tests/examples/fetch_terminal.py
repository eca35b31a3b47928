#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-fetch on a terminal: what its display leaves there.

The terminal is a pty(7), and behind it one that understands as much as the
display uses, and complains of anything else.
"""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
import web
from web import FETCH, PATIENCE, Folder

# What is understood: up so many rows, clear to the end of the screen.
TOKENS = re.compile(r"\x1b\[(\d+)A|(\x1b\[J)|([\r\n])|([^\x00-\x1f\x7f]+)")


class Screen:
    """Rows of text without an end, and where the cursor is."""

    def __init__(self, columns):
        self.columns = columns
        self.rows = [""]
        self.row = self.column = 0
        self.highest = 0  # rows that the display took at most
        self.complaints = []

    def write(self, text):
        done = 0
        for token in TOKENS.finditer(text):
            if token.start() != done:
                self.complaints.append(text[done:token.start()])
            done = token.end()
            self.act(*token.groups())
        if done != len(text):
            self.complaints.append(text[done:])

    def act(self, up, clear, move, text):
        if up:
            self.highest = max(self.highest, int(up))
            self.row -= int(up)
            if self.row < 0:
                self.complaints.append("above the first row")
        elif clear:
            self.rows = self.rows[:self.row] + [
                self.rows[self.row][:self.column]]
        elif move == "\r":
            self.column = 0
        elif move == "\n":
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append("")
        else:
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = (line[:self.column] + text
                                   + line[self.column + len(text):])
            self.column += len(text)

    def widest(self):
        return max(map(len, self.rows))


def setUpModule():
    global server
    server = web.Misbehaving()


def tearDownModule():
    server.kill()


class Terminal(unittest.TestCase):
    def setUp(self):
        self.folder = Folder(self)
        self.seen = ""

    def show(self, urls, *options, size=(24, 80), results=False, kind="xterm",
             told=None):
        """Runs it on a terminal of so many rows and columns; its results go
        there too, or nowhere. Its exit status; what it wrote is `seen`."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))
        environment = dict(os.environ, TERM=kind)
        if not kind:
            del environment["TERM"]
        process = subprocess.Popen(
            [FETCH, "-d", self.folder.path, *options, "--", *urls],
            stdin=subprocess.DEVNULL, stderr=slave, env=environment,
            stdout=slave if results else subprocess.DEVNULL,
            preexec_fn=web.die_with_parent)
        os.close(slave)
        data = b""
        try:
            while part := os.read(master, 65536):
                data += part
                if told and told in data:
                    process.send_signal(signal.SIGINT)
                    told = None
        except OSError:
            pass  # nobody has it open any more
        os.close(master)
        self.seen = data.decode()
        return process.wait(PATIENCE)

    def widths(self):
        """Of each line that was ever drawn."""
        plain = re.sub(r"\x1b\[\d*[A-Z]", "\n", self.seen)
        return [len(line) for line in re.split(r"[\r\n]+", plain)]

    def drawn(self, columns=80):
        screen = Screen(columns)
        screen.write(self.seen)
        self.assertEqual(screen.complaints, [])
        return screen

    def test_no_line_is_wider_than_the_terminal(self):
        urls = [server.url(f"slow/{10 ** i}/name-{'n' * 8 * i}")
                for i in range(6)]
        for columns in (1, 8, 20, 33, 60, 80, 300):
            status = self.show(urls, "--timeout", "0.7", "--retries", "0",
                               size=(24, columns))
            self.assertEqual(status, 1)
            # Lines that stay are the terminal's to wrap.
            shown = self.seen[:self.seen.rindex("\x1b[J")]
            shown = re.sub(r"(?m)^(\x1b\[\d+A)?\r?(\x1b\[J)?rota-fetch: .*\r$",
                           "", shown)
            self.seen = shown
            self.assertLessEqual(max(self.widths()), columns)
            self.drawn(columns)

    def test_it_takes_no_more_than_half_of_the_rows(self):
        urls = [server.url(f"slow/1000/{i}") for i in range(40)]
        for rows in (2, 10, 24, 50):
            self.show(urls, "-j", "40", "--timeout", "0.7", "--retries", "0",
                      size=(rows, 80))
            self.assertLessEqual(self.drawn().highest, max(1, rows // 2))
            self.assertGreater(self.drawn().highest, 0)

    def test_a_line_tells_of_each_that_runs_and_the_last_of_all(self):
        self.show([server.url("slow/300000/first"),
                   server.url("slow/30000/second")])
        frames = self.seen.split("\x1b[J")
        both = [frame for frame in frames
                if "first" in frame and "second" in frame]
        self.assertTrue(both)
        for frame in both:
            self.assertRegex(frame, r"first .*%.*/s")
            self.assertRegex(frame, r"0 of 2 files")

    def test_in_the_end_only_what_became_of_all_is_there(self):
        status = self.show([server.url("slow/1000/one"), server.url("ok/5"),
                            server.url("status/404")], "--retries", "0",
                           results=True)
        self.assertEqual(status, 1)
        left = [row for row in self.drawn().rows if row]
        self.assertEqual(len(left), 4, left)
        self.assertIn("5: 5 B", left[:2])
        self.assertIn("404", left[0] + left[1])
        self.assertTrue(left[2].startswith("one: "), left)
        self.assertRegex(left[3], "^2 of 3 files.* 1 failed$")

    def test_after_a_cancel_too(self):
        status = self.show([server.url(f"stall/1000/{i}") for i in range(3)],
                           "--timeout", "1.5", "--retries", "0",
                           told=b"0 of 3 files")
        self.assertEqual(status, 1)
        left = [row for row in self.drawn().rows if row]
        self.assertEqual(len(left), 4, left)
        self.assertIn("3 failed", left[3])

    def test_hostile_names_do_nothing_to_it(self):
        names = ["%1b%5b2J", "%1b%5d0;title%07", "%0d%0aforged", "%c2%9b2J",
                 "%ff%fe", "%e2%80%ae%d7%90", "%08%08%08"]
        status = self.show([server.url(f"slow/100/{name}") for name in names]
                           + ["http://127.0.0.1:1/\x1b[2J"], "--retries", "0",
                           results=True)
        self.assertEqual(status, 1)
        self.drawn()
        self.assertNotIn("\x9b", self.seen)

    def test_where_it_is_not_wanted_there_is_none(self):
        url = server.url("slow/1000/x")
        self.assertEqual(self.show([url], "--quiet"), 0)
        self.assertEqual(self.seen, "")
        for kind in ("dumb", ""):
            self.assertEqual(self.show([url], kind=kind), 0)
            self.assertNotIn("\x1b", self.seen)
            self.assertIn("1 of 1 files", self.seen)


if __name__ == "__main__":
    web.skip_without()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], warnings="ignore")
