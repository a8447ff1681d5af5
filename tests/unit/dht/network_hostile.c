// Whole nodes between which somebody damages, records, replays and forges datagrams.
#include "crypto/bytes.h"
#include "tests/unit/dht/meeting.h"

struct hostile {
    struct network *w;
    uint64_t requests, bare_answers;
};

// Every datagram is also delivered flipped and cut; nobody may answer those, and each one is counted.
static bool tap_hostile(struct network *w, struct net_datagram *g, void *ctx)
{
    struct hostile *h = ctx;
    unsigned to = g->to.port - NET_PORT;
    if (to >= w->n || w->node[to].dht == NULL)
        return true;
    uint32_t held = w->out->count;
    for (unsigned k = 0; k < 3; k++) {
        uint8_t copy[CLASS_FULL];
        uint16_t len = g->len;
        memcpy(copy, g->data, len);
        if (k == 0)
            copy[net_next(&w->rng) % len] ^= (uint8_t)(1u << net_next(&w->rng) % 8);
        else if (k == 1)
            len = (uint16_t)(net_next(&w->rng) % len);
        else
            net_fill(&w->rng, copy, len);
        const struct dht_status *s = &w->node[to].dht->count;
        uint64_t dropped =
            s->dropped_format + s->dropped_auth + s->dropped_unknown + s->dropped_replay;
        size_t used = w->node[to].arena.used_bytes;
        assert_int_not_equal(dht_receive(w->node[to].dht, w->now, &g->from, copy, len), 0);
        assert_int_equal(w->out->count, held);
        assert_int_equal(w->node[to].arena.used_bytes, used); // nothing is allocated for it
        assert_int_equal(s->dropped_format + s->dropped_auth + s->dropped_unknown +
                             s->dropped_replay,
                         dropped + 1);
        h->requests++;
    }
    return true;
}

static void test_hostile(void **state)
{
    (void)state;
    struct meeting m;
    start_meeting(&m, 5, 60);
    struct hostile h = {&m.w, 0, 0};
    m.w.tap = tap_hostile;
    m.w.tap_ctx = &h;
    for (unsigned k = 0; k < 5; k++)
        round_trip(&m, 100, 50);
    announce(&m.w, m.a, m.place_a, 0xaa);
    net_run(&m.w, 2 * USEC_PER_S);
    assert_true(h.requests > 100);
    net_end(&m.w);
}

// All datagrams of a meeting once more, later: state-changing requests are dropped as replays, answers
// and pushes as unknown; what is answered is a ping or a find.
struct recorded {
    struct net_datagram g[2000];
    unsigned n;
};

static bool tap_record(struct network *w, struct net_datagram *g, void *ctx)
{
    struct recorded *r = ctx;
    (void)w;
    if (r->n < sizeof r->g / sizeof r->g[0])
        r->g[r->n++] = *g;
    return true;
}

static void test_replay(void **state)
{
    (void)state;
    struct meeting m;
    struct recorded *r = calloc(1, sizeof *r);
    start_meeting(&m, 5, 61);
    m.w.tap = tap_record;
    m.w.tap_ctx = r;
    announce(&m.w, m.a, m.place_a, 0xaa);
    round_trip(&m, 100, 50);
    net_run(&m.w, USEC_PER_S);
    m.w.tap = NULL;
    net_forget_events(&m.w, m.a);
    net_forget_events(&m.w, m.b);
    uint64_t replays = 0;
    for (unsigned i = 0; i < r->n; i++) {
        struct net_datagram *g = &r->g[i];
        struct dht *to = m.w.node[g->to.port - NET_PORT].dht;
        uint64_t before = to->count.dropped_replay;
        (void)dht_receive(to, m.w.now, &g->from, g->data, g->len);
        replays += to->count.dropped_replay - before;
        m.w.out->count = 0;
    }
    assert_true(replays >= 5); // announces, introduces, relay_backs
    net_run(&m.w, 100 * USEC_PER_MS);
    assert_null(net_event(&m.w, m.a, DHT_OFFER, 0));
    assert_null(net_event(&m.w, m.b, DHT_BACK, 0));
    assert_null(net_event(&m.w, m.a, DHT_SAMPLE, 0));
    free(r);
    net_end(&m.w);
}

// Without a token a server never answers with more bytes than it got. Requests are sent from an address
// of their own, so that no token fits.
static bool tap_forge(struct network *w, struct net_datagram *g, void *ctx)
{
    unsigned to = g->to.port - NET_PORT;
    if (to >= w->n || w->node[to].dht->server == NULL || w->out->count > 200)
        return true;
    struct path stranger = path_v4((const uint8_t[4]){127, 9, 9, 9}, 5555);
    uint32_t held = w->out->count;
    uint8_t copy[CLASS_FULL];
    memcpy(copy, g->data, g->len);
    (void)dht_receive(w->node[to].dht, w->now, &stranger, copy, g->len);
    size_t out = 0;
    for (uint32_t i = held; i < w->out->count; i++) {
        const struct outbox_slot *s = &w->out->slot[i];
        if (path_equal(&s->path, &stranger))
            out += s->len;
    }
    assert_true(out <= g->len);
    *(unsigned *)ctx += out > 0;
    w->out->count = held;
    return true;
}

static void test_no_amplification(void **state)
{
    (void)state;
    struct meeting m;
    unsigned answered = 0;
    start_meeting(&m, 5, 62);
    m.w.tap = tap_forge;
    m.w.tap_ctx = &answered;
    uint8_t place[32] = {8};
    uint32_t pb = open_place(&m.w, m.b, place);
    net_run(&m.w, USEC_PER_S);
    announce(&m.w, m.b, pb, 0xbb);
    assert_int_equal(dht_place_seek(m.w.node[m.b].dht, m.w.now, pb, 3), 0);
    net_drain(&m.w, m.b);
    net_run(&m.w, 2 * USEC_PER_S);
    assert_true(answered > 10);
    net_end(&m.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_no_amplification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
