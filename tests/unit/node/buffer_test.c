// Receive buffers that hold several datagrams: node takes them as it takes them one by one.
#include "node/node_internal.h"

#include "dht/path.h"
#include "tests/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#define KEPT 64u
#define BUFFER_BYTES 65536u

struct end { // a node with one conversation, or the bare channel that it speaks with
    struct arena arena, book_arena;
    struct contact_book *book;
    struct record_book *records;
    struct outbox *out;
    uint64_t draws;
    struct node *node;
    struct channel *channel;
    struct cids cids; // of the bare channel
    struct cid_slot slot[32];
};

struct kept {
    usec_t at;
    uint32_t len;
    uint8_t data[CHANNEL_PACKET_BYTES_MAX];
};

static void fill(void *ctx, void *buf, size_t len)
{
    uint64_t *draws = ctx;
    uint8_t seed[randombytes_SEEDBYTES] = {0};
    memcpy(seed, draws, sizeof *draws);
    ++*draws;
    randombytes_buf_deterministic(buf, len, seed);
}

static struct path at_port(uint16_t port)
{
    static const uint8_t ip[4] = {127, 0, 0, 1};
    return path_v4(ip, port);
}

static struct channel_config config(bool initiator, const uint8_t *local_mask,
                                    const uint8_t *remote_mask)
{
    struct channel_config c = {.initiator = initiator,
                               .aead = PACKET_CHACHA20POLY1305,
                               .k_ir = {1},
                               .k_ri = {2},
                               .h = {3},
                               .candidates = 1,
                               .lab = true,
                               .rtt_hint_us = 2 * USEC_PER_MS};
    c.local_cid[0] = c.remote_cid[1] = initiator ? 1 : 0;
    c.local_cid[1] = c.remote_cid[0] = initiator ? 0 : 1;
    memcpy(c.local_mask, local_mask, MASK_KEY_BYTES);
    memcpy(c.remote_mask, remote_mask, MASK_KEY_BYTES);
    c.candidate[0] = at_port(initiator ? 2 : 1);
    return c;
}

static const uint8_t peer_mask[MASK_KEY_BYTES] = {9};

// Two calls make two nodes that are alike in every bit.
static struct end *with_node(usec_t now)
{
    struct end *e = calloc(1, sizeof *e);
    assert_non_null(e);
    memory_arena(&e->arena, 8u << 20);
    memory_arena(&e->book_arena, 1u << 20);
    e->book = contact_book_new(&e->book_arena, 64);
    e->records = record_book_new(&e->book_arena, 64);
    e->out = calloc(1, sizeof *e->out);
    struct node_config cfg = {.rng = {fill, &e->draws},
                              .arena = &e->arena,
                              .out = e->out,
                              .book = e->book,
                              .records = e->records,
                              .lab = true,
                              .privacy = NODE_DIRECT};
    assert_int_equal(node_new(&e->node, now, &cfg), 0);
    struct node *n = e->node;
    assert_true(node_busy(n));
    n->cids.slot = arena_take(&e->arena, NODE_CID_SLOTS * sizeof *n->cids.slot);
    n->cids.slots = NODE_CID_SLOTS;
    n->cids.used_max = NODE_CIDS_MAX;
    struct channel_config cc = config(true, n->recv_mask, peer_mask);
    cc.rng = n->cfg.rng;
    struct conversation *c;
    assert_int_equal(conversation_new(&c, now, &cc, &e->arena), 0);
    n->busy->conversation[0] = c;
    n->conversations = 1;
    node_touch(n, c);
    node_pump(n, now);
    return e;
}

static struct end *with_channel(usec_t now, const struct node *n)
{
    struct end *e = calloc(1, sizeof *e);
    assert_non_null(e);
    memory_arena(&e->arena, 8u << 20);
    e->draws = UINT64_C(1) << 32;
    e->cids = (struct cids){e->slot, 32, 0, 16};
    struct channel_config cc = config(false, peer_mask, n->recv_mask);
    cc.rng = (struct rng){fill, &e->draws};
    assert_int_equal(channel_new(&e->channel, now, &cc, &e->arena), 0);
    return e;
}

static void end_free(struct end *e)
{
    if (e->node != NULL) {
        node_free(e->node);
        contact_book_end(e->book);
        record_book_end(e->records);
        arena_end(&e->book_arena);
        free(e->out);
    } else {
        channel_free(e->channel);
    }
    arena_end(&e->arena);
    free(e);
}

static void peer_events(struct end *e)
{
    struct channel_event ev;
    while (channel_event(e->channel, &ev)) {
        if (ev.kind == CHANNEL_CID_ADD)
            assert_true(cids_add(&e->cids, ev.cid, 1, ev.phase));
        else if (ev.kind == CHANNEL_CID_DROP)
            cids_drop(&e->cids, ev.cid);
    }
}

// All that the node has to say, to the peer; NULL: into nothing.
static void node_speaks(struct end *e, usec_t now, struct end *peer)
{
    static uint8_t buf[BUFFER_BYTES];
    struct batch batch[NODE_TRANSMIT_BATCHES];
    struct path from = at_port(1);
    size_t n;
    (void)node_expire(e->node, now, 64);
    while ((n = node_transmit(e->node, now, buf, sizeof buf, batch, NODE_TRANSMIT_BATCHES)) > 0)
        for (size_t i = 0; peer != NULL && i < n; i++)
            for (uint32_t at = 0; at < batch[i].len; at += batch[i].seg_size) {
                uint32_t left = batch[i].len - at,
                         len = left < batch[i].seg_size ? left : batch[i].seg_size;
                uint8_t cid[CID_BYTES];
                uint8_t *data = buf + (batch[i].data - buf) + at;
                peer_events(peer);
                packet_cid(cid, data, len, peer_mask);
                const struct cid_slot *slot = cids_find(&peer->cids, cid);
                assert_non_null(slot);
                (void)channel_receive(peer->channel, now, cid, slot->phase, &from, 0, data, len);
            }
}

// What the peer says, kept; the node hears it.
static size_t peer_speaks(struct end *e, usec_t now, struct end *node, struct kept *kept,
                          size_t count)
{
    static uint8_t buf[BUFFER_BYTES];
    struct batch batch[16];
    size_t n;
    (void)channel_expire(e->channel, now, 64);
    peer_events(e);
    while ((n = channel_transmit(e->channel, now, buf, sizeof buf, batch, 16)) > 0)
        for (size_t i = 0; i < n; i++)
            for (uint32_t at = 0; at < batch[i].len; at += batch[i].seg_size) {
                uint32_t left = batch[i].len - at,
                         len = left < batch[i].seg_size ? left : batch[i].seg_size;
                uint8_t *data = buf + (batch[i].data - buf) + at;
                assert_true(count < KEPT);
                kept[count].at = now;
                kept[count].len = len;
                memcpy(kept[count++].data, data, len);
                struct rx rx = {.path = at_port(2), .len = len, .data = data};
                node_receive(node->node, now, &rx, 1);
            }
    return count;
}

static bool knows(const struct node *n, const struct kept *k)
{
    uint8_t cid[CID_BYTES];
    packet_cid(cid, k->data, k->len, n->recv_mask);
    return cids_find(&n->cids, cid) != NULL;
}

// One after the other up to `first`, then two of them in one buffer. True if the node did not know the
// second one's cid before.
static bool two_at_once(const struct kept *kept, size_t first, usec_t start)
{
    struct end *e = with_node(start);
    uint8_t buffer[2 * CHANNEL_PACKET_BYTES_MAX];
    usec_t now = start;
    size_t next = 0;
    for (; next < first; now += USEC_PER_MS) {
        node_speaks(e, now, NULL);
        for (; next < first && kept[next].at <= now; next++) {
            memcpy(buffer, kept[next].data, kept[next].len);
            struct rx rx = {.path = at_port(2), .len = kept[next].len, .data = buffer};
            node_receive(e->node, now, &rx, 1);
        }
    }
    const struct kept *k = &kept[first];
    bool strange = knows(e->node, &k[0]) && !knows(e->node, &k[1]);
    memcpy(buffer, k[0].data, k[0].len);
    memcpy(buffer + k[0].len, k[1].data, k[1].len);
    struct rx rx = {.path = at_port(2),
                    .seg_size = (uint16_t)k[0].len,
                    .len = k[0].len + k[1].len,
                    .data = buffer};
    node_receive(e->node, now, &rx, 1);
    if (knows(e->node, &k[0]))
        assert_int_equal(e->node->dropped_unknown, 0);
    assert_int_equal(e->node->datagrams_in, first + 2);
    end_free(e);
    return strange;
}

static void a_cid_that_comes_in_the_middle_of_a_buffer_is_known_to_the_rest(void **state)
{
    (void)state;
    struct kept *kept = calloc(KEPT, sizeof *kept);
    usec_t start = USEC_PER_S;
    struct end *e = with_node(start), *peer = with_channel(start, e->node);
    size_t count = 0;
    for (usec_t now = start; now < start + 40 * USEC_PER_MS; now += USEC_PER_MS) {
        node_speaks(e, now, peer);
        count = peer_speaks(peer, now, e, kept, count);
    }
    assert_true(e->node->busy->conversation[0]->matched);
    unsigned strange = 0;
    for (size_t i = 0; i + 1 < count; i++)
        if (kept[i].len >= kept[i + 1].len)
            strange += two_at_once(kept, i, start);
    assert_true(strange > 0); // the step's answer, and the first packet under its keys
    end_free(e);
    end_free(peer);
    free(kept);
}

// A buffer's datagrams each count, whatever stands among them.
static void strangers_in_a_buffer_are_dropped_one_by_one(void **state)
{
    (void)state;
    uint8_t buffer[10 * CLASS_TINY];
    struct end *e = with_node(USEC_PER_S);
    fill(&e->draws, buffer, sizeof buffer);
    struct rx rx = {
        .path = at_port(7), .seg_size = CLASS_TINY, .len = sizeof buffer - 40, .data = buffer};
    node_receive(e->node, USEC_PER_S, &rx, 1);
    assert_int_equal(e->node->datagrams_in, 10);
    assert_int_equal(e->node->dropped_unknown, 9);
    assert_int_equal(e->node->dropped_short, 1);
    end_free(e);
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cid_that_comes_in_the_middle_of_a_buffer_is_known_to_the_rest),
        cmocka_unit_test(strangers_in_a_buffer_are_dropped_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
