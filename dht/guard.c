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

int guard_init(struct guard *g, struct arena *arena, const struct rng *rng, bool prefix_limits)
{
    memset(g, 0, sizeof *g);
    g->arena = arena;
    g->rng = rng;
    g->prefix_limits = prefix_limits;
    rng_fill(rng, g->hash_key, sizeof g->hash_key);
    g->rate = arena_take(arena, RATE_ENTRIES_MIN * sizeof *g->rate);
    if (g->rate == NULL)
        return BAUTA_ESPACE;
    g->rates = RATE_ENTRIES_MIN;
    return 0;
}

static size_t cache_bytes(uint32_t sets)
{
    return (size_t)sets * KEYCACHE_WAYS * sizeof(struct keycache_entry);
}

void guard_end(struct guard *g)
{
    arena_give(g->arena, g->cache, cache_bytes(g->sets));
    arena_give(g->arena, g->rate, g->rates * sizeof *g->rate);
    for (unsigned i = 0; i < 2; i++)
        arena_give(g->arena, g->replay[i].tag, g->replay[i].cap * sizeof(uint64_t));
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

static struct rate_entry *rate_set(const struct guard *g, uint64_t source)
{
    return &g->rate[((uint32_t)source & (g->rates / 2 - 1)) * 2];
}

bool guard_rate(struct guard *g, usec_t now, uint64_t source)
{
    uint32_t per_s = g->prefix_limits ? RATE_PREFIX_PER_S : RATE_NODE_PER_S;
    struct rate_entry *set = rate_set(g, source);
    struct rate_entry *e = set[0].tag == source ? &set[0] : set[1].tag == source ? &set[1] : NULL;
    if (e == NULL) {
        // Who has been quiet for longer gives way: it has its allowance back by now.
        e = set[0].tag == 0 || (set[1].tag != 0 && set[0].since <= set[1].since) ? &set[0]
                                                                                 : &set[1];
        g->rate_evicted += e->tag != 0 && now - e->since < USEC_PER_S;
        *e = (struct rate_entry){source, now, per_s};
    }
    usec_t gained = (now - e->since) * per_s / USEC_PER_S;
    if (now - e->since >= USEC_PER_S) {
        e->left = per_s;
        e->since = now;
    } else if (gained > 0) {
        e->left = gained + e->left > per_s ? per_s : (uint32_t)gained + e->left;
        e->since += gained * USEC_PER_S / per_s;
    }
    if (e->left == 0)
        return false;
    e->left--;
    return true;
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
    arena_give(g->arena, old, n * sizeof *old);
}

// ---- tokens ---------------------------------------------------------------------------------------

static void rotate(struct guard *g, usec_t now)
{
    if (g->rotate_at != 0 && now < g->rotate_at)
        return;
    bool both = g->rotate_at == 0 || now >= g->rotate_at + TOKEN_PERIOD_US;
    memcpy(g->token_secret[1], g->token_secret[0], 32);
    rng_fill(g->rng, g->token_secret[0], 32);
    if (both)
        rng_fill(g->rng, g->token_secret[1], 32);
    g->cache_evicted = 0;
    g->rotate_at = now - now % TOKEN_PERIOD_US + TOKEN_PERIOD_US;
    struct replay_set old = g->replay[1];
    arena_give(g->arena, old.tag, old.cap * sizeof(uint64_t));
    g->replay[1] = g->replay[0];
    memset(&g->replay[0], 0, sizeof g->replay[0]);
}

static void token_of(const uint8_t secret[static 32], const struct path *p,
                     const uint8_t e[static 32], uint8_t token[static RPC_TOKEN_BYTES])
{
    uint8_t where[PATH_WIRE_BYTES_MAX + 4];
    struct wr w = wr_init(where, sizeof where);
    path_put(&w, p);
    wr_le32(&w, p->via);
    rpc_token(token, secret, where, wr_len(&w), e);
}

void guard_token(struct guard *g, usec_t now, const struct path *p, const uint8_t e[static 32],
                 uint8_t token[static RPC_TOKEN_BYTES])
{
    rotate(g, now);
    token_of(g->token_secret[0], p, e, token);
}

bool guard_token_ok(struct guard *g, usec_t now, const struct path *p, const uint8_t e[static 32],
                    const uint8_t token[static RPC_TOKEN_BYTES])
{
    rotate(g, now);
    bool ok = false;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t good[RPC_TOKEN_BYTES];
        token_of(g->token_secret[i], p, e, good);
        ok |= sodium_memcmp(good, token, sizeof good) == 0;
    }
    return ok;
}

// ---- keys -----------------------------------------------------------------------------------------

static struct keycache_entry *cache_set(const struct guard *g, uint64_t source,
                                        const uint8_t e[static 32])
{
    uint32_t share_sets = g->sets / KEYCACHE_SHARES;
    uint32_t share = (uint32_t)(source >> 32) % KEYCACHE_SHARES;
    uint32_t i = share * share_sets + (uint32_t)(hash(g, e, 32) % share_sets);
    return &g->cache[i * KEYCACHE_WAYS];
}

bool guard_keys(struct guard *g, uint64_t source, const uint8_t e[static 32], struct rpc_keys *keys)
{
    if (g->sets == 0)
        return false;
    struct keycache_entry *set = cache_set(g, source, e);
    for (unsigned i = 0; i < KEYCACHE_WAYS; i++)
        if (set[i].used && memcmp(set[i].e, e, 32) == 0) {
            *keys = set[i].keys;
            set[i].hit = true;
            return true;
        }
    return false;
}

static void cache_grow(struct guard *g)
{
    if (g->sets != 0 &&
        (g->cache_evicted <= KEYCACHE_HIT_WEIGHT * g->sets || g->sets >= KEYCACHE_SETS_MAX))
        return;
    uint32_t sets = g->sets == 0 ? KEYCACHE_SETS_MIN : 2 * g->sets;
    struct keycache_entry *cache = arena_take(g->arena, cache_bytes(sets));
    g->cache_evicted = 0;
    if (cache == NULL)
        return;
    // A cache may forget; its keys are derived again.
    arena_give(g->arena, g->cache, cache_bytes(g->sets));
    g->cache = cache;
    g->sets = sets;
}

void guard_keys_remember(struct guard *g, uint64_t source, const uint8_t e[static 32],
                         const struct rpc_keys *keys)
{
    cache_grow(g);
    if (g->sets == 0)
        return;
    struct keycache_entry *set = cache_set(g, source, e);
    // The newest stands first. Of an upkeep request the e is used once: such an entry goes first.
    unsigned victim = 0;
    for (unsigned i = 1; i < KEYCACHE_WAYS; i++)
        if (!set[i].hit || set[victim].hit)
            victim = i;
    g->cache_evicted += !set[victim].used ? 0 : set[victim].hit ? KEYCACHE_HIT_WEIGHT : 1;
    memmove(set + 1, set, victim * sizeof *set);
    memcpy(set[0].e, e, 32);
    set[0].keys = *keys;
    set[0].used = true;
    set[0].hit = false;
}

// ---- replays --------------------------------------------------------------------------------------

static bool replay_has(const struct replay_set *s, uint64_t tag, uint32_t *at)
{
    *at = 0;
    if (s->cap == 0)
        return false;
    uint32_t i = (uint32_t)tag & (s->cap - 1);
    while (s->tag[i] != 0 && s->tag[i] != tag)
        i = (i + 1) & (s->cap - 1);
    *at = i;
    return s->tag[i] == tag;
}

static bool replay_grow(struct guard *g, struct replay_set *s)
{
    struct replay_set bigger = {NULL, s->n, s->cap == 0 ? 16 : 2 * s->cap};
    bigger.tag = arena_take(g->arena, bigger.cap * sizeof(uint64_t));
    if (bigger.tag == NULL)
        return false;
    for (uint32_t i = 0; i < s->cap; i++) {
        uint32_t at;
        if (s->tag[i] != 0 && !replay_has(&bigger, s->tag[i], &at))
            bigger.tag[at] = s->tag[i];
    }
    arena_give(g->arena, s->tag, s->cap * sizeof(uint64_t));
    *s = bigger;
    return true;
}

int guard_once(struct guard *g, usec_t now, const uint8_t nonce[static RPC_NONCE_BYTES],
               bool changes_state)
{
    rotate(g, now);
    uint64_t tag = hash(g, nonce, RPC_NONCE_BYTES);
    uint32_t at;
    if (replay_has(&g->replay[1], tag, &at) || replay_has(&g->replay[0], tag, &at))
        return BAUTA_EREPLAY;
    struct replay_set *s = &g->replay[0];
    uint32_t max = changes_state ? REPLAY_MAX : REPLAY_MAX / 2; // questions never crowd changes out
    if (s->n >= max || (2 * (s->n + 1) > s->cap && !replay_grow(g, s)))
        return changes_state ? BAUTA_ELIMIT : 0; // a question answered twice does little harm
    (void)replay_has(s, tag, &at);
    s->tag[at] = tag;
    s->n++;
    return 0;
}

void guard_grow(struct guard *g)
{
    rate_grow(g);
}
