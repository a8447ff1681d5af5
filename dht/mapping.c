#include "dht/mapping.h"

#include <string.h>

static bool recent(const struct sighting *s, usec_t now)
{
    return s->observer != 0 &&
           (uint32_t)(now / USEC_PER_MS) - s->at_ms <= REACH_TOGETHER_US / USEC_PER_MS;
}

void mapping_saw(struct mapping *m, usec_t now, uint32_t observer, uint32_t order,
                 const struct path *seen)
{
    struct sighting *s = NULL;
    for (unsigned i = 0; i < REACH_SIGHTINGS; i++) {
        struct sighting *x = &m->sighting[i];
        if (x->observer == observer) {
            s = x;
            break;
        }
        if (s == NULL && !recent(x, now))
            s = x;
    }
    if (s == NULL)
        return;
    bool same = s->observer == observer && s->port == seen->port &&
                memcmp(s->ip, seen->ip, sizeof s->ip) == 0;
    if (!same) // else it is the flow of before, opened when that was
        s->order = order;
    s->observer = observer;
    s->at_ms = (uint32_t)(now / USEC_PER_MS);
    s->port = seen->port;
    memcpy(s->ip, seen->ip, sizeof s->ip);
}

unsigned mapping_observers(const struct mapping *m, usec_t now)
{
    unsigned n = 0;
    for (unsigned i = 0; i < REACH_SIGHTINGS; i++)
        n += recent(&m->sighting[i], now);
    return n;
}

bool mapping_has(const struct mapping *m, usec_t now, uint32_t observer)
{
    for (unsigned i = 0; i < REACH_SIGHTINGS; i++)
        if (m->sighting[i].observer == observer && recent(&m->sighting[i], now))
            return true;
    return false;
}

// ---- what most say ----------------------------------------------------------------------------------

static bool same_as(const struct sighting *a, const struct sighting *b, bool port)
{
    return (!port || a->port == b->port) && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

// What more than half say (Boyer and Moore), or NULL.
static const struct sighting *majority(const struct sighting *s, unsigned n, bool port)
{
    const struct sighting *most = NULL;
    unsigned lead = 0, count = 0;
    for (unsigned i = 0; i < n; i++) {
        if (lead == 0)
            most = &s[i];
        lead = most == &s[i] || same_as(most, &s[i], port) ? lead + 1 : lead - 1;
    }
    for (unsigned i = 0; i < n; i++)
        count += same_as(most, &s[i], port);
    return 2 * count > n ? most : NULL;
}

static void sort_by_port(struct sighting *s, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        struct sighting x = s[i];
        unsigned k = i;
        for (; k > 0 && s[k - 1].port > x.port; k--)
            s[k] = s[k - 1];
        s[k] = x;
    }
}

// Of sorted ports: the longest run in which each is near the next, from *first on.
static unsigned longest_run(const struct sighting *s, unsigned n, unsigned *first)
{
    unsigned best = 0, begin = 0;
    *first = 0;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0 && (unsigned)(s[i].port - s[i - 1].port) > REACH_STEP_MAX)
            begin = i;
        if (i + 1 - begin > best) {
            best = i + 1 - begin;
            *first = begin;
        }
    }
    return best;
}

// The largest step that all of them but one are apart by, or by a multiple: flows that nobody told us of lie
// between, and one may be a liar's.
static uint32_t common_step(const struct sighting *s, unsigned n)
{
    for (uint32_t step = REACH_STEP_MAX; step > 1; step--)
        for (unsigned k = 0; k < 2; k++) { // seen from the first, or if that one lies from the next
            unsigned fit = 0;
            for (unsigned i = 0; i < n; i++)
                fit += s[i].port % step == s[k].port % step;
            if (fit + 1 >= n)
                return step;
        }
    return 1;
}

// Do ports grow (1) or fall (-1) in the order in which flows were opened? 0: neither, so a random one of a small
// range.
static int direction(const struct sighting *s, unsigned n)
{
    int up = 0, pairs = 0;
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = i + 1; k < n; k++) { // sorted: k has the higher port
            if (s[i].port == s[k].port || s[i].order == s[k].order)
                continue;
            pairs++;
            up += (int32_t)(s[k].order - s[i].order) > 0 ? 1 : -1;
        }
    if (2 * up > pairs)
        return 1;
    return -2 * up > pairs ? -1 : 0;
}

// Of those of one address: the step between ports, and the newest port. Where most are close together it is theirs.
static void judge_ports(struct dht_reach *r, struct sighting *s, unsigned n)
{
    sort_by_port(s, n);
    unsigned first, run = longest_run(s, n, &first);
    if (run >= REACH_RUN_MIN && 2 * run > n) {
        s += first;
        n = run;
        bool same = s[0].port == s[n - 1].port;
        r->port_step = same ? 0 : (int32_t)common_step(s, n) * direction(s, n);
    }
    const struct sighting *newest = &s[0];
    for (unsigned i = 1; i < n; i++)
        if ((int32_t)(s[i].order - newest->order) > 0)
            newest = &s[i];
    r->seen.port = newest->port;
}

bool mapping_judge(struct mapping *m, usec_t now, uint8_t family, unsigned need,
                   uint16_t local_port)
{
    struct sighting s[REACH_SIGHTINGS];
    unsigned n = 0, preserved = 0, kept = 0;
    for (unsigned i = 0; i < REACH_SIGHTINGS; i++)
        if (recent(&m->sighting[i], now))
            s[n++] = m->sighting[i];
    if (n == 0 || n < need)
        return false;
    for (unsigned i = 0; i < n; i++)
        preserved += local_port != 0 && s[i].port == local_port;
    struct dht_reach r = {.observers = (uint8_t)n, .port_preserving = 2 * preserved > n};
    const struct sighting *most = majority(s, n, true), *ip = majority(s, n, false);
    r.same_ip = ip != NULL;
    if (ip != NULL) {
        r.seen.family = family;
        r.seen.port = ip->port;
        memcpy(r.seen.ip, ip->ip, sizeof r.seen.ip);
    }
    if (most != NULL) {
        r.seen.port = most->port;
        r.mapping = DHT_MAPPING_INDEPENDENT;
    } else {
        r.mapping = DHT_MAPPING_DEPENDENT;
    }
    if (most == NULL && ip != NULL) {
        const struct sighting first = *ip;
        for (unsigned i = 0; i < n; i++)
            if (same_as(&s[i], &first, false))
                s[kept++] = s[i];
        judge_ports(&r, s, kept);
    }
    m->told = r;
    m->told_at = now;
    return true;
}
