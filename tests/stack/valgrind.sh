#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Valgrind follows tasks from stack to stack: programs of groups, deadlines and
# cancels are clean under memcheck, leaks included. Exit 77: not tried here.

set -u
bin=${ROTA_BIN:-build/release/bin}
export ROTA_ROUNDS_DIVISOR=20 # of seeded tests: memcheck is slow

command -v valgrind >/dev/null || { echo "valgrind is not installed"; exit 77; }
if grep -qaE '__(a|t)san_init' "$bin/02_group"; then
	echo "this build has a sanitizer of its own"
	exit 77
fi
if valgrind -q true && ! valgrind -q "$bin/01_hello" >/dev/null 2>&1; then
	# 3.19 gives up on the debug information of clang 14
	echo "this valgrind cannot read what this compiler writes"
	exit 77
fi
for program in 02_group 03_deadline test-task-group test-task-random; do
	if ! valgrind -q --error-exitcode=9 --leak-check=full \
		"$bin/$program" >/dev/null; then
		echo "$program is not clean under memcheck"
		exit 1
	fi
done
