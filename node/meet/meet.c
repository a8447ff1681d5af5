#include "node/meet/meet.h"

#include "node/meet/encounter.h"
#include "node/meet/offer.h"
#include "node/meet/reach.h"

#include <sodium.h>

struct meet {
    struct meet_env env;
    usec_t deadline; // kept up to date by every call
};

int meet_new(struct meet **out, const struct meet_config *config)
{
    struct meet *m = arena_take(config->arena, sizeof *m);
    *out = m;
    if (m == NULL)
        return BAUTA_ESPACE;
    assert(WIRE_OFFER_BYTES <= dht_introduce_blob_max());
    assert(WIRE_ANSWER_BYTES <= dht_answer_blob_max());
    struct meet_env *env = &m->env;
    env->net = config->net;
    env->rng = config->rng;
    env->arena = config->arena;
    env->dht = config->dht;
    env->lab = config->lab;
    env->aes_hardware = config->aes_hardware;
    memcpy(env->local_mask, config->local_mask, sizeof env->local_mask);
    int rc = noise_spec_parse(&env->noise, "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b");
    assert(rc == BAUTA_OK);
    (void)rc;
    load_init(&env->load);
    m->deadline = USEC_NEVER;
    return BAUTA_OK;
}

void meet_free(struct meet *m)
{
    struct arena *arena = m->env.arena;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        if (m->env.encounter[i] != NULL)
            encounter_free(&m->env, m->env.encounter[i]);
    if (m->env.block != NULL) {
        block_free(m->env.block, arena);
        arena_give(arena, m->env.block, sizeof *m->env.block);
    }
    arena_give(arena, m->env.local, m->env.locals * sizeof *m->env.local);
    arena_give(arena, m->env.mapped, m->env.mappeds * sizeof *m->env.mapped);
    arena_give(arena, m, sizeof *m);
}

// ---- around every call ----------------------------------------------------------------------------

static struct meet_env *begin(struct meet *m, usec_t now)
{
    m->env.now = now;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++) {
        struct encounter *e = m->env.encounter[i];
        if (e != NULL && e->channel_given) {
            sodium_memzero(&e->channel, sizeof e->channel);
            e->channel_given = false;
        }
    }
    return &m->env;
}

static void end(struct meet *m)
{
    usec_t at = USEC_NEVER;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++) {
        struct encounter *e = m->env.encounter[i];
        if (e == NULL)
            continue;
        encounter_settle(&m->env, e);
        at = earlier(at, earlier(encounter_deadline(&m->env, e), load_deadline(&m->env.load)));
    }
    m->deadline = at;
}

static struct encounter *find(const struct meet *m, uint32_t number)
{
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        if (m->env.encounter[i] != NULL && m->env.encounter[i]->number == number)
            return m->env.encounter[i];
    return NULL;
}

// Gives back what is only needed while somebody is sought, or remembered.
static void rest(struct meet_env *env)
{
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        if (env->encounter[i] != NULL)
            return;
    if (env->block == NULL || !block_idle(env->block, env->now))
        return;
    arena_give(env->arena, env->block, sizeof *env->block);
    env->block = NULL;
}

static void forget(struct meet *m, struct encounter *e)
{
    m->env.encounter[e->user] = NULL;
    encounter_free(&m->env, e);
    rest(&m->env);
}

void meet_clock(struct meet *m, usec_t now, int64_t unix_us)
{
    struct meet_env *env = begin(m, now);
    env->unix_us = unix_us;
    env->unix_at = now;
    env->clock_set = true;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        for (unsigned k = 0; env->encounter[i] != NULL && k < env->encounter[i]->wish.topics; k++)
            search_step(env, env->encounter[i]->search[k]);
    rest(env);
    end(m);
}

// Few nodes have any: they are no part of the fixed state.
static void keep_paths(struct arena *arena, struct path **kept, unsigned *count,
                       const struct path *path, size_t n)
{
    struct path *p = n == 0 ? NULL : arena_take(arena, n * sizeof *p);
    arena_give(arena, *kept, *count * sizeof **kept);
    *kept = p;
    *count = p == NULL ? 0 : (unsigned)n;
    for (unsigned i = 0; i < *count; i++) {
        p[i] = path[i];
        p[i].via = 0;
    }
}

void meet_local_paths(struct meet *m, const struct path *path, size_t n)
{
    n = n < MEET_LOCAL_PATHS_MAX ? n : MEET_LOCAL_PATHS_MAX;
    keep_paths(m->env.arena, &m->env.local, &m->env.locals, path, n);
}

void meet_mapped_paths(struct meet *m, const struct path *path, size_t n)
{
    n = n < MEET_MAPPED_PATHS_MAX ? n : MEET_MAPPED_PATHS_MAX;
    keep_paths(m->env.arena, &m->env.mapped, &m->env.mappeds, path, n);
}

void meet_search_at(struct meet *m, usec_t at)
{
    m->env.search_at = at;
}

void meet_exits(struct meet *m, usec_t now, bool only, bool held, uint32_t via,
                const struct path exit[2])
{
    struct path exits[2] = {0};
    if (exit != NULL)
        memcpy(exits, exit, sizeof exits);
    if (m->env.relayed == only && m->env.held == held && m->env.via == via &&
        memcmp(m->env.exit, exits, sizeof exits) == 0)
        return;
    struct meet_env *env = begin(m, now);
    bool freed = env->held && !held;
    memcpy(env->exit, exits, sizeof env->exit);
    env->via = via;
    env->relayed = only;
    env->held = held;
    for (size_t i = 0; freed && i < MEET_ENCOUNTERS_MAX; i++)
        if (env->encounter[i] != NULL)
            encounter_expire(env, env->encounter[i]);
    end(m);
}

// ---- commands -------------------------------------------------------------------------------------

int meet_seek(struct meet *m, usec_t now, uint32_t encounter, const struct meet_wish *wish)
{
    if (encounter == 0 || wish->topics == 0 || find(m, encounter) != NULL)
        return BAUTA_EFORMAT;
    if (wish->topics > MEET_TOPICS_MAX)
        return BAUTA_ELIMIT;
    for (size_t i = 0; i < wish->topics; i++)
        if (wish->topic[i].topic_len == 0 || wish->topic[i].topic_len > TOPIC_BYTES_MAX ||
            wish->topic[i].pass_len > PASS_BYTES_MAX)
            return BAUTA_EFORMAT;
    struct meet_env *env = begin(m, now);
    if (env->block == NULL) {
        env->block = arena_take(env->arena, sizeof *env->block);
        if (env->block == NULL)
            return BAUTA_ESPACE;
        block_init(env->block);
    }
    for (uint32_t i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        if (env->encounter[i] == NULL) {
            env->encounter[i] = encounter_new(env, encounter, i, wish);
            end(m);
            return env->encounter[i] != NULL ? BAUTA_OK : BAUTA_ESPACE;
        }
    end(m);
    return BAUTA_ELIMIT;
}

int meet_next(struct meet *m, usec_t now, uint32_t encounter)
{
    struct encounter *e = find(m, encounter);
    if (e == NULL)
        return BAUTA_EUNKNOWN;
    encounter_next(begin(m, now), e);
    end(m);
    return BAUTA_OK;
}

int meet_end(struct meet *m, usec_t now, uint32_t encounter)
{
    struct encounter *e = find(m, encounter);
    if (e == NULL)
        return BAUTA_EUNKNOWN;
    begin(m, now);
    forget(m, e);
    end(m);
    return BAUTA_OK;
}

int meet_block(struct meet *m, usec_t now, uint32_t encounter, const struct path *peer)
{
    struct encounter *e = find(m, encounter);
    if (e == NULL)
        return BAUTA_EUNKNOWN;
    struct meet_env *env = begin(m, now);
    if (e->matched) {
        const struct path *p = peer != NULL ? peer : &e->peer_path;
        block_person(env->block, env->arena, e->peer);
        if (p->family != 0)
            block_address(env->block, env->arena, p);
    }
    forget(m, e);
    end(m);
    return BAUTA_OK;
}

void meet_channel_heard(struct meet *m, usec_t now, uint32_t encounter)
{
    struct encounter *e = find(m, encounter);
    (void)begin(m, now);
    if (e != NULL)
        offer_out_heard(e);
    end(m);
}

void meet_channel_matched(struct meet *m, usec_t now, uint32_t encounter)
{
    struct encounter *e = find(m, encounter);
    struct meet_env *env = begin(m, now);
    if (e != NULL)
        encounter_met(env, e);
    end(m);
}

void meet_channel_failed(struct meet *m, usec_t now, uint32_t encounter)
{
    struct encounter *e = find(m, encounter);
    struct meet_env *env = begin(m, now);
    if (e != NULL)
        encounter_failed(env, e);
    end(m);
}

void meet_channel_busy(struct meet *m, usec_t now, uint32_t encounter)
{
    struct encounter *e = find(m, encounter);
    struct meet_env *env = begin(m, now);
    if (e != NULL && e->matched && e->busy < BUSY_MAX) {
        e->busy++;
        env->count.no_path++;
        encounter_next(env, e);
    } else if (e != NULL) {
        encounter_failed(env, e);
    }
    end(m);
}

// ---- addresses ------------------------------------------------------------------------------------

// Of two that servers see, the one of that family; the first where the family is 0.
static const struct path *seen_as(const struct path seen[static 2], uint8_t family)
{
    for (unsigned i = 0; i < 2; i++)
        if (seen[i].family != 0 && (family == 0 || seen[i].family == family))
            return &seen[i];
    return NULL;
}

void meet_candidates_own(struct meet *m, const struct path seen[static 2],
                         const struct meet_candidates *peer, struct meet_candidates *own)
{
    struct wire_reach reach;
    const struct path *theirs = peer != NULL && peer->observed ? &peer->path[0] : NULL;
    reach_own(&m->env, &reach, seen_as(seen, theirs != NULL ? theirs->family : 0), seen, theirs);
    own->observed = reach.observed;
    own->count = reach.candidates;
    memcpy(own->path, reach.candidate, sizeof own->path);
}

void meet_candidates_bare(struct meet *m, const struct path seen[static 2],
                          struct meet_candidates *own)
{
    struct meet_env bare = m->env;
    struct wire_reach reach;
    bare.relayed = false;
    memset(bare.exit, 0, sizeof bare.exit);
    reach_own(&bare, &reach, seen_as(seen, 0), seen, NULL);
    own->observed = reach.observed;
    own->count = reach.candidates;
    memcpy(own->path, reach.candidate, sizeof own->path);
}

void meet_candidates_take(struct meet *m, usec_t now, struct meet_candidates *peer,
                          const struct path seen[static 2])
{
    struct meet_env *env = begin(m, now);
    struct channel_config config = {.candidates = 0};
    struct wire_reach reach = {.observed = peer->observed, .candidates = peer->count};
    memcpy(reach.candidate, peer->path, sizeof reach.candidate);
    if (env->block == NULL ||
        reach_take(env, &config, &reach, seen_as(seen, peer->path[0].family)) != BAUTA_OK)
        config.candidates = 0;
    peer->observed = config.observed < config.candidates;
    peer->count = config.candidates;
    memcpy(peer->path, config.candidate, sizeof peer->path);
    end(m);
}

bool meet_probe(struct meet *m, usec_t now, const struct path *path)
{
    struct meet_env *env = &m->env;
    return env->lab || (env->block != NULL && !block_has_address(env->block, path) &&
                        block_probe(env->block, now, path));
}

// ---- what happens ---------------------------------------------------------------------------------

void meet_dht_event(struct meet *m, usec_t now, const struct dht_event *ev)
{
    struct meet_env *env = begin(m, now);
    // `user` is a hint; ids decide, since an event may be older than the encounter in its slot.
    if (ev->user < MEET_ENCOUNTERS_MAX && env->encounter[ev->user] != NULL)
        encounter_event(env, env->encounter[ev->user], ev);
    end(m);
}

bool meet_expire(struct meet *m, usec_t now, unsigned budget)
{
    if (m->deadline > now)
        return false;
    struct meet_env *env = begin(m, now);
    bool more = false;
    load_step(&env->load, now);
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++) {
        struct encounter *e = env->encounter[i];
        if (e == NULL || encounter_deadline(env, e) > now)
            continue;
        if (budget-- == 0) {
            more = true;
            break;
        }
        encounter_expire(env, e);
    }
    end(m);
    return more;
}

usec_t meet_deadline(const struct meet *m)
{
    return m->deadline;
}

bool meet_job(struct meet *m, struct job *job)
{
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++) {
        struct encounter *e = m->env.encounter[i];
        for (unsigned k = 0; e != NULL && k < e->wish.topics; k++)
            if (search_job(&m->env, e->search[k], job))
                return true;
        if (e != NULL && offer_out_job(&m->env, e, job))
            return true;
    }
    return false;
}

void meet_job_done(struct meet *m, usec_t now, uint32_t job, const uint8_t *result, int len)
{
    struct meet_env *env = begin(m, now);
    bool done = job == 0;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX && !done; i++) {
        struct encounter *e = env->encounter[i];
        for (unsigned k = 0; e != NULL && k < e->wish.topics && !done; k++)
            done = search_job_done(env, e->search[k], job, result, len);
        if (e != NULL && !done)
            done = offer_out_job_done(env, e, job, result, len);
    }
    end(m);
}

bool meet_event(struct meet *m, struct meet_event *ev)
{
    memset(ev, 0, sizeof *ev);
    if (m->env.block == NULL) // asked each turn, and most nodes never sought anybody
        return false;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++) {
        struct encounter *e = m->env.encounter[i];
        if (e == NULL)
            continue;
        ev->encounter = e->number;
        ev->stage = e->stage;
        if (e->stage_news) {
            e->stage_news = false;
            ev->kind = MEET_PROGRESS;
            return true;
        }
        if (e->warn_news != 0) {
            bool clock = (e->warn_news & WARN_CLOCK) != 0;
            e->warn_news &= clock ? ~(unsigned)WARN_CLOCK : ~(unsigned)WARN_NO_INTRODUCER;
            ev->kind = MEET_WARNING;
            ev->code = clock ? "clock" : "no_introducer";
            return true;
        }
        if (e->channel_news) {
            e->channel_news = false;
            e->channel_given = true;
            ev->kind = MEET_CHANNEL;
            ev->topic = e->topic;
            memcpy(ev->peer, e->peer, sizeof ev->peer);
            ev->channel = &e->channel;
            return true;
        }
    }
    return false;
}

void meet_status(const struct meet *m, struct meet_status *status)
{
    *status = m->env.count;
    status->encounters = 0;
    for (unsigned i = 0; i < MEET_ENCOUNTERS_MAX; i++)
        status->encounters += m->env.encounter[i] != NULL ? 1 : 0;
}

int meet_encounter_status(const struct meet *m, uint32_t encounter, struct meet_encounter_status *s)
{
    const struct encounter *e = find(m, encounter);
    memset(s, 0, sizeof *s);
    if (e == NULL)
        return BAUTA_EUNKNOWN;
    s->stage = e->stage;
    s->free = e->pairing.state == PAIRING_FREE;
    s->pending = e->pairing.state == PAIRING_PENDING;
    s->matched = e->pairing.state == PAIRING_MATCHED;
    s->offers = e->pairing.offered ? 1 : 0;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++) {
        const struct pairing_candidate *c = &e->pairing.candidate[i];
        s->candidates += c->used && c->listed ? 1 : 0;
        s->held += c->used && c->held ? 1 : 0;
    }
    return BAUTA_OK;
}
