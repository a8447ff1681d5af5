// Whole meetings between nodes of a small world in virtual time: crossing offers, refusals, replays,
// forgeries, losses, next and block.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the above before it.
#include <cmocka.h>

#include "tests/unit/meet/world.h"

#define S USEC_PER_S
#define MS USEC_PER_MS

static bool all_matched(struct world *w, void *ctx)
{
    unsigned want = ctx != NULL ? *(const unsigned *)ctx : 1;
    for (unsigned i = 0; i < w->nodes; i++)
        if (w->node[i].meet != NULL && w->node[i].channels < want)
            return false;
    return true;
}

// The channel configurations of two ends belong together.
static void assert_one_channel(const struct world_node *a, const struct world_node *b)
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

static struct meet_status status_of(struct world *w, unsigned node)
{
    struct meet_status s;
    meet_status(w->node[node].meet, &s);
    return s;
}

// ---- two people -------------------------------------------------------------------------------------

static void two_meet_quickly(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        world_init(&w, 2, seed);
        world_seek(&w, 0, 1, "tea");
        assert_false(world_run(&w, w.now + 3 * S, all_matched, NULL));
        struct meet_encounter_status es;
        assert_int_equal(meet_encounter_status(w.node[0].meet, 1, &es), 0);
        assert_int_equal(es.stage, MEET_SEARCHING);
        assert_true(es.free && !es.pending && !es.matched && es.candidates == 0);
        usec_t at = w.now;
        world_seek(&w, 1, 7, "tea");
        assert_true(world_run(&w, w.now + 5 * S, all_matched, NULL));
        assert_true(w.now - at < 30 * MS);
        assert_one_channel(&w.node[0], &w.node[1]);
        assert_int_equal(w.node[1].encounter, 7);
        assert_true(w.node[1].channel.initiator); // the second always gets the first's record
        assert_true(w.node[1].channel.rtt_hint_us > 0);
        assert_int_equal(meet_encounter_status(w.node[1].meet, 7, &es), 0);
        assert_true(es.matched && es.stage == MEET_CONNECTING);
        // Nothing goes on afterwards, and no second channel.
        world_run(&w, w.now + 20 * S, NULL, NULL);
        assert_int_equal(w.node[0].channels + w.node[1].channels, 2);
        for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
            assert_false(w.place[i].open || w.attend[i].open || w.intro[i].open);
        assert_int_equal(status_of(&w, 0).matched, 1);
        assert_int_equal(status_of(&w, 0).accepted, 1);
        assert_int_equal(status_of(&w, 1).offers_out, 1);
        world_end(&w);
    }
}

static void both_come_at_the_same_moment(void **state)
{
    (void)state;
    unsigned crossed = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world w;
        world_init(&w, 2, seed);
        w.hop_us = 20 * MS; // so that offers surely cross
        world_seek(&w, 0, 1, "tea");
        world_seek(&w, 1, 1, "tea");
        assert_true(world_run(&w, w.now + 2 * S, all_matched, NULL));
        assert_one_channel(&w.node[0], &w.node[1]);
        crossed += status_of(&w, 0).offers_out > 0 && status_of(&w, 1).offers_out > 0 ? 1 : 0;
        world_run(&w, w.now + 5 * S, NULL, NULL);
        for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
            assert_false(w.place[i].open || w.attend[i].open || w.intro[i].open);
        assert_int_equal(w.node[0].channels + w.node[1].channels, 2);
        world_end(&w);
    }
    assert_true(crossed > 30);
}

static void with_loss_they_meet_all_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        world_init(&w, 2, seed);
        w.loss_percent = 20;
        w.hop_us = 15 * MS;
        w.node[0].heard = w.node[1].heard = false;
        world_seek(&w, 0, 1, "tea");
        world_seek(&w, 1, 1, "tea");
        if (!world_run(&w, w.now + 15 * S, all_matched, NULL))
            fail_msg("seed %u", (unsigned)seed);
        world_end(&w);
    }
}

static void other_topics_and_networks_stay_apart(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, 3);
    world_seek(&w, 0, 1, "tea");
    world_seek(&w, 1, 1, "coffee");
    assert_false(world_run(&w, w.now + 10 * S, all_matched, NULL));
    assert_int_equal(w.node[0].channels, 0);
    world_end(&w);
}

static void a_crowd_pairs_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world w;
        world_init(&w, WORLD_NODES_MAX, seed);
        w.hop_us = 10 * MS;
        for (unsigned i = 0; i < w.nodes; i++) {
            world_seek(&w, i, 1, "tea");
            world_run(&w, w.now + world_random(&w.random) % (40 * MS), NULL, NULL);
        }
        assert_true(world_run(&w, w.now + 5 * S, all_matched, NULL));
        for (unsigned i = 0; i < w.nodes; i++) {
            unsigned partners = 0;
            for (unsigned k = 0; k < w.nodes; k++)
                if (k != i && memcmp(w.node[i].channel.h, w.node[k].channel.h, 64) == 0)
                    partners++;
            assert_int_equal(partners, 1);
        }
        world_end(&w);
    }
}

// ---- refusals -----------------------------------------------------------------------------------------

static void cards_must_fit(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, 4);
    struct meet_wish a = world_wish("tea"), b = a;
    assert_int_equal(card_add_language(&a.card, "de"), 0);
    assert_int_equal(card_add_language(&b.wishes.must, "fr"), 0);
    assert_int_equal(meet_seek(w.node[0].meet, w.now, 1, &a), 0);
    assert_int_equal(meet_seek(w.node[1].meet, w.now, 1, &b), 0);
    assert_false(world_run(&w, w.now + 5 * S, all_matched, NULL));
    // Only the one without wishes has offered, and was told no.
    assert_int_equal(status_of(&w, 1).offers_out, 0);
    assert_true(status_of(&w, 0).offers_out >= 1);
    assert_true(status_of(&w, 1).refused >= 1);
    assert_int_equal(status_of(&w, 0).matched + status_of(&w, 1).matched, 0);
    world_end(&w);
}

static void own_wishes_do_not_meet_each_other(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1, 4);
    world_seek(&w, 0, 1, "tea");
    world_seek(&w, 0, 2, "tea");
    assert_false(world_run(&w, w.now + 5 * S, all_matched, NULL));
    assert_int_equal(status_of(&w, 0).offers_out, 0);
    world_end(&w);
}

// ---- what attackers do ----------------------------------------------------------------------------------

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

static bool tamper(struct world *w, struct world_mail *m, void *ctx)
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

static void world_tamper(struct world *w, struct tamper *t)
{
    w->hook = tamper;
    w->hook_ctx = t;
}

static void a_flipped_bit_is_declined(void **state)
{
    (void)state;
    // Envelope: rec_id 0-15, effort 16-19, nonce, sol to 67; msg1: e, s, payload.
    static const size_t places[] = {0, 15, 68, 99, 100, 147, 148, 187};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct world w;
        struct tamper t = {.kind = DHT_OFFER, .count = 1, .what = FLIP, .at = places[i]};
        world_init(&w, 2, 5 + i);
        world_seek(&w, 0, 1, "tea");
        world_run(&w, w.now + S, NULL, NULL);
        world_tamper(&w, &t);
        world_seek(&w, 1, 1, "tea");
        world_run(&w, w.now + 300 * MS, all_matched, NULL);
        struct meet_status s = status_of(&w, 0);
        assert_int_equal(s.accepted, 0);
        assert_int_equal(s.declined, 1);
        assert_int_equal(s.dropped_auth + s.dropped_format, 1);
        world_end(&w);
    }
}

static void a_flipped_answer_is_a_no_for_good(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_BACK, .count = 1, .what = FLIP, .at = 60};
    world_init(&w, 2, 6);
    world_tamper(&w, &t);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 100 * MS, NULL, NULL);
    assert_int_equal(w.node[0].channels + w.node[1].channels, 0);
    struct meet_encounter_status es;
    meet_encounter_status(w.node[1].meet, 1, &es);
    assert_int_equal(es.candidates, 0);
    // The one who accepted is free again after a second, and offers itself.
    assert_true(world_run(&w, w.now + 5 * S, all_matched, NULL));
    assert_true(w.node[0].channel.initiator);
    world_end(&w);
}

static void a_replayed_offer_is_declined(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_OFFER, .count = 1, .what = COPY};
    struct meet_wish wish = world_wish("tea");
    world_init(&w, 2, 7);
    assert_int_equal(card_add_language(&wish.wishes.must, "de"),
                     0); // so that it refuses, and stays
    assert_int_equal(meet_seek(w.node[0].meet, w.now, 1, &wish), 0);
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    wish = world_wish("tea");
    assert_int_equal(card_add_language(&wish.card, "fr"), 0);
    assert_int_equal(meet_seek(w.node[1].meet, w.now, 1, &wish), 0);
    world_run(&w, w.now + 100 * MS, NULL, NULL);
    assert_int_equal(t.count, 0);
    assert_int_equal(status_of(&w, 0).refused, 1);
    // While the offer is live the stored answer is sent again, without another DH.
    world_blob(world_post(&w, t.node, 1, DHT_OFFER, t.id, t.user), t.link, t.kept, sizeof t.kept);
    world_run(&w, w.now + 100 * MS, NULL, NULL);
    assert_int_equal(status_of(&w, 0).dropped_replay, 0);
    assert_int_equal(status_of(&w, 0).refused, 1);
    // Afterwards it is known as seen.
    meet_end(w.node[1].meet, w.now, 1);
    world_run(&w, w.now + 11 * S, NULL, NULL);
    world_blob(world_post(&w, t.node, 1, DHT_OFFER, t.id, t.user), t.link, t.kept, sizeof t.kept);
    world_run(&w, w.now + 100 * MS, NULL, NULL);
    assert_int_equal(status_of(&w, 0).dropped_replay, 1);
    assert_int_equal(status_of(&w, 0).declined, 1);
    world_end(&w);
}

static void a_record_that_was_wrapped_anew_leads_nowhere(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, 8);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    struct world_place *p = NULL;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX && p == NULL; i++)
        if (w.place[i].announced)
            p = &w.place[i];
    assert_non_null(p);
    // Mallory knows the topic: she opens the record, changes what is not checked anywhere else, and
    // seals it under the same id.
    const struct encounter *e = NULL;
    uint8_t plain[RECORD_PLAIN_BYTES], nonce[24] = {9}, secret[32];
    struct job job;
    struct net net;
    struct topic_keys keys;
    net_init(&net, "test");
    uint64_t epoch = (uint64_t)w.unix_us / (EPOCH_SECONDS * USEC_PER_S);
    job_topic(&job, 1, &net, (uint32_t)(epoch / 24), (const uint8_t *)"tea", 3, NULL, 0);
    hash_pieces(secret, 32, NULL, 0, &(struct piece){job.input, job.len}, 1);
    topic_keys(&keys, secret, epoch, 0, 0);
    assert_int_equal(record_open(plain, p->record, keys.seal, keys.place), 0);
    plain[45] ^= 1; // the puzzle seed
    record_seal(p->record, plain, p->record, nonce, keys.seal, keys.place);
    (void)e;
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 30 * MS, NULL, NULL);
    assert_int_equal(status_of(&w, 0).dropped_auth, 1);
    assert_int_equal(status_of(&w, 0).declined, 1);
    assert_int_equal(status_of(&w, 0).accepted, 0);
    world_end(&w);
}

static void an_offer_to_another_record_is_declined(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_OFFER, .count = 1, .what = WRONG_ID};
    world_init(&w, 2, 9);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 30 * MS, NULL, NULL);
    assert_int_equal(status_of(&w, 0).dropped_format, 1);
    assert_int_equal(status_of(&w, 0).declined, 1);
    world_end(&w);
}

static void wrong_lengths_are_dropped(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_OFFER, .count = 1, .what = COPY};
    world_init(&w, 2, 10);
    world_tamper(&w, &t);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + S, all_matched, NULL));
    uint8_t blob[600] = {0};
    for (size_t len = 0; len <= sizeof blob; len += 1)
        if (len != WIRE_OFFER_BYTES)
            world_blob(world_post(&w, t.node, len, DHT_OFFER, t.id, t.user), t.link, blob, len);
    uint64_t before = status_of(&w, t.node).dropped_format;
    world_run(&w, w.now + 10 * MS, NULL, NULL);
    assert_int_equal(status_of(&w, t.node).dropped_format - before, 600);
    world_end(&w);
}

static void a_flood_through_one_introducer_is_limited(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_OFFER, .count = 1, .what = COPY};
    struct meet_wish wish = world_wish("tea");
    world_init(&w, 2, 11);
    assert_int_equal(card_add_language(&wish.wishes.must, "de"), 0);
    assert_int_equal(meet_seek(w.node[0].meet, w.now, 1, &wish), 0);
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    wish = world_wish("tea");
    assert_int_equal(card_add_language(&wish.card, "fr"), 0);
    assert_int_equal(meet_seek(w.node[1].meet, w.now, 1, &wish), 0);
    world_run(&w, w.now + 100 * MS, NULL, NULL);
    for (unsigned i = 0; i < 300; i++) {
        t.kept[70] = (uint8_t)i;
        t.kept[71] = (uint8_t)(i >> 8);
        world_blob(world_post(&w, t.node, 1, DHT_OFFER, t.id, t.user), t.link, t.kept,
                   sizeof t.kept);
    }
    world_run(&w, w.now + 100 * MS, NULL, NULL);
    struct meet_status s = status_of(&w, 0);
    assert_true(s.dropped_auth >= 10 && s.dropped_auth <= 20); // DHs spent
    assert_true(s.dropped_rate >= 250);
    assert_true(s.declined <= 2 * DECLINE_POOL_MAX);
    world_end(&w);
}

// ---- lost messages ----------------------------------------------------------------------------------

static void lost_messages_are_repeated(void **state)
{
    (void)state;
    static const struct tamper cases[] = {
        {.kind = DHT_OFFER, .skip = 0, .count = 1, .what = DROP}, // msg1
        {.kind = DHT_OFFER, .skip = 0, .count = 2, .what = DROP}, // msg1, twice
        {.kind = DHT_BACK, .skip = 0, .count = 1, .what = DROP},  // the answer
        {.kind = DHT_BACK, .skip = 0, .count = 2, .what = DROP},  // the answer, twice
        {.kind = DHT_OFFER, .skip = 1, .count = 1, .what = DROP}, // the confirm
        {.kind = DHT_OFFER, .skip = 1, .count = 3, .what = DROP}, // the confirm, three times
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        struct tamper t = cases[i];
        world_init(&w, 2, 20 + i);
        world_seek(&w, 0, 1, "tea");
        world_run(&w, w.now + S, NULL, NULL);
        world_tamper(&w, &t);
        w.node[1].heard = false; // its confirm is resent until the channel is heard
        world_seek(&w, 1, 1, "tea");
        assert_true(world_run(&w, w.now + 900 * MS, all_matched, NULL));
        assert_int_equal(t.count, 0);
        assert_one_channel(&w.node[0], &w.node[1]);
        meet_channel_heard(w.node[1].meet, w.now, 1);
        unsigned seen = t.seen;
        world_run(&w, w.now + 3 * S, NULL, NULL);
        assert_true(t.seen <= seen + 1); // what was under way
        assert_int_equal(w.node[0].channels + w.node[1].channels, 2);
        world_end(&w);
    }
}

static void a_confirm_that_never_comes_frees_both(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_OFFER, .skip = 1, .count = 6, .what = DROP};
    world_init(&w, 2, 30);
    w.node[1].heard = false;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 2 * S, NULL, NULL);
    assert_int_equal(w.node[0].channels, 0);
    assert_int_equal(w.node[1].channels, 1);
    assert_true(t.seen >= 1 + 4 && t.seen <= 1 + CONFIRM_SENDINGS_MAX);
    struct meet_encounter_status es;
    meet_encounter_status(w.node[0].meet, 1, &es);
    assert_true(es.free);
    meet_channel_failed(w.node[1].meet, w.now, 1);
    meet_encounter_status(w.node[1].meet, 1, &es);
    assert_true(es.free && es.stage == MEET_SEARCHING);
    assert_int_equal(status_of(&w, 1).no_path, 1);
    // Nothing was heard, so it may be bad luck: the two try again, and now a confirm comes.
    world_run(&w, w.now + 10 * S, NULL, NULL);
    assert_int_equal(w.node[1].channels, 2);
    assert_int_equal(w.node[0].channels, 1);
    // Whoever was heard is not met again, even if its channel fails.
    meet_channel_heard(w.node[1].meet, w.now, 1);
    meet_channel_failed(w.node[1].meet, w.now, 1);
    meet_channel_failed(w.node[0].meet, w.now, 1);
    world_run(&w, w.now + 10 * S, NULL, NULL);
    assert_int_equal(w.node[1].channels, 2);
    assert_int_equal(w.node[0].channels, 1);
    // A third person finds one of them.
    world_add(&w, true);
    world_seek(&w, 2, 1, "tea");
    world_run(&w, w.now + 3 * S, NULL, NULL);
    assert_int_equal(w.node[2].channels, 1);
    world_end(&w);
}

static void a_late_accept_is_retracted(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_BACK, .skip = 0, .count = 3, .what = DROP};
    world_init(&w, 2, 31);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    world_seek(&w, 1, 1, "tea");
    // All three answers are lost; after 1.5-1.8 s the offer is retracted, and they try again.
    assert_true(world_run(&w, w.now + 5 * S, all_matched, NULL));
    assert_true(status_of(&w, 0).retracted + status_of(&w, 1).retracted >= 1);
    assert_one_channel(&w.node[0], &w.node[1]);
    world_end(&w);
}

// ---- next, block, several topics ----------------------------------------------------------------------

static void next_never_meets_the_same_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world w;
        unsigned two = 2;
        world_init(&w, 2, seed);
        world_seek(&w, 0, 1, "tea");
        world_seek(&w, 1, 1, "tea");
        assert_true(world_run(&w, w.now + S, all_matched, NULL));
        uint8_t peer[32];
        memcpy(peer, w.node[0].peer, 32);
        assert_int_equal(meet_next(w.node[0].meet, w.now, 1), 0);
        assert_int_equal(meet_next(w.node[1].meet, w.now, 1), 0);
        assert_int_equal(meet_next(w.node[1].meet, w.now, 1), 0); // no effect while seeking
        assert_false(world_run(&w, w.now + 10 * S, all_matched, &two));
        assert_int_equal(w.node[0].channels, 1);
        assert_int_equal(w.node[1].channels, 1);
        world_add(&w, true);
        world_seek(&w, 2, 1, "tea");
        world_run(&w, w.now + 2 * S, NULL, NULL);
        assert_int_equal(w.node[2].channels, 1);
        assert_int_equal(w.node[0].channels + w.node[1].channels, 3);
        unsigned k = w.node[0].channels == 2 ? 0 : 1;
        assert_memory_not_equal(w.node[k].peer, peer, 32);
        assert_one_channel(&w.node[k], &w.node[2]);
        // The third goes on, and finds the other one.
        meet_next(w.node[2].meet, w.now, 1);
        meet_end(w.node[k].meet, w.now, 1);
        world_run(&w, w.now + 5 * S, NULL, NULL);
        assert_int_equal(w.node[2].channels, 2);
        assert_one_channel(&w.node[1 - k], &w.node[2]);
        world_end(&w);
    }
}

static void a_blocked_address_is_not_met_in_another_encounter(void **state)
{
    (void)state;
    for (unsigned blocker = 0; blocker < 2; blocker++) {
        struct world w;
        world_init(&w, 2, 40);
        world_seek(&w, 0, 1, "tea");
        world_run(&w, w.now + S, NULL, NULL);
        world_seek(&w, 1, 1, "tea");
        assert_true(world_run(&w, w.now + S, all_matched, NULL));
        // One ends it, the other blocks: with the path in use, then without.
        const struct path *path = blocker == 0 ? &w.node[1].address : NULL;
        assert_int_equal(meet_block(w.node[blocker].meet, w.now, 1, path), 0);
        assert_int_equal(meet_end(w.node[1 - blocker].meet, w.now, 1), 0);
        assert_int_equal(meet_block(w.node[blocker].meet, w.now, 1, NULL), BAUTA_EUNKNOWN);
        // New pseudonyms on another topic: both as initiator and as responder the address gives it away.
        world_seek(&w, 0, 2, "cake");
        world_run(&w, w.now + S, NULL, NULL);
        world_seek(&w, 1, 2, "cake");
        world_run(&w, w.now + 4 * S, NULL, NULL);
        assert_int_equal(w.node[blocker].channels, 1);
        world_end(&w);
    }
}

static void several_topics_one_match(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world w;
        world_init(&w, 2, seed);
        struct meet_wish a = world_wish("tea"), b = world_wish("milk");
        a.topics = b.topics = 2;
        memcpy(a.topic[1].topic, "cake", 4);
        a.topic[1].topic_len = 4;
        b.topic[1] = a.topic[1];
        assert_int_equal(meet_seek(w.node[0].meet, w.now, 1, &a), 0);
        assert_int_equal(meet_seek(w.node[1].meet, w.now, 1, &b), 0);
        assert_true(world_run(&w, w.now + 5 * S, all_matched, NULL));
        assert_int_equal(w.node[0].topic, 1);
        assert_int_equal(w.node[1].topic, 1);
        assert_one_channel(&w.node[0], &w.node[1]);
        world_end(&w);
    }
}

// ---- addresses ------------------------------------------------------------------------------------

static void private_addresses_stay_private(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0, 50);
    world_add(&w, false);
    world_add(&w, false);
    const uint8_t home[4] = {192, 168, 1, 7}, loop[4] = {127, 0, 0, 1};
    struct path local[2] = {path_v4(home, 5000), path_v4(loop, 5000)};
    meet_local_paths(w.node[0].meet, local, 2);
    world_seek(&w, 0, 1, "tea");
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + S, all_matched, NULL));
    assert_int_equal(w.node[1].channel.candidates, 1);
    assert_true(path_equal(&w.node[1].channel.candidate[0], &w.node[0].address));
    world_end(&w);

    // Behind one public address the private one goes along, from whoever initiates.
    world_init(&w, 0, 51);
    world_add(&w, false);
    world_add(&w, false);
    meet_local_paths(w.node[1].meet, local, 2);
    w.node[1].seen = w.node[0].seen;
    w.node[1].seen.port = 6000;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + S, all_matched, NULL));
    assert_int_equal(w.node[0].channel.candidates, 2);
    assert_true(path_equal(&w.node[0].channel.candidate[1], &local[0]));
    world_end(&w);
}

// ---- puzzles, jobs, clocks ------------------------------------------------------------------------

static void a_required_effort_is_paid(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, 60);
    // The machine's first member is what its encounters share.
    ((struct meet_env *)(void *)w.node[0].meet)->required_effort = 3;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + S, all_matched, NULL));
    assert_int_equal(w.pow_jobs, 1);
    assert_int_equal(status_of(&w, 0).dropped_pow, 0);
    world_end(&w);

    // Flipped, the proof is worth nothing.
    struct tamper t = {.kind = DHT_OFFER, .count = 3, .what = FLIP, .at = 40};
    world_init(&w, 2, 61);
    ((struct meet_env *)(void *)w.node[0].meet)->required_effort = 3;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 50 * MS, NULL, NULL);
    assert_int_equal(status_of(&w, 0).dropped_pow, 1);
    assert_int_equal(status_of(&w, 0).accepted, 0);
    world_end(&w);
}

static void results_for_the_dead_are_ignored(void **state)
{
    (void)state;
    struct world w;
    struct job job, second;
    const uint8_t result[32] = {1};
    world_init(&w, 1, 70);
    world_seek(&w, 0, 1, "tea");
    assert_true(meet_job(w.node[0].meet, &job));
    assert_false(meet_job(w.node[0].meet, &second));
    assert_int_equal(meet_end(w.node[0].meet, w.now, 1), 0);
    meet_job_done(w.node[0].meet, w.now, job.id, result, 32);
    world_seek(&w, 0, 2, "tea");
    assert_true(meet_job(w.node[0].meet, &second));
    assert_true(second.id != job.id);
    meet_job_done(w.node[0].meet, w.now, job.id, result, 32);
    struct meet_encounter_status es;
    meet_encounter_status(w.node[0].meet, 2, &es);
    assert_int_equal(es.stage, MEET_HASHING);
    meet_job_done(w.node[0].meet, w.now, second.id, result, BAUTA_ESPACE); // asked for again
    world_run(&w, w.now + S, NULL, NULL);
    meet_encounter_status(w.node[0].meet, 2, &es);
    assert_int_equal(es.stage, MEET_SEARCHING);
    world_end(&w);
}

static void clocks_may_be_ten_minutes_wrong(void **state)
{
    (void)state;
    for (int minute = -20; minute <= 20; minute += 5)
        for (int skew = -10; skew <= 10; skew += 5) {
            struct world w;
            world_init(&w, 2, 80);
            int64_t hour = INT64_C(1700002800) * 1000000; // a full hour
            w.unix_us = hour + minute * INT64_C(60000000);
            meet_clock(w.node[0].meet, w.now, w.unix_us);
            meet_clock(w.node[1].meet, w.now, w.unix_us + skew * INT64_C(60000000));
            world_seek(&w, 0, 1, "tea");
            world_run(&w, w.now + S, NULL, NULL);
            world_seek(&w, 1, 1, "tea");
            if (!world_run(&w, w.now + 5 * S, all_matched, NULL))
                fail_msg("minute %d, skew %d", minute, skew);
            world_end(&w);
        }
}

static void a_record_moves_into_the_new_epoch(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1, 90);
    w.unix_us = INT64_C(1699999200) * 1000000 + INT64_C(86400000000); // any hour
    w.unix_us -= w.unix_us % INT64_C(86400000000);                    // midnight
    w.unix_us -= INT64_C(20) * 60 * 1000000;
    meet_clock(w.node[0].meet, w.now, w.unix_us);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    assert_int_equal(w.topic_jobs, 1);
    uint8_t first[32];
    unsigned announced = 0;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w.place[i].announced) {
            memcpy(first, w.place[i].place, 32);
            announced++;
        }
    assert_int_equal(announced, 1);
    // From a quarter to midnight the next day's place is read, so its secret is derived ahead.
    world_run(&w, w.now + 6 * 60 * S, NULL, NULL);
    assert_int_equal(w.topic_jobs, 2);
    world_run(&w, w.now + 20 * 60 * S, NULL, NULL); // six minutes past
    announced = 0;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w.place[i].announced) {
            assert_memory_not_equal(first, w.place[i].place, 32);
            announced++;
        }
    assert_int_equal(announced, 1);
    world_run(&w, w.now + 12 * 60 * S, NULL, NULL); // past a quarter past: one place is left
    unsigned open = 0;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        open += w.place[i].open ? 1 : 0;
    assert_int_equal(open, 1);
    // And whoever comes now meets it.
    world_add(&w, true);
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + S, all_matched, NULL));
    world_end(&w);
}

static void without_servers_it_says_so_and_waits(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1, 100);
    w.no_servers = true;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + 10 * S, NULL, NULL);
    struct meet_encounter_status es;
    meet_encounter_status(w.node[0].meet, 1, &es);
    assert_int_equal(es.stage, MEET_JOINING);
    assert_int_equal(w.node[0].warnings, 1);
    assert_string_equal(w.node[0].warning, "no_introducer");
    w.no_servers = false;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        if (w.place[i].open)
            world_post(&w, 0, 1, DHT_PLACE_FOUND, w.place[i].id, w.place[i].user)->ev.count = 4;
    world_add(&w, true);
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + 6 * S, all_matched, NULL));
    assert_int_equal(w.node[0].warnings, 1);
    world_end(&w);
}

static void limits_and_errors(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1, 110);
    struct meet *m = w.node[0].meet;
    struct meet_wish wish = world_wish("tea");
    wish.topics = 0;
    assert_int_equal(meet_seek(m, w.now, 1, &wish), BAUTA_EFORMAT);
    wish.topics = MEET_TOPICS_MAX + 1;
    assert_int_equal(meet_seek(m, w.now, 1, &wish), BAUTA_ELIMIT);
    wish.topics = 1;
    for (uint32_t i = 1; i <= MEET_ENCOUNTERS_MAX; i++)
        assert_int_equal(meet_seek(m, w.now, i, &wish), 0);
    assert_int_equal(meet_seek(m, w.now, 99, &wish), BAUTA_ELIMIT);
    assert_int_equal(meet_seek(m, w.now, 1, &wish), BAUTA_EFORMAT);
    assert_int_equal(meet_next(m, w.now, 99), BAUTA_EUNKNOWN);
    assert_int_equal(meet_end(m, w.now, 99), BAUTA_EUNKNOWN);
    assert_int_equal(status_of(&w, 0).encounters, MEET_ENCOUNTERS_MAX);
    meet_channel_failed(m, w.now, 1);
    meet_channel_failed(m, w.now, 99);
    meet_channel_heard(m, w.now, 99);
    world_run(&w, w.now + S, NULL, NULL);
    for (uint32_t i = 1; i <= MEET_ENCOUNTERS_MAX; i++)
        assert_int_equal(meet_end(m, w.now, i), 0);
    assert_true(meet_deadline(m) == USEC_NEVER);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_meet_quickly),
        cmocka_unit_test(both_come_at_the_same_moment),
        cmocka_unit_test(with_loss_they_meet_all_the_same),
        cmocka_unit_test(other_topics_and_networks_stay_apart),
        cmocka_unit_test(a_crowd_pairs_up),
        cmocka_unit_test(cards_must_fit),
        cmocka_unit_test(own_wishes_do_not_meet_each_other),
        cmocka_unit_test(a_flipped_bit_is_declined),
        cmocka_unit_test(a_flipped_answer_is_a_no_for_good),
        cmocka_unit_test(a_replayed_offer_is_declined),
        cmocka_unit_test(a_record_that_was_wrapped_anew_leads_nowhere),
        cmocka_unit_test(an_offer_to_another_record_is_declined),
        cmocka_unit_test(wrong_lengths_are_dropped),
        cmocka_unit_test(a_flood_through_one_introducer_is_limited),
        cmocka_unit_test(lost_messages_are_repeated),
        cmocka_unit_test(a_confirm_that_never_comes_frees_both),
        cmocka_unit_test(a_late_accept_is_retracted),
        cmocka_unit_test(next_never_meets_the_same_again),
        cmocka_unit_test(a_blocked_address_is_not_met_in_another_encounter),
        cmocka_unit_test(several_topics_one_match),
        cmocka_unit_test(private_addresses_stay_private),
        cmocka_unit_test(a_required_effort_is_paid),
        cmocka_unit_test(results_for_the_dead_are_ignored),
        cmocka_unit_test(clocks_may_be_ten_minutes_wrong),
        cmocka_unit_test(a_record_moves_into_the_new_epoch),
        cmocka_unit_test(without_servers_it_says_so_and_waits),
        cmocka_unit_test(limits_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
