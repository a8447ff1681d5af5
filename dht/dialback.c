// Dial-back (PROTOCOL 3): who wants to be a server is a candidate until servers that it had not
// contacted have reached it. Both sides: asking for it, and passing it on for others.
#include "crypto/bytes.h"
#include "dht/internal.h"

#include <sodium.h>

struct known { // a server that was heard of
    uint64_t address, group;
};
struct dialback { // of one address family of a candidate
    uint64_t contacted[DIAL_CONTACTED_MAX];
    struct known known[DIAL_KNOWN_MAX];
    uint64_t dialled[DIAL_BACKS]; // groups
    unsigned contacted_next, known_next, dialled_n;
    unsigned need; // as of the last time that it asked; 0: never
    usec_t at, step;
};

static uint64_t tag_of(const struct dht *d, const void *data, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    crypto_shorthash(out, data, len, d->hash_key);
    uint64_t tag = id_of(out);
    return tag == 0 ? 1 : tag;
}

// Without the port: behind most NATs who was contacted may answer from any.
static uint64_t address_of(const struct dht *d, const struct path *p)
{
    return d->config.prefix_limits ? tag_of(d, p->ip, sizeof p->ip) : tag_of(d, p, sizeof *p);
}

// What counts once: a coarse prefix, or a node where prefixes do not count.
static uint64_t group_of(const struct dht *d, const struct path *p)
{
    struct prefix c = path_coarse(p);
    return d->config.prefix_limits ? tag_of(d, &c, sizeof c) : tag_of(d, p, sizeof *p);
}

static unsigned family_of(const struct path *p)
{
    return p->family == 4 ? 0 : 1;
}

// ---- the candidate --------------------------------------------------------------------------------

static void arm(struct dht *d)
{
    d->upkeep.dial_at = USEC_NEVER;
    for (unsigned f = 0; f < 2; f++)
        if (d->upkeep.dial[f] != NULL && d->upkeep.dial[f]->at < d->upkeep.dial_at)
            d->upkeep.dial_at = d->upkeep.dial[f]->at;
    upkeep_arm(d);
}

void dialback_begin(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    if (d->server == NULL || d->config.listed || u->serves[f] || u->dial[f] != NULL)
        return;
    u->dial[f] = arena_take(d->config.arena, sizeof *u->dial[f]);
    if (u->dial[f] == NULL)
        return;
    u->dial[f]->step = DIAL_RETRY_MIN_US;
    u->dial[f]->at = d->now;
    // Who was asked before this began has been contacted too.
    for (const struct call *c = d->calls; c != NULL; c = c->next)
        dht_contacted(d, &dht_entry(d, c->ref)->contact.path);
    arm(d);
}

void dialback_end(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    arena_give(d->config.arena, u->dial[f], sizeof *u->dial[f]);
    u->dial[f] = NULL;
}

static bool was_contacted(const struct dialback *b, uint64_t address)
{
    for (unsigned i = 0; i < DIAL_CONTACTED_MAX; i++)
        if (b->contacted[i] == address)
            return true;
    return false;
}

void dht_contacted(struct dht *d, const struct path *p)
{
    struct dialback *b = d->upkeep.dial[family_of(p)];
    uint64_t address = b == NULL ? 0 : address_of(d, p);
    if (b != NULL && !was_contacted(b, address))
        b->contacted[b->contacted_next++ % DIAL_CONTACTED_MAX] = address;
}

static void heard_of(struct dht *d, const struct contact *c)
{
    struct dialback *b = d->upkeep.dial[family_of(&c->path)];
    if (b == NULL || !dht_contact_ok(d, c, true))
        return;
    struct known k = {address_of(d, &c->path), group_of(d, &c->path)};
    for (unsigned i = 0; i < DIAL_KNOWN_MAX; i++)
        if (b->known[i].address == k.address)
            return;
    if (!was_contacted(b, k.address))
        b->known[b->known_next++ % DIAL_KNOWN_MAX] = k;
}

void dialback_heard(struct dht *d, const struct wire_answer *a)
{
    struct contact c;
    for (size_t at = 0; (d->upkeep.dial[0] != NULL || d->upkeep.dial[1] != NULL) &&
                        wire_answer_contact(a, &at, &c);)
        heard_of(d, &c);
}

// min(3, servers known and not contacted until they dialled, their groups).
static unsigned backs_needed(const struct dialback *b)
{
    uint64_t group[DIAL_BACKS];
    unsigned n = b->dialled_n;
    memcpy(group, b->dialled, sizeof group);
    for (unsigned i = 0; i < DIAL_KNOWN_MAX && n < DIAL_BACKS; i++) {
        if (b->known[i].address == 0 || was_contacted(b, b->known[i].address))
            continue;
        bool there = false;
        for (unsigned k = 0; k < n; k++)
            there |= group[k] == b->known[i].group;
        if (!there)
            group[n++] = b->known[i].group;
    }
    return n;
}

static void ask(struct dht *d, unsigned f)
{
    book_ref all[TABLE_BUCKETS * TABLE_K];
    size_t n = d->table[f] == NULL ? 0 : table_list(d->table[f], all, sizeof all / sizeof *all);
    for (unsigned i = 0; n > 0 && i < DIAL_ASKS; i++) {
        struct wire_request q;
        memset(&q, 0, sizeof q);
        q.kind = RPC_DIAL_BACK;
        q.has_self = true;
        memcpy(q.pk, d->pk, 32);
        memcpy(q.puzzle_nonce, d->config.puzzle_nonce, PUZZLE_NONCE_BYTES);
        struct call_spec spec = {.owner_kind = CALL_NOBODY,
                                 .ref = all[rng_below(&d->config.rng, n)],
                                 .class_min = CLASS_CHAT};
        (void)call_start(d, &spec, &q, NULL);
    }
}

static void become_server(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    dialback_end(d, f);
    u->serves[f] = u->answers = true;
    u->asked_at[f] = d->now;
    if (u->seen[f].family != 0)
        upkeep_recentre(d, f, &u->seen[f]);
    u->looks = 0;
    u->looked = (uint8_t)(u->looked & ~(1u << f)); // once more, now asking to be listed
    u->centre_step = CENTRE_RETRY_MIN_US;
    u->centre_at = d->now;
    arm(d);
}

void dialback_timer(struct dht *d)
{
    for (unsigned f = 0; f < 2; f++) {
        struct dialback *b = d->upkeep.dial[f];
        if (b == NULL || b->at > d->now)
            continue;
        b->at = upkeep_about(d, b->step);
        b->step = 2 * b->step > DIAL_RETRY_MAX_US ? DIAL_RETRY_MAX_US : 2 * b->step;
        b->need = backs_needed(b);
        if (b->need == 0) // nobody could tell: a client for now
            continue;
        if (b->dialled_n >= b->need) // all who were left have been contacted meanwhile
            become_server(d, f);
        else
            ask(d, f);
    }
    arm(d);
}

void dialback_pinged(struct dht *d, const struct path *from)
{
    unsigned f = family_of(from);
    struct dialback *b = d->upkeep.dial[f];
    if (b == NULL || b->need == 0 || !path_reachable(from, d->config.lab) ||
        was_contacted(b, address_of(d, from)))
        return;
    uint64_t group = group_of(d, from);
    for (unsigned i = 0; i < b->dialled_n; i++)
        if (b->dialled[i] == group)
            return;
    b->dialled[b->dialled_n++] = group;
    if (b->dialled_n >= b->need)
        become_server(d, f);
}

// ---- again ----------------------------------------------------------------------------------------

static void doubt(struct dht *d, unsigned f)
{
    if (d->config.listed || !d->upkeep.serves[f])
        return;
    d->upkeep.serves[f] = false;
    dialback_begin(d, f);
}

void dialback_moved(struct dht *d, unsigned f)
{
    doubt(d, f);
}

void dialback_check(struct dht *d, unsigned f)
{
    struct upkeep *u = &d->upkeep;
    bool others = d->table[f] != NULL && d->table[f]->live >= DIAL_SILENCE_CONTACTS;
    if (others && u->serves[f] && d->now - u->asked_at[f] > DIAL_SILENCE_US)
        doubt(d, f);
}

int dht_serve(struct dht *d, usec_t now, const uint8_t secret[static 32],
              const uint8_t puzzle_nonce[static PUZZLE_NONCE_BYTES])
{
    d->now = now;
    if (d->server != NULL)
        return BAUTA_ESTATE;
    d->config.server = true;
    memcpy(d->config.secret, secret, 32);
    memcpy(d->config.puzzle_nonce, puzzle_nonce, PUZZLE_NONCE_BYTES);
    int rc = dht_server_start(d);
    if (rc != 0) {
        d->config.server = false;
        return rc;
    }
    for (unsigned f = 0; f < 2; f++)
        if (d->table[f] != NULL && d->table[f]->live > 0)
            dialback_begin(d, f);
    return 0;
}

// ---- for others -----------------------------------------------------------------------------------

// A few a second in all, fewer for one source.
static bool rate_ok(struct dht *d, uint64_t source)
{
    struct dial_rate *r = &d->server->dial_rate;
    if (d->now - r->since >= USEC_PER_S) {
        r->since = d->now;
        r->n = 0;
    }
    unsigned own = 0;
    for (unsigned i = 0; i < r->n; i++)
        own += r->source[i] == (uint32_t)source;
    if (r->n == DIAL_PER_S || own >= DIAL_PREFIX_PER_S)
        return false;
    r->source[r->n++] = (uint32_t)source;
    return true;
}

// Somebody of our table in another group than the candidate and we are.
static book_ref somebody_else(struct dht *d, const struct path *candidate)
{
    book_ref all[TABLE_BUCKETS * TABLE_K];
    unsigned f = family_of(candidate);
    size_t n = d->table[f] == NULL ? 0 : table_list(d->table[f], all, sizeof all / sizeof *all);
    uint64_t theirs = group_of(d, candidate);
    uint64_t ours = d->upkeep.seen[f].family == 0 ? 0 : group_of(d, &d->upkeep.seen[f]);
    size_t first = n == 0 ? 0 : (size_t)rng_below(&d->config.rng, n);
    for (size_t i = 0; i < n; i++) {
        book_ref ref = all[(first + i) % n];
        uint64_t g = group_of(d, &dht_entry(d, ref)->contact.path);
        if (g != theirs && g != ours)
            return ref;
    }
    return 0;
}

static enum rpc_status pass_on(struct dht *d, const struct contact *c)
{
    book_ref ref = somebody_else(d, &c->path);
    if (ref == 0)
        return RPC_UNKNOWN;
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_DIAL_BACK;
    q.contact = *c;
    struct call_spec spec = {.owner_kind = CALL_NOBODY, .ref = ref, .class_min = CLASS_CHAT};
    return call_start(d, &spec, &q, NULL) == 0 ? RPC_OK : RPC_FULL;
}

static enum rpc_status dial(struct dht *d, const struct contact *c)
{
    book_ref ref = dht_hold(d, c);
    if (ref == 0)
        return RPC_FULL;
    upkeep_ping(d, ref, CALL_DIAL, 1);
    book_drop(d->config.book, ref);
    return RPC_OK;
}

enum rpc_status dialback_request(struct dht *d, const struct path *from, uint64_t source,
                                 const struct wire_request *q)
{
    struct contact c = q->contact;
    if (q->has_self) {
        memcpy(c.pk, q->pk, 32);
        memcpy(c.puzzle_nonce, q->puzzle_nonce, PUZZLE_NONCE_BYTES);
        c.path = *from;
    } else if (d->config.prefix_limits && group_of(d, &c.path) == group_of(d, from)) {
        return RPC_UNKNOWN; // the next house proves nothing
    }
    if (!dht_contact_ok(d, &c, true))
        return RPC_UNKNOWN;
    if (!rate_ok(d, source))
        return RPC_FULL;
    return q->has_self ? pass_on(d, &c) : dial(d, &c);
}
