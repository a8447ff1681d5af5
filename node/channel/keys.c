#include "node/channel/keys.h"

#include "crypto/bytes.h"

#include <sodium.h>
#include <string.h>

static void kill_phase(struct chan_keys *k, unsigned phase)
{
    struct chan_phase_in *in = &k->in[phase];
    if (!in->live)
        return;
    for (unsigned i = 0; i < in->announced && k->drops < CHAN_PHASES * CHAN_PHASE_CIDS; i++)
        memcpy(k->dropped[k->drops++], in->cid[i], CID_BYTES);
    sodium_memzero(in, sizeof *in);
    in->dies_at = USEC_NEVER;
}

static void switch_out(struct chan_keys *k)
{
    k->out = k->next_out;
    memcpy(k->out_cid, k->next_out_cid, CID_BYTES);
    k->out_phase = k->newest;
    k->out_step = k->next_out_step;
    k->known_count = k->known_used = 0;
    k->switch_waits = false;
    sodium_memzero(&k->next_out, sizeof k->next_out);
}

void chan_keys_install(struct chan_keys *k, uint32_t step, const uint8_t in_cid[static CID_BYTES],
                       const struct packet_keys *in, const uint8_t out_cid[static CID_BYTES],
                       const struct packet_keys *out, bool wait)
{
    unsigned phase = step % CHAN_PHASES;
    kill_phase(k, phase);
    struct chan_phase_in *slot = &k->in[phase];
    slot->keys = *in;
    memcpy(slot->cid[0], in_cid, CID_BYTES);
    slot->cids = 1;
    k->new_cid_due = false;
    slot->step = step;
    slot->live = true;
    slot->dies_at = USEC_NEVER;
    k->newest = (uint8_t)phase;
    k->newest_heard = false;
    k->next_out = *out;
    memcpy(k->next_out_cid, out_cid, CID_BYTES);
    k->next_out_step = step;
    k->switch_waits = true;
    if (!wait)
        switch_out(k);
}

bool chan_keys_heard(struct chan_keys *k, unsigned phase, usec_t old_dies_at)
{
    if (phase != k->newest || k->newest_heard)
        return false;
    k->newest_heard = true;
    if (k->switch_waits)
        switch_out(k);
    for (unsigned i = 0; i < CHAN_PHASES; i++)
        if (k->in[i].live && i != phase && k->in[i].dies_at == USEC_NEVER)
            k->in[i].dies_at = old_dies_at;
    return true;
}

int chan_keys_cid(const struct chan_phase_in *in, const uint8_t cid[static CID_BYTES])
{
    for (int i = 0; in->live && i < in->cids; i++)
        if (memcmp(in->cid[i], cid, CID_BYTES) == 0)
            return i;
    return -1;
}

bool chan_keys_used(struct chan_keys *k, unsigned phase, int i)
{
    if (i <= k->in[phase].used)
        return false;
    k->in[phase].used = (uint8_t)i;
    return true;
}

void chan_keys_spare(struct chan_keys *k, const struct rng *rng)
{
    struct chan_phase_in *in = &k->in[k->newest];
    if (!in->live || in->step == 0 || !k->newest_heard || in->cids == CHAN_PHASE_CIDS ||
        in->used + 1 < in->cids)
        return;
    rng_fill(rng, in->cid[in->cids++], CID_BYTES);
    k->new_cid_due = true;
}

void chan_keys_take(struct chan_keys *k)
{
    if (k->known_used < k->known_count)
        memcpy(k->out_cid, k->known[k->known_used++], CID_BYTES);
}

void chan_keys_new_cid_lost(struct chan_keys *k)
{
    const struct chan_phase_in *in = &k->in[k->newest];
    if (in->live && in->used + 1 < in->cids) // of another step, or used by now: no matter
        k->new_cid_due = true;
}

int chan_keys_on_new_cid(struct chan_keys *k, uint32_t step, const uint8_t cid[static CID_BYTES])
{
    if (step == 0 || step > k->out_step)
        return BAUTA_EFORMAT;
    if (step < k->out_step)
        return 0; // sent before the last step
    for (unsigned i = 0; i < k->known_count; i++)
        if (memcmp(k->known[i], cid, CID_BYTES) == 0)
            return 0; // sent again
    if (k->known_count == CHAN_PHASE_CIDS - 1)
        return BAUTA_EFORMAT;
    memcpy(k->known[k->known_count++], cid, CID_BYTES);
    return 0;
}

void chan_keys_expire(struct chan_keys *k, usec_t now)
{
    for (unsigned i = 0; i < CHAN_PHASES; i++)
        if (k->in[i].live && k->in[i].dies_at <= now)
            kill_phase(k, i);
}

usec_t chan_keys_deadline(const struct chan_keys *k)
{
    usec_t first = USEC_NEVER;
    for (unsigned i = 0; i < CHAN_PHASES; i++)
        if (k->in[i].live && k->in[i].dies_at < first)
            first = k->in[i].dies_at;
    return first;
}

void chan_keys_end(struct chan_keys *k)
{
    for (unsigned i = 0; i < CHAN_PHASES; i++)
        kill_phase(k, i);
    sodium_memzero(&k->out, sizeof k->out);
    sodium_memzero(&k->next_out, sizeof k->next_out);
}
