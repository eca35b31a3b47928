#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""readme_sample.py: the README's sample is compiled and has to echo.

usage: readme_sample.py extract README.md SAMPLE.c
       readme_sample.py serve PROGRAM

extract writes the one ```c block of the README that has a main function to
SAMPLE.c; the compiler's complaints will name the lines of the README.  serve
starts the program that came of it, talks to it at 127.0.0.1:7777 over several
connections at once, and kills it.
"""

import os
import re
import socket
import subprocess
import sys
import time

ADDRESS = ("127.0.0.1", 7777)
PATIENCE_S = 20
CONNECTIONS = 8
ROUNDS = 32
MESSAGE_BYTES = (1, 64, 4096, 20000)


def extract(readme, sample):
    with open(readme, encoding="utf-8") as file:
        text = file.read()
    blocks = [block for block in re.finditer(r"^```c\n(.*?)^```$", text,
                                             re.M | re.S)
              if "int main(void)" in block.group(1)]
    if len(blocks) != 1:
        sys.exit(f"{readme}: {len(blocks)} blocks with a main function, "
                 "there has to be one")
    line = text.count("\n", 0, blocks[0].start(1)) + 1
    with open(sample, "w", encoding="utf-8") as file:
        file.write(f'#line {line} "{os.path.abspath(readme)}"\n'
                   + blocks[0].group(1))


def connect():
    """A connection, or None if nobody listens."""
    try:
        return socket.create_connection(ADDRESS, timeout=PATIENCE_S)
    except ConnectionRefusedError:
        return None


def wait_until(condition, otherwise):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(otherwise)
        time.sleep(0.02)


def port_is_free():
    connection = connect()
    if connection:
        connection.close()
    return connection is None


def receive(connection, count):
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            sys.exit(f"closed after {len(received)} of {count} bytes")
        received += part
    return received


def talk(connections):
    """Sends on all connections before it reads any of the answers."""
    for turn in range(ROUNDS):
        count = MESSAGE_BYTES[turn % len(MESSAGE_BYTES)]
        sent = [os.urandom(count) for _ in connections]
        for connection, message in zip(connections, sent):
            connection.sendall(message)
        for connection, message in zip(connections, sent):
            if receive(connection, count) != message:
                sys.exit(f"other bytes came back than the {count} sent")
    for connection in connections:
        connection.shutdown(socket.SHUT_WR)
        if connection.recv(1):
            sys.exit("bytes came back that were never sent")
        connection.close()


def serve(program):
    wait_until(port_is_free, "port 7777, which the sample uses, is taken")
    with subprocess.Popen([program], stdin=subprocess.DEVNULL) as server:
        try:
            connections = []

            def connected():
                if server.poll() is not None:
                    sys.exit(f"the sample ended, status {server.returncode}")
                first = connect()
                connections.extend([first] if first else [])
                return first
            wait_until(connected, "the sample does not listen")
            connections += [connect() for _ in range(CONNECTIONS - 1)]
            talk(connections)
            if server.poll() is not None:
                sys.exit(f"the sample ended, status {server.returncode}")
        finally:
            server.kill()
    print(f"{CONNECTIONS} connections, {ROUNDS} messages each, all echoed")


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "extract":
        extract(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(__doc__.split("\n\n")[1])


if __name__ == "__main__":
    main()
