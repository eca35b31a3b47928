#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-fetch against nginx: 1,000 files of 1 B to 8 MiB, over HTTP and TLS.

nginx runs as one process on free ports of loopback, with files, logs and the
certificates of an authority of our own in a temporary folder.
"""
import filecmp
import os
import random
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
import web
from web import Fetch, Folder, wait_until

FILES = 1000
LARGEST = 8 << 20
LARGE = [f"large{i}" for i in range(4)]


def sizes():
    """From the smallest to the largest, most of them small, and those at which
    something may change."""
    edges = [1, 2, 4095, 4096, 4097, 65535, 65536, 65537, 131071, 131072,
             131073, LARGEST - 1, LARGEST]
    rest = FILES - len(edges) - len(LARGE)
    return edges + [int(LARGEST ** (i / rest) ** 2.2) + 1 for i in range(rest)]


def make_files(folder):
    for name, size in [*((f"f{i}", size) for i, size in enumerate(sizes())),
                       *((name, LARGEST) for name in LARGE)]:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(random.randbytes(size))


def setUpModule():
    global nginx
    web.more_descriptors()
    nginx = web.Nginx()
    make_files(nginx.files)


def tearDownModule():
    nginx.end()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Folder(self)

    def fetch(self, urls, *options, **more):
        with Fetch(self.folder, urls, *options, **more) as run:
            run.status = run.end()
        self.assertEqual(run.said, "")
        self.assertEqual(run.counts, {url: 1 for url in urls})
        return run

    def fetch_well(self, urls, *options, **more):
        run = self.fetch(urls, *options, **more)
        self.assertEqual({url: one["error"] for url, one in
                          run.reports.items() if one["error"]}, {})
        self.assertEqual(run.status, 0)
        return run

    def check_files(self, names):
        """These are byte-identical, and no others are there."""
        self.assertEqual(self.folder.names(), sorted(names))
        same, _, _ = filecmp.cmpfiles(nginx.files, self.folder.path, names,
                                      shallow=False)
        self.assertEqual(sorted(same), sorted(names))

    def fetch_all(self, secure, *options):
        names = os.listdir(nginx.files)
        random.shuffle(names)
        self.assertEqual(len(names), FILES)
        self.fetch_well([nginx.url(name, secure) for name in names], *options,
                        listed=True)
        self.check_files(names)


class Whole(Case):
    def test_1000_files_arrive_identical_over_http(self):
        self.fetch_all(False)

    def test_1000_files_arrive_identical_over_tls(self):
        self.fetch_all(True, "--cacert", nginx.authority)

    def test_they_do_one_after_the_other_too(self):
        names = [f"f{i}" for i in range(60)] + LARGE[:1]
        self.fetch_well([nginx.url(name) for name in names], "-j", "1")
        self.check_files(names)

    def test_many_at_once_share_a_connection_of_http_2(self):
        names = [f"f{i}" for i in range(200)]
        self.fetch_well([nginx.url(name, True) for name in names], "-j", "100",
                        "--cacert", nginx.authority)
        self.check_files(names)
        self.assertIn("HTTP/2.0", nginx.log("access.log"))


class Trust(Case):
    def test_a_certificate_that_nobody_vouches_for_is_refused(self):
        url = nginx.url("f3", True)
        run = self.fetch([url], "--retries", "0")
        self.assertEqual(run.status, 1)
        self.assertRegex(run.error(url), "(?i)certificate")
        self.check_files([])

    def test_it_is_taken_where_nobody_cares(self):
        self.fetch_well([nginx.url("f3", True)], "--insecure")
        self.check_files(["f3"])

    def test_a_certificate_of_another_host_is_refused(self):
        url = nginx.url("f3", True).replace("localhost", "127.0.0.1")
        run = self.fetch([url], "--cacert", nginx.authority, "--retries", "0")
        self.assertEqual(run.status, 1)
        self.assertRegex(run.error(url), "(?i)certificate")
        self.check_files([])


class Resumed(Case):
    def break_off(self, names, secure, number):
        """Ends a run in the middle of it: the URLs, and what is complete."""
        urls = [nginx.url(name, secure) for name in names]
        with Fetch(self.folder, urls, "--resume", "--cacert", nginx.authority,
                   "--rate", "8M", "-j", "6") as run:
            self.assertTrue(wait_until(
                lambda: len(self.folder.partial()) >= len(LARGE)
                and len(self.folder.names()) >= len(names) // 3))
            time.sleep(random.uniform(0, 0.5))
            run.tell(number)
            run.tell(number)
            run.end()
        whole = set(self.folder.names()) - set(self.folder.partial())
        self.assertLess(len(whole), len(names))
        return urls, whole

    def play(self, secure, number):
        names = [*LARGE, *(f"f{i}" for i in range(500, 560))]
        urls, whole = self.break_off(names, secure, number)
        for name in whole:
            self.assertTrue(filecmp.cmp(
                os.path.join(nginx.files, name),
                os.path.join(self.folder.path, name), shallow=False), name)
        before = len(nginx.log("access.log"))
        self.fetch_well(urls, "--resume", "--cacert", nginx.authority)
        self.check_files(names)
        return nginx.log("access.log")[before:], whole

    def test_after_a_kill_every_file_becomes_complete(self):
        for secure in (False, True):
            log, whole = self.play(secure, signal.SIGKILL)
            self.assertRegex(log, r'GET /large\d HTTP/[\d.]+" 206 ')
            for name in whole:
                self.assertIsNone(re.search(rf"GET /{name} ", log), name)
            for name in self.folder.names():
                os.unlink(os.path.join(self.folder.path, name))

    def test_after_a_cancel_too(self):
        self.play(False, signal.SIGINT)

    def test_a_file_that_was_replaced_is_fetched_anew(self):
        name = LARGE[0]
        path = os.path.join(nginx.files, name)
        with Fetch(self.folder, [nginx.url(name)], "--resume", "--rate",
                   "4M") as run:
            self.assertTrue(wait_until(self.folder.partial))
            time.sleep(0.2)
            run.tell(signal.SIGKILL)
            run.end()
        with open(path, "wb") as file:
            file.write(random.randbytes(LARGEST - 5))
        self.fetch_well([nginx.url(name)], "--resume")
        self.check_files([name])


if __name__ == "__main__":
    web.skip_without(("nginx (nginx-light)", web.NGINX),
                     ("openssl", web.OPENSSL))
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], warnings="ignore")
