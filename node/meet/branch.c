#include "node/meet/branch.h"

#include "crypto/net.h"

#include <assert.h>
#include <string.h>

void branch_init(struct branch *b, const uint8_t pk[static 32])
{
    uint8_t hash[32];
    memset(b, 0, sizeof *b);
    hash_pieces(hash, sizeof hash, NULL, 0, &(struct piece){pk, 32}, 1);
    b->path = (uint16_t)(hash[0] << 8 | hash[1]);
    b->ask_at = USEC_NEVER;
}

struct branch_place branch_at(const struct branch *b, unsigned depth)
{
    assert(depth <= BRANCH_DEPTH_MAX);
    return (struct branch_place){(uint8_t)depth, (uint32_t)b->path >> (BRANCH_DEPTH_MAX - depth)};
}

static void plan_asking(struct branch *b, usec_t now, const struct rng *rng)
{
    b->asking = false;
    b->ask_at =
        b->depth == 0 ? USEC_NEVER : now + rng_between(rng, BRANCH_ASK_MIN_US, BRANCH_ASK_MAX_US);
}

static bool move(struct branch *b, usec_t now, const struct rng *rng, unsigned depth)
{
    if (depth == b->depth)
        return false;
    b->depth = (uint8_t)depth;
    b->beside = 0;
    plan_asking(b, now, rng);
    return true;
}

// Moves up are advice too: somebody who lies about fullness must not keep us looking up places.
static bool may_climb(struct branch *b, usec_t now)
{
    uint64_t gone = now - b->climbed_at, cap = BRANCH_CLIMBS_MAX * BRANCH_CLIMB_US;
    b->climbed_us = b->climbed_us > gone ? b->climbed_us - gone : 0;
    b->climbed_at = now;
    if (b->climbed_us + BRANCH_CLIMB_US > cap)
        return false;
    b->climbed_us += BRANCH_CLIMB_US;
    return true;
}

static unsigned floor_at(const struct branch *b, usec_t now)
{
    return b->floor_until > now ? b->floor : 0;
}

bool branch_full(struct branch *b, usec_t now, const struct rng *rng, unsigned hint)
{
    unsigned to = b->depth + 1u;
    if (b->depth == 0 && hint > 1)
        to = hint < BRANCH_JUMP_MAX ? hint : BRANCH_JUMP_MAX;
    // Where it was empty a moment ago it still is.
    if (b->ceiling_until > now && to > b->ceiling)
        to = b->ceiling > b->depth ? b->ceiling : b->depth + 1u;
    b->floor = (uint8_t)(b->depth + 1u);
    b->floor_until = now + BRANCH_FULL_US;
    if (b->depth >= BRANCH_DEPTH_MAX) {
        b->floor = BRANCH_DEPTH_MAX;
        return false;
    }
    return move(b, now, rng, to);
}

bool branch_alone(struct branch *b, usec_t now, const struct rng *rng, unsigned count)
{
    unsigned floor = floor_at(b, now);
    if (b->depth <= floor || count >= BRANCH_SPARSE || !may_climb(b, now))
        return false;
    b->ceiling = b->depth;
    b->ceiling_until = now + BRANCH_SPARSE_US;
    // All who are left over go to the highest place that has room, and so meet there.
    unsigned to = count < BRANCH_FEW ? floor + (b->depth - floor) / 2 : b->depth - 1u;
    return move(b, now, rng, branch_room_above(b, now) && b->room < to ? b->room : to);
}

bool branch_room_above(const struct branch *b, usec_t now)
{
    return b->room_until > now && b->room < b->depth;
}

bool branch_ask(struct branch *b, usec_t now, const struct rng *rng)
{
    if (b->ask_at > now)
        return false;
    plan_asking(b, now, rng);
    b->asking = b->depth > 0;
    return b->asking;
}

bool branch_counted(struct branch *b, usec_t now, const struct rng *rng, unsigned depth,
                    unsigned count, bool full)
{
    bool room = !full && count < BRANCH_MERGE_BELOW;
    if (depth >= b->depth)
        return false;
    if (room && b->floor > depth)
        b->floor = (uint8_t)depth;
    if (room && (b->room_until <= now || depth <= b->room)) {
        b->room = (uint8_t)depth;
        b->room_until = now + BRANCH_ROOM_US;
    } else if (!room && depth == b->room) {
        b->room_until = 0;
    }
    if (!b->asking || depth + 1u != b->depth)
        return false;
    b->asking = false;
    return room && move(b, now, rng, depth);
}

bool branch_beside(struct branch *b, const struct rng *rng, bool full, struct branch_place *at)
{
    unsigned depth = b->depth + (full && b->depth < BRANCH_DEPTH_MAX ? 1u : 0u);
    *at = branch_at(b, depth);
    if (depth == 0)
        return false;
    if (b->beside++ == 0) {
        at->bits ^= depth == b->depth ? 1u : 0u; // the sibling, or the child on the own path
        return true;
    }
    if (b->beside == 0)
        b->beside = 1;
    // Any but the own one.
    bool own = depth == b->depth;
    uint32_t other = (uint32_t)rng_below(rng, (UINT64_C(1) << depth) - (own ? 1 : 0));
    at->bits = own && other >= at->bits ? other + 1 : other;
    return true;
}
