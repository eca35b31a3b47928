#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""unwind.py: gdb sees whole call chains in tasks, and in every step of a switch.

Runs test-stack-deep under gdb, which runs the second half of this file. Three
looks: inside a running task; after each instruction of the first switches;
and at a parked task, by its saved context. Each chain has to end at the
outermost frame of its stack, without a word of corruption.
"""

import os
import shutil
import subprocess
import sys

NOT_TRIED = 77
STEPS = 120


def main():
    if not shutil.which("gdb"):
        print("gdb is not here")
        return NOT_TRIED
    program = os.path.join(os.environ["ROTA_BIN"], "test-stack-deep")
    result = subprocess.run(
        ["gdb", "-batch", "-nx", "-ex", f"source {os.path.abspath(__file__)}",
         program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=100, check=False,
        env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0", LC_ALL="C"))
    print(result.stdout)
    for reason in ("ptrace: Operation not permitted",
                   "Python scripting is not supported"):
        if reason in result.stdout:
            print(f"gdb cannot: {reason}")
            return NOT_TRIED
    for word in ("corrupt", "Backtrace stopped", "FAILED", "Error"):
        if word in result.stdout:
            return 1
    return 0 if "unwound everything" in result.stdout else 1


def chain():
    """The functions of the call chain, the innermost first."""
    names = []
    frame = gdb.newest_frame()
    while frame is not None:
        names.append(frame.name())
        if len(names) > 60:
            raise gdb.GdbError(f"FAILED: endless: {names}")
        reason = frame.unwind_stop_reason()
        older = frame.older()
        if older is None and reason not in (gdb.FRAME_UNWIND_NO_REASON,
                                            gdb.FRAME_UNWIND_OUTERMOST):
            raise gdb.GdbError(f"FAILED: {names} ends by "
                               + gdb.frame_stop_reason_string(reason))
        frame = older
    return names


def expect(names, *wanted):
    """These functions are in the chain, in this order."""
    at = 0
    for name in names:
        if at < len(wanted) and name == wanted[at]:
            at += 1
    if at < len(wanted):
        raise gdb.GdbError(f"FAILED: no {wanted[at]} in {names}")


TASK = ("fiber_main", "ri_switch_start")


def look_inside_a_task():
    gdb.execute("break look_here")
    gdb.execute("run")
    names = chain()
    expect(names, "look_here", "inner", "outer", "run", *TASK)
    if names[-1] != TASK[-1]:
        raise gdb.GdbError(f"FAILED: something is above the task: {names}")
    print("inside:", names)
    gdb.execute("delete")


def look_at_the_parked_task():
    """Puts the saved context into the registers, as switch.h lays it out."""
    registers = ("r15", "r14", "r13", "r12", "rbp", "rbx", "rip")
    before = {name: int(gdb.parse_and_eval(f"(long)${name}"))
              for name in registers + ("rsp",)}
    sp = int(gdb.parse_and_eval("(long)parked->fiber.sp"))
    for index, name in enumerate(registers):
        value = gdb.parse_and_eval(f"*(long *)({sp} + {8 + 8 * index})")
        gdb.execute(f"set ${name} = {int(value)}")
    gdb.execute(f"set $rsp = {sp + 64}")
    names = chain()
    for name, value in before.items():
        gdb.execute(f"set ${name} = {value}")
    expect(names, "wait_here", "inner", "outer", "sleeper", "run", *TASK)
    print("parked:", names)


def step_through_switches():
    gdb.execute("break ri_switch_start")
    gdb.execute("break ri_switch")
    gdb.execute("run")
    met = set()
    for _ in range(6):
        for _ in range(STEPS):
            names = chain()
            if names[0] not in ("ri_switch", "ri_switch_start"):
                break
            met.add(names[0])
            if names[-1] not in ("ri_switch_start", "main", "_start"):
                raise gdb.GdbError(f"FAILED: it ends in {names[-1]}: {names}")
            gdb.execute("stepi", to_string=True)
        gdb.execute("continue")
    if len(met) != 2:
        raise gdb.GdbError(f"FAILED: met only {met}")
    gdb.execute("delete")


def inside_gdb():
    for line in ("set confirm off", "set pagination off", "set height 0",
                 "set debuginfod enabled off",
                 "handle SIGSEGV nostop noprint"):
        try:
            gdb.execute(line)
        except gdb.error:
            pass        # an older gdb that has not heard of it
    look_inside_a_task()
    look_at_the_parked_task()
    gdb.execute("continue")
    step_through_switches()
    gdb.execute("kill")
    print("unwound everything")


try:
    import gdb
except ImportError:
    sys.exit(main())
else:
    inside_gdb()
