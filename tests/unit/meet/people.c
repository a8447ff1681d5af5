// Cards and wishes, the memory of people and addresses, candidates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka needs the above before it.
#include <cmocka.h>

#include "crypto/bytes.h"
#include "node/meet/block.h"
#include "node/meet/reach.h"
#include "tests/memory.h"

#include <stdlib.h>

static void *refill(void *ctx, size_t bytes)
{
    size_t *left = ctx;
    if (left != NULL && *left == 0)
        return NULL;
    if (left != NULL)
        (*left)--;
    return malloc(bytes);
}

// ---- cards ----------------------------------------------------------------------------------------

static void names_set_their_bits(void **state)
{
    (void)state;
    struct card c = {.purposes = 0};
    for (unsigned i = 0; card_purpose_name(i) != NULL; i++) {
        assert_int_equal(card_add_purpose(&c, card_purpose_name(i)), 0);
        assert_int_equal(c.purposes, (2u << i) - 1);
    }
    for (unsigned i = 0; card_format_name(i) != NULL; i++) {
        assert_int_equal(card_add_format(&c, card_format_name(i)), 0);
        assert_int_equal(c.formats, (2u << i) - 1);
    }
    for (unsigned i = 0; card_avoid_name(i) != NULL; i++) {
        assert_int_equal(card_add_avoid(&c, card_avoid_name(i)), 0);
        assert_int_equal(c.avoid, (2u << i) - 1);
    }
    assert_int_equal(c.purposes, 0xff);
    assert_int_equal(c.formats, 0x07);
    assert_int_equal(c.avoid, 0xff);
    assert_string_equal(card_purpose_name(4), "practise");
    assert_string_equal(card_format_name(2), "video");
    assert_string_equal(card_avoid_name(5), "advertising");
    assert_int_equal(card_add_purpose(&c, "chess"), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_format(&c, ""), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_avoid(&c, "CHAT"), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_language(&c, "english"), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_language(&c, "e"), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_language(&c, ""), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_language(&c, "EN"), BAUTA_EUNKNOWN);
    assert_int_equal(card_add_language(&c, "en"), 0);
    assert_int_equal(card_add_language(&c, "de"), 0);
    assert_int_equal(card_add_language(&c, "en"), 0);
    assert_int_equal(card_add_language(&c, "fr"), 0);
    assert_int_equal(card_add_language(&c, "it"), BAUTA_ELIMIT);
    uint8_t bytes[CARD_BYTES];
    struct card back;
    card_encode(bytes, &c);
    assert_int_equal(card_decode(&back, bytes), 0);
    assert_memory_equal(back.language, c.language, sizeof c.language);
    assert_int_equal(back.avoid, 0xff);
}

static void cards_have_one_spelling(void **state)
{
    (void)state;
    struct card c;
    static const uint8_t bad[][CARD_BYTES] = {
        {'E', 'N'},
        {'e', 0},
        {0, 'n'},
        {0, 0, 'e', 'n'},
        {'e', 'n', 'e', 'n'},
        {'e', '1'},
        {0, 0, 0, 0, 0, 0, 0, 1},             // an unknown purpose
        {0, 0, 0, 0, 0, 0, 0, 0, 8},          // an unknown format
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},    // an unknown refusal
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, // the unused byte
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(card_decode(&c, bad[i]), BAUTA_EFORMAT);
}

static void wishes_are_musts_and_rathers(void **state)
{
    (void)state;
    struct wishes w = {.must = {.purposes = 0}};
    struct card other = {.purposes = 0};
    assert_true(card_acceptable(&w, &other));
    assert_int_equal(card_score(&w, &other), 0);
    card_add_language(&w.must, "en");
    card_add_language(&w.must, "de");
    assert_true(card_acceptable(&w, &other)); // says nothing: anything
    card_add_language(&other, "fr");
    assert_false(card_acceptable(&w, &other));
    card_add_language(&other, "de");
    assert_true(card_acceptable(&w, &other));
    card_add_purpose(&w.must, "chat");
    card_add_purpose(&other, "debate");
    assert_false(card_acceptable(&w, &other));
    card_add_purpose(&other, "chat");
    assert_true(card_acceptable(&w, &other));
    card_add_format(&other, "voice");
    card_add_format(&w.must, "text");
    assert_false(card_acceptable(&w, &other));
    card_add_format(&other, "text");
    card_add_avoid(&w.must, "politics"); // my refusal must be shared: silence does not do
    assert_false(card_acceptable(&w, &other));
    card_add_avoid(&other, "religion");
    assert_false(card_acceptable(&w, &other));
    card_add_avoid(&other, "politics");
    assert_true(card_acceptable(&w, &other));
    w.rather = w.must;
    assert_int_equal(card_score(&w, &other), 4);
    card_add_avoid(&w.rather, "sex");
    assert_int_equal(card_score(&w, &other), 3);
    assert_true(card_acceptable(&w, &other));
}

// ---- memory ---------------------------------------------------------------------------------------

static void memory_keeps_the_newest(void **state)
{
    (void)state;
    struct arena a;
    struct memory m;
    uint8_t item[32] = {0};
    memory_arena(&a, 1u << 20);
    memory_init(&m, 100);
    for (unsigned i = 0; i < 250; i++) {
        item[0] = (uint8_t)i;
        item[1] = (uint8_t)(i >> 8);
        assert_false(memory_has(&m, item));
        assert_true(memory_add(&m, &a, item));
        assert_true(memory_add(&m, &a, item)); // twice is once
        assert_true(memory_has(&m, item));
        assert_int_equal(m.n, i < 100 ? i + 1 : 100);
    }
    for (unsigned i = 0; i < 250; i++) {
        item[0] = (uint8_t)i;
        item[1] = (uint8_t)(i >> 8);
        assert_int_equal(memory_has(&m, item), i >= 150);
    }
    memory_free(&m, &a);
    assert_int_equal(a.used_bytes, 0);
    arena_end(&a);
}

static void memory_without_memory(void **state)
{
    (void)state;
    struct arena a;
    struct memory m;
    size_t chunks = 0;
    uint8_t item[32] = {1};
    struct pool pool;
    pool_init(&pool, refill, memory_release, &chunks);
    arena_init(&a, &pool, 1u << 20);
    memory_init(&m, 100);
    assert_false(memory_add(&m, &a, item));
    assert_false(memory_has(&m, item));
    memory_free(&m, &a);
    arena_end(&a);
    pool_end(&pool);
}

static struct path v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    const uint8_t ip[4] = {a, b, c, d};
    return path_v4(ip, port);
}

static void blocks_are_exact(void **state)
{
    (void)state;
    struct arena a;
    struct block b;
    const uint8_t pk[32] = {1}, other[32] = {2};
    struct path p = v4(80, 1, 1, 1, 5000), q = v4(80, 1, 1, 1, 5001);
    memory_arena(&a, 1u << 20);
    block_init(&b);
    block_person(&b, &a, pk);
    block_address(&b, &a, &p);
    assert_true(block_has_person(&b, pk));
    assert_false(block_has_person(&b, other));
    assert_true(block_has_address(&b, &p));
    assert_false(block_has_address(&b, &q));
    p.via = 7; // by whatever way
    assert_true(block_has_address(&b, &p));
    block_free(&b, &a);
    assert_int_equal(a.used_bytes, 0);
    arena_end(&a);
}

static void probes_have_a_budget(void **state)
{
    (void)state;
    struct block b;
    usec_t now = 1000 * USEC_PER_S;
    block_init(&b);
    for (uint16_t i = 0; i < PROBED_ADDRESSES_MAX; i++) {
        struct path p = v4(80, 1, 1, 1, (uint16_t)(2000 + i));
        assert_true(block_probe(&b, now + i, &p));
        assert_true(block_probe(&b, now + i, &p)); // the same address costs once
    }
    struct path more = v4(80, 1, 1, 2, 2000);
    assert_false(block_probe(&b, now + PROBED_WINDOW_US - 1, &more));
    assert_true(block_probe(&b, now + PROBED_WINDOW_US, &more));
    struct path second = v4(80, 1, 1, 3, 2000);
    assert_false(block_probe(&b, now + PROBED_WINDOW_US, &second));
}

// ---- candidates -------------------------------------------------------------------------------------

static void random_bytes(void *ctx, void *buf, size_t len)
{
    uint8_t *next = ctx;
    memset(buf, (*next)++, len);
}

static void init_env(struct meet_env *env, struct block *block, uint8_t *random, bool lab)
{
    memset(env, 0, sizeof *env);
    env->rng = (struct rng){random_bytes, random};
    env->lab = lab;
    env->block = block;
    block_init(block);
    memset(env->local_mask, 0x55, sizeof env->local_mask);
}

static void own_candidates(void **state)
{
    (void)state;
    struct meet_env env;
    struct block block;
    struct wire_reach r;
    uint8_t random = 1;
    struct path seen = v4(80, 1, 1, 1, 5000), loop = v4(127, 0, 0, 1, 5000),
                home = v4(192, 168, 1, 2, 5000), peer = v4(80, 1, 1, 1, 7000),
                stranger = v4(80, 1, 1, 2, 7000);
    struct path local[MEET_LOCAL_PATHS_MAX];
    init_env(&env, &block, &random, false);
    env.local = local;
    env.local[0] = seen;
    env.local[1] = loop;
    env.local[2] = home;
    env.locals = 3;
    reach_own(&env, &r, &seen, NULL, NULL);
    assert_int_equal(r.candidates, 1); // once, though it is local too
    assert_true(r.observed);
    assert_int_equal(r.recv_mask[3], 0x55);
    reach_own(&env, &r, &seen, NULL, &stranger);
    assert_int_equal(r.candidates, 1);
    reach_own(&env, &r, &seen, NULL, &peer);
    assert_int_equal(r.candidates, 2);
    assert_true(path_equal(&r.candidate[1], &home));
    reach_own(&env, &r, NULL, NULL, &peer);
    assert_int_equal(r.candidates, 1);
    assert_false(r.observed);
    struct path low = v4(80, 1, 1, 1, 53);
    reach_own(&env, &r, &low, NULL, NULL);
    assert_false(r.observed);
    env.lab = true;
    reach_own(&env, &r, &seen, NULL, NULL);
    assert_int_equal(r.candidates, 3);
    for (unsigned i = 0; i < MEET_LOCAL_PATHS_MAX; i++)
        env.local[i] = v4(127, 0, 0, 1, (uint16_t)(6000 + i));
    env.locals = MEET_LOCAL_PATHS_MAX;
    reach_own(&env, &r, &seen, NULL, NULL);
    assert_int_equal(r.candidates, CHANNEL_CANDIDATES_MAX);
}

static void mapped_candidates(void **state)
{
    (void)state;
    struct meet_env env;
    struct block block;
    struct wire_reach r;
    struct channel_config c = {.candidates = 0};
    uint8_t random = 1;
    struct path seen = v4(80, 1, 1, 1, 5000), home = v4(192, 168, 1, 2, 5000),
                six = {.family = 6, .ip = {0x2a, 1}, .port = 5000};
    struct path local[1] = {home}, mapped[2] = {v4(80, 1, 1, 1, 6000), v4(192, 168, 1, 1, 6000)};
    struct path seen_of[2] = {{.family = 0}, seen};
    init_env(&env, &block, &random, false);
    env.local = local;
    env.locals = 1;
    env.mapped = mapped;
    env.mappeds = 2; // of which the second is of no use outside
    reach_own(&env, &r, &seen, NULL, &seen);
    assert_int_equal(r.candidates, 3); // seen, mapped, private
    assert_true(path_equal(&r.candidate[1], &mapped[0]));
    assert_true(path_equal(&r.candidate[2], &home));
    reach_own(&env, &r, NULL, NULL, NULL);
    assert_int_equal(r.candidates, 1);
    assert_false(r.observed);
    reach_own(&env, &r, &six, NULL,
              NULL); // nobody has seen us in that family: the router is believed
    assert_int_equal(r.candidates, 2);
    assert_true(path_equal(&r.candidate[1], &mapped[0]));
    // Servers see another host, as the first address or as that of the other family: strangers aren't sent there.
    mapped[0] = v4(90, 1, 1, 1, 6000);
    reach_own(&env, &r, &seen, NULL, NULL);
    assert_int_equal(r.candidates, 1);
    reach_own(&env, &r, &six, seen_of, NULL);
    assert_int_equal(r.candidates, 2);
    assert_true(path_equal(&r.candidate[1], &seen));
    mapped[0] = seen; // the same address twice is told once
    reach_own(&env, &r, &seen, NULL, NULL);
    assert_int_equal(r.candidates, 1);
    env.relayed = true; // who hides the own address does not name it
    reach_own(&env, &r, NULL, NULL, NULL);
    assert_int_equal(r.candidates, 0);
    env.relayed = false;
    // A peer that names it is not to have us probe ourselves.
    mapped[0] = v4(80, 1, 1, 1, 6000);
    struct wire_reach theirs = {.candidates = 2, .candidate = {mapped[0], v4(80, 2, 2, 2, 5000)}};
    assert_int_equal(reach_take(&env, &c, &theirs, NULL), 0);
    assert_int_equal(c.candidates, 1);
    assert_true(path_equal(&c.candidate[0], &theirs.candidate[1]));
}

static void peer_candidates(void **state)
{
    (void)state;
    struct meet_env env;
    struct block block;
    struct arena a;
    struct channel_config c = {.candidates = 0};
    uint8_t random = 1;
    struct path own = v4(80, 1, 1, 1, 5000), bad = v4(80, 9, 9, 9, 5000);
    struct wire_reach r = {.observed = true, .candidates = 6};
    r.candidate[0] = v4(224, 0, 0, 1, 5000);
    r.candidate[1] = v4(80, 1, 1, 1, 53);
    r.candidate[2] = v4(192, 168, 0, 1, 5000);
    r.candidate[3] = own;
    r.candidate[4] = v4(80, 2, 2, 2, 5000);
    r.candidate[5] = r.candidate[4];
    init_env(&env, &block, &random, false);
    assert_int_equal(reach_take(&env, &c, &r, &own), 0);
    assert_int_equal(c.candidates, 1);
    assert_true(path_equal(&c.candidate[0], &r.candidate[4]));
    assert_true(c.observed >= c.candidates); // the one that was seen is not usable
    r.candidates = 4;
    assert_int_equal(reach_take(&env, &c, &r, &own), BAUTA_EFORMAT);
    assert_int_equal(c.candidates, 0);
    // Behind one public address.
    r.candidate[0] = v4(80, 1, 1, 1, 6000);
    assert_int_equal(reach_take(&env, &c, &r, &own), 0);
    assert_int_equal(c.candidates, 2);
    assert_int_equal(c.observed, 0);
    assert_true(path_equal(&c.candidate[1], &r.candidate[2]));
    r.observed = false; // the peer does not know, so it can't be told
    assert_int_equal(reach_take(&env, &c, &r, &own), 0);
    assert_int_equal(c.candidates, 1);
    // One blocked address among them is enough.
    memory_arena(&a, 1u << 20);
    block_address(&block, &a, &bad);
    r.candidate[1] = bad;
    assert_int_equal(reach_take(&env, &c, &r, &own), BAUTA_EAUTH);
    block_free(&block, &a);
    arena_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_set_their_bits),
        cmocka_unit_test(cards_have_one_spelling),
        cmocka_unit_test(wishes_are_musts_and_rathers),
        cmocka_unit_test(memory_keeps_the_newest),
        cmocka_unit_test(memory_without_memory),
        cmocka_unit_test(blocks_are_exact),
        cmocka_unit_test(probes_have_a_budget),
        cmocka_unit_test(own_candidates),
        cmocka_unit_test(mapped_candidates),
        cmocka_unit_test(peer_candidates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
