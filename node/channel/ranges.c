#include "node/channel/ranges.h"

static uint16_t capacity(const struct chan_ranges *s)
{
    return s->far != NULL ? s->cap : 2;
}

static bool room(struct chan_ranges *s, struct arena *a)
{
    uint16_t cap = capacity(s);
    if (s->count < cap)
        return true;
    if (cap >= CHAN_RANGES_MAX)
        return false;
    uint16_t grown = (uint16_t)(cap < 8 ? 8 : cap * 2);
    struct chan_range *p = arena_take(a, grown * sizeof *p);
    if (p == NULL)
        return false;
    memcpy(p, chan_ranges_at(s), s->count * sizeof *p);
    if (s->far != NULL)
        arena_give(a, s->far, s->cap * sizeof *p);
    s->far = p;
    s->cap = grown;
    return true;
}

// The first range that ends at or after `at`.
static uint16_t find(struct chan_ranges *s, uint64_t at)
{
    const struct chan_range *r = chan_ranges_at(s);
    uint16_t lo = 0, hi = s->count;
    if (hi > 0 && r[hi - 1].hi < at)
        return hi;
    while (lo < hi) {
        uint16_t mid = (uint16_t)((lo + hi) / 2);
        if (r[mid].hi < at)
            lo = (uint16_t)(mid + 1);
        else
            hi = mid;
    }
    return lo;
}

static void remove_at(struct chan_ranges *s, struct arena *a, uint16_t from, uint16_t n)
{
    struct chan_range *r = chan_ranges_at(s);
    memmove(r + from, r + from + n, (size_t)(s->count - from - n) * sizeof *r);
    s->count = (uint16_t)(s->count - n);
    if (s->count == 0)
        chan_ranges_free(s, a);
}

bool chan_ranges_add(struct chan_ranges *s, struct arena *a, uint64_t lo, uint64_t hi)
{
    assert(lo < hi);
    uint16_t i = find(s, lo);
    struct chan_range *r = chan_ranges_at(s);
    if (i == s->count || r[i].lo > hi) {
        if (!room(s, a))
            return false;
        r = chan_ranges_at(s);
        memmove(r + i + 1, r + i, (size_t)(s->count - i) * sizeof *r);
        r[i] = (struct chan_range){lo, hi};
        s->count++;
        return true;
    }
    if (lo < r[i].lo)
        r[i].lo = lo;
    if (hi > r[i].hi)
        r[i].hi = hi;
    uint16_t joined = 0;
    while (i + 1 + joined < s->count && r[i + 1 + joined].lo <= r[i].hi) {
        if (r[i + 1 + joined].hi > r[i].hi)
            r[i].hi = r[i + 1 + joined].hi;
        joined++;
    }
    if (joined > 0)
        remove_at(s, a, (uint16_t)(i + 1), joined);
    return true;
}

void chan_ranges_cover(struct chan_ranges *s, struct arena *a, uint64_t lo, uint64_t hi)
{
    if (chan_ranges_add(s, a, lo, hi))
        return;
    // Full, so it has neighbours: the gap to one of them is covered too.
    uint16_t i = find(s, lo);
    struct chan_range *r = chan_ranges_at(s);
    bool ok;
    if (i == s->count)
        ok = chan_ranges_add(s, a, r[i - 1].hi, hi);
    else
        ok = chan_ranges_add(s, a, lo, r[i].lo);
    assert(ok);
    (void)ok;
}

void chan_ranges_cut(struct chan_ranges *s, struct arena *a, uint64_t lo, uint64_t hi)
{
    uint16_t i = find(s, lo);
    struct chan_range *r = chan_ranges_at(s);
    if (i < s->count && r[i].hi == lo)
        i++;
    if (i < s->count && r[i].lo < lo) {
        if (r[i].hi > hi) {
            uint64_t end = r[i].hi;
            if (!room(s, a))
                return;
            r = chan_ranges_at(s);
            memmove(r + i + 1, r + i, (size_t)(s->count - i) * sizeof *r);
            s->count++;
            r[i].hi = lo;
            r[i + 1] = (struct chan_range){hi, end};
            return;
        }
        r[i].hi = lo;
        i++;
    }
    uint16_t n = 0;
    while (i + n < s->count && r[i + n].hi <= hi)
        n++;
    if (i + n < s->count && r[i + n].lo < hi)
        r[i + n].lo = hi;
    if (n > 0)
        remove_at(s, a, i, n);
}

void chan_ranges_free(struct chan_ranges *s, struct arena *a)
{
    if (s->far != NULL)
        arena_give(a, s->far, s->cap * sizeof *s->far);
    s->far = NULL;
    s->cap = 0;
    s->count = 0;
}
