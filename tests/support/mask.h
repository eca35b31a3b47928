/* SPDX-License-Identifier: MIT */
/*
 * For tests that set ROTA_MASK themselves, in whichever way the whole run is
 * masked:
 *
 *	cmocka_unit_test_setup_teardown(test, test_mask_keep,
 *					test_mask_restore)
 */
#ifndef TEST_SUPPORT_MASK_H
#define TEST_SUPPORT_MASK_H

/* Notes what ROTA_MASK says, if it is set. */
int test_mask_keep(void **state);

/* Makes it as it was, whether the test passed or not. */
int test_mask_restore(void **state);

#endif
