// Joining: bootstraps and cached contacts, the own centre, and the look-ups round it.
#include "crypto/bytes.h"
#include "dht/internal.h"

// ---- bootstraps and cached contacts ---------------------------------------------------------------

static void ask_to_join(struct dht *d, const struct contact *c, uint8_t asked)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_FIND;
    q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
    q.bits = 256;
    rng_fill(&d->config.rng, q.target, 32);
    book_ref ref = dht_hold(d, c);
    if (ref == 0)
        return;
    upkeep_put_self(d, ref, &q);
    struct call_spec spec = {.owner_kind = CALL_BOOTSTRAP,
                             .ref = ref,
                             .class_min = upkeep_first_class(d),
                             .sendings_max = 1, // it is retried anyhow
                             .asked = asked};
    (void)call_start(d, &spec, &q, NULL);
    book_drop(d->config.book, ref);
}

void join_forget_imports(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    arena_give(d->config.arena, u->import, CACHE_MAX * sizeof *u->import);
    u->import = NULL;
    u->imports = u->import_next = 0;
}

// A few cached contacts first; who told us of bootstraps wants them asked when those are silent.
void join_bootstrap(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    u->bootstrap_at = USEC_NEVER;
    if ((u->bootstraps == 0 && u->imports == 0) || dht_live(d) > 0)
        return;
    bool first = u->bootstrap_step == BOOTSTRAP_RETRY_MIN_US;
    uint8_t asked = first ? 0 : u->bootstrap_step == 2 * BOOTSTRAP_RETRY_MIN_US ? 1 : 2;
    for (unsigned i = 0; i < IMPORT_AT_ONCE && i < u->imports; i++)
        ask_to_join(d, &u->import[u->import_next++ % u->imports], asked);
    for (unsigned i = 0; i < BOOTSTRAP_AT_ONCE && i < u->bootstraps && (u->imports == 0 || !first);
         i++)
        ask_to_join(d, &dht_entry(d, u->bootstrap[u->bootstrap_next++ % u->bootstraps])->contact,
                    asked);
    usec_t step = u->bootstrap_step;
    u->bootstrap_at = d->now + step + rng_below(&d->config.rng, step / 4);
    u->bootstrap_step = 2 * step > BOOTSTRAP_RETRY_MAX_US ? BOOTSTRAP_RETRY_MAX_US : 2 * step;
}

void join_now(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if (dht_live(d) > 0 || (u->bootstraps == 0 && u->imports == 0))
        return;
    u->bootstrap_step = BOOTSTRAP_RETRY_MIN_US;
    u->bootstrap_at = d->now;
    upkeep_arm(d);
}

void join_again(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if ((u->bootstraps == 0 && u->imports == 0) || u->bootstrap_at != USEC_NEVER)
        return;
    u->bootstrap_at = d->now + u->bootstrap_step;
    upkeep_arm(d);
}

int dht_bootstrap(struct dht *d, usec_t now, const struct contact *c)
{
    struct upkeep *u = &d->upkeep;
    d->now = now;
    if (d->server != NULL && memcmp(c->pk, d->pk, 32) == 0)
        return 0; // ourselves: nothing to ask
    if (u->bootstrap == NULL)
        u->bootstrap = arena_take(d->config.arena, BOOTSTRAPS_MAX * sizeof *u->bootstrap);
    if (u->bootstrap == NULL || u->bootstraps == BOOTSTRAPS_MAX)
        return BAUTA_ELIMIT;
    book_ref ref = dht_hold(d, c);
    if (ref == 0)
        return BAUTA_ELIMIT;
    for (unsigned i = 0; i < u->bootstraps; i++)
        if (u->bootstrap[i] == ref) {
            book_drop(d->config.book, ref);
            return 0;
        }
    // In random order: all who join know the same few.
    unsigned at = (unsigned)rng_below(&d->config.rng, u->bootstraps + 1);
    u->bootstrap[u->bootstraps++] = u->bootstrap[at];
    u->bootstrap[at] = ref;
    join_now(d);
    return 0;
}

static bool import_room(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if (u->import == NULL)
        u->import = arena_take(d->config.arena, CACHE_MAX * sizeof *u->import);
    return u->import != NULL;
}

// Shuffled, so that not everybody who took over one list asks its first lines. False: it is there, or it is us.
static bool import(struct dht *d, const struct contact *c)
{
    struct upkeep *u = &d->upkeep;
    if (d->server != NULL && memcmp(c->pk, d->pk, 32) == 0)
        return false;
    for (unsigned i = 0; i < u->imports; i++)
        if (memcmp(u->import[i].pk, c->pk, 32) == 0 && path_equal(&u->import[i].path, &c->path))
            return false;
    if (u->imports == CACHE_MAX) {
        u->import[rng_below(&d->config.rng, CACHE_MAX)] = *c;
        return true;
    }
    unsigned at = (unsigned)rng_below(&d->config.rng, u->imports + 1);
    u->import[u->imports++] = u->import[at];
    u->import[at] = *c;
    return true;
}

int dht_contacts_import(struct dht *d, usec_t now, const struct contact *c, size_t n)
{
    d->now = now;
    if (!import_room(d))
        return BAUTA_ESPACE;
    int taken = 0;
    for (size_t i = 0; i < n; i++)
        taken += path_reachable(&c[i].path, d->config.lab) && import(d, &c[i]);
    if (taken > 0)
        join_now(d);
    return taken;
}

// Link-local IPv6 means nothing without its interface.
static bool hint_ok(const struct dht *d, const struct contact *c)
{
    const struct path *p = &c->path;
    bool link_local = p->family == 6 && p->ip[0] == 0xfe && (p->ip[1] & 0xc0) == 0x80;
    return path_reachable(p, true) && !link_local && (d->config.lab || !path_loopback(p)) &&
           node_puzzle_ok(&d->config.net, c->pk, c->puzzle_nonce, d->config.puzzle_bits);
}

void dht_hints(struct dht *d, usec_t now, const struct contact *c, size_t n)
{
    bool any = false;
    d->now = now;
    if (dht_live(d) > 0 || !import_room(d))
        return;
    for (size_t i = 0; i < n; i++)
        any = (hint_ok(d, &c[i]) && import(d, &c[i])) || any;
    if (any)
        join_now(d);
}

// A bootstrap at a private address is no contact outside a lab, since nobody else could reach it; those that it names
// may be.
void join_named(struct dht *d, const struct wire_answer *a)
{
    struct contact c;
    bool any = false;
    if (dht_live(d) > 0 || !import_room(d))
        return;
    for (size_t at = 0; wire_answer_contact(a, &at, &c);)
        any = (dht_contact_ok(d, &c, true) && import(d, &c)) || any;
    if (any)
        join_now(d);
}

bool dht_self(const struct dht *d, struct contact *c)
{
    if (!upkeep_serves_any(d))
        return false;
    memset(c, 0, sizeof *c);
    memcpy(c->pk, d->pk, 32);
    memcpy(c->puzzle_nonce, d->config.puzzle_nonce, PUZZLE_NONCE_BYTES);
    return true;
}

// The first server has answered.
void join_heard(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    bool candidate = d->server != NULL && !upkeep_serves_any(d);
    if (u->joined_at == USEC_NEVER)
        u->joined_at = d->now;
    u->bootstrap_at = USEC_NEVER;
    u->bootstrap_step = BOOTSTRAP_RETRY_MIN_US;
    u->centre_step = CENTRE_RETRY_MIN_US;
    // Who wants to be dialled back by servers that it has not contacted leaves some alone first.
    u->centre_at = candidate ? d->now + DIAL_HOLD_US : d->now;
    u->fill_left = FILL_STEPS_MAX;
    u->fill_fast = FILL_FAST_STEPS;
    u->fill_at = upkeep_about(d, FILL_FAST_US) + (candidate ? DIAL_HOLD_US : 0);
    if (u->refresh_at == USEC_NEVER)
        u->refresh_at = upkeep_about(d, REFRESH_TICK_US);
    upkeep_arm(d);
}

// ---- the own centre -------------------------------------------------------------------------------

void upkeep_recentre(struct dht *d, unsigned f, const struct path *seen)
{
    struct upkeep *u = &d->upkeep;
    uint8_t id[32];
    node_id(id, &d->config.net, d->pk, d->config.puzzle_nonce, seen->family, path_id_prefix(seen));
    u->own_centre[f] = true;
    u->centre_seen[f] = *seen;
    if (memcmp(id, d->centre[f], 32) == 0)
        return;
    memcpy(d->centre[f], id, 32);
    if (d->table[f] != NULL)
        table_recentre(d->table[f], id);
    if (d->server != NULL)
        memcpy(d->server->store.centre, id, 32);
    u->centre_step = CENTRE_RETRY_MIN_US;
    u->centre_at = d->now;
    u->looks = 0;
    u->looked = (uint8_t)(u->looked & ~(1u << f));
    upkeep_arm(d);
}

// Wide: who joins wants many contacts of few answers.
static uint16_t look_class(const struct dht *d)
{
    bool wide = d->now - d->upkeep.joined_at < CENTRE_WIDE_FOR_US;
    return wide ? upkeep_first_class(d) : CLASS_CHAT;
}

// A client's centre is random; a server's is its own, and one word on the size of the network an hour.
static bool own_sample(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    if (upkeep_serves_any(d) && u->sampled && d->now - u->sampled_at < SIZE_DOUBLING_US)
        return false;
    u->sampled = true;
    u->sampled_at = d->now;
    return true;
}

// The next of the wanted look-ups, one at a time.
static void look_next(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    while (u->lookup == 0 && u->wanted != 0) {
        uint8_t target[32];
        unsigned k = 0;
        while ((u->wanted >> k & 1) == 0)
            k++;
        u->wanted = (uint8_t)(u->wanted & ~(1u << k));
        if (k < 2 && (d->table[k] == NULL || d->table[k]->live == 0))
            continue;
        bool sample = k >= 2 || own_sample(d);
        u->looked |= (uint8_t)(1u << k & WANT_CENTRES);
        if (k < 2)
            memcpy(target, d->centre[k], 32);
        if (k < 2 && !u->own_centre[k]) // random bytes that would tell one run from all others
            dht_blur(d, target, dht_zone_bits(d));
        if (k >= 2)
            rng_fill(&d->config.rng, target, 32);
        // Who stands beside it in the other family is of no use to that table.
        uint8_t want = sample ? 0 : k == 0 ? WIRE_WANT_V4 : WIRE_WANT_V6;
        if (lookup_start(d, target, NULL, look_class(d), sample, want) == 0)
            return;
    }
}

// One find to one of the nearest: who joined in the same second is found by it, and nothing else is
// asked for.
static void look_beside(struct dht *d, unsigned f)
{
    book_ref near[CENTRE_NEIGHBOURS];
    size_t n =
        d->table[f] == NULL ? 0 : table_nearest(d->table[f], d->centre[f], near, CENTRE_NEIGHBOURS);
    if (n == 0)
        return;
    uint8_t target[32];
    memcpy(target, d->centre[f], 32);
    if (!d->upkeep.own_centre[f])
        dht_blur(d, target, dht_zone_bits(d));
    refresh_ask(d, near[rng_below(&d->config.rng, n)], f, target, look_class(d), 0);
}

void join_sample(struct dht *d)
{
    if (d->size.n >= SIZE_SAMPLES_YOUNG)
        return;
    d->upkeep.wanted |= WANT_RANDOM;
    look_next(d);
}

void join_look(struct dht *d)
{
    struct upkeep *u = &d->upkeep;
    u->centre_at = USEC_NEVER;
    if (dht_live(d) == 0)
        return;
    usec_t step = u->centre_step;
    bool settled = 2 * step > CENTRE_RETRY_MAX_US;
    u->centre_step = settled ? CENTRE_RETRY_MAX_US : 2 * step;
    u->centre_at = settled ? upkeep_about(d, upkeep_serves_any(d) ? CENTRE_RETRY_MAX_US
                                                                  : 2 * CENTRE_RETRY_MAX_US)
                           : d->now + step + rng_below(&d->config.rng, step / 4);
    u->looks = u->looks == UINT8_MAX ? UINT8_MAX - 1 : (uint8_t)(u->looks + 1); // odd, even, odd
    if (settled) // a family may have come meanwhile
        memset(u->unheard_family, 0, sizeof u->unheard_family);
    if (u->looks == 1)
        u->wanted |= WANT_CENTRES & (uint8_t)~u->looked;
    else if ((u->looks <= RANDOM_POOR_LOOKS && dht_live(d) < TABLE_K) ||
             u->looks == RANDOM_FIRST_LOOK || u->looks == RANDOM_SECOND_LOOK)
        u->wanted |= WANT_RANDOM; // the first one where many come together and know few
    else if (settled)             // a client's neighbourhood is nobody's business, not even its own
        u->wanted |= upkeep_serves_any(d) && u->looks % 2 == 0 ? WANT_CENTRES : WANT_RANDOM;
    if (u->looks > 1 && !settled)
        for (unsigned f = 0; f < 2; f++)
            look_beside(d, f);
    look_next(d);
}

void upkeep_looked_up(struct dht *d)
{
    // Whom it heard of and did not ask is nobody to fill buckets with: one liar names sixteen others.
    d->upkeep.lookup = 0;
    look_next(d);
}
