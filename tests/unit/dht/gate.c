// First datagrams in a flood: tokens for everybody while there are enough, then for stamps, whose weight follows.
#include "dht/gate.h"

#include "crypto/bytes.h"
#include "crypto/stamp.h"
#include "tests/unit/dht/help.h"

#define UNIX_S UINT64_C(1795000000)

struct fixture {
    struct arena arena;
    struct gate gate;
    uint64_t seed;
    usec_t now;
    uint8_t mask_key[32], e[32];
};

static void start(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->seed = 3;
    f->now = 1000 * USEC_PER_S;
    memory_arena(&f->arena, 1u << 20);
    gate_init(&f->gate, &f->arena);
}

static void end(struct fixture *f)
{
    gate_end(&f->gate);
    help_arena_end(&f->arena);
}

// One datagram; with a stamp of at least so many bits.
static bool one(struct fixture *f, unsigned bits)
{
    uint8_t nonce[RPC_NONCE_BYTES];
    uint64_t tag;
    do // much like stamp_make, which goes on after a good one
        help_fill(&f->seed, nonce, sizeof nonce);
    while (bits > 0 && stamp_bits(f->mask_key, f->e, nonce, UNIX_S, &tag) < bits);
    return gate_open(&f->gate, f->now, f->mask_key, f->e, nonce, UNIX_S);
}

static void key_exchanges_end_before_they_are_used_up(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    unsigned free = 0;
    for (unsigned i = 0; i < 20000; i++) // at once
        free += !gate_arrived(&f.gate, f.now);
    unsigned burst = GATE_FLOOD_PER_S * GATE_FLOOD_US / USEC_PER_S;
    assert_in_range(free, burst - 5, burst + 5);
    for (unsigned i = 0; i < 10000; i++) { // no faster than that: still a flood's end
        f.now += USEC_PER_S / GATE_FLOOD_PER_S / 2;
        assert_true(gate_arrived(&f.gate, f.now));
    }
    f.now += GATE_CALM_US + USEC_PER_MS;
    assert_false(gate_arrived(&f.gate, f.now)); // and then it is over
    unsigned busy = 0;
    for (unsigned i = 0; i < 20000; i++) { // what a server is there for
        f.now += USEC_PER_S / (GATE_FLOOD_PER_S / 2);
        busy += gate_arrived(&f.gate, f.now);
    }
    assert_int_equal(busy, 0);
    end(&f);
}

static void tokens_for_everybody_then_for_stamps(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    unsigned bare = 0;
    for (unsigned i = 0; i < 40000; i++)
        bare += one(&f, 0);
    // Of random nonces one in 2^10 is a stamp.
    assert_in_range(bare, LIGHT_PER_S * 3 / 16, LIGHT_PER_S * 3 / 16 + 100);
    size_t used = f.arena.used_bytes;
    assert_in_range(used, GATE_SPENT_BITS / 8, GATE_SPENT_BITS / 8 + 4096); // once
    unsigned stamped = 0;
    for (unsigned i = 0; i < 100; i++)
        stamped += one(&f, GATE_BITS_MIN);
    assert_true(stamped >= 99); // one bit in so many is another's
    // A flood of 100,000 a second without stamps: who has one gets its token all the time.
    unsigned served = 0;
    bare = 0;
    for (unsigned i = 0; i < 300000; i++) {
        f.now += 10;
        bare += one(&f, 0);
        if (i % 1000 == 0)
            served += one(&f, GATE_BITS_MIN);
    }
    assert_true(served >= 298);
    assert_in_range(bare, 3 * LIGHT_PER_S - 1000, 3 * LIGHT_PER_S + 1000);
    assert_int_equal(f.gate.bits, GATE_BITS_MIN);
    assert_int_equal(f.arena.used_bytes, used);
    end(&f);
}

// Uses up what needs no stamp.
static void drain(struct fixture *f)
{
    while (one(f, 0))
        continue;
}

static void a_stamp_is_good_once(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    drain(&f);
    uint8_t nonce[RPC_NONCE_BYTES] = {7};
    stamp_make(nonce, f.mask_key, f.e, UNIX_S, 1u << 16);
    assert_true(gate_open(&f.gate, f.now, f.mask_key, f.e, nonce, UNIX_S));
    for (unsigned i = 0; i < 1000; i++) {
        f.now += 50 * USEC_PER_MS;
        drain(&f);
        assert_false(gate_open(&f.gate, f.now, f.mask_key, f.e, nonce, UNIX_S));
    }
    end(&f);
}

// Who makes many makes them heavier for everybody, up to what people can pay; when he stops they get lighter.
static void stamps_follow_the_load(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    drain(&f);
    unsigned taken = 0;
    for (unsigned i = 0; i < 4000; i++) { // 20,000 a second, each with the least
        f.now += 50;
        drain(&f);
        taken += one(&f, GATE_BITS_MIN);
    }
    assert_in_range(f.gate.bits, GATE_BITS_MIN + 1, GATE_BITS_MIN + 2); // one step at a time
    assert_in_range(taken, GATE_STAMPED_PER_S / 2, GATE_STAMPED_PER_S * 7 / 8);
    f.gate.bits = GATE_BITS_MAX;
    f.gate.follow_at = f.now + GATE_DECAY_US;
    for (unsigned s = 0; s < 60; s++) {
        f.now += USEC_PER_S;
        drain(&f);
        (void)one(&f, 1);
    }
    assert_int_equal(f.gate.bits, GATE_BITS_MIN);
    end(&f);
}

// What it took it gives back.
static void rest(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    drain(&f);
    (void)one(&f, 12);
    assert_true(gate_rest(&f.gate, f.now));
    assert_false(gate_rest(&f.gate, f.now + GATE_SPENT_US));
    assert_int_equal(f.arena.used_bytes, 0);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_exchanges_end_before_they_are_used_up),
        cmocka_unit_test(tokens_for_everybody_then_for_stamps),
        cmocka_unit_test(a_stamp_is_good_once),
        cmocka_unit_test(stamps_follow_the_load),
        cmocka_unit_test(rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
