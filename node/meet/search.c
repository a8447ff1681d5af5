#include "node/meet/search.h"

#include "crypto/nodekey.h"

#include <sodium.h>

#define EPOCHS_PER_DAY (DAY_SECONDS / EPOCH_SECONDS)
#define EPOCH_US (EPOCH_SECONDS * USEC_PER_S)
// NOLINTBEGIN(bugprone-macro-parentheses): p is declared here
#define EACH_SPOT(s, p)                                                                            \
    for (unsigned spot_i = 0; spot_i < SEARCH_PLACES_MAX; spot_i++)                                \
        for (struct spot *p = (s)->spot[spot_i]; p != NULL; p = NULL)
// NOLINTEND(bugprone-macro-parentheses)

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
    s->boundary_at = s->retry_at = s->look_at = USEC_NEVER;
    return s;
}

// ---- spots ----------------------------------------------------------------------------------------

static void close_spot(struct meet_env *env, struct search *s, unsigned i)
{
    spot_close(env, s->spot[i]);
    s->spot[i] = NULL;
}

void search_free(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->spot[i] != NULL)
            close_spot(env, s, i);
    arena_give(env->arena, s, sizeof *s);
}

struct spot *search_spot_of(struct search *s, uint32_t place)
{
    EACH_SPOT(s, p)
    if (p->id == place)
        return p;
    return NULL;
}

struct spot *search_spot_of_attend(struct search *s, uint32_t attend, struct spot_attend **at)
{
    EACH_SPOT(s, p)
    for (unsigned k = 0; k < DHT_INTRODUCERS_MAX; k++)
        if (p->attend[k].state != ATTEND_NONE && p->attend[k].id == attend) {
            *at = &p->attend[k];
            return p;
        }
    return NULL;
}

uint32_t search_any_place(const struct search *s)
{
    uint32_t any = 0;
    EACH_SPOT(s, p)
    if (any == 0 || !p->lingering)
        any = p->id;
    return any;
}

static struct spot *spot_at(const struct search *s, uint64_t epoch, struct branch_place at)
{
    EACH_SPOT(s, p)
    if (!p->lingering && p->epoch == epoch && p->at.depth == at.depth && p->at.bits == at.bits)
        return p;
    return NULL;
}

static struct spot *home_of(const struct search *s, const struct search_epoch *x)
{
    return spot_at(s, x->epoch, branch_at(&x->branch, x->branch.depth));
}

static struct search_epoch *epoch_of(struct search *s, uint64_t epoch)
{
    for (unsigned i = 0; i < 2; i++)
        if (s->epoch[i].used && s->epoch[i].epoch == epoch)
            return &s->epoch[i];
    return NULL;
}

// A free slot; else one whose withdrawal lingers is closed early. SEARCH_PLACES_MAX: none.
static unsigned free_slot(struct meet_env *env, struct search *s)
{
    unsigned oldest = SEARCH_PLACES_MAX;
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        if (s->spot[i] == NULL)
            return i;
        if (s->spot[i]->lingering &&
            (oldest == SEARCH_PLACES_MAX || s->spot[i]->close_at < s->spot[oldest]->close_at))
            oldest = i;
    }
    if (oldest < SEARCH_PLACES_MAX)
        close_spot(env, s, oldest);
    return oldest;
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

static struct spot *open_spot(struct meet_env *env, struct search *s, uint64_t epoch,
                              struct branch_place at)
{
    struct spot *p = spot_at(s, epoch, at);
    if (p != NULL)
        return p;
    const uint8_t *secret = secret_of(env, s, (uint32_t)(epoch / EPOCHS_PER_DAY));
    unsigned i = secret == NULL ? SEARCH_PLACES_MAX : free_slot(env, s);
    if (i == SEARCH_PLACES_MAX)
        return NULL;
    s->spot[i] = spot_open(env, secret, epoch, at, s->user);
    if (s->spot[i] == NULL)
        s->retry_at = env->now + SEARCH_RETRY_MAX_US;
    return s->spot[i];
}

// ---- which places of an epoch ---------------------------------------------------------------------

static bool same(struct branch_place a, struct branch_place b)
{
    return a.depth == b.depth && a.bits == b.bits;
}

// The own place, the root by which one came, and its parent, or one beside.
static unsigned wanted(const struct search_epoch *x, struct branch_place want[static 3])
{
    unsigned n = 0, depth = x->branch.depth;
    want[n++] = branch_at(&x->branch, depth);
    if (depth > 0)
        want[n++] = branch_at(&x->branch, 0);
    if (x->has_third)
        want[n++] = x->third;
    else if (depth > 1)
        want[n++] = branch_at(&x->branch, depth - 1u);
    return n;
}

// A place that holds my record is left only when another one holds it, so that nobody is ever nowhere.
static void settle_epoch(struct meet_env *env, struct search *s, const struct search_epoch *x)
{
    struct branch_place want[3];
    unsigned n = wanted(x, want);
    for (unsigned i = 0; i < n; i++) {
        bool old = spot_at(s, x->epoch, want[i]) != NULL;
        const struct spot *p = open_spot(env, s, x->epoch, want[i]);
        if (!old && p != NULL && i > 0)
            dht_place_seek(env->dht, env->now, p->id, PAIRING_LOOK_HOLDERS);
    }
    const struct spot *home = home_of(s, x);
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        struct spot *p = s->spot[i];
        if (p == NULL || p->lingering || p->epoch != x->epoch || p == home)
            continue;
        bool keep = false;
        for (unsigned k = 0; k < n; k++)
            keep = keep || same(want[k], p->at);
        if (p->mine && p->stored && (home == NULL || !home->stored))
            continue;
        if (p->mine && keep && !p->stored)
            spot_leave(env, p);
        else if (p->mine || !keep)
            spot_linger(env, p);
    }
}

static void go_home(struct meet_env *env, struct search *s, struct search_epoch *x, bool mine)
{
    struct branch_place at = branch_at(&x->branch, x->branch.depth);
    struct spot *p = spot_at(s, x->epoch, at);
    if (p != NULL && mine) // perhaps not any more
        p->full = false;
    p = open_spot(env, s, x->epoch, at);
    if (p != NULL && mine && !p->mine)
        spot_make_mine(env, p, 0);
    else if (p != NULL && !p->mine)
        dht_place_seek(env->dht, env->now, p->id, PAIRING_LOOK_HOLDERS);
}

// After the depth has changed.
static void moved(struct meet_env *env, struct search *s, struct search_epoch *x, bool mine)
{
    s->moved = true;
    x->has_third = false;
    x->beside_at = env->now + BRANCH_BESIDE_US;
    go_home(env, s, x, mine);
    settle_epoch(env, s, x);
}

static uint64_t epoch_now(const struct meet_env *env)
{
    return env_unix_us(env) / EPOCH_US;
}

static bool announces_in(const struct meet_env *env, const struct search_epoch *x)
{
    return x->epoch == epoch_now(env);
}

static void look_beside(struct meet_env *env, struct search *s, struct search_epoch *x)
{
    const struct spot *home = home_of(s, x);
    if (x->beside_at > env->now ||
        !branch_beside(&x->branch, &env->rng, home != NULL && home->full, &x->third))
        return;
    x->has_third = true;
    x->beside_at = env->now + BRANCH_BESIDE_US;
    settle_epoch(env, s, x);
}

// ---- the plan -------------------------------------------------------------------------------------

static void leave_epoch(struct meet_env *env, struct search *s, struct search_epoch *x)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++) {
        struct spot *p = s->spot[i];
        if (p != NULL && !p->lingering && p->epoch == x->epoch)
            spot_linger(env, p);
    }
    x->used = false;
}

static struct search_epoch *enter_epoch(struct meet_env *env, struct search *s, uint64_t epoch)
{
    struct search_epoch *x = epoch_of(s, epoch);
    if (x != NULL)
        return x;
    x = s->epoch[0].used ? &s->epoch[1] : &s->epoch[0];
    memset(x, 0, sizeof *x);
    x->epoch = epoch;
    branch_init(&x->branch, s->pk);
    struct spot *root = open_spot(env, s, epoch, branch_at(&x->branch, 0));
    if (root == NULL)
        return NULL; // its secret goes first
    x->used = true;
    if (!announces_in(env, x))
        dht_place_seek(env->dht, env->now, root->id, PAIRING_LOOK_HOLDERS);
    return x;
}

// The person stands in the own epoch; who stood in the last one moves over its first minutes.
static void stand(struct meet_env *env, struct search *s, struct search_epoch *own)
{
    bool moves = false, mine = false;
    EACH_SPOT(s, p)
    {
        mine = mine || (p->mine && !p->lingering && p->epoch == own->epoch);
        moves = moves || (p->mine && !p->lingering && p->epoch != own->epoch);
    }
    struct spot *home = open_spot(env, s, own->epoch, branch_at(&own->branch, own->branch.depth));
    if (!mine && home != NULL && !home->full)
        spot_make_mine(env, home,
                       moves ? rng_below(&env->rng, SEARCH_RENEW_SPREAD_S * USEC_PER_S) : 0);
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
    for (unsigned i = 0; i < 2; i++) {
        struct search_epoch *x = &s->epoch[i];
        if (x->used && x->epoch != epoch && !(behind && x->epoch + 1 == epoch) &&
            !(ahead && x->epoch == epoch + 1))
            leave_epoch(env, s, x);
    }
    struct search_epoch *own = enter_epoch(env, s, epoch);
    if (own == NULL)
        return; // the own epoch's secret goes first
    stand(env, s, own);
    if (behind && epoch > 0)
        (void)enter_epoch(env, s, epoch - 1);
    if (ahead)
        (void)enter_epoch(env, s, epoch + 1);
}

// After the record stands in the new epoch's place, the old ones are taken back; their handles stay
// while the old epoch is read.
static void leave_old(struct meet_env *env, struct search *s, uint64_t epoch)
{
    EACH_SPOT(s, p)
    if (p->mine && !p->lingering && p->epoch < epoch)
        spot_leave(env, p);
}

static void ask_parents(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < 2; i++) {
        struct search_epoch *x = &s->epoch[i];
        const struct spot *home = x->used ? home_of(s, x) : NULL;
        if (home == NULL || !branch_ask(&x->branch, env->now, &env->rng))
            continue;
        const struct spot *parent =
            spot_at(s, x->epoch, branch_at(&x->branch, x->branch.depth - 1u));
        if (parent != NULL)
            dht_place_seek(env->dht, env->now, parent->id, 1);
    }
}

static void look_at(struct meet_env *env, const struct spot *p)
{
    dht_place_seek(env->dht, env->now, p->id,
                   p->full ? SEARCH_LOOK_FULL_HOLDERS : PAIRING_LOOK_HOLDERS);
}

static void look(struct meet_env *env, struct search *s)
{
    EACH_SPOT(s, p)
    if (!s->paused && !p->lingering && (p->found || p->full))
        look_at(env, p);
}

// Nobody acceptable is known: perhaps the look-up ended among liars. `silent`: where no holder has ever
// told a number, and so nobody can be known.
static void look_elsewhere(struct meet_env *env, struct search *s, bool silent)
{
    EACH_SPOT(s, p)
    {
        if (p->lingering || !(p->found || p->full) || p->elsewhere_at > env->now ||
            (silent && p->sampled))
            continue;
        if (p->elsewhere_at > 0) {
            dht_place_look_elsewhere(env->dht, env->now, p->id);
            spot_nobody(env, p, s->user);
        }
        p->elsewhere_gap = p->elsewhere_at == 0
                               ? SEARCH_ELSEWHERE_MIN_US
                               : earlier(2 * p->elsewhere_gap, SEARCH_ELSEWHERE_MAX_US);
        p->elsewhere_at = env->now + p->elsewhere_gap;
    }
}

// Nobody acceptable is known: where few stand, more are above; else beside.
static void look_wider(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < 2; i++) {
        struct search_epoch *x = &s->epoch[i];
        const struct spot *home = x->used ? home_of(s, x) : NULL;
        bool mine = x->used && announces_in(env, x);
        if (home == NULL || !home->sampled || (home->mine && !home->stored))
            continue;
        if (branch_alone(&x->branch, env->now, &env->rng, home->records))
            moved(env, s, x, mine);
        else
            look_beside(env, s, x);
    }
}

// Where nobody acceptable is known, and a place above has room: there at once, also from one where I am only
// about to stand.
static void rise(struct meet_env *env, struct search *s, struct search_epoch *x)
{
    const struct spot *home = home_of(s, x);
    if (!s->alone || home == NULL || !branch_room_above(&x->branch, env->now) ||
        !branch_alone(&x->branch, env->now, &env->rng, home->sampled ? home->records : 0))
        return;
    moved(env, s, x, announces_in(env, x));
}

// It has not begun, and nobody could answer us yet.
static bool is_held(const struct meet_env *env, const struct search *s)
{
    return env->held && s->boundary_at == USEC_NEVER;
}

void search_step(struct meet_env *env, struct search *s)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->spot[i] != NULL && s->spot[i]->close_at <= env->now)
            close_spot(env, s, i);
    if (s->paused || !env->clock_set || s->start_at > env->now || is_held(env, s))
        return;
    if (s->retry_at <= env->now)
        s->retry_at = USEC_NEVER;
    if (s->retry_at == USEC_NEVER)
        plan(env, s);
    if (s->look_at <= env->now) {
        s->look_at = USEC_NEVER;
        s->alone = true;
        look(env, s);
        look_elsewhere(env, s, false);
        look_wider(env, s);
    }
    look_elsewhere(env, s, true);
    ask_parents(env, s);
    s->no_introducer = false;
    EACH_SPOT(s, p)
    {
        spot_step(env, p, s->pk, &s->card, s->user);
        s->joined = s->joined || p->known || p->found || p->full;
        s->no_introducer = s->no_introducer || (p->mine && p->unreachable);
    }
}

usec_t search_deadline(const struct meet_env *env, const struct search *s)
{
    usec_t at = USEC_NEVER;
    EACH_SPOT(s, p)
    at = earlier(at, s->paused ? p->close_at : spot_deadline(env, p));
    if (s->paused || !env->clock_set || is_held(env, s))
        return at;
    if (s->boundary_at == USEC_NEVER)
        return earlier(at, s->start_at);
    for (unsigned i = 0; i < 2; i++)
        if (s->epoch[i].used)
            at = earlier(at, s->epoch[i].branch.ask_at);
    at = earlier(at, s->look_at);
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
    EACH_SPOT(s, p)
    if (spot_job(env, p, job))
        return true;
    return false;
}

bool search_job_done(struct meet_env *env, struct search *s, uint32_t job, const uint8_t *result,
                     int len)
{
    EACH_SPOT(s, p)
    if (p->proof_job == job) {
        spot_job_done(env, p, result, len);
        return true;
    }
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

// The place takes nobody: whoever is to stand in it goes deeper. It is read all the same.
static void place_full(struct meet_env *env, struct search *s, struct spot *p, unsigned hint)
{
    p->full = p->found = true;
    if (s->paused || p->lingering)
        return;
    if (p->mine)
        spot_leave(env, p);
    look_at(env, p);
    struct search_epoch *x = epoch_of(s, p->epoch);
    if (x == NULL || p != home_of(s, x))
        return;
    if (branch_full(&x->branch, env->now, &env->rng, hint))
        moved(env, s, x, announces_in(env, x));
}

static void place_found(struct meet_env *env, struct search *s, struct spot *p, uint32_t holders)
{
    bool was_full = p->full;
    spot_found(env, p, s->user, holders);
    struct search_epoch *x = epoch_of(s, p->epoch);
    // There is room again where nobody could stand, at the end of the tree.
    if (was_full && !p->full && !s->paused && !p->lingering && !p->mine && x != NULL &&
        p == home_of(s, x) && announces_in(env, x))
        spot_make_mine(env, p, 0);
}

static void stored(struct meet_env *env, struct search *s, struct spot *p)
{
    struct search_epoch *x = epoch_of(s, p->epoch);
    if (!p->announced || p->stored)
        return;
    p->stored = true;
    leave_old(env, s, p->epoch);
    if (x != NULL)
        settle_epoch(env, s, x);
}

bool search_event(struct meet_env *env, struct search *s, const struct dht_event *ev)
{
    struct spot_attend *a = NULL;
    struct spot *p = ev->kind == DHT_ATTENDING || ev->kind == DHT_ATTEND_LOST
                         ? search_spot_of_attend(s, ev->id, &a)
                         : search_spot_of(s, ev->id);
    if (p == NULL)
        return false;
    if (ev->kind == DHT_PLACE_FOUND)
        place_found(env, s, p, ev->count);
    else if (ev->kind == DHT_FULL)
        place_full(env, s, p, ev->hint);
    else if (ev->kind == DHT_EFFORT)
        spot_wants_proof(p, ev->count);
    else if (ev->kind == DHT_STORED && ev->count > 0)
        stored(env, s, p);
    else if (ev->kind == DHT_ATTENDING)
        spot_attending(env, p, a);
    else if (ev->kind == DHT_ATTEND_LOST)
        spot_lost(env, p, a, s->user);
    search_step(env, s);
    return true;
}

void search_counted(struct meet_env *env, struct search *s, struct spot *p,
                    const struct dht_event *ev)
{
    struct search_epoch *x = epoch_of(s, p->epoch);
    if (ev->answered) {
        p->records = ev->count;
        p->sampled = true;
    }
    if (ev->announced)
        stored(env, s, p);
    if (x == NULL || !ev->answered || s->paused || p->lingering ||
        !same(p->at, branch_at(&x->branch, p->at.depth)))
        return;
    if (branch_counted(&x->branch, env->now, &env->rng, p->at.depth, ev->count, ev->full))
        moved(env, s, x, announces_in(env, x));
    else if (ev->n == 0)
        rise(env, s, x);
}

void search_withdraw(struct meet_env *env, struct search *s)
{
    s->paused = true;
    s->alone = false;
    s->look_at = USEC_NEVER;
    EACH_SPOT(s, p)
    if (!p->lingering)
        spot_linger(env, p);
}

void search_restart(struct meet_env *env, struct search *s, usec_t delay)
{
    for (unsigned i = 0; i < SEARCH_PLACES_MAX; i++)
        if (s->spot[i] != NULL)
            close_spot(env, s, i);
    memset(s->epoch, 0, sizeof s->epoch);
    s->paused = false;
    s->start_at = env->now + delay;
    s->boundary_at = s->retry_at = s->look_at = USEC_NEVER;
    search_step(env, s);
}

void search_look(struct meet_env *env, struct search *s)
{
    look(env, s);
}

void search_look_alone(struct meet_env *env, struct search *s, usec_t delay)
{
    if (s->look_at == USEC_NEVER)
        s->look_at = env->now + delay;
}

bool search_hashing(const struct search *s)
{
    return !s->secret[0].have && !s->secret[1].have;
}
