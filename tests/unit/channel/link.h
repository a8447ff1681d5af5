// Two channels over a simulated link in virtual time: delay, jitter, loss, duplication, reordering, all
// from a seed; where a test says so, a bottleneck with a rate and a queue, which several links may share.
// Not modelled: MTU. The checker is the stream of each direction, a known
// function of its offset.
#ifndef BAUTA_TESTS_CHANNEL_LINK_H
#define BAUTA_TESTS_CHANNEL_LINK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "node/channel/internal.h"
#include "tests/memory.h"

#define UNUSED __attribute__((unused))

struct prng {
    uint64_t state;
};

static UNUSED uint64_t prng_next(struct prng *p)
{
    uint64_t z = (p->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static UNUSED void prng_fill(void *ctx, void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)prng_next(ctx);
}

struct flight {
    usec_t at;
    uint64_t order;
    unsigned to;
    struct path from;
    size_t len;
    uint8_t *data;
    uint8_t ecn;
};

// A rate with a queue before it that drops what does not fit, and marks above a threshold.
struct bottleneck {
    uint64_t rate;        // bytes a second
    uint64_t queue_bytes; // that may wait
    uint64_t mark_bytes; // a packet that finds more waiting gets CE, where it has ECT; 0: none does
    uint64_t free_ns;    // when all that waits has left
    uint64_t passed_bytes, dropped, marked;
    uint64_t most_bytes; // that waited
};

// When the packet has left it, in microseconds; false: dropped.
static UNUSED bool bottleneck_pass(struct bottleneck *b, usec_t now, size_t len, uint8_t *ecn,
                                   usec_t *at)
{
    uint64_t now_ns = now * 1000, wait_ns = b->free_ns > now_ns ? b->free_ns - now_ns : 0;
    uint64_t waiting = wait_ns * b->rate / 1000000000;
    if (waiting + len > b->queue_bytes) {
        b->dropped++;
        return false;
    }
    b->most_bytes = waiting > b->most_bytes ? waiting : b->most_bytes;
    if (b->mark_bytes > 0 && waiting > b->mark_bytes && *ecn != 0) {
        *ecn = CHAN_CE;
        b->marked++;
    }
    b->passed_bytes += len;
    b->free_ns = now_ns + wait_ns + (uint64_t)len * 1000000000 / b->rate;
    *at = (b->free_ns + 999) / 1000;
    return true;
}

struct known_cid {
    uint8_t cid[CID_BYTES];
    uint8_t phase;
};

struct end {
    struct channel *channel;
    struct channel_config config;
    struct arena arena;
    size_t arena_used; // before channel_new
    size_t chunk_bytes;
    struct prng prng;
    struct path address;
    struct known_cid cid[CHAN_PHASES * CHAN_PHASE_CIDS];
    unsigned cids;
    bool heard, path, ready, matched, closed, dead;
    enum channel_reason reason;
    uint16_t code;
    usec_t ready_at, matched_at, closed_at;
    struct path path_used;
    uint64_t want[CHANNEL_STREAMS_MAX]; // to send in all
    uint64_t sent[CHANNEL_STREAMS_MAX], got[CHANNEL_STREAMS_MAX];
    bool lazy;  // does not read
    bool blank; // sends zeros and takes what comes: for many bytes
    uint64_t datagrams;
    uint64_t datagrams_ok;
    unsigned lost, found; // CHANNEL_LOST, CHANNEL_FOUND
    uint8_t meeting[CHANNEL_MEETING_BYTES_MAX];
    size_t meeting_len; // the last CHANNEL_MEETING
    int last_rc;
    unsigned refused; // channel_receive said no
};

struct net {
    usec_t now;
    struct prng prng;
    usec_t delay_us, jitter_us;
    unsigned loss_pm, dup_pm, reorder_pm; // per mille
    bool cut;                             // nothing passes
    bool scatter;                         // jitter does not keep the order
    struct bottleneck *neck[2];           // from each end; NULL: none
    struct end end[2];
    struct flight *heap;
    size_t count, cap;
    uint64_t order;
    uint64_t passed;
    usec_t arrival[2]; // the latest in order
    // sees each datagram before the link does; false: the link does not carry it
    bool (*tap)(struct net *, unsigned from, const struct path *to, uint8_t *data, size_t *len);
    void *tap_ctx;
    uint8_t tap_ecn; // of that datagram; the tap may change it
    uint8_t buf[256 * 1024];
};

// Seeds to run instead of the test's own, if the environment names them: FIRST-LAST.
static UNUSED bool seeds_asked(const char *name, unsigned long long *first,
                               unsigned long long *last)
{
    const char *asked = getenv(name);
    if (asked == NULL)
        return false;
    char *end;
    *first = strtoull(asked, &end, 10);
    if (end == asked || *end != '-')
        fail_msg("%s is FIRST-LAST", name);
    *last = strtoull(end + 1, &end, 10);
    return true;
}

static UNUSED struct path address_of(unsigned end)
{
    return (struct path){
        .ip = {10, 0, 0, (uint8_t)(end + 1)}, .port = (uint16_t)(1000 + end), .family = 4};
}

static bool before(const struct flight *a, const struct flight *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static UNUSED void heap_push(struct net *n, struct flight f)
{
    if (n->count == n->cap) {
        n->cap = n->cap == 0 ? 64 : n->cap * 2;
        n->heap = realloc(n->heap, n->cap * sizeof *n->heap);
        assert_non_null(n->heap);
    }
    size_t i = n->count++;
    while (i > 0 && before(&f, &n->heap[(i - 1) / 2])) {
        n->heap[i] = n->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    n->heap[i] = f;
}

static UNUSED struct flight heap_pop(struct net *n)
{
    struct flight top = n->heap[0], last = n->heap[--n->count];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= n->count)
            break;
        if (k + 1 < n->count && before(&n->heap[k + 1], &n->heap[k]))
            k++;
        if (!before(&n->heap[k], &last))
            break;
        n->heap[i] = n->heap[k];
        i = k;
    }
    n->heap[i] = last;
    n->heap[n->count].data = NULL; // it has an owner elsewhere now
    return top;
}

static UNUSED uint8_t stream_byte(unsigned from, unsigned stream, uint64_t offset)
{
    uint64_t x = (offset + 1) * UINT64_C(0x9e3779b97f4a7c15) + from * 131 + stream * 17;
    return (uint8_t)(x >> 29);
}

static UNUSED void inject(struct net *n, unsigned to, const struct path *from, const uint8_t *data,
                          size_t len, uint8_t ecn, usec_t at)
{
    struct flight f = {.at = at,
                       .order = n->order++,
                       .to = to,
                       .from = *from,
                       .len = len,
                       .data = malloc(len),
                       .ecn = ecn};
    assert_non_null(f.data);
    memcpy(f.data, data, len);
    heap_push(n, f);
}

static UNUSED void carry(struct net *n, unsigned from, const struct path *to, uint8_t *data,
                         size_t len, uint8_t ecn)
{
    uint8_t copy[2048];
    memcpy(copy, data, len);
    n->tap_ecn = ecn;
    if (n->tap != NULL && !n->tap(n, from, to, copy, &len))
        return;
    ecn = n->tap_ecn;
    unsigned target = from ^ 1;
    if (n->cut || n->end[target].dead || memcmp(to, &n->end[target].address, sizeof *to) != 0)
        return;
    if (prng_next(&n->prng) % 1000 < n->loss_pm)
        return;
    unsigned copies = prng_next(&n->prng) % 1000 < n->dup_pm ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        usec_t left = n->now;
        if (n->neck[from] != NULL && !bottleneck_pass(n->neck[from], n->now, len, &ecn, &left))
            continue;
        usec_t at =
            left + n->delay_us + (n->jitter_us > 0 ? prng_next(&n->prng) % n->jitter_us : 0);
        if (prng_next(&n->prng) % 1000 < n->reorder_pm)
            at += 2 * n->jitter_us + n->delay_us / 2; // overtaken
        else if (at < n->arrival[target] && !n->scatter)
            at = n->arrival[target]; // a queue keeps the order
        else
            n->arrival[target] = at;
        n->passed++;
        inject(n, target, &n->end[from].address, copy, len, ecn, at);
    }
}

static UNUSED void end_read(struct net *n, unsigned i, unsigned stream)
{
    struct end *e = &n->end[i];
    uint8_t buf[4096];
    size_t got;
    while (!e->lazy &&
           (got = channel_stream_receive(e->channel, n->now, stream, buf, sizeof buf)) > 0) {
        if (e->blank)
            e->got[stream] += got;
        for (size_t k = 0; !e->blank && k < got; k++)
            if (buf[k] != stream_byte(i ^ 1, stream, e->got[stream]++))
                fail_msg("stream %u of end %u differs at %llu", stream, i,
                         (unsigned long long)e->got[stream] - 1);
    }
}

static UNUSED void end_write(struct net *n, unsigned i)
{
    struct end *e = &n->end[i];
    uint8_t buf[4096] = {0};
    for (unsigned s = 0; e->ready && !e->closed && s < CHANNEL_STREAMS_MAX; s++)
        while (e->sent[s] < e->want[s]) {
            size_t len = e->want[s] - e->sent[s] < sizeof buf ? (size_t)(e->want[s] - e->sent[s])
                                                              : sizeof buf;
            for (size_t k = 0; !e->blank && k < len; k++)
                buf[k] = stream_byte(i, s, e->sent[s] + k);
            int took = channel_stream_send(e->channel, n->now, s, buf, len);
            if (took <= 0)
                break;
            e->sent[s] += (uint64_t)took;
        }
}

static UNUSED void end_events(struct net *n, unsigned i)
{
    struct end *e = &n->end[i];
    struct channel_event ev;
    while (channel_event(e->channel, &ev)) {
        assert_false(e->closed); // CLOSED is the last
        switch (ev.kind) {
        case CHANNEL_CID_ADD:
            assert_true(e->cids < CHAN_PHASES * CHAN_PHASE_CIDS);
            e->cid[e->cids].phase = ev.phase;
            memcpy(e->cid[e->cids++].cid, ev.cid, CID_BYTES);
            break;
        case CHANNEL_CID_DROP: {
            unsigned k = 0;
            while (k < e->cids && memcmp(e->cid[k].cid, ev.cid, CID_BYTES) != 0)
                k++;
            assert_true(k < e->cids);
            e->cid[k] = e->cid[--e->cids];
            break;
        }
        case CHANNEL_HEARD:
            assert_false(e->heard);
            e->heard = true;
            break;
        case CHANNEL_PATH:
            e->path = true;
            e->path_used = ev.path;
            break;
        case CHANNEL_READY:
            assert_false(e->ready);
            e->ready = true;
            e->ready_at = n->now;
            break;
        case CHANNEL_MATCHED:
            assert_true(e->ready && !e->matched);
            e->matched = true;
            e->matched_at = n->now;
            break;
        case CHANNEL_READABLE:
            end_read(n, i, ev.stream);
            break;
        case CHANNEL_WRITABLE:
            break;
        case CHANNEL_MEETING:
            memcpy(e->meeting, ev.data, ev.len);
            e->meeting_len = ev.len;
            break;
        case CHANNEL_LOST:
            assert_int_equal(e->lost++, e->found);
            break;
        case CHANNEL_FOUND:
            assert_int_equal(++e->found, e->lost);
            break;
        case CHANNEL_CLOSED:
            e->closed = true;
            e->closed_at = n->now;
            e->reason = ev.reason;
            e->code = ev.code;
            assert_int_equal(e->cids, 0);
            break;
        }
    }
}

// As channel_datagram_put, with its content.
static UNUSED int end_datagram(struct net *n, unsigned i, const uint8_t *data, size_t len)
{
    uint8_t *at;
    int rc = channel_datagram_put(n->end[i].channel, len, &at);
    if (rc == 0)
        memcpy(at, data, len);
    return rc;
}

// One driver's turn of an end: write, transmit, events, until nothing moves.
static UNUSED void end_turn(struct net *n, unsigned i)
{
    struct end *e = &n->end[i];
    if (e->channel == NULL || e->dead)
        return;
    for (bool more = true; more;) {
        struct batch batch[8];
        end_events(n, i);
        end_write(n, i);
        size_t count = channel_transmit(e->channel, n->now, n->buf, sizeof n->buf, batch, 8);
        for (size_t b = 0; b < count; b++) {
            assert_true(batch[b].count >= 1 && batch[b].count <= 64);
            size_t at = 0;
            for (unsigned k = 0; k < batch[b].count; k++) {
                size_t len =
                    batch[b].len - at < batch[b].seg_size ? batch[b].len - at : batch[b].seg_size;
                assert_true(len <= CHAN_MTU_MAX &&
                            (len > CHAN_MTU_MIN || class_of((uint32_t)len) == len));
                uint8_t copy[2048];
                memcpy(copy, batch[b].data + at, len);
                carry(n, i, &batch[b].path, copy, len, batch[b].ecn);
                at += len;
            }
            assert_int_equal(at, batch[b].len);
        }
        more = count > 0;
    }
    end_events(n, i);
}

static UNUSED void end_receive(struct net *n, unsigned i, const struct path *from, uint8_t ecn,
                               uint8_t *data, size_t len)
{
    struct end *e = &n->end[i];
    if (e->channel == NULL || e->dead || len < DATAGRAM_BYTES_MIN)
        return;
    uint8_t cid[CID_BYTES];
    packet_cid(cid, data, len, e->config.local_mask);
    for (unsigned k = 0; k < e->cids; k++)
        if (memcmp(cid, e->cid[k].cid, CID_BYTES) == 0) {
            e->last_rc =
                channel_receive(e->channel, n->now, cid, e->cid[k].phase, from, ecn, data, len);
            e->refused += e->last_rc != 0;
            const uint8_t *d;
            for (size_t d_len; channel_datagram(e->channel, &d, &d_len); e->datagrams++)
                e->datagrams_ok += d_len == 100 && d[0] == 0x5a && d[99] == 0xa5;
            return;
        }
    e->last_rc = BAUTA_EUNKNOWN;
}

// When something happens next.
static UNUSED usec_t net_next(const struct net *n)
{
    usec_t next = n->count > 0 ? n->heap[0].at : USEC_NEVER;
    for (unsigned i = 0; i < 2; i++) {
        if (n->end[i].channel == NULL || n->end[i].dead)
            continue;
        usec_t deadline = channel_deadline(n->end[i].channel);
        next = deadline < next ? deadline : next;
    }
    return next;
}

// Advances to the next thing that happens, not beyond `until`. False: nothing happens before it.
static UNUSED bool net_step(struct net *n, usec_t until)
{
    usec_t next = net_next(n);
    if (next > until) {
        n->now = until > n->now ? until : n->now;
        return false;
    }
    if (next > n->now)
        n->now = next;
    while (n->count > 0 && n->heap[0].at <= n->now) {
        struct flight f = heap_pop(n);
        end_receive(n, f.to, &f.from, f.ecn, f.data, f.len);
        free(f.data);
        if (n->count == 0 || n->heap[0].at > n->now || n->heap[0].to != f.to)
            end_turn(n, f.to);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &n->end[i];
        if (e->channel == NULL || e->dead)
            continue;
        if (channel_deadline(e->channel) <= n->now)
            channel_expire(e->channel, n->now, 64);
        end_turn(n, i);
    }
    return true;
}

static UNUSED void net_run(struct net *n, usec_t until)
{
    unsigned stuck = 0;
    usec_t last = n->now;
    while (net_step(n, until)) {
        stuck = n->now == last ? stuck + 1 : 0;
        last = n->now;
        if (stuck > 10000)
            fail_msg("a deadline that is never done at %llu", (unsigned long long)n->now);
    }
}

// Runs until the condition (an expression) holds or virtual time is up.
#define NET_UNTIL(n, limit_us, condition)                                                          \
    do {                                                                                           \
        usec_t until_ = (n)->now + (limit_us);                                                     \
        while (!(condition) && net_step((n), until_))                                              \
            ;                                                                                      \
    } while (0)

static UNUSED struct net *net_new(uint64_t seed, enum packet_aead aead)
{
    assert_true(sodium_init() >= 0); // picks the machine's AES
    struct net *n = calloc(1, sizeof *n);
    assert_non_null(n);
    n->now = 1000000;
    n->prng.state = seed;
    n->delay_us = 20000;
    struct prng secrets = {seed ^ 0x5ec2e7};
    uint8_t k_ir[32], k_ri[32], h[64], cid[2][CID_BYTES], mask[2][MASK_KEY_BYTES];
    prng_fill(&secrets, k_ir, sizeof k_ir);
    prng_fill(&secrets, k_ri, sizeof k_ri);
    prng_fill(&secrets, h, sizeof h);
    prng_fill(&secrets, cid, sizeof cid);
    prng_fill(&secrets, mask, sizeof mask);
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &n->end[i];
        memory_arena(&e->arena, 64u << 20);
        e->prng.state = seed * 2 + i;
        e->address = address_of(i);
        struct channel_config *c = &e->config;
        c->initiator = i == 0;
        c->aead = aead;
        memcpy(c->k_ir, k_ir, sizeof k_ir);
        memcpy(c->k_ri, k_ri, sizeof k_ri);
        memcpy(c->h, h, sizeof h);
        memcpy(c->local_cid, cid[i], CID_BYTES);
        memcpy(c->remote_cid, cid[i ^ 1], CID_BYTES);
        memcpy(c->local_mask, mask[i], MASK_KEY_BYTES);
        memcpy(c->remote_mask, mask[i ^ 1], MASK_KEY_BYTES);
        c->candidate[0] = address_of(i ^ 1);
        c->candidates = 1;
        c->observed = 0;
        c->rng = (struct rng){prng_fill, &e->prng};
    }
    return n;
}

static UNUSED void net_start(struct net *n, unsigned i)
{
    struct end *e = &n->end[i];
    assert_int_equal(channel_new(&e->channel, n->now, &e->config, &e->arena), 0);
    end_turn(n, i);
}

static UNUSED void net_start_both(struct net *n)
{
    net_start(n, 0);
    net_start(n, 1);
}

static UNUSED bool net_matched(const struct net *n)
{
    return n->end[0].matched && n->end[1].matched;
}

static UNUSED void net_connect(struct net *n)
{
    net_start_both(n);
    NET_UNTIL(n, 10 * USEC_PER_S, net_matched(n));
    assert_true(net_matched(n));
}

static UNUSED bool net_done(const struct net *n)
{
    for (unsigned i = 0; i < 2; i++)
        for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
            if (n->end[i].got[s] < n->end[i ^ 1].want[s] || n->end[i].channel == NULL ||
                channel_stream_pending(n->end[i].channel, s) > 0)
                return false;
    return true;
}

static UNUSED void net_free(struct net *n)
{
    while (n->count > 0)
        free(heap_pop(n).data);
    for (unsigned i = 0; i < 2; i++) {
        channel_free(n->end[i].channel);
        assert_int_equal(n->end[i].arena.used_bytes, 0);
        arena_end(&n->end[i].arena);
    }
    free(n->heap);
    free(n);
}

#endif
