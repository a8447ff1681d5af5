#include "tools/sim/jobs.h"

#include "tools/sim/limits.h"
#include "tools/sim/modelled.h"
#include "tools/sim/slab.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint8_t key[16]; // hash of the kind, the crypto and the input
    int len;
    uint8_t result[JOB_RESULT_BYTES_MAX];
    bool used;
};

struct sim_jobs {
    struct entry *slot; // open addressing, at most half full
    size_t slots, used;
};

struct sim_jobs *sim_jobs_new(void)
{
    struct sim_jobs *m = sim_grow(NULL, 1, sizeof *m);
    *m = (struct sim_jobs){0};
    return m;
}

void sim_jobs_free(struct sim_jobs *m)
{
    if (m != NULL)
        free(m->slot);
    free(m);
}

static struct entry *find(struct entry *slot, size_t slots, const uint8_t key[static 16])
{
    size_t at;
    memcpy(&at, key, sizeof at);
    for (at &= slots - 1; slot[at].used && memcmp(slot[at].key, key, 16) != 0;)
        at = (at + 1) & (slots - 1);
    return &slot[at];
}

static void grow(struct sim_jobs *m)
{
    size_t slots = m->slots == 0 ? 64 : 2 * m->slots;
    struct entry *slot = sim_grow(NULL, slots, sizeof *slot);
    memset(slot, 0, slots * sizeof *slot);
    for (size_t i = 0; i < m->slots; i++)
        if (m->slot[i].used)
            *find(slot, slots, m->slot[i].key) = m->slot[i];
    free(m->slot);
    m->slot = slot;
    m->slots = slots;
}

int sim_jobs_run(struct sim_jobs *m, const struct job *job,
                 uint8_t result[static JOB_RESULT_BYTES_MAX])
{
    if (2 * m->used >= m->slots)
        grow(m);
    // Results of modelled crypto are others, and a simulation of each kind may share what is remembered.
    uint8_t key[16], kind[2] = {(uint8_t)job->kind, modelled_used()};
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof key);
    crypto_generichash_update(&st, kind, sizeof kind);
    crypto_generichash_update(&st, job->input, job->len);
    crypto_generichash_final(&st, key, sizeof key);
    struct entry *e = find(m->slot, m->slots, key);
    if (!e->used) {
        memcpy(e->key, key, sizeof key);
        e->len = job_run(job, e->result);
        e->used = true;
        m->used++;
    }
    memcpy(result, e->result, sizeof e->result);
    return e->len;
}

usec_t sim_job_takes_us(const struct job *job)
{
    switch (job->kind) {
    case JOB_TOPIC:
        return SIM_JOB_TOPIC_US;
    case JOB_NODE_PUZZLE:
        return SIM_JOB_PUZZLE_US;
    default:
        return SIM_JOB_POW_US + job_effort(job) * SIM_JOB_POW_TRY_US;
    }
}
