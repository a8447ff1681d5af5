// Whole nodes in virtual time: servers, clients with places and records, and two of them of whom one attends
// and the other is introduced.
#ifndef BAUTA_TEST_MEETING_H
#define BAUTA_TEST_MEETING_H

#include "tests/unit/dht/net.h"

static inline void make_record(uint8_t record[static RECORD_BYTES], uint8_t mark)
{
    memset(record, mark, RECORD_BYTES);
}

static inline bool has_record(const struct network *w, unsigned i, uint32_t place, uint8_t mark)
{
    for (unsigned k = 0; k < w->node[i].events; k++) {
        const struct dht_event *e = &w->node[i].event[k];
        for (size_t r = 0; e->kind == DHT_SAMPLE && e->id == place && r < e->n; r++)
            if (e->records[(r + 1) * RECORD_BYTES - 1] == mark)
                return true;
    }
    return false;
}

// `servers` that know the first one, settled.
static inline void start_servers(struct network *w, unsigned servers, unsigned room, uint64_t seed)
{
    net_start(w, servers + room, seed);
    for (unsigned i = 0; i < servers; i++) {
        (void)net_add(w, true);
        if (i == 0)
            continue;
        struct contact first = net_contact(w, 0);
        assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &first), 0);
        net_drain(w, i);
    }
}

static inline unsigned add_client(struct network *w)
{
    unsigned i = net_add(w, false);
    struct contact first = net_contact(w, 0);
    assert_int_equal(dht_bootstrap(w->node[i].dht, w->now, &first), 0);
    net_drain(w, i);
    return i;
}

static inline uint32_t open_place(struct network *w, unsigned i, const uint8_t place[static 32])
{
    uint32_t id;
    assert_int_equal(dht_place_open(w->node[i].dht, w->now, place, 7, &id), 0);
    net_drain(w, i);
    return id;
}

static inline void announce_record(struct network *w, unsigned i, uint32_t id,
                                   const uint8_t record[static RECORD_BYTES])
{
    assert_int_equal(dht_place_announce(w->node[i].dht, w->now, id, record, 600, NULL), 0);
    net_drain(w, i);
}

// A record of this mark under a new rec_id.
static inline void fresh_record(struct network *w, unsigned i, uint32_t id, uint8_t mark,
                                uint8_t record[static RECORD_BYTES])
{
    make_record(record, mark);
    assert_int_equal(dht_place_record_id(w->node[i].dht, id, record), 0);
}

static inline void announce(struct network *w, unsigned i, uint32_t id, uint8_t mark)
{
    uint8_t record[RECORD_BYTES];
    fresh_record(w, i, id, mark, record);
    announce_record(w, i, id, record);
}

struct meeting {
    struct network w;
    unsigned a, b;
    uint32_t place_a, place_b, attend;
    struct contact introducer;
    uint8_t handle[DHT_HANDLE_BYTES];
};

static inline void start_meeting(struct meeting *m, unsigned servers, uint64_t seed)
{
    uint8_t place[32] = {42};
    memset(m, 0, sizeof *m);
    start_servers(&m->w, servers, 2, seed);
    net_run(&m->w, 5 * USEC_PER_S);
    m->a = add_client(&m->w);
    m->b = add_client(&m->w);
    m->place_a = open_place(&m->w, m->a, place);
    m->place_b = open_place(&m->w, m->b, place);
    assert_non_null(net_wait(&m->w, m->a, DHT_PLACE_FOUND, m->place_a, USEC_PER_S));
    assert_non_null(net_wait(&m->w, m->b, DHT_PLACE_FOUND, m->place_b, USEC_PER_S));
    net_run(&m->w, 100 * USEC_PER_MS);
    struct contact chosen[DHT_INTRODUCERS_MAX];
    assert_true(dht_place_introducers(m->w.node[m->a].dht, m->place_a, chosen) >= 1);
    net_drain(&m->w, m->a);
    m->introducer = chosen[0];
    memset(m->handle, 0x11, sizeof m->handle);
    assert_int_equal(dht_attend_open(m->w.node[m->a].dht, m->w.now, m->place_a, &m->introducer,
                                     m->handle, 5, &m->attend),
                     0);
    net_drain(&m->w, m->a);
    const struct dht_event *e = net_wait(&m->w, m->a, DHT_ATTENDING, m->attend, 5 * USEC_PER_S);
    assert_non_null(e);
    assert_int_equal(e->user, 5);
    struct path seen;
    assert_true(dht_attend_seen(m->w.node[m->a].dht, m->attend, &seen));
    assert_memory_equal(&seen, &m->w.node[m->a].path, sizeof seen);
}

static inline void round_trip(struct meeting *m, size_t offer_len, size_t answer_len)
{
    struct network *w = &m->w;
    uint8_t offer[1024], answer[1024];
    uint32_t intro;
    net_forget_events(w, m->a);
    net_forget_events(w, m->b);
    net_fill(&w->rng, offer, offer_len);
    net_fill(&w->rng, answer, answer_len);
    assert_int_equal(dht_introduce_open(w->node[m->b].dht, w->now, m->place_b, &m->introducer,
                                        m->handle, offer, offer_len, 6, &intro),
                     0);
    net_drain(w, m->b);
    const struct dht_event *e = net_wait(w, m->a, DHT_OFFER, m->attend, USEC_PER_S);
    for (unsigned i = 0; i < 8 && e == NULL; i++) { // a push may be lost: the user sends again
        assert_int_equal(dht_introduce_send(w->node[m->b].dht, w->now, intro, offer, offer_len), 0);
        net_drain(w, m->b);
        e = net_wait(w, m->a, DHT_OFFER, m->attend, USEC_PER_S);
    }
    assert_non_null(e);
    assert_int_equal(e->blob_len, offer_len);
    assert_memory_equal(e->blob, offer, offer_len);
    const struct dht_event *back = NULL;
    for (unsigned i = 0; i < 8 && back == NULL; i++) {
        assert_int_equal(
            dht_attend_answer(w->node[m->a].dht, w->now, m->attend, e->link, answer, answer_len),
            0);
        net_drain(w, m->a);
        back = net_wait(w, m->b, DHT_BACK, intro, USEC_PER_S);
        e = net_event(w, m->a, DHT_OFFER, m->attend);
    }
    assert_non_null(back);
    assert_int_equal(back->user, 6);
    assert_int_equal(back->blob_len, answer_len);
    assert_memory_equal(back->blob, answer, answer_len);
    // The confirm on the same link.
    unsigned offers = 0;
    for (unsigned i = 0; i < 8 && offers < 2; i++) {
        assert_int_equal(dht_introduce_send(w->node[m->b].dht, w->now, intro, offer, 10), 0);
        net_drain(w, m->b);
        net_run(w, USEC_PER_S);
        offers = 0;
        for (unsigned k = 0; k < w->node[m->a].events; k++)
            offers +=
                w->node[m->a].event[k].kind == DHT_OFFER && w->node[m->a].event[k].blob_len == 10;
        offers += offers > 0;
    }
    assert_true(offers >= 2);
    dht_introduce_close(w->node[m->b].dht, w->now, intro);
    net_drain(w, m->b);
}

#endif
