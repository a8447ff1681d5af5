#include "node/channel/mtu.h"

#include "dht/path.h"

#include <string.h>

void chan_mtu_init(struct chan_mtu *m, const struct path *path, bool far)
{
    uint16_t max = path->family == 6 ? CHAN_MTU_MAX_V6 : CHAN_MTU_MAX;
    uint16_t around = (uint16_t)(path_tunnels(path) * PATH_TUNNEL_BYTES);
    max = (uint16_t)(max - around);
    if (far) // up to two tunnels of the peer's; probing finds out if there is one
        around = (uint16_t)(around + CHAN_FAR_TUNNELS * PATH_TUNNEL_BYTES);
    *m = (struct chan_mtu){.size = (uint16_t)(CLASS_FULL - around),
                           .max = max,
                           .high = (uint16_t)(max + 1),
                           .top = true,
                           .raise_at = USEC_NEVER};
}

// Where to look next: the best there could be, then what tunnels and IPv6 leave of an Ethernet frame, then the middle.
static uint16_t candidate(const struct chan_mtu *m)
{
    if (m->high <= m->size + 1)
        return 0;
    if (m->top)
        return (uint16_t)(m->high - 1);
    if (m->size < CHAN_MTU_MAX_V6 && CHAN_MTU_MAX_V6 < m->high)
        return CHAN_MTU_MAX_V6;
    return (uint16_t)(m->size + (m->high - m->size) / 2);
}

static void settle(struct chan_mtu *m, usec_t now)
{
    m->probe = 0;
    m->tries = 0;
    if (m->high <= m->size + 1)
        m->raise_at = m->size < m->max ? now + CHAN_MTU_RAISE_US : USEC_NEVER;
}

uint16_t chan_mtu_next(struct chan_mtu *m, usec_t now)
{
    if (m->raise_at <= now) {
        m->raise_at = USEC_NEVER;
        m->high = (uint16_t)(m->max + 1);
        m->top = true;
    }
    return m->probe > 0 || m->bulk < CHAN_MTU_BULK ? 0 : candidate(m);
}

void chan_mtu_probed(struct chan_mtu *m, uint16_t size)
{
    m->probe = size;
}

void chan_mtu_bulk(struct chan_mtu *m)
{
    m->bulk = (uint8_t)(m->bulk + (m->bulk < CHAN_MTU_BULK));
}

// Where to fall back to: what IPv6 promises, what a chat needs, what everything carries.
static const uint16_t floors[CHAN_MTU_STEPS] = {CLASS_FULL, CLASS_MEDIUM, CHAN_MTU_MIN};

// The first step whose packets are as long as this; CHAN_MTU_STEPS: none.
static unsigned step_of(uint16_t bytes)
{
    unsigned i = 0;
    while (i < CHAN_MTU_STEPS && bytes <= floors[i])
        i++;
    return i;
}

void chan_mtu_acked(struct chan_mtu *m, usec_t now, uint16_t bytes, bool probe, usec_t sent_at)
{
    for (unsigned i = step_of(bytes); i < CHAN_MTU_STEPS; i++) {
        m->lost[i] = 0;
        if (sent_at > m->proved_at[i])
            m->proved_at[i] = sent_at;
    }
    if (!probe || bytes <= m->size)
        return;
    m->size = bytes; // also where it was held for lost and only came late
    if (m->high <= bytes)
        m->high = (uint16_t)(bytes + 1);
    if (m->probe <= bytes)
        settle(m, now);
}

static bool too_long(struct chan_mtu *m, usec_t now, uint16_t failed)
{
    m->high = failed;
    m->top = false;
    settle(m, now);
    return false;
}

// Down to the floor of a step; `high`: where the search back up ends.
static bool fall(struct chan_mtu *m, unsigned step, uint16_t high)
{
    m->size = floors[step];
    m->high = high;
    m->top = true; // it may have been bad luck
    m->probe = m->tries = 0;
    memset(m->lost, 0, sizeof m->lost);
    m->raise_at = USEC_NEVER;
    return true;
}

bool chan_mtu_lost(struct chan_mtu *m, usec_t now, uint16_t bytes, bool probe, usec_t sent_at)
{
    if (probe) {
        if (bytes != m->probe)
            return false; // of a search that is over
        m->probe = 0;
        return ++m->tries >= CHAN_MTU_TRIES && too_long(m, now, bytes);
    }
    unsigned i = step_of(bytes);
    // Where a later one of this length came through, it was lost for another reason.
    if (i == CHAN_MTU_STEPS || m->size <= floors[i] || sent_at <= m->proved_at[i])
        return false;
    return ++m->lost[i] >= CHAN_MTU_LOST && fall(m, i, (uint16_t)(bytes + 1));
}

bool chan_mtu_refused(struct chan_mtu *m, usec_t now)
{
    unsigned i = step_of(m->size);
    if (m->probe > 0)
        return too_long(m, now, m->probe);
    return i < CHAN_MTU_STEPS && fall(m, i, m->size);
}

uint16_t chan_mtu_safe(const struct chan_mtu *m, uint32_t n)
{
    return m->size <= CHAN_MTU_MIN            ? CLASS_SMALL
           : n > 1 || m->size <= CLASS_MEDIUM ? CHAN_MTU_MIN
                                              : CLASS_MEDIUM;
}
