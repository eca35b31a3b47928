/* SPDX-License-Identifier: MIT */
#include "rota/await.h"

#include "ring/features.h"
#include "task/operation.h"

#include <errno.h>
#include <string.h>

/* Constants that liburing 2.3's headers lack, under names of our own. */
#define OP_READ_MULTISHOT 49 /* Linux 6.7 */
#define OP_FUTEX_WAKE 52     /* Linux 6.7 */
#define OP_FUTEX_WAITV 53
#define OP_RECV_ZC 58                 /* Linux 6.15: always multishot */
#define TIMEOUT_MULTISHOT (1u << 6)   /* Linux 6.4 */
#define URING_CMD_MULTISHOT (1u << 1) /* Linux 6.17 */

/* They tie entries together, or take completions and buffers out of sight. */
#define FLAGS_REFUSED                                         \
	(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_IO_DRAIN | \
	 IOSQE_CQE_SKIP_SUCCESS | IOSQE_BUFFER_SELECT)

static bool is_multishot(const struct io_uring_sqe *entry)
{
	switch (entry->opcode) {
	case IORING_OP_ACCEPT:
		return entry->ioprio & IORING_ACCEPT_MULTISHOT;
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return entry->ioprio & IORING_RECV_MULTISHOT;
	case IORING_OP_POLL_ADD:
		return entry->len & IORING_POLL_ADD_MULTI;
	case IORING_OP_TIMEOUT:
		return entry->timeout_flags & TIMEOUT_MULTISHOT;
	case IORING_OP_URING_CMD:
		return entry->rw_flags & (int)URING_CMD_MULTISHOT;
	case OP_READ_MULTISHOT:
	case OP_RECV_ZC:
		return true;
	default:
		return false;
	}
}

/* Is it about other operations, which the engine keeps books of, or does it
 * write completions that no task waits for? */
static bool is_of_the_ring(const struct io_uring_sqe *entry)
{
	switch (entry->opcode) {
	case IORING_OP_ASYNC_CANCEL:
	case IORING_OP_TIMEOUT_REMOVE:
	case IORING_OP_POLL_REMOVE:
	case IORING_OP_LINK_TIMEOUT:
	case IORING_OP_MSG_RING:
		return true;
	default:
		return false;
	}
}

/* What the entry's fd is, if that is a descriptor and not something else. */
static int descriptor_of(const struct io_uring_sqe *entry)
{
	if (entry->flags & IOSQE_FIXED_FILE)
		return -1;
	switch (entry->opcode) {
	case IORING_OP_NOP:
	case IORING_OP_SOCKET: /* a domain */
	case RI_OP_WAITID:     /* a process */
	case RI_OP_FUTEX_WAIT: /* flags */
	case OP_FUTEX_WAKE:
	case OP_FUTEX_WAITV:
		return -1;
	default:
		return entry->fd;
	}
}

int rota_await(const struct io_uring_sqe *entry)
{
	struct io_uring_sqe *slot;
	int error;

	ri_task_self(__func__);
	if (entry->flags & FLAGS_REFUSED || is_multishot(entry) ||
	    is_of_the_ring(entry))
		return -EINVAL;
	error = ri_verb_begin(&slot, __func__, 0);
	if (error)
		return error;
	memcpy(slot, entry, sizeof(*entry));
	return ri_verb_await(slot, __func__, descriptor_of(entry));
}
