/* SPDX-License-Identifier: MIT */
/*
 * Connected stream sockets, for tests of what goes from one to the other.
 */
#ifndef TEST_SUPPORT_PAIR_H
#define TEST_SUPPORT_PAIR_H

/* 0 or -errno. */
int test_pair_open(int pair[2]);

/* The same over TCP, within this machine; by this many bytes of buffers, or so
 * many as the kernel likes (0). pair[1] is who connected. */
int test_pair_open_tcp(int pair[2], int buffer_bytes);

/* In a task: by rota_close. 0, or not if either was closed already. */
int test_pair_close(const int pair[2]);

#endif
