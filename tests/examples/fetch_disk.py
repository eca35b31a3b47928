#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-fetch on a disk that becomes full: a small tmpfs.

That needs root, or a kernel that lets anybody be root of a namespace. It is
mounted in a namespace of this test's own, so it is gone when that ends, however
that ends.
"""
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
import web
from web import PATIENCE, Fetch, Folder, body

DISK_BYTES = 1 << 20


MOUNT = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "rota-test"]
ALONE = ["unshare", "--mount"]
if os.geteuid() != 0:
    ALONE += ["--user", "--map-root-user"]


def disks_can_be_had():
    try:
        return subprocess.run(
            [*ALONE, *MOUNT, os.path.dirname(__file__)], check=False,
            timeout=PATIENCE, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ).returncode == 0
    except FileNotFoundError:
        return False


def setUpModule():
    global server
    server = web.Misbehaving()


def tearDownModule():
    server.kill()


class Disk(unittest.TestCase):
    def setUp(self):
        self.folder = Folder(self)
        subprocess.run([*MOUNT, self.folder.path], check=True, timeout=PATIENCE)
        self.addCleanup(subprocess.run, ["umount", self.folder.path],
                        check=True, timeout=PATIENCE)

    def fetch(self, urls, *options):
        with Fetch(self.folder, urls, *options) as run:
            self.assertEqual(run.end(), 1)
        self.assertEqual(run.said, "")
        self.assertEqual(run.counts, {url: 1 for url in urls})
        return run

    def free(self):
        status = os.statvfs(self.folder.path)
        return status.f_bavail * status.f_frsize

    def test_a_full_disk_is_told_and_nothing_is_left(self):
        before = self.free()
        url = server.url("ok/3000000/large")
        run = self.fetch([url])
        self.assertIn("No space left", run.error(url))
        self.assertEqual(run.reports[url]["retries"], 0)
        self.assertEqual(self.folder.names(), [])
        self.assertEqual(self.free(), before)

    def test_what_still_fits_is_fetched(self):
        large = [server.url(f"ok/{2000000 + i}/l{i}") for i in range(10)]
        small = [server.url(f"ok/{1000 + i}/s{i}") for i in range(50)]
        run = self.fetch([one for i in range(10) for one in
                          [large[i], *small[5 * i:5 * i + 5]]], "-j", "1")
        for url in large:
            self.assertIn("No space left", run.error(url))
        for i, url in enumerate(small):
            self.assertIsNone(run.error(url))
            self.assertEqual(self.folder.read(f"s{i}"), body(1000 + i))
        self.assertEqual(len(self.folder.names()), len(small))

    def test_many_that_fill_it_together_are_complete_or_not_there(self):
        """Each would fit alone."""
        urls = [server.url(f"chunked/{300000 + i}/f{i}") for i in range(40)]
        run = self.fetch(urls, "-j", "40")
        for i, url in enumerate(urls):
            name = f"f{i}"
            if run.error(url):
                self.assertIn("No space left", run.error(url))
                self.assertNotIn(name, self.folder.names())
            else:
                self.assertEqual(self.folder.read(name), body(300000 + i))
        self.assertEqual(self.folder.partial(), [])

    def test_with_room_again_it_goes_on(self):
        url = server.url("ok/900000/later")
        full = os.path.join(self.folder.path, "full")
        with open(full, "wb") as file:
            file.write(bytes(DISK_BYTES // 2))
        self.assertIn("No space left",
                      self.fetch([url], "--resume").error(url))
        self.assertNotIn("later", self.folder.names())
        os.unlink(full)
        with Fetch(self.folder, [url], "--resume") as run:
            self.assertEqual(run.end(), 0)
        self.assertEqual(self.folder.read("later"), body(900000))
        self.assertEqual(self.folder.names(), ["later"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        del sys.argv[1]
        unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]],
                      warnings="ignore")
    web.skip_without(("a small tmpfs (root, or namespaces for all)",
                      disks_can_be_had()))
    os.execvp(ALONE[0], [*ALONE, sys.executable, __file__, "alone",
                         *sys.argv[1:]])
