#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/seccomp.json allows what rota needs, and not much more.

A filter is made from the file, as a container runtime does, and programs run
under it: by the file's own default, which refuses, and by one that kills, which
no program can overlook. Each name is then left out in turn, and a program that
needs it has to die. The programs are looked for in $ROTA_BIN.
"""
import ctypes
import ctypes.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import unittest

BIN = os.environ.get("ROTA_BIN", "build/release/bin")
FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "../../tools/seccomp.json")
NOT_TRIED = 77
PATIENCE = 60  # seconds, for anything that should be quick

ALLOW, REFUSE, KILL = 0x7fff0000, 0x00050000, 0x80000000
DIED = -signal.SIGSYS

# Programs, and what each calls by itself, beside rota. (Tests may sleep while
# they wait for memory or for a child.)
PROGRAMS = {
    "01_hello": "",
    "02_group": "",
    "03_deadline": "socketpair",
    "05_cleanup": "socketpair",
    "08_drain": "",
    "09_ticker": "",
    "19_lines": "socketpair",
    "20_idle": "socketpair",
    "test-task-group": "",
    "test-io-option": "",
    "test-io-watch": "dup pipe2 socketpair",
    "test-io-stream_receive": "accept4 socketpair",
    "test-io-serve_hungry": "socketpair",
    "test-io-process": "kill socketpair wait4",
    "test-io-file": "mkdir mknodat pipe2 rmdir umask unlink",
    "test-loop-mail": "",
    "test-cores-loops": "",
    "test-cores-engine": "dup2 pipe2 socketpair wait4",
}
PROGRAMS = {name: own + " clock_nanosleep" * name.startswith("test-")
            for name, own in PROGRAMS.items()}
LOOK_UP = ["getent", "ahosts", "localhost"]
# Who misses a name; 01_hello does if nobody is told here.
WITNESS = {
    "rota-echo": "bind getsockname listen setsockopt signalfd4",
    "test-io-option": "getpeername getsockopt",
    "test-io-watch": "epoll_create1 epoll_ctl epoll_wait",
    "test-io-serve_hungry": "ioctl",
    "test-io-file": "ftruncate",
    "test-io-process": "pidfd_open waitid",
    "test-loop-mail": "eventfd2",
    "test-task-group": "clone3 exit",
    "test-cores-engine": "rt_sigreturn tgkill getpid gettid",
    "getent": "connect recvmsg sendto socket",
}
# What nobody here misses: another clock source, C library or processor, loops
# that are pinned (which takes as many processors), a name server, a signal at
# an unlucky moment, a runtime.
UNTRIED = set("""clock_gettime clone faccessat fstat writev sched_setaffinity
    poll recvfrom sendmmsg uname lseek restart_syscall
    epoll_pwait""".split())
RUNTIME = "What runc"


def load():
    with open(FILE, encoding="utf-8") as file:
        return json.load(file)


def allowed(profile, without=(), own=""):
    names = {name for group in profile["syscalls"] for name in group["names"]}
    return sorted(names - set(without) | set(own.split()))


class Filter:
    """Installed in a child, between fork and exec."""

    def __init__(self, names, default):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.lib.seccomp_init(
            ctypes.c_uint32(default)))
        for name in names:
            number = self.number(name)
            # Below 0: another processor's.
            if number >= 0 and self.lib.seccomp_rule_add(
                    self.context, ctypes.c_uint32(ALLOW), number, 0):
                raise OSError(f"no rule for {name}")

    def number(self, name):
        return self.lib.seccomp_syscall_resolve_name(name.encode())

    def __call__(self):
        if self.lib.seccomp_load(self.context):
            raise OSError("no filter is to be had")


def start(command, names, default):
    path = os.path.join(BIN, command[0])
    if os.path.exists(path):
        command = [path] + command[1:]
    # ftruncate is a call of its own where the ring has no operation for it
    masked = os.environ.get("ROTA_MASK", "ftruncate") + ",ftruncate"
    environment = dict(os.environ, ROTA_MASK=masked, ROTA_ROUNDS_DIVISOR="20")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            close_fds=False, env=environment,
                            preexec_fn=Filter(names, default))


def run(command, names, default):
    """How it ends, and what it says on stderr."""
    with start(command, names, default) as process:
        _, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, errors


def serve(options, names, default):
    """The same of rota-echo, with one client."""
    with start(["rota-echo", "--port", "0", *options], names,
               default) as process:
        match = re.search(r":(\d+)$", process.stdout.readline().strip())
        if match:
            ask(int(match.group(1)))
            process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, errors


def ask(port):
    sent = bytes(range(256)) * 256
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as peer:
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        got = b""
        while part := peer.recv(65536):
            got += part
    if got != sent:
        raise AssertionError(f"{len(got)} of {len(sent)} bytes came back")


class Profile(unittest.TestCase):
    def setUp(self):
        self.profile = load()
        self.defaults = (REFUSE | self.profile["defaultErrnoRet"], KILL)

    def test_the_file_is_what_runtimes_read(self):
        self.assertEqual(self.profile["defaultAction"], "SCMP_ACT_ERRNO")
        resolve = Filter((), ALLOW).number
        seen = set()
        for group in self.profile["syscalls"]:
            self.assertEqual(set(group), {"comment", "names", "action"})
            self.assertEqual(group["action"], "SCMP_ACT_ALLOW")
            self.assertEqual(group["names"], sorted(group["names"]))
            for name in group["names"]:
                self.assertNotIn(name, seen)
                self.assertNotEqual(resolve(name), -1, name)
                seen.add(name)

    def test_programs_run_under_it(self):
        for program, own in PROGRAMS.items():
            for default in self.defaults:
                with self.subTest(program=program, default=hex(default)):
                    code, errors = run([program],
                                       allowed(self.profile, own=own), default)
                    self.assertEqual(code, 0, errors)

    def test_a_server_serves_under_it(self):
        for options in ([], ["--stream"], ["--serve"]):
            for default in self.defaults:
                with self.subTest(options=options, default=hex(default)):
                    code, errors = serve(options, allowed(self.profile),
                                         default)
                    self.assertEqual(code, 0, errors)

    def test_names_are_looked_up_under_it(self):
        for default in self.defaults:
            code, errors = run(LOOK_UP, allowed(self.profile), default)
            self.assertEqual(code, 0, errors)

    def test_each_name_is_missed(self):
        told = {name: who for who, names in WITNESS.items()
                for name in names.split()}
        for group in self.profile["syscalls"]:
            if group["comment"].startswith(RUNTIME):
                continue
            for name in set(group["names"]) - UNTRIED:
                with self.subTest(name=name):
                    self.miss(name, told.get(name, "01_hello"))

    def miss(self, name, who):
        names = allowed(self.profile, [name], PROGRAMS.get(who, ""))
        if Filter((), ALLOW).number(name) < 0:
            return
        if who == "rota-echo":
            code, _ = serve([], names, KILL)
        else:
            code, _ = run(LOOK_UP if who == "getent" else [who], names, KILL)
        self.assertNotEqual(code, 0, f"{who} does without {name}")

    def test_without_one_of_its_calls_the_refusal_names_seccomp(self):
        for call in ("setup", "enter", "register"):
            names = allowed(self.profile, ["io_uring_" + call])
            for run_it in (lambda: run(["01_hello"], names, self.defaults[0]),
                           lambda: serve([], names, self.defaults[0])):
                with self.subTest(call=call):
                    code, errors = run_it()
                    self.assertEqual(code, 1)
                    self.assertRegex(
                        errors, "denied by a seccomp filter .Operation not "
                        "permitted.: the container needs a profile that "
                        "allows io_uring_setup, io_uring_enter and "
                        "io_uring_register")


def why_not():
    """Why this cannot be tried here, if so."""
    with open(os.path.join(BIN, "01_hello"), "rb") as file:
        if re.search(rb"__[at]san_init", file.read()):
            return "a sanitizer calls much of its own"
    try:
        code, _ = run(["true"], allowed(load()), REFUSE | 1)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no filter of libseccomp: {error}"
    return None if code == 0 else "no filter is allowed here"


if __name__ == "__main__":
    if reason := why_not():
        print(reason)
        sys.exit(NOT_TRIED)
    unittest.main()
