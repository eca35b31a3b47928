/* SPDX-License-Identifier: MIT */
/*
 * rota: an asynchronous task engine on io_uring. All of it; each header stands
 * alone too.
 */
#ifndef ROTA_ROTA_H
#define ROTA_ROTA_H

#include "rota/address.h"
#include "rota/await.h"
#include "rota/callback.h"
#include "rota/channel.h"
#include "rota/clock.h"
#include "rota/condition.h"
#include "rota/counter.h"
#include "rota/deadline.h"
#include "rota/each.h"
#include "rota/engine.h"
#include "rota/error.h"
#include "rota/event.h"
#include "rota/file.h"
#include "rota/futex.h"
#include "rota/group.h"
#include "rota/guest.h"
#include "rota/idle.h"
#include "rota/job.h"
#include "rota/limit.h"
#include "rota/link.h"
#include "rota/loop.h"
#include "rota/mutex.h"
#include "rota/observe.h"
#include "rota/offload.h"
#include "rota/output.h"
#include "rota/pipeline.h"
#include "rota/pool.h"
#include "rota/process.h"
#include "rota/rate.h"
#include "rota/reader.h"
#include "rota/request.h"
#include "rota/resolve.h"
#include "rota/rwlock.h"
#include "rota/scope.h"
#include "rota/select.h"
#include "rota/shield.h"
#include "rota/signal.h"
#include "rota/socket.h"
#include "rota/span.h"
#include "rota/stream.h"
#include "rota/sync.h"
#include "rota/task.h"
#include "rota/ticker.h"
#include "rota/writer.h"

#endif
