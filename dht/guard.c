#include "dht/guard.h"

#include "crypto/bytes.h"

#include <sodium.h>

static uint64_t hash(const struct guard *g, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, data, len, g->hash_key);
    struct rd r = rd_init(out, sizeof out);
    uint64_t h = rd_le64(&r);
    return h == 0 ? 1 : h;
}

void guard_init(struct guard *g, struct arena *arena, const struct rng *rng, bool prefix_limits)
{
    memset(g, 0, sizeof *g);
    g->arena = arena;
    g->rng = rng;
    g->prefix_limits = prefix_limits;
    rng_fill(rng, g->hash_key, sizeof g->hash_key);
    g->rate = g->few;
    g->rates = RATE_ENTRIES_MIN;
    g->total.left = g->unproven.left = g->dh.left = UINT32_MAX; // full from the start
    g->dh_unproven.left = UINT32_MAX;
    g->work.left = WORK_PER_S;
}

static size_t cache_bytes(uint32_t sets)
{
    return (size_t)sets * KEYCACHE_WAYS * sizeof(struct keycache_entry);
}

static void cache_drop(struct guard *g)
{
    arena_give(g->arena, g->cache, cache_bytes(g->sets));
    g->cache = NULL;
    g->sets = 0;
}

static void rate_drop(struct guard *g)
{
    if (g->rate != g->few)
        arena_give(g->arena, g->rate, g->rates * sizeof *g->rate);
    g->rate = g->few;
    g->rates = RATE_ENTRIES_MIN;
}

static void replay_drop(struct guard *g, struct replay_set *s)
{
    arena_give(g->arena, s->tag, s->cap * sizeof *s->tag);
    memset(s, 0, sizeof *s);
}

void guard_end(struct guard *g)
{
    cache_drop(g);
    rate_drop(g);
    for (unsigned i = 0; i < 2; i++)
        replay_drop(g, &g->replay[i]);
    sodium_memzero(g, sizeof *g);
}

uint64_t guard_source(const struct guard *g, const struct path *p)
{
    if (!g->prefix_limits)
        return hash(g, p, sizeof *p);
    struct prefix coarse = path_coarse(p);
    return hash(g, &coarse, sizeof coarse);
}

// ---- rates ----------------------------------------------------------------------------------------

// What has come back since then; a full bucket holds one second's worth.
static uint32_t gained(usec_t *since, usec_t now, uint32_t per_s)
{
    usec_t passed = now - *since;
    if (passed >= USEC_PER_S) {
        *since = now;
        return per_s;
    }
    usec_t n = passed * per_s / USEC_PER_S;
    *since += n * USEC_PER_S / per_s;
    return (uint32_t)n;
}

static uint32_t bucket_level(struct bucket *b, usec_t now, uint32_t per_s)
{
    uint32_t n = gained(&b->since, now, per_s);
    b->left = b->left > per_s - n ? per_s : b->left + n;
    return b->left;
}

static bool bucket_take(struct bucket *b, usec_t now, uint32_t per_s)
{
    if (bucket_level(b, now, per_s) == 0)
        return false;
    b->left--;
    return true;
}

static uint16_t source_per_s(const struct guard *g)
{
    return g->prefix_limits ? RATE_PREFIX_PER_S : RATE_NODE_PER_S;
}

static struct rate_entry *rate_set(const struct guard *g, uint64_t source)
{
    return &g->rate[((uint32_t)source & (g->rates / 2 - 1)) * 2];
}

static struct rate_entry *rate_entry(struct guard *g, usec_t now, uint64_t source)
{
    struct rate_entry *set = rate_set(g, source);
    struct rate_entry *e = set[0].tag == source ? &set[0] : set[1].tag == source ? &set[1] : NULL;
    uint32_t second = (uint32_t)(now / USEC_PER_S);
    if (second != g->second) {
        bool next = second == g->second + 1;
        g->active_before = next ? g->active : 0;
        g->sharers_before = next ? g->sharers : 0;
        g->active = g->sharers = 0;
        g->second = second;
    }
    if (e == NULL) {
        // Who has been quiet for longer gives way: it has its allowance back by now.
        e = set[0].tag == 0 || (set[1].tag != 0 && set[0].since <= set[1].since) ? &set[0]
                                                                                 : &set[1];
        g->rate_evicted += e->tag != 0 && now - e->since < USEC_PER_S;
        *e = (struct rate_entry){.tag = source,
                                 .since = now,
                                 .left = {source_per_s(g), source_per_s(g)},
                                 .second = (uint16_t)(second - 1)};
    }
    if (e->second != (uint16_t)second) {
        g->active++;
        e->taken[0] = e->taken[1] = e->exchanges = 0;
        memset(e->part, 0, sizeof e->part);
        e->second = (uint16_t)second;
    }
    return e;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

// How much of the rates of all is used: half, three quarters.
enum load { LOAD_LOW, LOAD_BUSY, LOAD_SCARCE };

static enum load load_of(uint32_t left, uint32_t per_s)
{
    return left < per_s / (2 * RATE_BUSY) ? LOAD_SCARCE
           : left < per_s / RATE_BUSY     ? LOAD_BUSY
                                          : LOAD_LOW;
}

// Takes one of the prefix's; under load only of what is a fair share of half of everything. Else of the
// little that each of its fine prefixes has, so that honest neighbours of a flood do not starve; but the
// last quarter is for fair shares.
static bool take_share(struct guard *g, usec_t now, const struct path *p, struct rate_entry *e,
                       enum load load, bool proven)
{
    uint32_t per_s = source_per_s(g), n = gained(&e->since, now, per_s);
    uint32_t sources =
        proven ? larger(g->sharers, g->sharers_before) : larger(g->active, g->active_before);
    uint32_t fair = RATE_TOTAL_PER_S / RATE_BUSY / (sources + 1) + 1;
    for (unsigned i = 0; i < 2; i++)
        e->left[i] = (uint16_t)(e->left[i] + n < per_s ? e->left[i] + n : per_s);
    if (e->left[proven] > 0 && (load == LOAD_LOW || e->taken[proven] < fair)) {
        e->left[proven]--;
    } else {
        struct prefix fine = path_fine(p);
        uint8_t *part = &e->part[hash(g, &fine, sizeof fine) % RATE_PARTS];
        unsigned shift = proven ? 4 : 0;
        if (load == LOAD_SCARCE || ((unsigned)*part >> shift & 15u) >= RATE_PART_FREE_PER_S)
            return false;
        *part = (uint8_t)(*part + (1u << shift));
    }
    g->sharers += proven && e->taken[1] == 0;
    e->taken[proven] = (uint16_t)(e->taken[proven] + (e->taken[proven] < UINT16_MAX));
    return true;
}

bool guard_rate(struct guard *g, usec_t now, const struct path *p, uint64_t source, bool proven)
{
    struct rate_entry *e = rate_entry(g, now, source);
    uint32_t total = bucket_level(&g->total, now, RATE_TOTAL_PER_S);
    uint32_t unproven = bucket_level(&g->unproven, now, RATE_UNPROVEN_PER_S);
    enum load load = load_of(total, RATE_TOTAL_PER_S);
    if (!proven) { // the last quarter is not for these
        enum load forged = load_of(unproven, RATE_UNPROVEN_PER_S);
        if (load == LOAD_SCARCE || unproven == 0)
            return false;
        load = forged > load ? forged : load;
    }
    if (total == 0 || !take_share(g, now, p, e, load, proven))
        return false;
    g->total.left--;
    if (!proven)
        g->unproven.left--;
    return true;
}

bool guard_dh(struct guard *g, usec_t now, uint64_t source, bool proven)
{
    uint32_t level = bucket_level(&g->dh, now, DH_PER_S);
    if (!proven) {
        if (level <= DH_PER_S - DH_UNPROVEN_PER_S ||
            !bucket_take(&g->dh_unproven, now, DH_UNPROVEN_PER_S))
            return false;
        g->dh.left--;
        return true;
    }
    struct rate_entry *e = rate_entry(g, now, source);
    uint32_t fair = DH_PER_S / RATE_BUSY / (larger(g->sharers, g->sharers_before) + 1) + 1;
    if (level == 0 || e->exchanges == UINT16_MAX ||
        (level < DH_PER_S / RATE_BUSY && e->exchanges >= fair))
        return false;
    e->exchanges++;
    g->dh.left--;
    return true;
}

bool guard_work(struct guard *g, usec_t now, uint64_t source)
{
    uint8_t *part = &g->work_part[(source >> 48) % WORK_PARTS];
    if (now - g->work.since >= USEC_PER_S) {
        memset(g->work_part, 0, sizeof g->work_part);
        g->work = (struct bucket){now, WORK_PER_S};
    }
    if (g->work.left == 0 || *part >= WORK_PART_PER_S)
        return false;
    g->work.left--;
    ++*part;
    return true;
}

void guard_work_wrong(struct guard *g, uint64_t source)
{
    uint8_t *part = &g->work_part[(source >> 48) % WORK_PARTS];
    unsigned used = *part + WORK_WRONG;
    *part = (uint8_t)(used < WORK_PART_PER_S ? used : WORK_PART_PER_S);
}

static void rate_grow(struct guard *g)
{
    if (g->rate_evicted <= g->rates / 4 || g->rates == RATE_ENTRIES_MAX)
        return;
    struct rate_entry *rate = arena_take(g->arena, 2 * g->rates * sizeof *rate);
    g->rate_evicted = 0;
    if (rate == NULL)
        return;
    struct rate_entry *old = g->rate;
    uint32_t n = g->rates;
    g->rate = rate;
    g->rates = 2 * n;
    for (uint32_t i = 0; i < n; i++) // at most two of an old set meet in a new one
        if (old[i].tag != 0) {
            struct rate_entry *set = rate_set(g, old[i].tag);
            set[set[0].tag != 0] = old[i];
        }
    if (old != g->few)
        arena_give(g->arena, old, n * sizeof *old);
}

// ---- tokens ---------------------------------------------------------------------------------------

static void rotate(struct guard *g, usec_t now)
{
    if (g->rotate_at != 0 && now < g->rotate_at)
        return;
    bool both = g->rotate_at == 0 || now >= g->rotate_at + TOKEN_PERIOD_US;
    memcpy(g->token_secret[1], g->token_secret[0], sizeof g->token_secret[1]);
    rng_fill(g->rng, g->token_secret[0], sizeof g->token_secret[0]);
    if (both)
        rng_fill(g->rng, g->token_secret[1], sizeof g->token_secret[1]);
    g->rotate_at = now - now % TOKEN_PERIOD_US + TOKEN_PERIOD_US;
    g->period ^= 1;
    replay_drop(g, &g->replay[1]);
    g->replay[1] = g->replay[0];
    memset(&g->replay[0], 0, sizeof g->replay[0]);
    if (both)
        replay_drop(g, &g->replay[1]);
    if (!g->cache_hit || both) // of no use any more
        cache_drop(g);
    g->cache_hit = false;
    g->cache_evicted = 0;
    bool quiet = now / USEC_PER_S > g->second + UINT64_C(1);
    if (quiet || g->active + g->active_before < RATE_ENTRIES_MIN)
        rate_drop(g);
}

bool guard_rest(struct guard *g, usec_t now)
{
    if (g->rotate_at != 0)
        rotate(g, now);
    return g->cache != NULL || g->rate != g->few || g->replay[0].tag != NULL ||
           g->replay[1].tag != NULL;
}

static void token_of(const struct guard *g, bool before, const struct path *p,
                     const uint8_t e[static 32], uint8_t token[static RPC_TOKEN_BYTES])
{
    uint8_t where[PATH_WIRE_BYTES_MAX + 4];
    static_assert(sizeof where <= RPC_WHERE_BYTES_MAX, "a path fits");
    struct wr w = wr_init(where, sizeof where);
    path_put(&w, p);
    wr_le32(&w, p->via);
    rpc_token(token, g->token_secret[before], where, wr_len(&w), e);
    token[0] = (uint8_t)((token[0] & ~1u) | (g->period ^ before));
}

bool guard_token(struct guard *g, usec_t now, const struct path *p, const uint8_t e[static 32],
                 const uint8_t token[static RPC_TOKEN_BYTES])
{
    uint8_t good[RPC_TOKEN_BYTES];
    rotate(g, now);
    token_of(g, (token[0] & 1u) != g->period, p, e, good);
    return sodium_memcmp(good, token, sizeof good) == 0;
}

void guard_token_next(struct guard *g, usec_t now, const struct path *p, const uint8_t e[static 32],
                      uint8_t next[static RPC_TOKEN_BYTES])
{
    rotate(g, now);
    token_of(g, false, p, e, next);
}

// ---- keys -----------------------------------------------------------------------------------------

#define KEYCACHE_HIT UINT64_C(1) // in a tag

static struct keycache_entry *cache_set(const struct guard *g, uint64_t source,
                                        const uint8_t e[static 32], uint64_t *tag)
{
    uint64_t h = hash(g, e, 32);
    *tag = (h | KEYCACHE_HIT) == KEYCACHE_HIT ? 2 : h & ~KEYCACHE_HIT;
    uint32_t share_sets = g->sets / KEYCACHE_SHARES;
    uint32_t share = (uint32_t)(source >> 32) % KEYCACHE_SHARES;
    uint32_t i = share * share_sets + (uint32_t)((h >> 1) % share_sets);
    return &g->cache[i * KEYCACHE_WAYS];
}

bool guard_keys(struct guard *g, uint64_t source, const uint8_t e[static 32], struct rpc_root *root)
{
    if (g->sets == 0)
        return false;
    uint64_t tag;
    struct keycache_entry *set = cache_set(g, source, e, &tag);
    // Who finds two e of one tag without the key gets keys under which nothing opens.
    for (unsigned i = 0; i < KEYCACHE_WAYS; i++)
        if ((set[i].tag & ~KEYCACHE_HIT) == tag) {
            *root = set[i].root;
            set[i].tag |= KEYCACHE_HIT;
            g->cache_hit = true;
            return true;
        }
    return false;
}

static void cache_grow(struct guard *g)
{
    if (g->sets != 0 && (g->cache_evicted <= g->sets || g->sets >= KEYCACHE_SETS_MAX))
        return;
    uint32_t sets = g->sets == 0 ? KEYCACHE_SETS_MIN : 2 * g->sets;
    struct keycache_entry *cache = arena_take(g->arena, cache_bytes(sets));
    g->cache_evicted = 0;
    if (cache == NULL)
        return;
    // A cache may forget; its keys are derived again.
    cache_drop(g);
    g->cache = cache;
    g->sets = sets;
}

void guard_keys_remember(struct guard *g, uint64_t source, const uint8_t e[static 32],
                         const struct rpc_root *root)
{
    cache_grow(g);
    if (g->sets == 0)
        return;
    uint64_t tag;
    struct keycache_entry *set = cache_set(g, source, e, &tag);
    // The newest stands first. Of an upkeep request the e is used once: such an entry goes first.
    unsigned victim = 0;
    for (unsigned i = 1; i < KEYCACHE_WAYS; i++)
        if ((set[i].tag & KEYCACHE_HIT) == 0 || (set[victim].tag & KEYCACHE_HIT) != 0)
            victim = i;
    g->cache_evicted += set[victim].tag & KEYCACHE_HIT;
    memmove(set + 1, set, victim * sizeof *set);
    set[0] = (struct keycache_entry){tag, *root};
}

// ---- replays --------------------------------------------------------------------------------------

static bool replay_has(const struct replay_set *s, uint32_t tag, uint32_t *at)
{
    *at = 0;
    if (s->cap == 0)
        return false;
    uint32_t i = tag & (s->cap - 1);
    while (s->tag[i] != 0 && s->tag[i] != tag)
        i = (i + 1) & (s->cap - 1);
    *at = i;
    return s->tag[i] == tag;
}

static bool replay_grow(struct guard *g, struct replay_set *s)
{
    struct replay_set bigger = *s;
    bigger.cap = s->cap == 0 ? 16 : 2 * s->cap;
    bigger.tag = arena_take(g->arena, bigger.cap * sizeof *bigger.tag);
    if (bigger.tag == NULL)
        return false;
    for (uint32_t i = 0; i < s->cap; i++) {
        uint32_t at;
        if (s->tag[i] != 0 && !replay_has(&bigger, s->tag[i], &at))
            bigger.tag[at] = s->tag[i];
    }
    arena_give(g->arena, s->tag, s->cap * sizeof *s->tag);
    *s = bigger;
    return true;
}

int guard_once(struct guard *g, usec_t now, const uint8_t nonce[static RPC_NONCE_BYTES],
               uint64_t source, bool changes_state)
{
    rotate(g, now);
    // With both sets full one new request in 131,072 is taken for a replay: it is sent again.
    uint32_t tag = (uint32_t)(hash(g, nonce, RPC_NONCE_BYTES) >> 32), at;
    tag += tag == 0;
    if (replay_has(&g->replay[1], tag, &at) || replay_has(&g->replay[0], tag, &at))
        return BAUTA_EREPLAY;
    struct replay_set *s = &g->replay[0];
    uint16_t *part = &s->part[(source >> 44) % REPLAY_PARTS];
    unsigned share = changes_state ? 1 : 2; // questions never crowd changes out
    if (s->n >= REPLAY_MAX / share || *part >= REPLAY_PART_MAX / share ||
        (4 * (s->n + 1) > 3 * s->cap && !replay_grow(g, s)))
        return changes_state ? BAUTA_ELIMIT : 0; // a question answered twice does little harm
    (void)replay_has(s, tag, &at);
    s->tag[at] = tag;
    s->n++;
    ++*part;
    return 0;
}

void guard_grow(struct guard *g)
{
    rate_grow(g);
}
