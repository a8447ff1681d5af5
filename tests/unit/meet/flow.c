// Whole meetings between nodes of a small world in virtual time: crossing offers, refusals, next,
// block, addresses, puzzles and clocks.
#include "tests/unit/meet/flow.h"

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

// Who is alone looks the place up on other ways, less and less often.
static void who_finds_nobody_looks_elsewhere(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1, 1);
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + 1 * S, NULL, NULL);
    assert_int_equal(w.elsewhere, 0);
    world_run(&w, w.now + 29 * S, NULL, NULL);
    assert_in_range(w.elsewhere, 3, 4);
    world_run(&w, w.now + 570 * S, NULL, NULL);
    assert_in_range(w.elsewhere, 7, 9);
    world_end(&w);
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

// ---- hot topics -----------------------------------------------------------------------------------------

// Places that take four: who finds the root full stands deeper, and all meet as if there were no tree.
static void a_crowd_in_branches_pairs_up(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world w;
        world_init(&w, WORLD_NODES_MAX, seed);
        w.hop_us = 20 * MS;
        w.full_at = 4;
        w.full_hint = (uint8_t)(1 + seed % 3);
        for (unsigned i = 0; i < w.nodes; i++)
            world_seek(&w, i, 1, "tea");
        if (!world_run(&w, w.now + 5 * S, all_matched, NULL))
            fail_msg("seed %u", (unsigned)seed);
        world_end(&w);
    }
}

// A root that is full of people who never answer: two who come later are sent to different leaves.
static void two_at_different_leaves_meet(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        world_init(&w, 3, seed);
        w.hop_us = 20 * MS;
        world_seek(&w, 2, 1, "tea");
        world_run(&w, w.now + S, NULL, NULL);
        w.full_at = 1;
        w.full_hint = (uint8_t)(seed % 17);
        meet_free(w.node[2].meet); // its record stays, as that of somebody who vanished
        w.node[2].meet = NULL;
        for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
            if (w.place[i].node == 2 && w.place[i].record[0] != 0)
                w.place[i].open = w.place[i].announced = true;
        world_seek(&w, 0, 1, "tea");
        world_run(&w, w.now + seed % 4 * 2 * S, NULL, NULL);
        world_seek(&w, 1, 1, "tea");
        usec_t began = w.now;
        world_run(&w, w.now + 10 * S, NULL, NULL);
        if (w.node[0].channels != 1 || w.node[1].channels != 1)
            fail_msg("seed %u", (unsigned)seed);
        assert_true(w.node[1].channel_at - began < 5 * S);
        world_end(&w);
    }
}

// Whoever lies about fullness, at every place and for ever, keeps nobody busy with looking places up.
static void places_stay_few(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, 77);
    w.hop_us = 20 * MS;
    world_seek(&w, 1, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    struct meet_wish coffee = world_wish("coffee");
    w.full_at = UINT32_MAX;
    assert_int_equal(meet_seek(w.node[0].meet, w.now, 1, &coffee), 0);
    world_run(&w, w.now + S, NULL, NULL);
    // Alone at the root: nothing is looked up any more.
    unsigned before = w.opened;
    world_run(&w, w.now + 600 * S, NULL, NULL);
    assert_int_equal(w.opened, before);
    unsigned open = 0;
    for (unsigned i = 0; i < WORLD_ITEMS_MAX; i++)
        open += w.place[i].open ? 1 : 0;
    assert_int_equal(open, 2);
    world_end(&w);
}

// Holders that want work for an announce get it.
static void a_proof_is_worked_out(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2, 78);
    w.effort = 5;
    world_seek(&w, 0, 1, "tea");
    world_run(&w, w.now + S, NULL, NULL);
    assert_int_equal(w.proofs, 1);
    w.effort = 9;
    world_seek(&w, 1, 1, "tea");
    assert_true(world_run(&w, w.now + S, all_matched, NULL));
    world_end(&w);
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
    ((struct meet_env *)(void *)w.node[0].meet)->load.effort = 3;
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
    ((struct meet_env *)(void *)w.node[0].meet)->load.effort = 3;
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
            // By then the first looks seldom: that they meet at once is the doing of the second.
            world_run(&w, w.now + 20 * S, NULL, NULL);
            world_seek(&w, 1, 1, "tea");
            if (!world_run(&w, w.now + S, all_matched, NULL))
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
        cmocka_unit_test(who_finds_nobody_looks_elsewhere),
        cmocka_unit_test(both_come_at_the_same_moment),
        cmocka_unit_test(with_loss_they_meet_all_the_same),
        cmocka_unit_test(other_topics_and_networks_stay_apart),
        cmocka_unit_test(a_crowd_pairs_up),
        cmocka_unit_test(a_crowd_in_branches_pairs_up),
        cmocka_unit_test(two_at_different_leaves_meet),
        cmocka_unit_test(places_stay_few),
        cmocka_unit_test(a_proof_is_worked_out),
        cmocka_unit_test(cards_must_fit),
        cmocka_unit_test(own_wishes_do_not_meet_each_other),
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
