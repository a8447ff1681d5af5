// Slow pure work on libuv's workers.
#ifndef BAUTA_NODE_HOST_JOBS_H
#define BAUTA_NODE_HOST_JOBS_H

#include "crypto/job.h"

#include <stdbool.h>
#include <uv.h>

struct jobs {
    uv_loop_t *loop;
    unsigned running, running_max;
};

typedef void (*jobs_done_fn)(void *ctx, uint32_t id, const uint8_t *result, int len);

void jobs_init(struct jobs *, uv_loop_t *);
bool jobs_room(const struct jobs *);
// `done` is called on the loop's thread, also when the job fails. 0 or UV_ENOMEM.
int jobs_start(struct jobs *, const struct job *, jobs_done_fn done, void *ctx);

#endif
