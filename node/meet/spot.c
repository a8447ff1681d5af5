#include "node/meet/spot.h"

#include <sodium.h>

struct spot *spot_open(struct meet_env *env, const uint8_t secret[static 32], uint64_t epoch,
                       struct branch_place at, uint32_t user)
{
    struct spot *p = arena_take(env->arena, sizeof *p);
    if (p == NULL)
        return NULL;
    topic_keys(&p->keys, secret, epoch, at.depth, at.bits);
    if (dht_place_open(env->dht, env->now, p->keys.place, user, &p->id) != BAUTA_OK) {
        arena_give(env->arena, p, sizeof *p);
        return NULL;
    }
    p->epoch = epoch;
    p->at = at;
    p->announce_at = p->settle_at = p->choose_at = p->close_at = USEC_NEVER;
    p->choose_gap = SEARCH_RETRY_MIN_US;
    memory_init(&p->seen, OFFER_SEEN_MAX);
    return p;
}

static void close_attends(struct meet_env *env, struct spot *p)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        if (p->attend[i].state != ATTEND_NONE)
            dht_attend_close(env->dht, env->now, p->attend[i].id);
    memset(p->attend, 0, sizeof p->attend);
}

void spot_close(struct meet_env *env, struct spot *p)
{
    close_attends(env, p);
    dht_place_close(env->dht, env->now, p->id);
    memory_free(&p->seen, env->arena);
    arena_give(env->arena, p, sizeof *p);
}

static void stop(struct spot *p)
{
    p->mine = p->announced = p->stored = p->proof_wanted = false;
    p->proof_job = p->proof_effort = 0;
    p->announce_at = p->settle_at = p->choose_at = USEC_NEVER;
}

void spot_linger(struct meet_env *env, struct spot *p)
{
    dht_place_withdraw(env->dht, env->now, p->id);
    stop(p);
    p->lingering = true;
    p->close_at = env->now + SEARCH_LINGER_US;
}

void spot_leave(struct meet_env *env, struct spot *p)
{
    dht_place_withdraw(env->dht, env->now, p->id);
    stop(p);
}

void spot_make_mine(struct meet_env *env, struct spot *p, usec_t delay)
{
    p->mine = true;
    p->announce_at = env->now + delay;
    p->settled = false;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        p->settled = p->settled || p->attend[i].state == ATTEND_READY;
    (void)dht_place_record_id(env->dht, p->id, p->rec_id);
    p->hashes = 0;
}

// ---- introducers ----------------------------------------------------------------------------------

static bool same_server(const struct contact *a, const struct contact *b)
{
    return memcmp(a->pk, b->pk, sizeof a->pk) == 0;
}

static bool attended(const struct spot *p, const struct contact *c)
{
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        if (p->attend[i].state != ATTEND_NONE && same_server(&p->attend[i].introducer.contact, c))
            return true;
    return false;
}

static bool attend_open(struct meet_env *env, struct spot *p, uint32_t user, struct spot_attend *a,
                        const struct contact *c)
{
    memset(a, 0, sizeof *a);
    a->introducer.contact = *c;
    rng_fill(&env->rng, a->introducer.handle, sizeof a->introducer.handle);
    if (dht_attend_open(env->dht, env->now, p->id, c, a->introducer.handle, user, &a->id) !=
        BAUTA_OK)
        return false;
    a->state = ATTEND_OPENING;
    a->opened_at = env->now;
    return true;
}

// Fills the free slots with introducers that the DHT proposes. Tries again later where there are none.
static void choose_introducers(struct meet_env *env, struct spot *p, uint32_t user)
{
    struct contact pick[DHT_INTRODUCERS_MAX];
    size_t n = dht_place_introducers(env->dht, p->id, pick), next = 0;
    unsigned open = 0;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        while (p->attend[i].state == ATTEND_NONE && next < n) {
            const struct contact *c = &pick[next++];
            if (!attended(p, c) && attend_open(env, p, user, &p->attend[i], c))
                break;
        }
        open += p->attend[i].state != ATTEND_NONE ? 1 : 0;
    }
    p->known = p->known || n > 0;
    p->unreachable = open == 0 && p->found;
    p->choose_at = USEC_NEVER;
    if (open == 0) {
        p->choose_at = env->now + p->choose_gap;
        p->choose_gap = earlier(2 * p->choose_gap, SEARCH_RETRY_MAX_US);
    }
}

// Introducers that were chosen before the region was known may turn out to be holders: those are
// exchanged where the DHT can name others.
static void keep_apart(struct meet_env *env, struct spot *p, uint32_t user)
{
    struct contact region[SEARCH_REGION_MAX], pick[DHT_INTRODUCERS_MAX];
    size_t holders = dht_place_region(env->dht, p->id, region, SEARCH_REGION_MAX);
    size_t n = dht_place_introducers(env->dht, p->id, pick);
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        struct spot_attend *a = &p->attend[i];
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
            p->stale = p->stale || a->announced;
            attend_open(env, p, user, a, &pick[k]);
            holder = false;
        }
    }
}

void spot_nobody(struct meet_env *env, struct spot *p, uint32_t user)
{
    unsigned ready = 0, first = (unsigned)rng_below(&env->rng, DHT_INTRODUCERS_MAX);
    if (!p->mine || p->lingering || !p->announced)
        return;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++)
        ready += p->attend[i].state == ATTEND_READY ? 1 : 0;
    if (ready > p->named) { // three are better than two
        p->stale = true;
        return;
    }
    struct spot_attend *a = &p->attend[first];
    struct contact pick[DHT_INTRODUCERS_MAX];
    size_t n = a->state == ATTEND_READY ? dht_place_introducers(env->dht, p->id, pick) : 0;
    for (size_t i = 0; i < n; i++) {
        if (attended(p, &pick[i]))
            continue;
        dht_attend_close(env->dht, env->now, a->id);
        p->stale = p->stale || a->announced;
        attend_open(env, p, user, a, &pick[i]);
        return;
    }
}

// ---- the record -----------------------------------------------------------------------------------

static void announce(struct meet_env *env, struct spot *p, const uint8_t pk[static 32],
                     const struct card *card)
{
    struct wire_record rec = {.expiry_s = (p->epoch + 1) * EPOCH_SECONDS + SEARCH_READ_BEHIND_S,
                              .effort = env->load.effort,
                              .card = *card};
    uint8_t plain[RECORD_PLAIN_BYTES], nonce[24];
    memcpy(rec.pseudonym, pk, sizeof rec.pseudonym);
    rng_fill(&env->rng, rec.seed, sizeof rec.seed);
    rng_fill(&env->rng, rec.random, sizeof rec.random);
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        p->attend[i].announced = p->attend[i].state == ATTEND_READY;
        if (p->attend[i].announced)
            rec.introducer[rec.introducers++] = p->attend[i].introducer;
    }
    wire_put_record(plain, &rec);
    rng_fill(&env->rng, nonce, sizeof nonce);
    record_seal(p->record, plain, p->rec_id, nonce, p->keys.seal, p->keys.place);
    memcpy(p->hash[1], p->hash[0], sizeof p->hash[0]);
    hash_pieces(p->hash[0], sizeof p->hash[0], NULL, 0, &(struct piece){plain, sizeof plain}, 1);
    p->hashes = p->hashes < 2 ? p->hashes + 1 : 2;
    p->named = rec.introducers;
    p->effort = rec.effort;
    p->announced = true;
    p->announced_at = env->now;
    p->stale = p->settled = false;
    p->settle_at = USEC_NEVER;
    dht_place_announce(env->dht, env->now, p->id, p->record, SEARCH_TTL_S, NULL);
    // Another record needs another proof.
    p->proof_job = 0;
    p->proof_wanted = p->proof_effort > 0;
    sodium_memzero(plain, sizeof plain);
    sodium_memzero(&rec, sizeof rec);
}

// The record says what an offer has to prove; who reads an old one would solve too little.
static bool effort_differs(const struct meet_env *env, const struct spot *p)
{
    uint32_t now = env->load.effort, then = p->effort;
    return now > 0 && then > 0 ? now / 2 >= then || then / 2 >= now : now != then;
}

static void announce_when_settled(struct meet_env *env, struct spot *p, const uint8_t pk[static 32],
                                  const struct card *card)
{
    unsigned ready = 0, opening = 0;
    for (unsigned i = 0; i < DHT_INTRODUCERS_MAX; i++) {
        ready += p->attend[i].state == ATTEND_READY ? 1 : 0;
        opening += p->attend[i].state == ATTEND_OPENING ? 1 : 0;
    }
    if (p->full || ready == 0 || (opening > 0 && !p->settled))
        return;
    // In a big network an introducer that is drawn at random is hardly ever a holder (and is exchanged if it
    // is); in a small one the region has to be seen first, and there the look-up is short.
    struct dht_status status;
    if (!p->found) {
        dht_status(env->dht, &status);
        if (status.contacts < SEARCH_EARLY_CONTACTS)
            return;
    }
    // Once more only where the record would be of much more use: one introducer is a single thread.
    bool worth = p->stale || (p->named < 2 && ready > p->named) ||
                 (effort_differs(env, p) && env->now >= p->announced_at + SEARCH_EFFORT_GAP_US);
    if (!p->announced || worth)
        announce(env, p, pk, card);
}

void spot_step(struct meet_env *env, struct spot *p, const uint8_t pk[static 32],
               const struct card *card, uint32_t user)
{
    if (!p->mine || p->lingering)
        return;
    if (p->announce_at <= env->now || p->choose_at <= env->now) {
        p->announce_at = p->announce_at <= env->now ? USEC_NEVER : p->announce_at;
        choose_introducers(env, p, user);
    }
    if (p->settle_at <= env->now) {
        p->settled = true;
        p->settle_at = USEC_NEVER;
    }
    announce_when_settled(env, p, pk, card);
}

usec_t spot_deadline(const struct meet_env *env, const struct spot *p)
{
    usec_t at = p->close_at;
    if (!p->lingering && !p->sampled && (p->found || p->full))
        at = earlier(at, p->elsewhere_at);
    if (!p->mine || p->lingering)
        return at;
    at = earlier(at, earlier(earlier(p->announce_at, p->choose_at), p->settle_at));
    // After it an introducer is waited for, which tells by itself.
    if (p->announced && effort_differs(env, p) && env->now < p->announced_at + SEARCH_EFFORT_GAP_US)
        at = earlier(at, p->announced_at + SEARCH_EFFORT_GAP_US);
    return at;
}

// ---- what the dht says ----------------------------------------------------------------------------

void spot_found(struct meet_env *env, struct spot *p, uint32_t user, uint32_t holders)
{
    if (holders == 0) {
        p->unreachable = p->unreachable || (p->mine && p->choose_at != USEC_NEVER);
        return;
    }
    bool first = !p->found;
    p->found = true;
    p->full = false;
    if (first && p->mine && !p->lingering && p->announce_at == USEC_NEVER) {
        keep_apart(env, p, user);
        choose_introducers(env, p, user);
    }
}

void spot_attending(struct meet_env *env, struct spot *p, struct spot_attend *a)
{
    if (a->state != ATTEND_OPENING)
        return;
    a->state = ATTEND_READY;
    p->unreachable = false;
    usec_t patience = earlier((env->now - a->opened_at) / 2, SEARCH_SETTLE_MAX_US);
    if (p->settle_at == USEC_NEVER)
        p->settle_at = env->now + patience;
}

void spot_lost(struct meet_env *env, struct spot *p, struct spot_attend *a, uint32_t user)
{
    p->stale = p->stale || a->announced;
    memset(a, 0, sizeof *a);
    if (p->mine && !p->lingering && p->announce_at == USEC_NEVER)
        choose_introducers(env, p, user);
}

// ---- the proof of work that holders want --------------------------------------------------------------

void spot_wants_proof(struct spot *p, uint32_t effort)
{
    if (!p->announced || effort <= p->proof_effort)
        return;
    p->proof_effort = effort < SEARCH_PROOF_MAX ? effort : SEARCH_PROOF_MAX;
    p->proof_job = 0;
    p->proof_wanted = true;
}

bool spot_job(struct meet_env *env, struct spot *p, struct job *job)
{
    uint8_t m[32], start[POW_NONCE_BYTES];
    if (!p->proof_wanted || !p->announced)
        return false;
    record_pow_message(m, p->keys.place, p->record);
    rng_fill(&env->rng, start, sizeof start);
    p->proof_wanted = false;
    p->proof_job = ++env->last_job;
    job_pow(job, p->proof_job, m, p->rec_id, p->proof_effort, start);
    return true;
}

void spot_job_done(struct meet_env *env, struct spot *p, const uint8_t *result, int len)
{
    struct dht_proof proof = {.effort = p->proof_effort};
    p->proof_job = 0;
    if (len != (int)(sizeof proof.nonce + sizeof proof.sol) || !p->announced)
        return;
    memcpy(proof.nonce, result, sizeof proof.nonce);
    memcpy(proof.sol, result + sizeof proof.nonce, sizeof proof.sol);
    dht_place_announce(env->dht, env->now, p->id, p->record, SEARCH_TTL_S, &proof);
}
