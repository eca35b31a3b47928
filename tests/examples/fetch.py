#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-fetch against a server that misbehaves where it is asked to.

Each URL is reported exactly once, with its cause; what is complete is
byte-identical; what is not never has the name of a file, and nothing else is
left behind. ROTA_FETCH_FULL=1 plays the crowd in full size. Nothing here
asserts that something is fast, only that it ends within a generous limit.
"""
import hashlib
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
import unittest
from contextlib import suppress

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
import web
from web import FETCH, PATIENCE, Fetch, Folder, body, wait_until

CROWD = 10000 if web.FULL else 1000
SOON = ["--timeout", "3", "--retries", "0"]

# What goes wrong, and a pattern of what is said of it.
CAUSES = {
    "truncate/1000": "closed with 500 bytes remaining",
    "stall/1000": "--timeout",
    "silent": "--timeout",
    "gone": "Empty reply|Connection died",
    "garbage": "HTTP/0.9",
    "reset": "reset by peer",
    "loop": "redirects",
    "busy/1000000/9": "429",
    "status/404": "404",
    "status/500": "500",
    "wrong/more/1000": "closed with 10 bytes remaining",
}


def setUpModule():
    global server, refused
    web.more_descriptors()
    server = web.Misbehaving()
    refused = socket.socket()  # has a port, and does not listen
    refused.bind(("127.0.0.1", 0))


def tearDownModule():
    refused.close()
    status, errors = server.end()
    if (status, errors) != (0, ""):
        print(f"fetch_server ends with {status}: {errors}", file=sys.stderr)
        os._exit(1)


def causes(tag=""):
    """Each way to fail, as a URL with a name that the tag makes its own, and
    what is said of it."""
    found = {server.url(f"{path}/{i}{tag}"): cause
             for i, (path, cause) in enumerate(CAUSES.items())}
    found[f"http://no-such-host.invalid/x{tag}"] = "resolve"
    found[f"http://127.0.0.1:{refused.getsockname()[1]}/y{tag}"] = "connect"
    found[server.url(f"ok/9/{'n' * 300}{tag}")] = "name"
    found[f"gopher://127.0.0.1/z{tag}"] = "rotocol"
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Folder(self)

    def fetch(self, urls, *options, **more):
        """Fetches them to the end: the run, with its status."""
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

    def check_clean(self, names=()):
        """These files and no others, neither half ones."""
        self.assertEqual(self.folder.names(), sorted(names))


class Bodies(Case):
    def test_bodies_of_every_kind_arrive_whole(self):
        paths = {"ok/0/a": 0, "ok/1/b": 1, "ok/3000000/c": 3000000,
                 "nameless/5000/d": 5000, "whole/5001/e": 5001,
                 "chunked/70000/f": 70000, "slow/1000/g": 1000,
                 "go/go/ok/77/h": 77}
        run = self.fetch_well([server.url(path) for path in paths])
        for path, count in paths.items():
            name = path[-1]
            self.assertEqual(self.folder.read(name), body(count))
            report = run.reports[server.url(path)]
            self.assertEqual(report["file"], name)
            self.assertEqual(report["bytes"], count)
            self.assertEqual(report["status"], 200)
            self.assertEqual(report["retries"], 0)
        self.check_clean(path[-1] for path in paths)

    def test_one_object_a_url_with_these_members(self):
        run = self.fetch([server.url("ok/5"), server.url("status/404")])
        for report in run.reports.values():
            self.assertEqual(sorted(report), ["bytes", "error", "file",
                                              "retries", "status", "url"])
        self.assertIsNone(run.error(server.url("ok/5")))

    def test_a_list_may_come_on_standard_input_or_in_a_file(self):
        urls = [server.url(f"ok/{count}") for count in range(1, 40)]
        self.fetch_well(urls, listed=True)
        path = os.path.join(self.folder.path, "list")
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(urls[:20]))  # the last line has no end
        status = subprocess.run(
            [FETCH, "-q", "-d", self.folder.path, "-i", path], check=False,
            timeout=PATIENCE, stdin=subprocess.DEVNULL).returncode
        self.assertEqual(status, 0)

    def test_headers_are_sent(self):
        self.fetch_well([server.url("echo/x")], "--header", "X-One: 1",
                        "--header", "X-Two: 2")
        head = self.folder.read("x")
        self.assertIn(b"X-One: 1\r\n", head)
        self.assertIn(b"X-Two: 2\r\n", head)

    def test_a_rate_is_kept_to(self):
        """However fast the machine is, it takes this long."""
        begun = time.monotonic()
        self.fetch_well([server.url("ok/400000")], "--rate", "200000")
        self.assertGreater(time.monotonic() - begun, 0.5)

    def test_a_checksum_is_looked_at(self):
        url = server.url("ok/5000")
        good = hashlib.sha256(body(5000)).hexdigest()
        bad = hashlib.sha256(b"").hexdigest()
        run = self.fetch([url], "--checksum", "sha256:" + bad)
        self.assertEqual(run.status, 1)
        self.assertIn("checksum", run.error(url))
        self.check_clean()
        self.fetch_well([url], "--checksum", "sha256:" + good)
        self.assertEqual(self.folder.read("5000"), body(5000))


class Failures(Case):
    def test_each_way_to_fail_is_told_with_its_cause(self):
        wanted = causes()
        run = self.fetch([*wanted, server.url("ok/50")], *SOON)
        self.assertEqual(run.status, 1)
        for url, cause in wanted.items():
            with self.subTest(url=url[:60]):
                self.assertRegex(str(run.error(url)), cause)
                self.assertEqual(run.reports[url]["retries"], 0)
        self.assertIsNone(run.error(server.url("ok/50")))
        self.check_clean(["50"])

    def test_what_was_cut_off_is_tried_again(self):
        url = server.url("flaky/2/100000/again")
        run = self.fetch_well([url], "--retries", "3")
        self.assertEqual(run.reports[url]["retries"], 2)
        self.assertEqual(self.folder.read("again"), body(100000))

    def test_a_busy_server_is_left_alone_for_as_long_as_it_says(self):
        """Its Retry-After is longer than our first waits would be."""
        url = server.url("busy/2/100/left-alone")
        begun = time.monotonic()
        run = self.fetch_well([url], "--retries", "3")
        self.assertGreaterEqual(time.monotonic() - begun, 2)
        self.assertEqual(run.reports[url]["retries"], 2)
        self.assertEqual(self.folder.read("left-alone"), body(100))

    def test_there_are_as_many_retries_as_were_asked_for(self):
        urls = [server.url("truncate/100"), server.url("status/500")]
        run = self.fetch(urls, "--retries", "1")
        self.assertEqual([run.reports[url]["retries"] for url in urls], [1, 1])
        self.check_clean()

    def test_what_will_not_pass_is_not_tried_again(self):
        urls = [server.url("status/404"), server.url("loop")]
        run = self.fetch(urls, "--retries", "5")
        self.assertEqual([run.reports[url]["retries"] for url in urls], [0, 0])

    def test_a_body_longer_than_its_length_harms_nobody(self):
        """What is too much is no part of any file."""
        urls = [server.url(f"wrong/less/1000/{i}") for i in range(10)]
        others = [server.url(f"ok/{2000 + i}") for i in range(40)]
        self.fetch([one for pair in zip(others, urls * 4) for one in
                    pair][:20] + others[10:], "-j", "2", *SOON)
        for i in range(40):
            self.assertEqual(self.folder.read(str(2000 + i)), body(2000 + i))
        for i in range(10):
            if str(i) in self.folder.names():
                self.assertEqual(self.folder.read(str(i)), body(1000)[:500])

    def test_no_more_than_asked_for_are_in_flight(self):
        server.most()
        self.fetch([server.url(f"stall/100/{i}") for i in range(9)],
                   "-j", "3", "--timeout", "0.3", "--retries", "0")
        self.assertEqual(server.most(), 3)
        self.fetch([server.url(f"stall/100/{i}") for i in range(6)], "-j", "6",
                   "--per-host", "2", "--timeout", "0.3", "--retries", "0")
        self.assertEqual(server.most(), 2)


class Names(Case):
    def test_a_hostile_name_stays_in_its_folder(self):
        parts = ["%2e%2e%2f%2e%2e%2fescaped", "..%2fescaped", "%2e%2e", "..",
                 "%2e", "%2fescaped", "a%0ab%0d", "%1b%5b31mred", "c%00d",
                 "%7f", ".hidden", "-rf", "~", "e%5c..%5cf", "%", "%zz", "*",
                 "g%c2%9b31m", "%ff%fe", "", "q?x=../../escaped", "r#/../s"]
        inner = os.path.join(self.folder.path, "inner")
        os.mkdir(inner)
        outer, self.folder.path = self.folder.path, inner
        run = self.fetch([server.url(f"name/{i}/{part}")
                          for i, part in enumerate(parts)], listed=True)
        self.folder.path = outer
        self.check_clean(["inner"])
        self.assertLessEqual({report["error"] for report in
                              run.reports.values()},
                             {None, "an earlier URL has the same file name"})
        for name in os.listdir(os.fsencode(inner)):
            self.assertNotIn(name[:1], b".", name)
            self.assertFalse(any(c < 32 or c == 127 for c in name), name)
            with open(os.path.join(os.fsencode(inner), name), "rb") as file:
                self.assertEqual(file.read(), body(1000))
        for report in run.reports.values():
            self.assertTrue(report["file"].isprintable(), report)

    def test_a_name_as_long_as_the_file_system_takes_is_one(self):
        names = ["n" * count for count in (240, 249, 250, 254, 255)]
        self.fetch_well([server.url(f"ok/{len(name)}/{name}")
                         for name in names])
        for name in names:
            self.assertEqual(self.folder.read(name), body(len(name)))
        self.check_clean(names)

    def test_a_name_longer_than_that_is_told(self):
        for count in (256, 300, 2000):
            url = server.url("ok/9/" + "m" * count)
            run = self.fetch([url])
            self.assertEqual(run.status, 1)
            self.assertIn("name", run.error(url))
        self.check_clean()

    def test_of_two_urls_with_one_name_one_is_the_file(self):
        urls = [server.url("slow/300/twin"), server.url("ok/400/twin"),
                server.url("ok/500/twin")]
        run = self.fetch(urls)
        self.assertEqual(run.status, 1)
        good = [url for url in urls if not run.error(url)]
        self.assertEqual(len(good), 1)
        count = run.reports[good[0]]["bytes"]
        self.assertEqual(self.folder.read("twin"), body(count))
        self.check_clean(["twin"])

    def test_two_programs_do_not_write_one_file(self):
        """The second one comes when most of it is there."""
        url = server.url("slow/400000/same")
        part = os.path.join(self.folder.path, ".same.part")
        with Fetch(self.folder, [url], *SOON[2:]) as one:
            self.assertTrue(wait_until(lambda: os.path.exists(part)
                                       and os.stat(part).st_size > 250000))
            with Fetch(self.folder, [url], *SOON[2:]) as other:
                self.assertEqual(one.end(), 0)
                self.assertEqual(self.folder.read("same"), body(400000))
                other.end()
        self.assertEqual(self.folder.read("same"), body(400000))
        self.check_clean(["same"])


class Ends(Case):
    def begin(self, urls, *options):
        """A run of which as many transfers are in flight as there are URLs,
        each with a file half written."""
        run = Fetch(self.folder, urls, *options)
        self.addCleanup(run.__exit__)
        self.assertTrue(wait_until(
            lambda: len(self.folder.partial()) >= len(urls)))
        return run

    def check_counts(self, run):
        self.assertEqual(run.counts, {url: 1 for url in run.urls})

    def test_a_cancel_with_100_in_flight_leaves_nothing(self):
        urls = [server.url(f"stall/400000/{i}") for i in range(100)]
        run = self.begin(urls, "-j", "100")
        run.tell()
        time.sleep(0.1)
        self.assertIsNone(run.process.poll())
        begun = time.monotonic()
        run.tell()
        self.assertEqual(run.end(), 1)
        print(f"out after {(time.monotonic() - begun) * 1e3:.0f} ms ",
              end="", file=sys.stderr)
        self.check_counts(run)
        for url in urls:
            self.assertIn("cancel", run.error(url))
        self.check_clean()

    def test_the_first_signal_lets_what_runs_finish(self):
        slow = [server.url(f"slow/400000/{i}") for i in range(2)]
        late = [server.url(f"ok/100/late-{i}") for i in range(20)]
        with Fetch(self.folder, slow + late, "-j", "2") as run:
            self.assertTrue(wait_until(lambda: len(
                self.folder.partial()) == 2))
            run.tell()
            self.assertEqual(run.end(), 1)
        self.check_counts(run)
        for i, url in enumerate(slow):
            self.assertIsNone(run.error(url))
            self.assertEqual(self.folder.read(str(i)), body(400000))
        for url in late:
            self.assertIsNotNone(run.error(url))
        self.check_clean(["0", "1"])

    def test_fail_fast_ends_the_rest_at_the_first_failure(self):
        stalled = [server.url(f"stall/1000/{i}") for i in range(10)]
        run = self.fetch([*stalled, server.url("status/404")], "--fail-fast",
                         "-j", "20")
        self.assertEqual(run.status, 1)
        self.assertIn("404", run.error(server.url("status/404")))
        for url in stalled:
            self.assertIn("cancel", run.error(url))
        self.check_clean()

    def test_after_a_kill_what_has_a_name_is_complete(self):
        """And a resumed run goes on where the other one was."""
        counts = [200000 + 1000 * i for i in range(10)]
        urls = [server.url(f"slow/{count}/s{count}") for count in counts]
        urls += [server.url(f"ok/{count}") for count in counts]
        run = Fetch(self.folder, urls, "-j", "20", "--resume")
        with run:
            self.assertTrue(wait_until(
                lambda: len(self.folder.partial()) == 10
                and len(self.folder.names()) == 20))
            run.tell(signal.SIGKILL)
            run.end()
        for count in counts:
            self.assertEqual(self.folder.read(str(count)), body(count))
        self.assertEqual(len(self.folder.partial()), 10)
        self.fetch_well(urls, "-j", "20", "--resume")
        for count in counts:
            self.assertEqual(self.folder.read(f"s{count}"), body(count))
        self.check_clean([str(count) for count in counts]
                         + [f"s{count}" for count in counts])

    def test_what_was_half_done_is_gone_on_with(self):
        """Also by a server without ranges, or without a name for versions."""
        for path in ("flaky/1/100000/a", "whole/100000/b",
                     "nameless/100000/c"):
            url = server.url(path)
            with Fetch(self.folder, [url], "--resume", "--rate", "50000",
                       "--retries", "0") as run:
                self.assertTrue(wait_until(self.folder.partial))
                time.sleep(0.3)
                run.tell(signal.SIGKILL)
                run.end()
            self.assertEqual(len(self.folder.partial()), 1)
            self.fetch_well([url], "--resume")
            self.assertEqual(self.folder.read(path[-1]), body(100000))
            self.assertEqual(self.folder.partial(), [])

    def test_two_versions_are_not_glued_together(self):
        url = server.url("changing/500000/version")
        run = self.fetch([url], "--resume", "--retries", "0")
        self.assertEqual(run.status, 1)
        self.assertEqual(len(self.folder.partial()), 1)
        self.fetch_well([url], "--resume")
        self.assertEqual(self.folder.read("version"), body(500000, 500001))
        self.check_clean(["version"])

    def test_a_part_that_nobody_asked_for_is_no_file(self):
        """Neither another range than the one that was missing, nor any."""
        url = server.url("shifted/200000/shifted")
        with Fetch(self.folder, [url], "--resume", "--rate", "100000") as run:
            self.assertTrue(wait_until(self.folder.partial))
            time.sleep(0.3)
            run.tell(signal.SIGKILL)
            run.end()
        part = server.url("part/1000/part")
        run = self.fetch([url, part], "--resume", *SOON)
        self.assertIsNotNone(run.error(part))
        self.assertNotIn("part", self.folder.names())
        if not run.error(url):
            self.assertEqual(self.folder.read("shifted"), body(200000))

    def test_a_temporary_file_of_nobody_knows_what_is_thrown_away(self):
        for count, *options in ((100000,), (100000, "--resume"),
                                (1000,), (1000, "--resume")):
            with open(os.path.join(self.folder.path, ".stray.part"),
                      "wb") as file:
                file.write(bytes(count))
            self.fetch_well([server.url("ok/5000/stray")], *options)
            self.assertEqual(self.folder.read("stray"), body(5000))
            self.check_clean(["stray"])
            os.unlink(os.path.join(self.folder.path, "stray"))

    def test_what_is_there_is_kept_when_it_resumes(self):
        url = server.url("ok/100/kept")
        self.fetch_well([url])
        before = os.stat(os.path.join(self.folder.path, "kept"))
        self.fetch_well([url], "--resume")
        after = os.stat(os.path.join(self.folder.path, "kept"))
        self.assertEqual((before.st_ino, before.st_mtime_ns),
                         (after.st_ino, after.st_mtime_ns))
        self.check_clean(["kept"])

    def open_by(self, run):
        """Of a run that waits for more URLs: how many sockets it has open, and
        what else."""
        found = run.descriptors()
        sockets = [name for name in found if name.startswith("socket:")]
        return len(sockets), sorted(set(found) - set(sockets))

    def test_no_descriptor_is_left_of_what_has_failed(self):
        with Fetch(self.folder, [], "-j", "8", "--timeout", "1", *SOON[2:],
                   listed=True) as run:
            before = []
            for turn in range(4):
                urls = [url for i in range(3) for url in causes(f"-{turn}-{i}")]
                run.feed(urls + [server.url(f"ok/{turn + 1}")])
                self.assertTrue(wait_until(
                    lambda: len(run.read()) == len(run.urls)))
                before.append(self.open_by(run))
            self.assertEqual(run.end(), 1)
        sockets, others = before[-1]
        self.assertLessEqual(sockets, 32)  # kept for more from the same host
        self.assertEqual(others, before[0][1])
        self.assertFalse([name for name in others
                          if name.startswith(self.folder.path + "/")])
        self.check_counts(run)


class Crowd(Case):
    def crowd(self):
        """URLs and what is wrong with them, or how long they are."""
        wanted = {}
        while len(wanted) < CROWD // 20:
            wanted |= causes(f"-{len(wanted)}")
        for i in range(CROWD - len(wanted)):
            count = int(2 ** random.uniform(0, 18 if i % 10 == 0 else 12))
            kind = random.choice(["ok", "nameless", "whole", "chunked"])
            wanted[server.url(f"{kind}/{count}/f{i}")] = count
        urls = list(wanted)
        random.shuffle(urls)
        return urls, wanted

    def twins(self):
        """Pairs with one name."""
        return [(server.url(f"ok/50/t{i}"), server.url(f"whole/51/t{i}"))
                for i in range(CROWD // 500)]

    def test_of_a_crowd_of_which_some_fail_each_has_its_own_end(self):
        urls, wanted = self.crowd()
        twins = self.twins()
        run = self.fetch([url for twin in twins for url in twin] + urls,
                         "-j", "64", *SOON, listed=True)
        self.assertEqual(run.status, 1)
        names = [f"t{i}" for i in range(len(twins))]
        for one, other in twins:
            self.assertIn("same file name", str(run.error(one))
                          + str(run.error(other)))
        for url in urls:
            if isinstance(wanted[url], str):
                self.assertRegex(str(run.error(url)), wanted[url])
            else:
                names.append(url.rsplit("/", 1)[1])
                self.assertIsNone(run.error(url), url)
                self.assertEqual(self.folder.read(names[-1]),
                                 body(wanted[url]))
        self.check_clean(names)


class Usage(unittest.TestCase):
    def run_with(self, *arguments):
        return subprocess.run([FETCH, *arguments], check=False, text=True,
                              capture_output=True, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL)

    def test_a_wrong_command_line_is_one_clear_line_and_status_2(self):
        url = server.url("ok/1")
        for arguments in ([], ["--nonsense", url], ["-j", "0", url],
                          ["-j", "x", url], ["--retries", "-1", url],
                          ["--timeout", "soon", url], ["--rate", "0", url],
                          ["--checksum", "sha256:12", url],
                          ["--checksum", "md5:" + "0" * 64, url],
                          ["-o", "x", url, url], ["--header", "none", url]):
            with self.subTest(arguments=arguments):
                ended = self.run_with(*arguments)
                self.assertEqual(ended.returncode, 2)
                self.assertEqual(ended.stdout, "")
                self.assertRegex(ended.stderr, r"\A.*rota-fetch: .*\n"
                                 r"(rota-fetch: --help .*\n)?\Z")

    def test_help_is_no_error(self):
        ended = self.run_with("--help")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        self.assertIn("usage: rota-fetch", ended.stdout)


class Words(Case):
    def say(self, *arguments):
        return subprocess.run([FETCH, "-d", self.folder.path, *arguments],
                              check=False, capture_output=True,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL)

    def test_where_there_is_no_terminal_there_are_no_escape_codes(self):
        ended = self.say(server.url("ok/100"), server.url("slow/100/x"),
                         server.url("status/404"), "--retries", "0")
        self.assertEqual(ended.returncode, 1)
        for text in (ended.stdout, ended.stderr):
            self.assertNotRegex(text, rb"[\x00-\x09\x0b-\x1f\x7f]")
        self.assertIn(b"404", ended.stderr)

    def test_hostile_urls_write_no_escape_codes_either(self):
        ended = self.say("http://127.0.0.1:1/\x1b[31m", "x\x1b[2Jy://z",
                         server.url("name/%1b%5b31m"), "--retries", "0")
        for text in (ended.stdout, ended.stderr):
            self.assertNotRegex(text, rb"[\x00-\x09\x0b-\x1f\x7f]")

    def test_quiet_says_what_failed_and_no_more(self):
        ended = self.say("-q", server.url("ok/100"))
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr),
                         (0, b"", b""))
        ended = self.say("-q", server.url("ok/100"), server.url("status/404"))
        self.assertEqual((ended.returncode, ended.stdout), (1, b""))
        self.assertEqual(ended.stderr.count(b"\n"), 1)

    def test_one_file_may_have_another_name(self):
        path = os.path.join(self.folder.path, "other")
        status = subprocess.run(
            [FETCH, "-q", "-o", path, server.url("ok/100")], check=False,
            timeout=PATIENCE, stdin=subprocess.DEVNULL).returncode
        self.assertEqual(status, 0)
        self.assertEqual(self.folder.read("other"), body(100))

    def test_what_is_no_file_is_not_replaced_by_one(self):
        path = os.path.join(self.folder.path, "pipe")
        os.mkfifo(path)
        status = subprocess.run(
            [FETCH, "-q", "-o", path, server.url("ok/100")], check=False,
            timeout=PATIENCE, stdin=subprocess.DEVNULL).returncode
        self.assertEqual(status, 1)
        self.assertTrue(stat.S_ISFIFO(os.stat(path).st_mode))
        self.check_clean(["pipe"])


class Server(unittest.TestCase):
    """What the others rely on."""

    def test_it_goes_on_whoever_leaves_at_any_point(self):
        paths = [*CAUSES, "slow/100000", "ok/10000000", "chunked/9000000"]
        hard = struct.pack("ii", 1, 0)
        for i in range(400):
            peer = server.connect()
            text = f"GET /{paths[i % len(paths)]} HTTP/1.1\r\n\r\n".encode()
            peer.sendall(text[:random.randrange(len(text) * 2)])
            if i % 2:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
            if i % 3:
                with suppress(ConnectionError):
                    peer.setblocking(False)
                    with suppress(BlockingIOError):
                        peer.recv(random.randrange(1, 1000))
            peer.close()
        self.assertTrue(wait_until(lambda: server.most() == 1))

    def test_it_ends_though_somebody_is_being_answered(self):
        other = web.Misbehaving()
        self.addCleanup(other.kill)
        peers = [other.connect() for _ in range(6)]
        for peer, path in zip(peers, ("slow/1000", "stall/99", "silent", "")):
            peer.sendall(f"GET /{path} HTTP/1.1\r\n\r\n".encode())
        peers[4].sendall(b"GET /half")
        self.assertTrue(wait_until(lambda: other.most() == 4))
        self.assertEqual(other.end(), (0, ""))
        for peer in peers:
            peer.close()


if __name__ == "__main__":
    web.skip_without()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], warnings="ignore")
