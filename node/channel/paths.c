#include "node/channel/paths.h"

#include "crypto/bytes.h"
#include "dht/path.h"

static bool same(const struct path *a, const struct path *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool is_socket(uint32_t via)
{
    return (via & VIA_KINDS) == VIA_SOCKET;
}

static struct chan_path *begin(struct chan_paths *p, int i, const struct path *path)
{
    struct chan_path *at = &p->path[i];
    *at = (struct chan_path){.path = *path, .challenge_at = USEC_NEVER, .id = p->next_id++};
    at->far = path_tunnels(path) > 0;
    chan_mtu_init(&at->mtu, path, false);
    return at;
}

struct chan_path *chan_paths_by_id(struct chan_paths *p, uint8_t id)
{
    for (int i = 0; i < p->count; i++)
        if (p->path[i].id == id)
            return &p->path[i];
    return NULL;
}

void chan_paths_init(struct chan_paths *p, usec_t now, const struct channel_config *config)
{
    memset(p, 0, sizeof *p);
    p->active = p->last = p->speaking = p->trial = CHAN_NO_PATH;
    usec_t gap = CHAN_PROBE_GAP_US;
    if (config->rtt_hint_us > 0 && config->rtt_hint_us / 2 < gap)
        gap = config->rtt_hint_us / 2;
    if (gap < CHAN_PROBE_GAP_US_MIN)
        gap = CHAN_PROBE_GAP_US_MIN;
    bool wait = (config->late & ((1u << config->candidates) - 1)) != (1u << config->candidates) - 1;
    for (unsigned i = 0; i < config->candidates; i++) {
        bool known = false;
        for (unsigned k = 0; k < p->count; k++)
            known = known || same(&p->path[k].path, &config->candidate[i]);
        if (known)
            continue;
        struct chan_path *at = begin(p, p->count++, &config->candidate[i]);
        bool late = (config->late >> i & 1u) != 0;
        at->candidate = true;
        at->far = at->far || late;
        if (late)
            chan_mtu_init(&at->mtu, &at->path, true);
        at->challenge_at = late && wait ? now + CHAN_LATE_US : now;
        at->challenge_gap_us = gap;
    }
}

int chan_paths_find(const struct chan_paths *p, const struct path *path)
{
    for (int i = 0; i < p->count; i++)
        if (same(&p->path[i].path, path))
            return i;
    return CHAN_NO_PATH;
}

// How much it would be missed: 0 a candidate that never answered, 1 an address that proved nothing, 2 one that did;
// -1: it must stay.
static int worth(const struct chan_paths *p, int i)
{
    const struct chan_path *at = &p->path[i];
    bool probing = at->candidate && !at->heard && at->challenge_at != USEC_NEVER;
    if (i == p->active || i == p->trial || probing ||
        (p->active < 0 && (i == p->last || at->candidate)))
        return -1;
    return at->candidate && !at->heard ? 0 : at->validated || at->used_at != 0 ? 2 : 1;
}

// A slot for an address that the peer was seen at; the least missed one gives way.
static int new_slot(struct chan_paths *p)
{
    if (p->count < CHAN_PATHS_MAX)
        return p->count++;
    int least = CHAN_NO_PATH;
    for (int i = 0; i < p->count; i++) {
        int w = worth(p, i), v = least < 0 ? 3 : worth(p, least);
        if (w >= 0 && (w < v || (w == v && p->path[i].heard_at < p->path[least].heard_at)))
            least = i;
    }
    if (least >= 0 && least == p->speaking)
        p->speaking = CHAN_NO_PATH;
    if (least >= 0 && least == p->last)
        p->last = p->active;
    return least;
}

// The slot for a candidate: it is known, or there is room, or one that leads nowhere gives way.
static int candidate_slot(struct chan_paths *p, const struct path *path)
{
    int worst = CHAN_NO_PATH;
    for (int i = 0; i < p->count; i++) {
        const struct chan_path *at = &p->path[i];
        if (same(&at->path, path))
            return i;
        // Not those of this very turn, nor where the peer is or may be.
        if (i == p->active || i == p->last || i == p->trial || at->fresh)
            continue;
        if (worst < 0 || at->heard_at < p->path[worst].heard_at)
            worst = i;
    }
    if (p->count < CHAN_PATHS_MAX)
        return new_slot(p);
    if (worst >= 0 && worst == p->speaking)
        p->speaking = CHAN_NO_PATH;
    if (worst >= 0)
        p->path[worst].path.family = 0;
    return worst;
}

void chan_paths_candidates(struct chan_paths *p, usec_t now, const struct path *path, size_t n,
                           usec_t gap_us)
{
    gap_us = gap_us < CHAN_PROBE_GAP_US ? gap_us : CHAN_PROBE_GAP_US;
    for (int i = 0; i < p->count; i++)
        p->path[i].fresh = false;
    for (size_t k = 0; k < n; k++) {
        int i = candidate_slot(p, &path[k]);
        if (i < 0)
            return;
        struct chan_path *at = &p->path[i];
        if (!same(&at->path, &path[k]))
            at = begin(p, i, &path[k]);
        at->candidate = at->fresh = true;
        at->challenges = at->unasked = 0;
        at->challenge_at = now;
        at->challenge_gap_us = gap_us > CHAN_PROBE_GAP_US_MIN ? gap_us : CHAN_PROBE_GAP_US_MIN;
    }
}

int chan_paths_heard(struct chan_paths *p, usec_t now, const struct path *from, size_t bytes,
                     usec_t gap_us)
{
    int i = p->last;
    if (i < 0 || !same(&p->path[i].path, from))
        i = chan_paths_find(p, from);
    if (i < 0) {
        i = p->settled && is_socket(from->via) ? CHAN_NO_PATH : new_slot(p);
        if (i < 0)
            return CHAN_NO_PATH;
        begin(p, i, from);
    }
    struct chan_path *at = &p->path[i];
    if (!at->heard) {
        at->heard = true;
        // A challenge that is out already may have come too early, or was dropped by the peer's NAT.
        at->challenge_at = at->validated ? USEC_NEVER : now;
        at->challenge_gap_us = gap_us > CHAN_PROBE_GAP_US_MIN ? gap_us : CHAN_PROBE_GAP_US_MIN;
    }
    if (!at->validated && at->challenge_at == USEC_NEVER) {
        usec_t next =
            at->challenges > 0 ? at->challenged_at[at->challenges - 1] + at->challenge_gap_us : 0;
        at->challenge_at = next > now ? next : now;
    }
    at->heard_at = now;
    at->in_bytes += bytes;
    p->last = (int8_t)i;
    return i;
}

int chan_paths_response(struct chan_paths *p, const uint8_t data[static 8], usec_t *sent_at)
{
    for (int i = 0; i < p->count; i++) {
        struct chan_path *at = &p->path[i];
        uint8_t n = (uint8_t)(data[7] - at->challenge[7]);
        if (n >= at->challenges || memcmp(at->challenge, data, 7) != 0)
            continue;
        *sent_at = at->challenged_at[n];
        at->validated = true;
        at->challenges = 0;
        at->challenge_at = USEC_NEVER;
        return i;
    }
    return CHAN_NO_PATH;
}

void chan_paths_restart(struct chan_paths *p, usec_t now, usec_t gap_us)
{
    for (int i = 0; i < p->count; i++) {
        struct chan_path *at = &p->path[i];
        if (!at->heard || at->challenge_at != USEC_NEVER)
            continue;
        at->challenges = 0;
        at->challenge_at = now;
        at->challenge_gap_us = gap_us > CHAN_PROBE_GAP_US_MIN ? gap_us : CHAN_PROBE_GAP_US_MIN;
    }
}

uint64_t chan_paths_allowance(const struct chan_paths *p, int i)
{
    const struct chan_path *at = &p->path[i];
    if (at->validated)
        return UINT64_MAX;
    uint64_t may = at->in_bytes * CHAN_AMPLIFICATION;
    return may > at->out_bytes ? may - at->out_bytes : 0;
}

uint16_t chan_paths_class(const struct chan_paths *p, int i, size_t len)
{
    uint16_t mtu = p->path[i].mtu.size, class = len > CLASS_MEDIUM ? mtu : class_of((uint32_t)len);
    return len > mtu ? 0 : class < mtu ? class : mtu;
}

uint16_t chan_paths_room(const struct chan_paths *p, int i, uint64_t max)
{
    static const uint16_t class[] = {CLASS_MEDIUM, CLASS_CHAT, CLASS_SMALL, CLASS_TINY};
    uint16_t mtu = p->path[i].mtu.size;
    if (max >= mtu)
        return mtu;
    for (unsigned k = 0; k < sizeof class / sizeof *class; k++)
        if (class[k] <= max && class[k] < mtu)
            return class[k];
    return 0;
}

bool chan_paths_due(const struct chan_paths *p, int i, usec_t now)
{
    return p->path[i].responses > 0 || p->path[i].challenge_at <= now;
}

usec_t chan_paths_deadline(const struct chan_paths *p)
{
    usec_t first = USEC_NEVER;
    for (int i = 0; i < p->count; i++)
        if (p->path[i].challenge_at < first)
            first = p->path[i].challenge_at;
    return first;
}

void chan_paths_challenge(struct chan_paths *p, int i, usec_t now, const struct rng *rng,
                          uint8_t data[static 8])
{
    struct chan_path *at = &p->path[i];
    unsigned max = at->heard ? CHAN_CHALLENGES_MAX : CHAN_PROBES_MAX;
    if (at->challenges == CHAN_CHALLENGES_MAX) // none of them came through: anew
        at->challenges = 0;
    if (at->challenges == 0)
        rng_fill(rng, at->challenge, sizeof at->challenge);
    memcpy(data, at->challenge, 8);
    data[7] = (uint8_t)(data[7] + at->challenges);
    at->challenged_at[at->challenges++] = now;
    at->challenge_at = at->challenges < max ? now + at->challenge_gap_us : USEC_NEVER;
    at->challenge_gap_us = at->challenge_gap_us < CHAN_PROBE_GAP_US_MAX / 2
                               ? at->challenge_gap_us * 2
                               : CHAN_PROBE_GAP_US_MAX;
}

static void drop(struct chan_paths *p, int i)
{
    static const struct path nowhere = {0};
    begin(p, i, &nowhere);
    p->last = p->last == i ? p->active : p->last;
    p->speaking = p->speaking == i ? CHAN_NO_PATH : p->speaking;
    p->trial = p->trial == i ? CHAN_NO_PATH : p->trial;
}

void chan_paths_drop_sockets(struct chan_paths *p)
{
    p->settled = true;
    for (int i = 0; i < p->count; i++)
        if (i != p->active && is_socket(p->path[i].path.via))
            drop(p, i);
}

void chan_paths_drop_near(struct chan_paths *p)
{
    for (int i = 0; i < p->count; i++)
        if (i != p->active && !p->path[i].far)
            drop(p, i);
}

void chan_paths_give_up(struct chan_paths *p, int i, usec_t now)
{
    struct chan_path *at = &p->path[i];
    at->responses = 0;
    if (at->challenge_at <= now)
        at->challenge_at = USEC_NEVER;
}
