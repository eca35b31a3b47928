/* SPDX-License-Identifier: MIT */
/*
 * What this process holds, to see that nothing is left behind.
 */
#ifndef TEST_SUPPORT_PROCESS_H
#define TEST_SUPPORT_PROCESS_H

#include <stddef.h>

/* Open descriptors. */
unsigned test_process_descriptors(void);

/* Mappings: lines of /proc/self/maps. */
unsigned test_process_mappings(void);

/* Resident memory. */
size_t test_process_resident_bytes(void);

#endif
