/* SPDX-License-Identifier: MIT */
/*
 * What groups, deadlines, shields, idle sections, callbacks, tickers, streams,
 * outputs, sets of signals and watches have in common: a scope. A task points
 * to its innermost one, each scope to the one around it. When a scope is
 * cancelled, so is everything inside it, up to shields, and every blocking verb
 * that is or will be called there returns.
 *
 * All structures here are in the caller's memory; their fields are the
 * engine's and only declared for their size.
 */
#ifndef ROTA_SCOPE_H
#define ROTA_SCOPE_H

#include "rota/link.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rota_task;
struct rota_scope;

/* Where something was opened or spawned: filled in by the macros. */
struct rota_site {
	const char *file;     /* the source file */
	const char *function; /* who runs, or what was opened */
	int line;             /* the line in it */
	unsigned value_bytes; /* size of the value handed to a task */
};

#define ROTA_SITE_(what, bytes)                     \
	{                                           \
		__FILE__, (what), __LINE__, (bytes) \
	}

/* Why a scope was cancelled, kept from the first time on. */
struct rota_cancellation {
	int error;          /* -errno; 0 counts as -ECANCELED */
	const char *reason; /* text that outlives the scope, or NULL */
};

/* All of it private. */
struct rota_scope {
	struct rota_scope *parent;      /* the scope around it */
	struct rota_chain *children;    /* the scopes inside, by `sibling` */
	struct rota_chain sibling;      /* among the children of the parent */
	struct rota_timer timer;        /* armed while a deadline is ahead */
	struct rota_node sweep;         /* it waits to tell whom it concerns */
	struct rota_task *owner;        /* who opened it and will end it */
	const struct rota_site *site;   /* where */
	struct rota_cancellation cause; /* why it was cancelled first */
	int code;      /* what verbs return inside; 0: nothing */
	uint8_t kind;  /* group, deadline, shield and so on */
	uint8_t state; /* open or closed; else nobody has opened it */
	uint8_t codes; /* which ones its tasks have seen, as bits */
	uint8_t marks; /* what happened to it, as bits */
};

#ifdef __cplusplus
}
#endif

#endif
