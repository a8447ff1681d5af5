// What tests of whole meetings share: how two ends must fit, and messages that are lost, changed or
// copied on their way.
#ifndef BAUTA_TESTS_UNIT_MEET_FLOW_H
#define BAUTA_TESTS_UNIT_MEET_FLOW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the above before it.
#include <cmocka.h>

#include "tests/unit/meet/world.h"

#define S USEC_PER_S
#define MS USEC_PER_MS

static inline bool all_matched(struct world *w, void *ctx)
{
    unsigned want = ctx != NULL ? *(const unsigned *)ctx : 1;
    for (unsigned i = 0; i < w->nodes; i++)
        if (w->node[i].meet != NULL && w->node[i].channels < want)
            return false;
    return true;
}

// The channel configurations of two ends belong together.
static inline void assert_one_channel(const struct world_node *a, const struct world_node *b)
{
    const struct channel_config *x = &a->channel, *y = &b->channel;
    assert_true(x->initiator != y->initiator);
    assert_memory_equal(x->k_ir, y->k_ir, 32);
    assert_memory_equal(x->k_ri, y->k_ri, 32);
    assert_memory_equal(x->h, y->h, 64);
    assert_memory_equal(x->local_cid, y->remote_cid, CID_BYTES);
    assert_memory_equal(x->remote_cid, y->local_cid, CID_BYTES);
    assert_memory_equal(x->local_mask, y->remote_mask, MASK_KEY_BYTES);
    assert_memory_equal(x->remote_mask, y->local_mask, MASK_KEY_BYTES);
    assert_int_equal(x->aead, PACKET_AEGIS256);
    assert_int_equal(y->aead, PACKET_AEGIS256);
    assert_true(x->candidates >= 1 && y->candidates >= 1);
    assert_true(path_equal(&x->candidate[0], &b->address));
    assert_true(path_equal(&y->candidate[0], &a->address));
    assert_int_equal(x->observed, 0);
    assert_int_equal(y->observed, 0);
}

static inline struct meet_status status_of(struct world *w, unsigned node)
{
    struct meet_status s;
    meet_status(w->node[node].meet, &s);
    return s;
}

struct tamper {
    enum dht_event_kind kind;
    unsigned skip;  // blobs of that kind that pass first
    unsigned count; // blobs that are then treated
    unsigned seen;
    enum { PASS, DROP, FLIP, COPY, WRONG_ID } what;
    size_t at; // byte to flip
    uint8_t kept[WIRE_OFFER_BYTES], link[DHT_LINK_BYTES];
    uint32_t id, user;
    unsigned node;
};

static inline bool tamper(struct world *w, struct world_mail *m, void *ctx)
{
    struct tamper *t = ctx;
    (void)w;
    if (m->ev.kind != t->kind || t->seen++ < t->skip || t->count == 0)
        return true;
    t->count--;
    switch (t->what) {
    case DROP:
        return false;
    case FLIP:
        m->data[t->at % m->ev.blob_len] ^= 0x10;
        break;
    case WRONG_ID:
        memset(m->data, 0xee, RECORD_ID_BYTES);
        break;
    case COPY:
        memcpy(t->kept, m->data, sizeof t->kept);
        memcpy(t->link, m->ev.link, sizeof t->link);
        t->id = m->ev.id;
        t->user = m->ev.user;
        t->node = m->node;
        break;
    case PASS:
        break;
    }
    return true;
}

static inline void world_tamper(struct world *w, struct tamper *t)
{
    w->hook = tamper;
    w->hook_ctx = t;
}

#endif
