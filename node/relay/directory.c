#include "node/relay/directory.h"

#include "crypto/nodekey.h"

#define EPOCH_US (EPOCH_SECONDS * USEC_PER_S)
#define SLOTS_ALL ((1u << DIRECTORY_SLOTS) - 1)
static_assert(DIRECTORY_SLOTS <= 16, "a mask of slots");

// One slot that a client reads.
struct look {
    uint32_t id; // of the place; 0: none
    struct offer_slot at;
    bool nobody;                // no server is known
    bool answered;              // a holder did
    unsigned answers, expected; // of holders
    usec_t until;
};

// What of a client is only there while it wants anything.
struct seeker {
    struct relay_pool pool;
    struct directory_need need;
    bool runs;     // a round goes through slots
    bool thorough; // through all of them
    struct look look[DIRECTORY_LOOKS_MAX];
    uint64_t epoch;                     // of the round
    uint8_t order[2 * DIRECTORY_SLOTS]; // its slots; those of the other hour have SLOT_OTHER set
    int8_t other;                       // which hour that is: the next, or the one before
    unsigned slots, next, done;
    bool settled;   // enough was seen once for a choice that no single holder makes
    bool impatient; // the round takes long: what is wanted will do, more is looked for meanwhile
    usec_t patience_at, again_at, again_gap, check_at;
    uint64_t stale_s; // what expires before now and so much counts as gone
};
#define SLOT_OTHER 0x80u

// Where a relay's offer stands.
struct stand {
    uint32_t id; // of the place; 0: nowhere
    struct offer_slot at;
    unsigned slot;
    uint8_t rec_id[RECORD_ID_BYTES], record[RECORD_BYTES];
    bool stored, changed;
    usec_t announced_at;
    uint32_t proof_effort, proof_job;
    bool proof_wanted;
};

struct directory {
    struct directory_config config;
    uint8_t ed_pk[KEY_BYTES], pk[KEY_BYTES]; // ours, of a relay
    bool clock_set;
    int64_t unix_us;
    usec_t unix_at;
    uint32_t last_job;
    uint64_t refused;

    bool announces;
    struct relay_offer offer;
    struct stand stand;
    uint64_t epoch; // in which it was put there, or tried
    uint32_t old;   // the place of the hour before, until a holder of the new one has the offer
    usec_t old_until;
    unsigned full; // slots of the own hour that take nobody
    unsigned full_tries;
    usec_t move_at, retry_at, retry_gap, full_gap;

    struct seeker *seeker; // NULL: nothing is wanted
    bool tell_ready, tell_none;
};

// ---- clocks -----------------------------------------------------------------------------------------

static uint64_t unix_now(const struct directory *d, usec_t now)
{
    int64_t t = d->unix_us + (int64_t)(now - d->unix_at);
    return t > 0 ? (uint64_t)t : 0;
}

static struct relay_time time_of(const struct directory *d, usec_t now)
{
    return (struct relay_time){.now = now, .unix_s = unix_now(d, now) / USEC_PER_S};
}

static usec_t earlier(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

static struct offer_rules rules_of(const struct directory *d)
{
    return (struct offer_rules){
        .net = &d->config.net, .lab = d->config.lab, .puzzle_bits = d->config.puzzle_bits};
}

// ---- a relay: where its offer stands ------------------------------------------------------------------

static void stand_leave(struct directory *d, usec_t now)
{
    if (d->stand.id != 0)
        dht_place_close(d->config.dht, now, d->stand.id); // withdraws
    memset(&d->stand, 0, sizeof d->stand);
}

static void old_leave(struct directory *d, usec_t now)
{
    if (d->old != 0)
        dht_place_close(d->config.dht, now, d->old);
    d->old = 0;
    d->old_until = USEC_NEVER;
}

static void plan_retry(struct directory *d, usec_t now)
{
    d->retry_at = now + d->retry_gap + rng_below(&d->config.rng, d->retry_gap / 2);
    d->retry_gap = earlier(2 * d->retry_gap, DIRECTORY_RETRY_MAX_US);
}

static void stand_announce(struct directory *d, usec_t now)
{
    struct stand *s = &d->stand;
    uint8_t nonce[24];
    d->offer.issued_s = time_of(d, now).unix_s;
    d->offer.expiry_s = (s->at.epoch + 1) * EPOCH_SECONDS + OFFER_READ_BEHIND_S;
    rng_fill(&d->config.rng, nonce, sizeof nonce);
    offer_seal(s->record, &d->offer, &d->config.net, &s->at, s->rec_id, nonce, d->config.seed);
    s->changed = false;
    s->announced_at = now;
    s->proof_job = 0; // another record needs another proof
    s->proof_wanted = s->proof_effort > 0;
    if (dht_place_announce(d->config.dht, now, s->id, s->record, DIRECTORY_TTL_S, NULL) != BAUTA_OK)
        plan_retry(d, now);
}

// At a random slot of this hour that is not known to be full.
static void stand_open(struct directory *d, usec_t now)
{
    struct stand *s = &d->stand;
    unsigned free = 0, pick = 0;
    stand_leave(d, now);
    d->retry_at = USEC_NEVER;
    for (unsigned i = 0; i < DIRECTORY_SLOTS; i++)
        if ((d->full >> i & 1) == 0 && rng_below(&d->config.rng, ++free) == 0)
            pick = i;
    s->slot = pick;
    d->epoch = unix_now(d, now) / EPOCH_US;
    offer_slot(&s->at, &d->config.net, d->epoch, pick);
    if (dht_place_open(d->config.dht, now, s->at.place, DIRECTORY_USER, &s->id) != BAUTA_OK) {
        s->id = 0;
        plan_retry(d, now);
        return;
    }
    (void)dht_place_record_id(d->config.dht, s->id, s->rec_id);
    stand_announce(d, now);
}

static void stand_hopes(struct directory *d)
{
    d->full = d->full_tries = 0;
    d->full_gap = DIRECTORY_FULL_MIN_US;
    d->retry_gap = DIRECTORY_RETRY_MIN_US;
}

// A new hour: the old place is kept until a holder of the new one has the offer, and no longer than it is read.
static void stand_move(struct directory *d, usec_t now)
{
    uint64_t t = unix_now(d, now);
    d->move_at = USEC_NEVER;
    stand_hopes(d);
    old_leave(d, now);
    if (d->stand.id != 0 && d->stand.at.epoch + 1 == t / EPOCH_US) {
        uint64_t read_until = (d->stand.at.epoch + 1) * EPOCH_US + OFFER_READ_BEHIND_S * USEC_PER_S;
        d->old = d->stand.id;
        d->old_until = now + (read_until > t ? read_until - t : 0);
        memset(&d->stand, 0, sizeof d->stand);
    }
    stand_open(d, now);
}

static void plan_move(struct directory *d, usec_t now)
{
    uint64_t t = unix_now(d, now), in_us = t % EPOCH_US, spread = DIRECTORY_SPREAD_S * USEC_PER_S;
    bool tried = d->stand.id != 0 || d->retry_at != USEC_NEVER;
    if (d->move_at != USEC_NEVER || (tried && d->epoch == t / EPOCH_US))
        return;
    d->move_at = now;
    if (tried && in_us < spread)
        d->move_at += rng_below(&d->config.rng, spread - in_us);
}

static bool may_update(const struct directory *d, usec_t now)
{
    return d->stand.id != 0 && d->stand.changed && d->stand.at.epoch == unix_now(d, now) / EPOCH_US;
}

static void stand_step(struct directory *d, usec_t now)
{
    if (d->old_until <= now)
        old_leave(d, now);
    if (!d->announces)
        return;
    plan_move(d, now);
    if (d->move_at <= now)
        stand_move(d, now);
    if (d->retry_at <= now && d->move_at == USEC_NEVER)
        stand_open(d, now);
    if (may_update(d, now) && d->stand.announced_at + DIRECTORY_UPDATE_US <= now)
        stand_announce(d, now);
}

static usec_t stand_deadline(const struct directory *d)
{
    usec_t at = d->old_until;
    if (!d->announces)
        return at;
    if (d->move_at != USEC_NEVER)
        return earlier(at, d->move_at); // it brings along what has changed
    uint64_t begun = unix_now(d, d->unix_at), end = (d->epoch + 1) * EPOCH_US;
    at = earlier(earlier(at, d->retry_at), d->unix_at + (end > begun ? end - begun : 0));
    if (d->stand.id != 0 && d->stand.changed)
        at = earlier(at, d->stand.announced_at + DIRECTORY_UPDATE_US);
    return at;
}

// It takes nobody: another one. After a few of them later: there may be more relays than places for them, and a
// full place takes who comes from a prefix that has few.
static void stand_full(struct directory *d, usec_t now)
{
    d->full |= 1u << d->stand.slot;
    if (d->full == SLOTS_ALL)
        d->full = 0;
    if (++d->full_tries % DIRECTORY_FULL_TRIES != 0) {
        stand_open(d, now);
        return;
    }
    stand_leave(d, now);
    d->retry_at = now + d->full_gap + rng_below(&d->config.rng, d->full_gap);
    d->full_gap = earlier(2 * d->full_gap, DIRECTORY_FULL_MAX_US);
}

static void stand_stored(struct directory *d, usec_t now, uint32_t holders)
{
    d->stand.stored = holders > 0;
    if (holders == 0) {
        plan_retry(d, now);
        return;
    }
    d->retry_at = USEC_NEVER;
    stand_hopes(d);
    old_leave(d, now);
}

static void stand_event(struct directory *d, usec_t now, const struct dht_event *e)
{
    struct stand *s = &d->stand;
    switch (e->kind) {
    case DHT_FULL:
        stand_full(d, now);
        return;
    case DHT_STORED:
        stand_stored(d, now, e->count);
        return;
    case DHT_EFFORT:
        if (e->count > DIRECTORY_PROOF_MAX) {
            stand_full(d, now);
        } else if (e->count > s->proof_effort) {
            s->proof_effort = e->count;
            s->proof_job = 0;
            s->proof_wanted = true;
        }
        return;
    default: // what others say there is nothing to a relay
        return;
    }
}

int directory_announce(struct directory *d, usec_t now, const struct relay_offer *offer)
{
    struct offer_rules rules = rules_of(d);
    struct relay_offer mine = *offer;
    if (!d->config.relay)
        return BAUTA_ESTATE;
    if (offer_check(&mine, &rules) != BAUTA_OK || memcmp(mine.contact[0].pk, d->pk, KEY_BYTES) != 0)
        return BAUTA_EFORMAT;
    memcpy(mine.ed_pk, d->ed_pk, KEY_BYTES);
    mine.issued_s = d->offer.issued_s;
    mine.expiry_s = d->offer.expiry_s;
    bool same = d->announces && mine.contacts == d->offer.contacts && mine.tcp == d->offer.tcp &&
                mine.tcp_port == d->offer.tcp_port && mine.free == d->offer.free &&
                mine.capacity_kBps == d->offer.capacity_kBps;
    for (unsigned i = 0; i < mine.contacts && same; i++)
        same = path_equal(&mine.contact[i].path, &d->offer.contact[i].path) &&
               memcmp(mine.contact[i].puzzle_nonce, d->offer.contact[i].puzzle_nonce,
                      PUZZLE_NONCE_BYTES) == 0;
    d->offer = mine;
    d->announces = true;
    d->stand.changed = d->stand.changed || (!same && d->stand.id != 0);
    directory_expire(d, now);
    return BAUTA_OK;
}

void directory_withdraw(struct directory *d, usec_t now)
{
    d->announces = false;
    d->move_at = d->retry_at = USEC_NEVER;
    old_leave(d, now);
    stand_leave(d, now);
}

bool directory_job(struct directory *d, struct job *job)
{
    struct stand *s = &d->stand;
    uint8_t m[32], start[POW_NONCE_BYTES];
    if (s->id == 0 || !s->proof_wanted)
        return false;
    record_pow_message(m, s->at.place, s->record);
    rng_fill(&d->config.rng, start, sizeof start);
    s->proof_wanted = false;
    d->last_job = d->last_job == UINT32_MAX ? DIRECTORY_JOB_FIRST : d->last_job + 1;
    s->proof_job = d->last_job;
    job_pow(job, s->proof_job, m, s->rec_id, s->proof_effort, start);
    return true;
}

bool directory_job_done(struct directory *d, usec_t now, uint32_t job, const uint8_t *result,
                        int len)
{
    struct stand *s = &d->stand;
    struct dht_proof proof = {.effort = s->proof_effort};
    if (job < DIRECTORY_JOB_FIRST)
        return false;
    if (s->id == 0 || job != s->proof_job)
        return true; // of a record that is no more
    s->proof_job = 0;
    if (len != (int)(sizeof proof.nonce + sizeof proof.sol)) {
        stand_full(d, now); // not found: where less is wanted
        return true;
    }
    memcpy(proof.nonce, result, sizeof proof.nonce);
    memcpy(proof.sol, result + sizeof proof.nonce, sizeof proof.sol);
    (void)dht_place_announce(d->config.dht, now, s->id, s->record, DIRECTORY_TTL_S, &proof);
    return true;
}

// ---- a client: reading slots --------------------------------------------------------------------------

static unsigned looks(const struct seeker *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < DIRECTORY_LOOKS_MAX; i++)
        n += s->look[i].id != 0;
    return n;
}

static void shuffle(const struct rng *rng, uint8_t *x, unsigned n)
{
    for (; n > 1; n--) {
        unsigned k = (unsigned)rng_below(rng, n);
        uint8_t y = x[k];
        x[k] = x[n - 1];
        x[n - 1] = y;
    }
}

// A quarter past the hour both hours' slots are mixed, since relays move; from a quarter to, the next hour's come
// last: they hold somebody only if our clock is slow.
static void round_begin(struct directory *d, usec_t now)
{
    struct seeker *s = d->seeker;
    uint64_t t = unix_now(d, now), in_s = t % EPOCH_US / USEC_PER_S;
    bool behind = in_s < OFFER_READ_BEHIND_S && t >= EPOCH_US;
    bool ahead = in_s >= EPOCH_SECONDS - DIRECTORY_READ_AHEAD_S;
    s->epoch = t / EPOCH_US;
    s->other = behind ? -1 : 1;
    s->slots = behind || ahead ? 2 * DIRECTORY_SLOTS : DIRECTORY_SLOTS;
    s->next = s->done = 0;
    s->runs = true;
    s->impatient = false;
    s->patience_at = now + DIRECTORY_PATIENCE_US;
    s->again_at = s->check_at = USEC_NEVER;
    for (unsigned i = 0; i < DIRECTORY_SLOTS; i++) {
        s->order[i] = (uint8_t)i;
        s->order[DIRECTORY_SLOTS + i] = (uint8_t)(i | SLOT_OTHER);
    }
    if (behind) {
        shuffle(&d->config.rng, s->order, 2 * DIRECTORY_SLOTS);
    } else {
        shuffle(&d->config.rng, s->order, DIRECTORY_SLOTS);
        shuffle(&d->config.rng, s->order + DIRECTORY_SLOTS, DIRECTORY_SLOTS);
    }
}

static void look_begin(struct directory *d, usec_t now, struct look *l)
{
    struct seeker *s = d->seeker;
    uint8_t slot = s->order[s->next++];
    uint64_t epoch = s->epoch;
    if ((slot & SLOT_OTHER) != 0)
        epoch = s->other > 0 ? epoch + 1 : epoch - 1;
    memset(l, 0, sizeof *l);
    offer_slot(&l->at, &d->config.net, epoch, slot & ~SLOT_OTHER);
    if (dht_place_open(d->config.dht, now, l->at.place, DIRECTORY_USER, &l->id) != BAUTA_OK) {
        l->id = 0; // no memory, or too many places: the round ends, and comes again
        s->next = s->slots;
        return;
    }
    l->expected = DIRECTORY_LOOK_HOLDERS;
    l->until = now + DIRECTORY_LOOK_US;
    (void)dht_place_seek(d->config.dht, now, l->id, DIRECTORY_LOOK_HOLDERS);
}

static void look_end(struct directory *d, usec_t now, struct look *l)
{
    struct seeker *s = d->seeker;
    if (l->nobody)
        s->next = s->slots; // nor will another slot bring anything
    dht_place_close(d->config.dht, now, l->id);
    l->id = 0;
    s->done++;
}

// Different prefixes that stay for a while.
static unsigned prefixes(const struct directory *d, usec_t now)
{
    const struct directory_need *need = &d->seeker->need;
    const struct relay_wish usable = {.families = need->families, .both = need->both};
    struct relay_time t = time_of(d, now);
    t.unix_s += d->seeker->stale_s;
    return relay_pool_prefixes(&d->seeker->pool, t, &usable);
}

static bool enough(const struct directory *d, usec_t now)
{
    const struct seeker *s = d->seeker;
    if (s->need.any && !s->thorough)
        return s->done > 0 && prefixes(d, now) >= DIRECTORY_ANY_PREFIXES;
    unsigned want = 4 * s->need.count < DIRECTORY_PREFIXES_ENOUGH ? DIRECTORY_PREFIXES_ENOUGH
                                                                  : 4 * s->need.count;
    return !s->thorough && s->done >= DIRECTORY_SLOTS_ENOUGH && prefixes(d, now) >= want;
}

// Before the next of the known offers is stale it is counted again.
static void plan_check(struct directory *d, usec_t now)
{
    struct seeker *s = d->seeker;
    uint64_t now_s = time_of(d, now).unix_s;
    s->stale_s = DIRECTORY_STALE_MIN_S +
                 rng_below(&d->config.rng, DIRECTORY_STALE_MAX_S - DIRECTORY_STALE_MIN_S);
    uint64_t at = relay_pool_expiry(&s->pool, now_s + s->stale_s);
    s->check_at = at == UINT64_MAX ? USEC_NEVER : now + (at - s->stale_s - now_s) * USEC_PER_S;
}

static usec_t again_min(const struct seeker *s)
{
    return s->need.any ? DIRECTORY_ANY_AGAIN_MIN_US : DIRECTORY_AGAIN_MIN_US;
}

static void plan_again(struct directory *d, usec_t now)
{
    struct seeker *s = d->seeker;
    if (s->runs || s->again_at != USEC_NEVER)
        return;
    s->again_at = now + s->again_gap + rng_below(&d->config.rng, s->again_gap / 2);
    s->again_gap = earlier(2 * s->again_gap,
                           s->need.any ? DIRECTORY_ANY_AGAIN_MAX_US : DIRECTORY_AGAIN_MAX_US);
}

static void round_end(struct directory *d, usec_t now)
{
    struct seeker *s = d->seeker;
    s->runs = s->thorough = s->impatient = false;
    s->settled = true;
    s->patience_at = USEC_NEVER;
    plan_check(d, now);
    d->tell_ready = prefixes(d, now) >= s->need.count;
    d->tell_none = !d->tell_ready; // the last word counts
    if (d->tell_none)
        plan_again(d, now);
}

// Holders that don't answer must not keep a person waiting.
static void round_haste(struct directory *d, usec_t now)
{
    struct seeker *s = d->seeker;
    if (s->patience_at <= now) {
        s->impatient = true;
        s->patience_at = USEC_NEVER;
    }
    unsigned slots = s->need.any ? 1 : DIRECTORY_SLOTS_ENOUGH;
    if (!s->impatient || s->done < slots || prefixes(d, now) < s->need.count)
        return;
    s->impatient = false;
    s->settled = d->tell_ready = true;
    d->tell_none = false;
}

static void seeker_step(struct directory *d, usec_t now)
{
    struct seeker *s = d->seeker;
    if (s == NULL)
        return;
    for (unsigned i = 0; i < DIRECTORY_LOOKS_MAX; i++)
        if (s->look[i].id != 0 && s->look[i].until <= now)
            look_end(d, now, &s->look[i]);
    if (!s->runs && s->check_at <= now) {
        plan_check(d, now);
        if (prefixes(d, now) < s->need.count)
            s->again_at = now;
    }
    if (!s->runs && s->again_at <= now)
        round_begin(d, now);
    unsigned at_once = s->need.any ? DIRECTORY_ANY_LOOKS : DIRECTORY_LOOKS_MAX;
    for (unsigned i = 0; i < at_once; i++)
        if (s->runs && s->look[i].id == 0 && s->next < s->slots && !enough(d, now))
            look_begin(d, now, &s->look[i]);
    round_haste(d, now);
    if (s->runs && (enough(d, now) || (s->next == s->slots && looks(s) == 0)))
        round_end(d, now);
}

static usec_t seeker_deadline(const struct directory *d)
{
    const struct seeker *s = d->seeker;
    if (s == NULL)
        return USEC_NEVER;
    usec_t at = s->runs ? s->patience_at : earlier(s->again_at, s->check_at);
    for (unsigned i = 0; i < DIRECTORY_LOOKS_MAX; i++)
        if (s->look[i].id != 0)
            at = earlier(at, s->look[i].until);
    return at;
}

static void take(struct directory *d, usec_t now, const struct look *l, const uint8_t *record)
{
    struct offer_rules rules = rules_of(d);
    struct relay_time t = time_of(d, now);
    struct relay_offer o;
    struct offer_body body;
    if (offer_open(&o, &body, record, &rules, &l->at, t.unix_s) != BAUTA_OK) {
        d->refused++;
        return;
    }
    bool fits = !d->seeker->need.tcp || o.tcp || o.tcp_port != 0;
    if (!fits || !relay_pool_news(&d->seeker->pool, &o))
        return;
    if (offer_verify(&o, &body, &rules, &l->at) != BAUTA_OK)
        d->refused++;
    else if (memcmp(o.contact[0].pk, d->pk, KEY_BYTES) != 0) // not our own
        relay_pool_put(&d->seeker->pool, t, &o);
}

// Who has an answer does not wait long for the others.
static void look_wait(struct look *l, usec_t now)
{
    if (l->answers >= l->expected)
        l->until = now;
    else if (l->answered)
        l->until = earlier(l->until, now + DIRECTORY_LATE_US);
}

static void look_event(struct directory *d, usec_t now, struct look *l, const struct dht_event *e)
{
    switch (e->kind) {
    case DHT_PLACE_FOUND:
        l->nobody = e->count == 0;
        if (e->count > 0 && e->count < l->expected)
            l->expected = e->count;
        if (!l->answered)
            l->until = now + (l->nobody ? DIRECTORY_NOBODY_US : DIRECTORY_SAMPLE_US);
        break;
    case DHT_FULL: // it is read all the same
        l->nobody = false;
        if (!l->answered)
            l->until = now + DIRECTORY_SAMPLE_US;
        break;
    case DHT_SAMPLE:
        for (size_t i = 0; i < e->n; i++)
            take(d, now, l, e->records + i * RECORD_BYTES);
        l->answers++;
        l->answered = l->answered || e->answered;
        break;
    default:
        return;
    }
    look_wait(l, now);
}

int directory_want(struct directory *d, usec_t now, const struct directory_need *need)
{
    struct seeker *s = d->seeker;
    if (s != NULL && (need->count == 0 || need->tcp != s->need.tcp || need->any != s->need.any)) {
        for (unsigned i = 0; i < DIRECTORY_LOOKS_MAX; i++)
            if (s->look[i].id != 0)
                look_end(d, now, &s->look[i]);
        arena_give(d->config.arena, s, sizeof *s);
        d->seeker = s = NULL;
        d->tell_ready = d->tell_none = false;
    }
    if (need->count == 0)
        return BAUTA_OK;
    if (s == NULL) {
        d->seeker = s = arena_take(d->config.arena, sizeof *s);
        if (s == NULL)
            return BAUTA_ESPACE;
        relay_pool_init(&s->pool, d->config.prefix_limits);
        s->need = *need;
        s->patience_at = USEC_NEVER;
        s->again_at = now;
        s->again_gap = again_min(s);
        s->check_at = USEC_NEVER;
    }
    if (need->count > s->need.count && !s->runs)
        s->again_at = now;
    s->need = *need;
    directory_expire(d, now);
    return BAUTA_OK;
}

int directory_pick(struct directory *d, usec_t now, const struct relay_wish *wish,
                   struct relay_choice *choice)
{
    struct seeker *s = d->seeker;
    if (s == NULL || !s->settled)
        return BAUTA_EUNKNOWN;
    int rc = relay_pool_pick(&s->pool, time_of(d, now), &d->config.rng, wish, choice);
    if (rc != BAUTA_OK && !s->runs) {
        s->thorough = true;
        plan_again(d, now);
    }
    return rc;
}

void directory_failed(struct directory *d, usec_t now, const uint8_t pk[static KEY_BYTES])
{
    struct seeker *s = d->seeker;
    if (s == NULL)
        return;
    relay_pool_failed(&s->pool, now, pk);
    if (prefixes(d, now) < s->need.count)
        plan_again(d, now);
}

void directory_worked(struct directory *d, const uint8_t pk[static KEY_BYTES])
{
    if (d->seeker == NULL)
        return;
    relay_pool_worked(&d->seeker->pool, pk);
    d->seeker->again_gap = again_min(d->seeker);
}

// ---- driving it ---------------------------------------------------------------------------------------

int directory_init(struct directory **out, const struct directory_config *config)
{
    struct directory *d = arena_take(config->arena, sizeof *d);
    if (d == NULL)
        return BAUTA_ESPACE;
    d->config = *config;
    d->old_until = d->move_at = d->retry_at = USEC_NEVER;
    stand_hopes(d);
    d->last_job = DIRECTORY_JOB_FIRST - 1;
    if (config->relay)
        relay_public(d->ed_pk, d->pk, config->seed);
    *out = d;
    return BAUTA_OK;
}

void directory_free(struct directory *d, usec_t now)
{
    if (d == NULL)
        return;
    (void)directory_want(d, now, &(struct directory_need){.count = 0});
    directory_withdraw(d, now);
    struct arena *arena = d->config.arena;
    arena_give(arena, d, sizeof *d);
}

void directory_clock(struct directory *d, usec_t now, int64_t unix_us)
{
    d->unix_us = unix_us;
    d->unix_at = now;
    d->clock_set = true;
    directory_expire(d, now);
}

void directory_dht_event(struct directory *d, usec_t now, const struct dht_event *e)
{
    if (d->stand.id != 0 && e->id == d->stand.id) {
        stand_event(d, now, e);
    } else if (d->seeker != NULL) {
        for (unsigned i = 0; i < DIRECTORY_LOOKS_MAX; i++)
            if (d->seeker->look[i].id != 0 && d->seeker->look[i].id == e->id)
                look_event(d, now, &d->seeker->look[i], e);
    }
    directory_expire(d, now);
}

void directory_expire(struct directory *d, usec_t now)
{
    if (!d->clock_set)
        return;
    stand_step(d, now);
    seeker_step(d, now);
}

usec_t directory_deadline(const struct directory *d)
{
    return d->clock_set ? earlier(stand_deadline(d), seeker_deadline(d)) : USEC_NEVER;
}

enum directory_event directory_event(struct directory *d)
{
    enum directory_event e = d->tell_ready  ? DIRECTORY_READY
                             : d->tell_none ? DIRECTORY_NONE
                                            : DIRECTORY_NOTHING;
    d->tell_ready = d->tell_none = false;
    return e;
}

void directory_status(const struct directory *d, usec_t now, struct directory_status *s)
{
    static const struct relay_wish any = {.families = 0};
    *s = (struct directory_status){.announced = d->stand.stored, .refused = d->refused};
    if (d->seeker == NULL)
        return;
    s->offers = d->seeker->pool.offers;
    s->prefixes = relay_pool_prefixes(&d->seeker->pool, time_of(d, now), &any);
    s->looking = d->seeker->runs;
}
