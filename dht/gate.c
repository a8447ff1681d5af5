#include "dht/gate.h"

#include "crypto/stamp.h"

#include <assert.h>
#include <string.h>

static_assert((GATE_SPENT_BITS & (GATE_SPENT_BITS - 1)) == 0, "a mask");
#define SPENT_BYTES (GATE_SPENT_BITS / 8)

void gate_init(struct gate *g, struct arena *arena)
{
    memset(g, 0, sizeof *g);
    g->arena = arena;
    g->bits = GATE_BITS_MIN;
}

static void spent_drop(struct gate *g)
{
    arena_give(g->arena, g->spent, SPENT_BYTES);
    g->spent = NULL;
}

void gate_end(struct gate *g)
{
    spent_drop(g);
}

bool gate_rest(struct gate *g, usec_t now)
{
    if (g->spent != NULL && now >= g->spent_until)
        spent_drop(g);
    return g->spent != NULL;
}

// A second's worth of each.
#define WHOLE_US ((uint32_t)USEC_PER_S)

static uint32_t less(uint32_t level_us, usec_t gone)
{
    return level_us > gone ? (uint32_t)(level_us - gone) : 0;
}

static void run_out(struct gate *g, usec_t now)
{
    usec_t gone = now - g->at;
    g->at = now;
    g->arrivals_us = less(g->arrivals_us, gone);
    g->answers_us = less(g->answers_us, gone);
    g->stamped_us = less(g->stamped_us, gone);
}

bool gate_arrived(struct gate *g, usec_t now)
{
    run_out(g, now);
    g->arrivals_us += WHOLE_US / GATE_FLOOD_PER_S;
    if (g->arrivals_us >= GATE_FLOOD_US) {
        g->arrivals_us = GATE_FLOOD_US; // what spills over is not remembered
        g->flooded_until = now + GATE_CALM_US;
    }
    return now < g->flooded_until;
}

static bool has_spent(struct gate *g, usec_t now, uint64_t tag)
{
    if (g->spent == NULL)
        g->spent = arena_take(g->arena, SPENT_BYTES); // zeroes
    else if (now >= g->spent_until)
        memset(g->spent, 0, SPENT_BYTES);
    if (g->spent == NULL)
        return true;
    if (now >= g->spent_until)
        g->spent_until = now + GATE_SPENT_US;
    uint64_t *word = &g->spent[tag % GATE_SPENT_BITS / 64], bit = UINT64_C(1) << tag % 64;
    bool has = (*word & bit) != 0;
    *word |= bit;
    return has;
}

// The more stamps come the heavier they have to be, and lighter again once few come.
static void follow(struct gate *g, usec_t now)
{
    if (g->stamped_us > WHOLE_US / 2 && now + GATE_DECAY_US >= g->follow_at + GATE_RAISE_US) {
        g->bits = (uint8_t)(g->bits + (g->bits < GATE_BITS_MAX));
        g->follow_at = now + GATE_DECAY_US;
        g->stamped_us = WHOLE_US / 4;
    }
    if (g->stamped_us > WHOLE_US / 4)
        return;
    for (; g->bits > GATE_BITS_MIN && now >= g->follow_at; g->follow_at += GATE_DECAY_US)
        g->bits--;
}

static bool good_stamp(struct gate *g, usec_t now, const uint8_t mask_key[static 32],
                       const uint8_t e[static 32], const uint8_t *nonce, uint64_t unix_s)
{
    uint64_t tag;
    follow(g, now);
    if (stamp_bits(mask_key, e, nonce, unix_s, &tag) < g->bits)
        return false;
    if (g->stamped_us > WHOLE_US || has_spent(g, now, tag))
        return false;
    g->stamped_us += WHOLE_US / GATE_STAMPED_PER_S;
    return true;
}

bool gate_open(struct gate *g, usec_t now, const uint8_t mask_key[static 32],
               const uint8_t e[static 32], const uint8_t *nonce, uint64_t unix_s)
{
    run_out(g, now);
    if (g->answers_us > GATE_ANSWERS_US / GATE_SHARE_FREE * (GATE_SHARE_FREE - 1) &&
        (g->answers_us > GATE_ANSWERS_US || !good_stamp(g, now, mask_key, e, nonce, unix_s)))
        return false;
    g->answers_us += WHOLE_US / LIGHT_PER_S;
    return true;
}
