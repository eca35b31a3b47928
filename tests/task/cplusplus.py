#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cplusplus.py: C++17 takes the macros, and no value that bytes cannot copy."""

import os
import shutil
import subprocess
import sys

NOT_TRIED = 77
INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       "..", "..", "include")
PROGRAM = """
#include "rota/rota.h"
#include <string>
static void call(void *) {}
static int first(void *arg)
{
	rota_group group;
	rota_shield shield;
	rota_idle idle;
	rota_callback callback;
	rota_deadline deadline;
	rota_ticker ticker;
	rota_output output;
	rota_output_options options{};
	int error;
	rota_group_open(&group, nullptr);
	rota_shield_begin(&shield, ROTA_SECOND);
	rota_idle_begin(&idle);
	rota_callback_begin(&callback, call, nullptr);
	rota_deadline_begin(&deadline, ROTA_NEVER);
	error = rota_output_open(&output, 1, &options);
	error |= rota_ticker_open(&ticker, ROTA_SECOND);
	error |= rota_go(&group, first, VALUE);
	error |= rota_try_go(&group, first, VALUE);
	error |= rota_go_background(&group, first, VALUE);
	return error | !arg;
}
int main() { return rota_run(nullptr, first, nullptr); }
"""


def compiles(value):
    result = subprocess.run(
        ["g++", "-std=c++17", "-Wall", "-Wextra", "-fsyntax-only", "-I",
         INCLUDE, f"-DVALUE={value}", "-x", "c++", "-"], input=PROGRAM,
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        check=False)
    return result.returncode == 0, result.stdout


def main():
    if not shutil.which("g++"):
        print("g++ is not here")
        return NOT_TRIED
    fine, words = compiles("arg")
    if not fine:
        print(words)
        return 1
    fine, words = compiles('std::string("bytes")')
    if fine or "copied by bytes" not in words:
        print("a std::string is copied by bytes", words)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
