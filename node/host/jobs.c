#include "node/host/jobs.h"

#include "node/host/limits.h"

#include <sodium.h>
#include <stdlib.h>

struct work {
    uv_work_t request;
    struct jobs *jobs;
    struct job job;
    uint8_t result[JOB_RESULT_BYTES_MAX];
    int len;
    jobs_done_fn done;
    void *ctx;
};

void jobs_init(struct jobs *j, uv_loop_t *loop)
{
    unsigned cores = uv_available_parallelism();
    j->loop = loop;
    j->running = 0;
    j->running_max = cores < JOBS_RUNNING_MAX ? cores : JOBS_RUNNING_MAX;
}

bool jobs_room(const struct jobs *j)
{
    return j->running < j->running_max;
}

static void on_worker(uv_work_t *request)
{
    struct work *w = request->data;
    w->len = job_run(&w->job, w->result);
}

static void on_done(uv_work_t *request, int status)
{
    struct work *w = request->data;
    w->jobs->running--;
    w->done(w->ctx, w->job.id, w->result, status == 0 ? w->len : status);
    job_wipe(&w->job);
    sodium_memzero(w, sizeof *w);
    free(w);
}

int jobs_start(struct jobs *j, const struct job *job, jobs_done_fn done, void *ctx)
{
    struct work *w = calloc(1, sizeof *w);
    if (w == NULL)
        return UV_ENOMEM;
    w->request.data = w;
    w->jobs = j;
    w->job = *job;
    w->done = done;
    w->ctx = ctx;
    int rc = uv_queue_work(j->loop, &w->request, on_worker, on_done);
    if (rc == 0)
        j->running++;
    else
        free(w);
    return rc;
}
