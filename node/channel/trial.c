#include "node/channel/trial.h"

#include <string.h>

// A relay is not gone back to while a direct path answers.
static bool older(const struct chan_paths *p, int i)
{
    const struct chan_path *at = &p->path[i];
    bool farther = at->far && !p->path[p->active].far;
    return !farther && at->used_at != 0 && at->used_at < p->path[p->active].used_at;
}

static void challenge(struct chan_path *at, usec_t now, usec_t gap_us)
{
    at->answered = false;
    at->challenges = 0;
    at->challenge_at = now;
    at->challenge_gap_us = gap_us > CHAN_PROBE_GAP_US_MIN ? gap_us : CHAN_PROBE_GAP_US_MIN;
}

static void begin(struct chan_paths *p, usec_t now, int i, usec_t wait_us)
{
    struct chan_path *at = &p->path[i];
    bool busy = p->trial != CHAN_NO_PATH && now < p->decide_at;
    // Where many pretend, the question whether the peer is still where it was comes first.
    if (now < at->retry_at || (busy && !(older(p, i) && !older(p, p->trial))))
        return;
    at->retry_at = now + 2 * wait_us;
    p->trial = (int8_t)i;
    p->decide_at = now + wait_us;
    challenge(at, now, wait_us / 4);
    challenge(&p->path[p->active], now, wait_us / 4);
}

void chan_trial_speaks(struct chan_paths *p, usec_t now, int i, usec_t wait_us)
{
    p->speaking = (int8_t)i;
    if (p->active == CHAN_NO_PATH)
        return;
    bool asked = i == p->trial && (p->path[i].answered || now < p->decide_at);
    if (i != p->active && !asked)
        begin(p, now, i, wait_us);
    else if (i == p->active && p->trial != CHAN_NO_PATH && !older(p, p->trial))
        p->trial = CHAN_NO_PATH;
}

void chan_trial_echo(struct chan_paths *p, usec_t now, const struct path *from, usec_t wait_us)
{
    int i = chan_paths_find(p, from);
    if (i == CHAN_NO_PATH || p->active == CHAN_NO_PATH)
        return;
    p->path[i].heard_at = now;
    if (i != p->active && i != p->trial && older(p, i))
        begin(p, now, i, wait_us);
}

// It is not there: the more often this happens, the longer it is not asked again.
static void refuse(struct chan_paths *p, usec_t now, int i, usec_t wait_us)
{
    struct chan_path *at = &p->path[i];
    at->refused = (uint8_t)(at->refused + (at->refused < CHAN_TRIAL_BACKOFF_MAX));
    at->retry_at = now + (wait_us << at->refused);
    at->challenge_at = USEC_NEVER;
    p->trial = CHAN_NO_PATH;
}

void chan_trial_answered(struct chan_paths *p, usec_t now, int i, usec_t wait_us)
{
    p->path[i].answered = true;
    if (i == p->active && p->trial != CHAN_NO_PATH && !older(p, p->trial))
        refuse(p, now, p->trial, wait_us);
}

int chan_trial_decide(const struct chan_paths *p, usec_t now)
{
    if (p->trial == CHAN_NO_PATH)
        return CHAN_NO_PATH;
    const struct chan_path *at = &p->path[p->trial];
    if (!at->answered)
        return CHAN_NO_PATH;
    bool clear = older(p, p->trial) || (p->speaking == p->trial && now >= p->decide_at);
    return clear ? p->trial : CHAN_NO_PATH;
}

usec_t chan_trial_deadline(const struct chan_paths *p)
{
    bool waits = p->trial != CHAN_NO_PATH && p->speaking == p->trial && p->path[p->trial].answered;
    return waits ? p->decide_at : USEC_NEVER;
}

static bool same_host(const struct path *a, const struct path *b)
{
    return a->family == b->family && a->via == b->via && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool chan_trial_use(struct chan_paths *p, usec_t now, int i, usec_t wait_us)
{
    int was = p->active;
    struct chan_path *at = &p->path[i];
    p->trial = CHAN_NO_PATH;
    if (at->used_at == 0)
        at->used_at = now;
    if (was == CHAN_NO_PATH || was == i) {
        p->active = (int8_t)i;
        return false;
    }
    struct chan_path *old = &p->path[was];
    if (older(p, i) && p->speaking != i) // the one that was believed was wrong
        refuse(p, now, was, wait_us);
    p->active = (int8_t)i;
    old->challenge_at = USEC_NEVER;
    if (!same_host(&at->path, &old->path))
        return false;
    at->mtu = old->mtu;
    return true;
}
