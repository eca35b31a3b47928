// SPDX-License-Identifier: MIT
/*
 * What does it cost to hand a call to a thread that may block, and to wait for
 * it? One task offloads an empty call, again and again. Base: two threads with
 * a queue, a mutex and a condition each way, as one would write it without an
 * engine: there the whole thread waits, here only the task does.
 */
#include <pthread.h>
#include <rota/rota.h>
#include <stdbool.h>
#include <stddef.h>

#include "host.h"
#include "micro.h"

#define WARM_OPS 100

static int add_one(void *arg)
{
	uint64_t *sum = arg;

	++*sum;
	return 1;
}

static int offload(uint64_t ops, uint64_t *sum)
{
	for (uint64_t index = 0; index < ops; index++) {
		const int result = rota_offload(add_one, sum);

		if (result != 1)
			return result;
	}
	return 0;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	struct own *own = arg;
	const uint64_t ops = own->work->ops;
	uint64_t sum = 0;
	int error = offload(WARM_OPS, &sum);
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = offload(ops, &sum);
	*own->sample = micro_per_op(start_ns, host_now_ns(), ops, sum);
	return error;
}

int micro_offload_own(const struct micro_work *work,
		      struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}

/* In the frame of who waits for it. */
struct job {
	struct job *next;
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool done;
	pthread_cond_t ended;
};

struct bench {
	pthread_mutex_t mutex; /* of all of it, and of the jobs */
	pthread_cond_t work;   /* there is a job, or the end */
	struct job *head;      /* the queue */
	struct job **tail;     /* where the next one goes */
	bool over;
};

static void *serve(void *argument)
{
	struct bench *bench = argument;

	pthread_mutex_lock(&bench->mutex);
	while (!bench->over) {
		struct job *job = bench->head;

		if (!job) {
			pthread_cond_wait(&bench->work, &bench->mutex);
			continue;
		}
		bench->head = job->next;
		if (!bench->head)
			bench->tail = &bench->head;
		pthread_mutex_unlock(&bench->mutex);
		job->result = job->fn(job->arg);
		pthread_mutex_lock(&bench->mutex);
		job->done = true;
		pthread_cond_signal(&job->ended);
	}
	pthread_mutex_unlock(&bench->mutex);
	return NULL;
}

static int hand_over(struct bench *bench, struct job *job)
{
	job->done = false;
	job->next = NULL;
	pthread_mutex_lock(&bench->mutex);
	*bench->tail = job;
	bench->tail = &job->next;
	/* Who is woken must not meet the mutex of who wakes it. */
	pthread_mutex_unlock(&bench->mutex);
	pthread_cond_signal(&bench->work);
	pthread_mutex_lock(&bench->mutex);
	while (!job->done)
		pthread_cond_wait(&job->ended, &bench->mutex);
	pthread_mutex_unlock(&bench->mutex);
	return job->result;
}

static void hand_over_all(struct bench *bench, uint64_t ops, uint64_t *sum)
{
	struct job job = { .fn = add_one, .arg = sum };

	pthread_cond_init(&job.ended, NULL);
	for (uint64_t index = 0; index < ops; index++)
		hand_over(bench, &job);
	pthread_cond_destroy(&job.ended);
}

int micro_offload_base(const struct micro_work *work,
		       struct micro_sample *sample)
{
	struct bench bench = { .mutex = PTHREAD_MUTEX_INITIALIZER,
			       .work = PTHREAD_COND_INITIALIZER };
	pthread_t server;
	uint64_t sum = 0;

	bench.tail = &bench.head;
	const int error = pthread_create(&server, NULL, serve, &bench);

	if (error)
		return -error;
	hand_over_all(&bench, WARM_OPS, &sum);
	const uint64_t start_ns = host_now_ns();

	hand_over_all(&bench, work->ops, &sum);
	*sample = micro_per_op(start_ns, host_now_ns(), work->ops, sum);
	pthread_mutex_lock(&bench.mutex);
	bench.over = true;
	pthread_cond_signal(&bench.work);
	pthread_mutex_unlock(&bench.mutex);
	pthread_join(server, NULL);
	return 0;
}
