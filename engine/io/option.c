/* SPDX-License-Identifier: MIT */
/*
 * What is asked of a socket without waiting: options and addresses.
 */
#include "rota/socket.h"
#include "task/task.h"

#include <errno.h>

int rota_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t bytes)
{
	const struct ri_option option = { fd, level, name, bytes,
					  (void *)value };
	const struct ri_kernel *kernel;

	ri_task_self(__func__);
	kernel = ri_tasks_here()->loop.kernel;
	return kernel->set_option(kernel, &option);
}

int rota_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
{
	struct ri_option option = { fd, level, name, 0, value };
	const struct ri_kernel *kernel;
	int error;

	ri_task_self(__func__);
	if (!bytes)
		return -EFAULT;
	option.bytes = *bytes;
	kernel = ri_tasks_here()->loop.kernel;
	error = kernel->get_option(kernel, &option);
	*bytes = option.bytes;
	return error;
}

/* None, if the kernel does not say. */
static int address_or_none(struct rota_address *address, int error)
{
	if (error)
		address->bytes = 0;
	return error;
}

int rota_local_address(int fd, struct rota_address *address)
{
	const struct ri_kernel *kernel;

	ri_task_self(__func__);
	kernel = ri_tasks_here()->loop.kernel;
	address->bytes = sizeof(address->storage);
	return address_or_none(address,
			       kernel->local_address(kernel, fd, &address->any,
						     &address->bytes));
}

int rota_peer_address(int fd, struct rota_address *address)
{
	const struct ri_kernel *kernel;

	ri_task_self(__func__);
	kernel = ri_tasks_here()->loop.kernel;
	address->bytes = sizeof(address->storage);
	return address_or_none(address,
			       kernel->peer_address(kernel, fd, &address->any,
						    &address->bytes));
}
