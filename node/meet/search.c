#include "node/meet/search.h"

#include "crypto/nodekey.h"

#include <sodium.h>

#define EPOCHS_PER_DAY (DAY_SECONDS / EPOCH_SECONDS)
#define EPOCH_US (EPOCH_SECONDS * USEC_PER_S)

struct search *search_new(struct meet_env *env, uint8_t index, uint32_t user,
                          const struct meet_topic *topic, const struct card *card, usec_t delay)
{
    struct search *s = arena_take(env->arena, sizeof *s);
    if (s == NULL)
        return NULL;
    uint8_t seed[32];
    s->index = index;
    s->user = user;
    s->topic = topic;
    s->card = *card;
    rng_fill(&env->rng, seed, sizeof seed);
    key_pair(s->pk, s->sk, seed);
    sodium_memzero(seed, sizeof seed);
    s->start_at = env->now + delay;
    s->boundary_at = s->retry_at = USEC_NEVER;
    return s;
}

// ---- places ---------------------------------------------------------------------------------------

static void close_place(struct meet_env *env, struct search_place *p)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        if (p->attend[i].state != ATTEND_NONE)
            dht_attend_close(env->dht, env->now, p->attend[i].id);
    dht_place_close(env->dht, env->now, p->id);
    memory_free(&p->seen, env->arena);
    sodium_memzero(p, sizeof *p);
}

void search_free(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].used)
            close_place(env, &s->place[i]);
    arena_give(env->arena, s, sizeof *s);
}

struct search_place *search_place_of(struct search *s, uint32_t place)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].used && s->place[i].id == place)
            return &s->place[i];
    return NULL;
}

struct search_place *search_place_of_attend(struct search *s, uint32_t attend,
                                            struct search_attend **at)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        for (unsigned k = 0; k < DHT_INTRODUCERS_MAX && s->place[i].used; k++)
            if (s->place[i].attend[k].state != ATTEND_NONE && s->place[i].attend[k].id == attend) {
                *at = &s->place[i].attend[k];
                return &s->place[i];
            }
    return NULL;
}

static struct search_place *place_of_epoch(struct search *s, uint64_t epoch)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].used && !s->place[i].lingering && s->place[i].epoch == epoch)
            return &s->place[i];
    return NULL;
}

// A free slot; else one whose withdrawal lingers is closed early.
static struct search_place *free_place(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (!s->place[i].used)
            return &s->place[i];
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].lingering) {
            close_place(env, &s->place[i]);
            return &s->place[i];
        }
    return NULL;
}

static const uint8_t *secret_of(struct meet_env *env, struct search *s, uint32_t day)
{
    struct search_secret *slot = NULL;
    for (unsigned i = 0; i < 2; i++) {
        struct search_secret *x = &s->secret[i];
        if (x->used && x->day == day)
            return x->have ? x->secret : NULL;
        if (slot == NULL || !x->used || (slot->used && x->day < slot->day))
            slot = x;
    }
    if (!s->secret[0].used && !s->secret[1].used)
        s->asked_at = env->now;
    sodium_memzero(slot, sizeof *slot);
    slot->used = true;
    slot->day = day;
    return NULL;
}

static void open_place(struct meet_env *env, struct search *s, uint64_t epoch)
{
    const uint8_t *secret = secret_of(env, s, (uint32_t)(epoch / EPOCHS_PER_DAY));
    struct search_place *p = secret == NULL ? NULL : free_place(env, s);
    if (p == NULL)
        return;
    topic_keys(&p->keys, secret, epoch, 0, 0);
    if (dht_place_open(env->dht, env->now, p->keys.place, s->user, &p->id) != BAUTA_OK) {
        sodium_memzero(p, sizeof *p);
        s->retry_at = env->now + SEARCH_RETRY_MAX_US;
        return;
    }
    p->used = true;
    p->epoch = epoch;
    p->announce_at = p->settle_at = p->choose_at = p->close_at = USEC_NEVER;
    p->choose_gap = SEARCH_RETRY_MIN_US;
    memory_init(&p->seen, OFFER_SEEN_MAX);
}

// ---- introducers ----------------------------------------------------------------------------------

static bool same_server(const struct contact *a, const struct contact *b)
{
    return memcmp(a->pk, b->pk, sizeof a->pk) == 0;
}

static bool attended(const struct search_place *p, const struct contact *c)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        if (p->attend[i].state != ATTEND_NONE && same_server(&p->attend[i].introducer.contact, c))
            return true;
    return false;
}

static bool attend_open(struct meet_env *env, struct search *s, struct search_place *p,
                        struct search_attend *a, const struct contact *c)
{
    memset(a, 0, sizeof *a);
    a->introducer.contact = *c;
    rng_fill(&env->rng, a->introducer.handle, sizeof a->introducer.handle);
    if (dht_attend_open(env->dht, env->now, p->id, c, a->introducer.handle, s->user, &a->id) !=
        BAUTA_OK)
        return false;
    a->state = ATTEND_OPENING;
    a->opened_at = env->now;
    return true;
}

// Fills the free slots with introducers that the DHT proposes. Tries again later where there are none.
static void choose_introducers(struct meet_env *env, struct search *s, struct search_place *p)
{
    struct contact pick[DHT_INTRODUCERS_MAX];
    size_t n = dht_place_introducers(env->dht, p->id, pick), next = 0;
    unsigned open = 0;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        while (p->attend[i].state == ATTEND_NONE && next < n) {
            const struct contact *c = &pick[next++];
            if (!attended(p, c) && attend_open(env, s, p, &p->attend[i], c))
                break;
        }
        open += p->attend[i].state != ATTEND_NONE ? 1 : 0;
    }
    s->joined = s->joined || n > 0;
    s->no_introducer = open == 0 && p->found;
    p->choose_at = USEC_NEVER;
    if (open == 0) {
        p->choose_at = env->now + p->choose_gap;
        p->choose_gap = earlier(2 * p->choose_gap, SEARCH_RETRY_MAX_US);
    }
}

// Introducers that were chosen before the region was known may turn out to be holders: those are
// exchanged where the DHT can name others.
static void keep_apart(struct meet_env *env, struct search *s, struct search_place *p)
{
    struct contact region[SEARCH_REGION_MAX], pick[DHT_INTRODUCERS_MAX];
    size_t holders = dht_place_region(env->dht, p->id, region, SEARCH_REGION_MAX);
    size_t n = dht_place_introducers(env->dht, p->id, pick);
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        struct search_attend *a = &p->attend[i];
        bool holder = false;
        for (size_t k = 0; k < holders && a->state != ATTEND_NONE; k++)
            holder = holder || same_server(&region[k], &a->introducer.contact);
        for (size_t k = 0; k < n && holder; k++) {
            bool inside = false;
            for (size_t h = 0; h < holders; h++)
                inside = inside || same_server(&region[h], &pick[k]);
            if (inside || attended(p, &pick[k]))
                continue;
            dht_attend_close(env->dht, env->now, a->id);
            attend_open(env, s, p, a, &pick[k]);
            holder = false;
        }
    }
}

// ---- the record -----------------------------------------------------------------------------------

static void announce(struct meet_env *env, struct search *s, struct search_place *p)
{
    struct wire_record rec = {.expiry_s = (p->epoch + 1) * EPOCH_SECONDS + SEARCH_READ_BEHIND_S,
                              .effort = env->required_effort,
                              .card = s->card};
    uint8_t plain[RECORD_PLAIN_BYTES], nonce[24], sealed[RECORD_BYTES];
    memcpy(rec.pseudonym, s->pk, sizeof rec.pseudonym);
    rng_fill(&env->rng, rec.seed, sizeof rec.seed);
    rng_fill(&env->rng, rec.random, sizeof rec.random);
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        p->attend[i].announced = p->attend[i].state == ATTEND_READY;
        if (p->attend[i].announced)
            rec.introducer[rec.introducers++] = p->attend[i].introducer;
    }
    wire_put_record(plain, &rec);
    rng_fill(&env->rng, nonce, sizeof nonce);
    record_seal(sealed, plain, p->rec_id, nonce, p->keys.seal, p->keys.place);
    memcpy(p->hash[1], p->hash[0], sizeof p->hash[0]);
    hash_pieces(p->hash[0], sizeof p->hash[0], NULL, 0, &(struct piece){plain, sizeof plain}, 1);
    p->hashes = p->hashes < 2 ? p->hashes + 1 : 2;
    p->named = rec.introducers;
    p->announced = true;
    p->stale = p->settled = false;
    p->settle_at = USEC_NEVER;
    dht_place_announce(env->dht, env->now, p->id, sealed, SEARCH_TTL_S, NULL);
    sodium_memzero(plain, sizeof plain);
    sodium_memzero(&rec, sizeof rec);
}

static void announce_when_settled(struct meet_env *env, struct search *s, struct search_place *p)
{
    unsigned ready = 0, opening = 0;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        ready += p->attend[i].state == ATTEND_READY ? 1 : 0;
        opening += p->attend[i].state == ATTEND_OPENING ? 1 : 0;
    }
    if (!p->found || ready == 0 || (opening > 0 && !p->settled))
        return;
    // Once more only where the record would be of much more use: one introducer is a single thread.
    bool worth = p->stale || (p->named < 2 && ready > p->named);
    if (!p->announced || worth)
        announce(env, s, p);
}

// ---- the plan -------------------------------------------------------------------------------------

static void make_mine(struct meet_env *env, struct search *s, struct search_place *p)
{
    bool moves = false;
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        moves = moves || (s->place[i].used && s->place[i].mine && !s->place[i].lingering);
    p->mine = true;
    p->announce_at = env->now;
    if (moves)
        p->announce_at += rng_below(&env->rng, SEARCH_RENEW_SPREAD_S * USEC_PER_S);
    (void)dht_place_record_id(env->dht, p->id, p->rec_id);
}

static void linger(struct meet_env *env, struct search_place *p)
{
    dht_place_withdraw(env->dht, env->now, p->id);
    p->lingering = true;
    p->announce_at = p->settle_at = p->choose_at = USEC_NEVER;
    p->close_at = env->now + SEARCH_LINGER_US;
}

// Which epochs' places are open now, and when that changes next.
static void plan(struct meet_env *env, struct search *s)
{
    uint64_t unix_us = env_unix_us(env), epoch = unix_us / EPOCH_US, in_us = unix_us % EPOCH_US;
    bool behind = in_us < SEARCH_READ_BEHIND_S * USEC_PER_S;
    bool ahead = in_us >= EPOCH_US - SEARCH_READ_AHEAD_S * USEC_PER_S;
    usec_t boundary = behind  ? SEARCH_READ_BEHIND_S * USEC_PER_S
                      : ahead ? EPOCH_US
                              : EPOCH_US - SEARCH_READ_AHEAD_S * USEC_PER_S;
    s->boundary_at = env->now + (boundary - in_us);
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        struct search_place *p = &s->place[i];
        if (p->used && !p->lingering && p->epoch != epoch && !(behind && p->epoch + 1 == epoch) &&
            !(ahead && p->epoch == epoch + 1))
            linger(env, p);
    }
    if (place_of_epoch(s, epoch) == NULL)
        open_place(env, s, epoch);
    struct search_place *own = place_of_epoch(s, epoch);
    if (own == NULL)
        return; // the own epoch's secret goes first
    if (!own->mine)
        make_mine(env, s, own);
    if (behind && epoch > 0 && place_of_epoch(s, epoch - 1) == NULL)
        open_place(env, s, epoch - 1);
    if (ahead && place_of_epoch(s, epoch + 1) == NULL)
        open_place(env, s, epoch + 1);
}

// After the record stands in the new epoch's place, the old one's is taken back; its handles stay while
// the old place is read.
static void leave_old(struct meet_env *env, struct search *s, const struct search_place *own)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        struct search_place *p = &s->place[i];
        if (p->used && p->mine && !p->lingering && p != own && p->epoch < own->epoch) {
            dht_place_withdraw(env->dht, env->now, p->id);
            p->mine = p->announced = false;
            p->announce_at = p->choose_at = p->settle_at = USEC_NEVER;
        }
    }
}

void search_step(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].used && s->place[i].close_at <= env->now)
            close_place(env, &s->place[i]);
    if (s->paused || !env->clock_set || s->start_at > env->now)
        return;
    if (s->retry_at <= env->now)
        s->retry_at = USEC_NEVER;
    if (s->retry_at == USEC_NEVER)
        plan(env, s);
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        struct search_place *p = &s->place[i];
        if (!p->used || !p->mine || p->lingering)
            continue;
        if (p->announce_at <= env->now) {
            p->announce_at = USEC_NEVER;
            choose_introducers(env, s, p);
        } else if (p->choose_at <= env->now) {
            choose_introducers(env, s, p);
        }
        if (p->settle_at <= env->now) {
            p->settled = true;
            p->settle_at = USEC_NEVER;
        }
        bool before = p->announced;
        announce_when_settled(env, s, p);
        if (!before && p->announced)
            leave_old(env, s, p);
    }
}

usec_t search_deadline(const struct meet_env *env, const struct search *s)
{
    usec_t at = USEC_NEVER;
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        const struct search_place *p = &s->place[i];
        if (!p->used)
            continue;
        at = earlier(at, p->close_at);
        if (!s->paused && p->mine && !p->lingering)
            at = earlier(at, earlier(earlier(p->announce_at, p->choose_at), p->settle_at));
    }
    if (s->paused || !env->clock_set)
        return at;
    if (s->boundary_at == USEC_NEVER)
        return earlier(at, s->start_at);
    return earlier(at, s->retry_at == USEC_NEVER ? s->boundary_at : s->retry_at);
}

// ---- inputs ---------------------------------------------------------------------------------------

bool search_job(struct meet_env *env, struct search *s, struct job *job)
{
    for (unsigned i = 0; i < 2; i++) {
        struct search_secret *x = &s->secret[i];
        if (!x->used || x->have || x->job != 0)
            continue;
        x->job = ++env->last_job;
        job_topic(job, x->job, &env->net, x->day, s->topic->topic, s->topic->topic_len,
                  s->topic->pass, s->topic->pass_len);
        return true;
    }
    return false;
}

bool search_job_done(struct meet_env *env, struct search *s, uint32_t job, const uint8_t *result,
                     int len)
{
    for (unsigned i = 0; i < 2; i++) {
        struct search_secret *x = &s->secret[i];
        if (!x->used || x->have || x->job != job)
            continue;
        if (len == (int)sizeof x->secret) {
            memcpy(x->secret, result, sizeof x->secret);
            x->have = true;
            if (s->derived_us == 0)
                env->count.derive_us = s->derived_us = env->now - s->asked_at;
        } else {
            // Out of memory at the worker: asked for again a little later.
            sodium_memzero(x, sizeof *x);
            s->retry_at = env->now + SEARCH_RETRY_MIN_US;
        }
        search_step(env, s);
        return true;
    }
    return false;
}

static void place_found(struct meet_env *env, struct search *s, struct search_place *p,
                        const struct dht_event *ev)
{
    if (ev->count == 0) {
        s->no_introducer = s->no_introducer || (p->mine && p->choose_at != USEC_NEVER);
        return;
    }
    bool first = !p->found;
    p->found = s->joined = true;
    if (s->paused || p->lingering)
        return;
    if (p->mine && first && p->announce_at == USEC_NEVER) {
        keep_apart(env, s, p);
        choose_introducers(env, s, p);
    }
    if (!p->mine && first)
        dht_place_seek(env->dht, env->now, p->id, PAIRING_LOOK_HOLDERS);
    search_step(env, s);
}

bool search_event(struct meet_env *env, struct search *s, const struct dht_event *ev)
{
    if (ev->kind == DHT_PLACE_FOUND) {
        struct search_place *p = search_place_of(s, ev->id);
        if (p != NULL)
            place_found(env, s, p, ev);
        return p != NULL;
    }
    struct search_attend *a;
    struct search_place *p = search_place_of_attend(s, ev->id, &a);
    if (p == NULL)
        return false;
    if (ev->kind == DHT_ATTENDING && a->state == ATTEND_OPENING) {
        a->state = ATTEND_READY;
        s->no_introducer = false;
        usec_t patience = earlier((env->now - a->opened_at) / 2, SEARCH_SETTLE_MAX_US);
        if (p->settle_at == USEC_NEVER)
            p->settle_at = env->now + patience;
    } else if (ev->kind == DHT_ATTEND_LOST) {
        p->stale = p->stale || a->announced;
        memset(a, 0, sizeof *a);
        if (p->mine && !p->lingering && p->announce_at == USEC_NEVER)
            choose_introducers(env, s, p);
    }
    search_step(env, s);
    return true;
}

void search_withdraw(struct meet_env *env, struct search *s)
{
    s->paused = true;
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].used && !s->place[i].lingering)
            linger(env, &s->place[i]);
}

void search_restart(struct meet_env *env, struct search *s, usec_t delay)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->place[i].used)
            close_place(env, &s->place[i]);
    s->paused = false;
    s->start_at = env->now + delay;
    s->boundary_at = s->retry_at = USEC_NEVER;
    search_step(env, s);
}

void search_look(struct meet_env *env, struct search *s, unsigned holders)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX && !s->paused; i++) {
        const struct search_place *p = &s->place[i];
        if (p->used && !p->lingering && p->found)
            dht_place_seek(env->dht, env->now, p->id, holders);
    }
}

bool search_hashing(const struct search *s)
{
    return !s->secret[0].have && !s->secret[1].have;
}
