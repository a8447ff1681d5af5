// What translates our addresses: whose word is taken, when servers are asked, and what it comes to.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

static unsigned family_of(uint8_t family)
{
    return family == 4 ? 0 : 1;
}

// Never 0: that is nobody.
static uint32_t keyed(const struct dht *d, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, data, len, d->hash_key);
    struct rd r = rd_init(out, sizeof out);
    uint32_t v = rd_le32(&r);
    return v == 0 ? 1 : v;
}

// What counts once: a coarse prefix, or a node where prefixes do not count.
static uint32_t observer_of(const struct dht *d, const struct path *p)
{
    struct prefix c = path_coarse(p);
    return d->config.prefix_limits ? keyed(d, &c, sizeof c) : keyed(d, p, sizeof *p);
}

static bool is_local(const struct dht *d, const struct path *p)
{
    uint32_t hash = keyed(d, p, sizeof *p);
    for (unsigned i = 0; i < d->upkeep.locals; i++)
        if (d->upkeep.local[i] == hash)
            return true;
    return false;
}

// How many observers there could be, up to those that are enough.
static unsigned observers_known(const struct dht *d, unsigned f)
{
    book_ref all[TABLE_BUCKETS * TABLE_K];
    uint32_t seen[REACH_OBSERVERS];
    size_t n = d->table[f] == NULL ? 0 : table_list(d->table[f], all, sizeof all / sizeof *all);
    unsigned k = 0;
    for (size_t i = 0; i < n && k < REACH_OBSERVERS; i++) {
        uint32_t o = observer_of(d, &dht_entry(d, all[i])->contact.path);
        bool there = false;
        for (unsigned j = 0; j < k; j++)
            there |= seen[j] == o;
        if (!there)
            seen[k++] = o;
    }
    return k;
}

static void judge(struct dht *d, unsigned f, unsigned need)
{
    struct mapping *m = d->upkeep.mapping[f];
    const struct dht_reach before = m->told;
    usec_t before_at = m->told_at;
    if (!mapping_judge(m, d->now, f == 0 ? 4 : 6, need, d->upkeep.local_port[f]))
        return;
    if (m->told.mapping == DHT_MAPPING_INDEPENDENT && is_local(d, &m->told.seen))
        m->told.mapping = DHT_MAPPING_NONE;
    if (m->told.observers == 1 && m->told.mapping != DHT_MAPPING_NONE) {
        m->told = before; // one can't tell whether another would see the same
        m->told_at = before_at;
    }
}

// ---- whose word -------------------------------------------------------------------------------------

static void begin(struct dht *d, unsigned f, usec_t at)
{
    struct upkeep *u = &d->upkeep;
    u->reach_asks[f] = REACH_ASKS;
    u->reach_first[f] = (uint16_t)rng_below(&d->config.rng, UINT16_MAX);
    u->reach_next[f] = 0;
    u->reach_waits[f] = false;
    u->reach_at[f] = at;
    upkeep_arm(d);
}

// Who asked for our ping is not asked for his opinion: newcomers come in any number. What does not come to our own
// UDP socket is not about that.
void reach_heard(struct dht *d, const struct call *c, const struct path *seen)
{
    struct upkeep *u = &d->upkeep;
    const struct path *from = &dht_entry(d, c->ref)->contact.path;
    unsigned f = family_of(seen->family);
    if (c->owner_kind == CALL_VERIFY || c->owner_kind == CALL_DIAL || c->via != VIA_UDP ||
        seen->family != from->family || !path_reachable(seen, d->config.lab))
        return;
    if (u->mapping[f] == NULL)
        u->mapping[f] = arena_take(d->config.arena, sizeof *u->mapping[f]);
    if (u->mapping[f] == NULL)
        return;
    if (u->reach_at[f] == USEC_NEVER)
        begin(d, f, d->now + REACH_SETTLE_US);
    mapping_saw(u->mapping[f], d->now, observer_of(d, from), c->order, seen);
    judge(d, f, REACH_OBSERVERS);
}

// ---- asking -----------------------------------------------------------------------------------------

// A live contact whose word is missing, each once: silence counts against it.
static book_ref somebody(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    book_ref all[TABLE_BUCKETS * TABLE_K];
    size_t n = d->table[f] == NULL ? 0 : table_list(d->table[f], all, sizeof all / sizeof *all);
    while (u->reach_next[f] < n) {
        book_ref ref = all[((size_t)u->reach_first[f] + u->reach_next[f]++) % n];
        if (!mapping_has(u->mapping[f], d->now, observer_of(d, &dht_entry(d, ref)->contact.path)))
            return ref;
    }
    return 0;
}

static void ask(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    if (d->via != VIA_UDP) { // by another way nobody sees what is before our own socket
        u->reach_at[f] = USEC_NEVER;
        return;
    }
    unsigned observers = mapping_observers(u->mapping[f], d->now);
    book_ref ref = observers >= REACH_ASKED || u->reach_asks[f] == 0 ? 0 : somebody(d, f);
    if (ref != 0) {
        u->reach_asks[f]--;
        upkeep_ping(d, ref, CALL_CHECK, 0);
        u->reach_at[f] = upkeep_about(d, REACH_ASK_US);
        return;
    }
    if (u->reach_asks[f] < REACH_ASKS && !u->reach_waits[f]) { // the last answers are awaited
        u->reach_waits[f] = true;
        u->reach_at[f] = d->now + REACH_SETTLE_US;
        return;
    }
    unsigned known = observers_known(d, f);
    judge(d, f, known < 1 ? 1 : known);
    bool told = u->mapping[f]->told.mapping != DHT_MAPPING_UNKNOWN;
    begin(d, f, upkeep_about(d, told ? REACH_AGAIN_US : REACH_UNKNOWN_US));
    if (!told && observers == 0) // without any network: when somebody is heard again
        u->reach_at[f] = USEC_NEVER;
}

void reach_timer(struct dht *d)
{
    for (unsigned f = 0; f < 2; f++)
        if (d->upkeep.mapping[f] != NULL && d->upkeep.reach_at[f] <= d->now)
            ask(d, f);
}

void reach_restart(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    if (u->mapping[f] == NULL)
        return;
    memset(u->mapping[f], 0, sizeof *u->mapping[f]);
    begin(d, f, upkeep_about(d, REACH_ASK_US));
}

void reach_moved(struct dht *d, unsigned f)
{
    uint32_t now_s = upkeep_seconds(d), *last_s = &d->upkeep.reach_moved_s[f];
    if (*last_s != 0 && now_s - *last_s < REACH_RESTART_S)
        return;
    *last_s = now_s;
    reach_restart(d, f);
}

void reach_end(struct dht *d)
{
    for (unsigned f = 0; f < 2; f++)
        arena_give(d->config.arena, d->upkeep.mapping[f], sizeof *d->upkeep.mapping[f]);
}

// ---- from outside -----------------------------------------------------------------------------------

void dht_local_paths(struct dht *d, usec_t now, const struct path *p, size_t n)
{
    struct upkeep *u = &d->upkeep;
    uint32_t sum[2] = {0};
    d->now = now;
    u->locals = 0;
    u->local_port[0] = u->local_port[1] = 0;
    for (size_t i = 0; i < n && u->locals < LOCAL_PATHS_MAX; i++) {
        unsigned f = family_of(p[i].family);
        uint32_t hash = keyed(d, &p[i], sizeof p[i]);
        u->local[u->locals++] = hash;
        u->local_port[f] = p[i].port;
        sum[f] += hash; // in whatever order
    }
    for (unsigned f = 0; f < 2; f++) {
        if (sum[f] != u->local_sum[f])
            reach_restart(d, f);
        u->local_sum[f] = sum[f];
    }
}

void dht_reach(const struct dht *d, uint8_t family, struct dht_reach *out)
{
    const struct mapping *m = d->upkeep.mapping[family_of(family)];
    memset(out, 0, sizeof *out);
    if (m != NULL && d->now - m->told_at < REACH_KEPT_US)
        *out = m->told;
}
