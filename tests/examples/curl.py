#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""28_curl against a small server: many at once, a deadline, what is cut off."""
import http.server
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from loopback import free_port, need, run_client

EXAMPLE = need("28_curl", "it was built without libcurl, "
               "tools/setup check installs it")
AT_ONCE = 100
BIG = "b" * 5000000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/slow":
            self.server.over.wait()
            return
        if self.path == "/late":
            self.server.over.wait(0.3)
        body = BIG if self.path == "/big" else f"this is {self.path}\n"
        self.send_response(200)
        self.send_header("Content-Length", len(body) + (self.path == "/cut"))
        self.end_headers()
        self.wfile.write(body.encode())
        self.close_connection = self.path == "/cut"

    def log_message(self, *_):
        pass


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = AT_ONCE


class Transfers(unittest.TestCase):
    def setUp(self):
        self.web = Web(("127.0.0.1", 0), Handler)
        self.web.over = threading.Event()
        self.addCleanup(self.web.server_close)
        self.base = f"http://127.0.0.1:{self.web.server_port}"
        thread = threading.Thread(target=self.web.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.web.shutdown)
        self.addCleanup(self.web.over.set)

    def run_for(self, *paths):
        return run_client(EXAMPLE, *[self.base + path for path in paths])

    def test_each_of_many_at_once_comes(self):
        paths = [f"/{number}" for number in range(AT_ONCE)]
        status, output = self.run_for(*paths)
        self.assertEqual(status, 0)
        self.assertEqual(sorted(output.splitlines()), sorted(
            [f"this is {path}" for path in paths] +
            [f"{self.base}{path}: No error" for path in paths]))

    def test_a_large_one_is_whole(self):
        self.assertEqual(self.run_for("/big"),
                         (0, f"{BIG}{self.base}/big: No error\n"))

    def test_one_that_takes_a_while_comes(self):
        self.assertEqual(self.run_for("/late"), (
            0, f"this is /late\n{self.base}/late: No error\n"))

    def test_a_deadline_ends_one_and_leaves_the_others(self):
        status, output = self.run_for("/slow", "/a")
        self.assertEqual(status, 1)
        self.assertEqual(output, f"this is /a\n{self.base}/a: No error\n"
                         f"{self.base}/slow: Timer expired\n")

    def test_one_that_is_cut_off_is_told(self):
        status, output = self.run_for("/cut")
        self.assertEqual(status, 1)
        self.assertIn("Transferred a partial file", output)

    def test_without_a_server_it_is_told(self):
        status, output = run_client(EXAMPLE,
                                    f"http://127.0.0.1:{free_port()}/")
        self.assertEqual(status, 1)
        self.assertIn("Couldn't connect to server", output)


if __name__ == "__main__":
    unittest.main()
