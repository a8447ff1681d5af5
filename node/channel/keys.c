#include "node/channel/keys.h"

#include <sodium.h>
#include <string.h>

static void kill_phase(struct chan_keys *k, unsigned phase)
{
    struct chan_phase_in *in = &k->in[phase];
    if (!in->live)
        return;
    if (in->announced && k->drops < CHAN_PHASES)
        memcpy(k->dropped[k->drops++], in->cid, CID_BYTES);
    sodium_memzero(in, sizeof *in);
    in->dies_at = USEC_NEVER;
}

static void switch_out(struct chan_keys *k)
{
    k->out = k->next_out;
    memcpy(k->out_cid, k->next_out_cid, CID_BYTES);
    k->out_phase = k->newest;
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
    memcpy(slot->cid, in_cid, CID_BYTES);
    slot->step = step;
    slot->live = true;
    slot->dies_at = USEC_NEVER;
    k->newest = (uint8_t)phase;
    k->newest_heard = false;
    k->next_out = *out;
    memcpy(k->next_out_cid, out_cid, CID_BYTES);
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
