// Buckets: filled after joining, asked where nobody in them was heard for long, and kept alive.
#include "crypto/bytes.h"
#include "dht/internal.h"

// A random id that shares exactly `bits` with the centre.
static void random_in_bucket(struct dht *d, const uint8_t centre[static 32], unsigned bits,
                             uint8_t target[static 32])
{
    memcpy(target, centre, 32);
    dht_blur(d, target, bits);
    uint8_t bit = (uint8_t)(0x80u >> bits % 8);
    target[bits / 8] = (uint8_t)((target[bits / 8] & (uint8_t)~bit) | (~centre[bits / 8] & bit));
}

void refresh_ask(struct dht *d, book_ref who, unsigned f, const uint8_t target[static 32],
                 uint16_t class_min, uint32_t filling)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = f == 0 ? WIRE_WANT_V4 : WIRE_WANT_V6;
    q.bits = 256;
    memcpy(q.target, target, 32);
    if (class_min == CLASS_FULL) // a shorter one would not be followed by a ping anyhow
        upkeep_put_self(d, who, &q);
    struct call_spec spec = {.owner_kind = CALL_REFRESH,
                             .tag = filling,
                             .ref = who,
                             .class_min = class_min,
                             .sendings_max = UPKEEP_SENDINGS_MAX};
    (void)call_start(d, &spec, &q, NULL);
}

// ---- filling --------------------------------------------------------------------------------------

// Buckets up to this one can be filled: as many servers live in a bucket as in all deeper ones.
static unsigned far_buckets(const struct table *t)
{
    unsigned i = t == NULL ? 0 : table_depth(t), deeper = 0;
    for (; i > 0 && deeper < TABLE_K / 2; i--)
        deeper += table_bucket_live(t, i - 1);
    return i;
}

// The emptiest of the farther buckets, if one is less than half full.
static bool emptiest(const struct dht *d, unsigned *family, unsigned *bucket)
{
    unsigned least = TABLE_K / 2;
    for (unsigned f = 0; f < 2; f++) {
        unsigned n = far_buckets(d->table[f]);
        for (unsigned i = 0; i < n; i++) {
            unsigned live = table_bucket_live(d->table[f], i);
            if (live >= least || (d->upkeep.exhausted[f] >> i & 1) != 0)
                continue;
            least = live;
            *family = f;
            *bucket = i;
        }
    }
    return least < TABLE_K / 2;
}

static void walk_to(struct dht *d, book_ref ref)
{
    struct upkeep *u = &d->upkeep;
    book_drop(d->config.book, u->walk);
    u->walk = ref == 0 ? 0 : book_keep(d->config.book, ref);
}

// The farther half of a network is in bucket 0, and look-ups of the own centre never go there: without
// contacts in each of the farther buckets no look-up would find its way. A walk: each step asks
// whom the step before has heard of, so that each request brings a contact, well spread over the bucket.
void refresh_fill(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    unsigned f, i;
    u->fill_at = USEC_NEVER;
    if (u->fill_left == 0 || !emptiest(d, &f, &i)) {
        walk_to(d, 0);
        return;
    }
    uint8_t target[32];
    struct table *t = d->table[f];
    random_in_bucket(d, t->centre, i, target);
    book_ref who = u->walk;
    if (who == 0 && table_nearest(t, target, &who, 1) == 0)
        return;
    refresh_ask(d, who, f, target, CLASS_CHAT, 1 + f * TABLE_BUCKETS + i);
    walk_to(d, 0);
    u->fill_left--;
    bool fast = u->fill_fast > 0;
    u->fill_fast = (uint8_t)(u->fill_fast - fast);
    u->fill_at = upkeep_about(d, fast ? FILL_FAST_US : FILL_US);
}

void refresh_heard(struct dht *d, struct call *c, const struct wire_answer *a)
{
    struct upkeep *u = &d->upkeep;
    if (c->owner_kind != CALL_REFRESH || a->status != RPC_OK)
        return;
    bool filling = c->tag != 0;
    struct contact other, chosen;
    uint64_t wanted = 0;
    unsigned tried = 0;
    for (size_t at = 0; wire_answer_contact(a, &at, &other);) {
        if (!newcomer_wanted(d, &other))
            continue;
        if (rng_below(&d->config.rng, ++wanted) == 0)
            chosen = other;
        if (!filling && tried++ < REFRESH_PINGS_MAX)
            newcomer_try(d, &other, false);
    }
    if (filling && wanted == 0) { // twice: nobody new lives there
        unsigned f = (c->tag - 1) / TABLE_BUCKETS, i = (c->tag - 1) % TABLE_BUCKETS;
        u->exhausted[f] |= u->doubtful[f] & 1u << i;
        u->doubtful[f] |= 1u << i;
    }
    // Every other step begins anew in the table: who has met a liar would walk among liars only.
    if (!filling || wanted == 0 || u->walk != 0 ||
        (dht_live(d) >= TABLE_K && u->fill_left % 2 == 0))
        return;
    book_ref ref = dht_hold(d, &chosen);
    walk_to(d, ref);
    book_drop(d->config.book, ref);
}

// ---- refresh --------------------------------------------------------------------------------------

// The contact that was silent longest is asked: it is either still there, or gives way. In a full bucket
// it need not name others.
static void refresh_bucket(struct dht *d, struct table *t, unsigned i)
{
    uint8_t target[32];
    book_ref who = table_oldest(t, i);
    if (table_bucket_live(t, i) == TABLE_K) {
        upkeep_ping(d, who, CALL_REFRESH, 0);
        return;
    }
    unsigned f = t == d->table[0] ? 0 : 1;
    d->upkeep.exhausted[f] &= ~(1u << i); // newcomers may have come
    d->upkeep.doubtful[f] &= ~(1u << i);
    random_in_bucket(d, t->centre, i, target);
    if (who == 0 && table_nearest(t, target, &who, 1) == 0)
        return;
    refresh_ask(d, who, f, target, CLASS_CHAT, 0);
}

void refresh_tick(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    uint32_t now_s = upkeep_seconds(d);
    uint32_t after_s = upkeep_serves_any(d) ? REFRESH_AFTER_S : REFRESH_AFTER_CLIENT_S;
    unsigned left = REFRESH_PER_TICK;
    // Not all buckets of a node, nor of all who joined together, come due at once again.
    uint32_t jitter_s = (uint32_t)rng_below(&d->config.rng, after_s / 4);
    for (unsigned f = 0; f < 2; f++) {
        struct table *t = d->table[f];
        unsigned depth = t == NULL ? 0 : table_depth(t), far = far_buckets(t);
        for (unsigned i = 0; i < depth && left > 0; i++) {
            // The deepest ones have few contacts, and the look-ups of the centre meet them.
            if (table_quiet_s(t, i, now_s) < (i < far ? after_s : 2 * after_s) + jitter_s)
                continue;
            table_touch(t, i, now_s);
            refresh_bucket(d, t, i);
            left--;
        }
        dialback_check(d, f);
    }
    unsigned f, i;
    if (u->fill_at == USEC_NEVER && emptiest(d, &f, &i)) {
        u->fill_left = (uint16_t)(u->fill_left + (u->fill_left < REFRESH_PER_TICK));
        u->fill_at = d->now;
    }
    u->refresh_at = upkeep_about(d, REFRESH_TICK_US);
}
