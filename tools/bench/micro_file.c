// SPDX-License-Identifier: MIT
/*
 * What does it cost to read 4 KiB that the page cache has? The file is this
 * very program: it is there, it is in the cache, and nothing has to be written
 * or removed. One task reads page after page, round and round. Base: the same
 * on bare liburing.
 */
#include <errno.h>
#include <fcntl.h>
#include <rota/rota.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bare_ring.h"
#include "host.h"
#include "micro.h"

#define PAGE_BYTES 4096

struct file {
	int fd;
	uint64_t pages; /* whole ones */
};

static int open_file(struct file *file)
{
	struct stat status;

	file->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (file->fd < 0)
		return -errno;
	if (fstat(file->fd, &status) < 0 || status.st_size < PAGE_BYTES) {
		close(file->fd);
		return -EIO;
	}
	file->pages = (uint64_t)status.st_size / PAGE_BYTES;
	return 0;
}

/* The beginning of a page, as a number: it shows that it was read. */
static uint64_t first_word(const char *page)
{
	uint64_t word;

	memcpy(&word, page, sizeof(word));
	return word;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
	const struct file *file;
};

static int read_own(const struct file *file, uint64_t ops, uint64_t *sum)
{
	char page[PAGE_BYTES];

	*sum = 0;
	for (uint64_t index = 0; index < ops; index++) {
		const uint64_t offset = index % file->pages * PAGE_BYTES;
		const int result = rota_pread(file->fd, page, sizeof(page),
					      (int64_t)offset);

		if (result != PAGE_BYTES)
			return result < 0 ? result : -EIO;
		*sum += first_word(page);
	}
	return 0;
}

static int run_own(void *arg)
{
	struct own *own = arg;
	const struct micro_work *work = own->work;
	uint64_t sum;
	int error = read_own(own->file, own->file->pages, &sum);

	if (error < 0)
		return error;
	const uint64_t start_ns = host_now_ns();

	error = read_own(own->file, work->ops, &sum);
	*own->sample = micro_per_op(start_ns, host_now_ns(), work->ops, sum);
	return error;
}

int micro_file_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct file file;
	int error = open_file(&file);

	if (error < 0)
		return error;
	struct own own = { work, sample, &file };

	error = rota_run(NULL, run_own, &own);
	close(file.fd);
	return error;
}

/* One read, to its end: what its completion says, or -errno. */
static int bare_read(struct io_uring *ring, int fd, char *page, uint64_t offset)
{
	struct io_uring_sqe *entry = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;

	io_uring_prep_read(entry, fd, page, PAGE_BYTES, offset);
	int result = io_uring_submit_and_wait(ring, 1);

	if (result < 0)
		return result;
	result = io_uring_peek_cqe(ring, &cqe);
	if (result < 0)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static int read_bare(struct io_uring *ring, const struct file *file,
		     uint64_t ops, uint64_t *sum)
{
	char page[PAGE_BYTES];

	*sum = 0;
	for (uint64_t index = 0; index < ops; index++) {
		const uint64_t offset = index % file->pages * PAGE_BYTES;
		const int result = bare_read(ring, file->fd, page, offset);

		if (result != PAGE_BYTES)
			return result < 0 ? result : -EIO;
		*sum += first_word(page);
	}
	return 0;
}

static int run_bare(const struct micro_work *work, struct micro_sample *sample,
		    const struct file *file)
{
	struct io_uring ring;
	uint64_t sum = 0;
	int error = bare_ring_open(&ring);

	if (error < 0)
		return error;
	error = read_bare(&ring, file, file->pages, &sum);
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = read_bare(&ring, file, work->ops, &sum);
	*sample = micro_per_op(start_ns, host_now_ns(), work->ops, sum);
	io_uring_queue_exit(&ring);
	return error;
}

int micro_file_base(const struct micro_work *work, struct micro_sample *sample)
{
	struct file file;
	int error = open_file(&file);

	if (error < 0)
		return error;
	error = run_bare(work, sample, &file);
	close(file.fd);
	return error;
}
