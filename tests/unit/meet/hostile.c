// Meetings that somebody disturbs: messages forged, replayed, flooded and lost.
#include "tests/unit/meet/flow.h"

// ---- what attackers do ----------------------------------------------------------------------------

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

// Servers that garble whatever they carry, both ways.
struct garblers {
    uint32_t servers; // bit i: server i
    unsigned garbled;
};

static bool garble(struct world *w, struct world_mail *m, void *ctx)
{
    struct garblers *g = ctx;
    uint32_t server = 0;
    if (m->ev.kind == DHT_OFFER)
        server = world_attend(w, m->ev.id) != NULL ? world_attend(w, m->ev.id)->server : 0;
    else if (world_intro(w, m->ev.id) != NULL)
        server = world_intro(w, m->ev.id)->server;
    if (server == 0 || (g->servers >> (server - 1) & 1u) == 0)
        return true;
    g->garbled++;
    m->data[60] ^= 0x10;
    return true;
}

// Of two people alone on a topic each names three introducers; as long as one of each is honest they meet.
static void a_garbled_answer_is_asked_for_by_another_way(void **state)
{
    (void)state;
    unsigned garbled = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        struct garblers g = {.servers = 0};
        world_init(&w, 2, seed);
        w.hook = garble;
        w.hook_ctx = &g;
        world_seek(&w, 0, 1, "tea");
        world_run(&w, w.now + S, NULL, NULL);
        // Two of the three introducers that person 0 has announced.
        for (unsigned i = 0, n = 0; i < WORLD_ITEMS_MAX && n < 2; i++)
            if (w.attend[i].open) {
                g.servers |= 1u << (w.attend[i].server - 1);
                n++;
            }
        world_seek(&w, 1, 1, "tea");
        usec_t began = w.now;
        if (!world_run(&w, w.now + 5 * S, all_matched, NULL))
            fail_msg("seed %u", (unsigned)seed);
        assert_true(w.now - began < 4 * S);
        assert_one_channel(&w.node[0], &w.node[1]);
        garbled += g.garbled;
        world_end(&w);
    }
    assert_true(garbled > 10);
}

// One through whom nothing legible comes back is given up in the end.
static void what_no_way_makes_legible_is_a_no_for_good(void **state)
{
    (void)state;
    struct world w;
    struct garblers g = {.servers = UINT32_MAX};
    world_init(&w, 2, 6);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    w.hook = garble;
    w.hook_ctx = &g;
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 26 * S, NULL, NULL);
    assert_int_equal(w.node[0].channels + w.node[1].channels, 0);
    for (unsigned i = 0; i < 2; i++) {
        // Three times through each of its introducers, and of those that it exchanged.
        assert_in_range(status_of(&w, i).offers_out, 3, 12);
    }
    world_end(&w);
}

// Person 0 waits for who speaks German; person 1 speaks French and offers: 0 refuses, and stays.
static void offer_that_is_refused(struct world *w, struct tamper *t)
{
    struct meet_wish wish = world_wish("tea");
    assert_int_equal(card_add_language(&wish.wishes.must, "de"), 0);
    assert_int_equal(meet_seek(w->node[0].meet, w->now, 1, &wish), 0);
    world_run(w, w->now + S, NULL, NULL);
    world_tamper(w, t);
    wish = world_wish("tea");
    assert_int_equal(card_add_language(&wish.card, "fr"), 0);
    assert_int_equal(meet_seek(w->node[1].meet, w->now, 1, &wish), 0);
    world_run(w, w->now + 100 * MS, NULL, NULL);
}

static void a_replayed_offer_is_declined(void **state)
{
    (void)state;
    struct world w;
    struct tamper t = {.kind = DHT_OFFER, .count = 1, .what = COPY};
    world_init(&w, 2, 7);
    offer_that_is_refused(&w, &t);
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
    world_init(&w, 2, 11);
    offer_that_is_refused(&w, &t);
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
    assert_true(s.declined >= 20 && s.declined <= DECLINE_RATE_INTRODUCER + 5);
    world_end(&w);
}

// Offers that look right, from ever new senders, through all introducers of the record that person 0 has
// announced, `per_s` a second until `until` or until all have met.
static bool spammed(struct world *w, unsigned per_s, usec_t until,
                    bool (*done)(struct world *, void *))
{
    while (w->now < until) {
        const struct world_place *p = NULL;
        uint8_t blob[WIRE_OFFER_BYTES], link[DHT_LINK_BYTES];
        for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
            if (w->place[i].open && w->place[i].announced && w->place[i].node == 0)
                p = &w->place[i];
        for (unsigned i = 0; i < WORLD_ITEMS_MAX && p != NULL; i++) {
            const struct world_attend *a = &w->attend[i];
            if (!a->open || a->node != 0)
                continue;
            world_fill(&w->random, blob, sizeof blob);
            world_fill(&w->random, link, sizeof link);
            memcpy(blob, p->record, RECORD_ID_BYTES);
            memset(blob + RECORD_ID_BYTES, 0, 4); // no effort, or what it is required to claim
            blob[RECORD_ID_BYTES + 1] = 1;
            world_blob(world_post(w, 0, 1, DHT_OFFER, a->id, a->user), link, blob, sizeof blob);
        }
        if (world_run(w, w->now + 3 * S / per_s, done, NULL))
            return true;
    }
    return false;
}

static void who_spams_does_not_keep_others_apart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world w;
        world_init(&w, 2, seed);
        w.hop_us = 10 * MS;
        world_seek(&w, 0, 1, "tea");
        world_run(&w, w.now + S, NULL, NULL);
        (void)spammed(&w, 300, w.now + 10 * S, NULL);
        struct meet_status s = status_of(&w, 0);
        assert_in_range(s.dropped_pow, 1500, 3000);
        // Two introducers are exchanged meanwhile, each with a burst of its own.
        assert_true(s.declined <
                    10 * 3 * DECLINE_RATE_INTRODUCER + 100 + 2 * DECLINE_RATE_INTRODUCER);
        usec_t began = w.now;
        world_seek(&w, 1, 1, "tea");
        if (!spammed(&w, 300, w.now + 10 * S, all_matched))
            fail_msg("seed %u", (unsigned)seed);
        assert_true(w.now - began < S);
        assert_true(w.pow_jobs >= 1);
        world_end(&w);
    }
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
    struct tamper t = {.kind = DHT_OFFER, .skip = 1, .count = 8, .what = DROP};
    world_init(&w, 2, 30);
    w.node[0].heard = w.node[1].heard = false;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    world_tamper(&w, &t);
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + 2 * S, NULL, NULL);
    assert_int_equal(w.node[0].channels, 0);
    assert_int_equal(w.node[1].channels, 1);
    assert_true(t.seen >= 1 + 4 && t.seen <= 1 + 2 * CONFIRM_SENDINGS_MAX);
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
    // Something was heard, but no channel came of it: once more, and then never again.
    for (unsigned channels = 3; channels <= 4; channels++) {
        for (unsigned i = 0; i < 2; i++) {
            meet_channel_heard(w.node[i].meet, w.now, 1);
            meet_channel_failed(w.node[i].meet, w.now, 1);
        }
        world_run(&w, w.now + 10 * S, NULL, NULL);
        assert_int_equal(w.node[1].channels, 3);
        assert_int_equal(w.node[0].channels, 2);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_is_declined),
        cmocka_unit_test(a_garbled_answer_is_asked_for_by_another_way),
        cmocka_unit_test(what_no_way_makes_legible_is_a_no_for_good),
        cmocka_unit_test(a_replayed_offer_is_declined),
        cmocka_unit_test(a_record_that_was_wrapped_anew_leads_nowhere),
        cmocka_unit_test(an_offer_to_another_record_is_declined),
        cmocka_unit_test(wrong_lengths_are_dropped),
        cmocka_unit_test(a_flood_through_one_introducer_is_limited),
        cmocka_unit_test(who_spams_does_not_keep_others_apart),
        cmocka_unit_test(lost_messages_are_repeated),
        cmocka_unit_test(a_confirm_that_never_comes_frees_both),
        cmocka_unit_test(a_late_accept_is_retracted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
