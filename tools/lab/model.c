#include "tools/lab/model.h"

#include <string.h>

static uint64_t mix(uint64_t z) // splitmix64's
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t draw(struct lab_lane *l)
{
    return mix(l->random += UINT64_C(0x9e3779b97f4a7c15));
}

static bool happens(struct lab_lane *l, uint32_t ppm)
{
    return ppm > 0 && draw(l) % LAB_PPM < ppm;
}

void lab_lane_init(struct lab_lane *l, const struct lab_lane_config *config)
{
    memset(l, 0, sizeof *l);
    l->config = *config;
    l->random = mix(config->seed + 1);
}

static uint64_t cost_ns(const struct lab_lane *l, uint64_t bytes)
{
    return bytes * 8 * LAB_S / l->config.rate_bps;
}

uint64_t lab_lane_backlog(const struct lab_lane *l, uint64_t now_ns)
{
    if (l->config.rate_bps == 0 || l->free_ns <= now_ns)
        return 0;
    // No more than queue_bytes and one packet, so the product stays in range.
    return ((l->free_ns - now_ns) * l->config.rate_bps + 8 * LAB_S - 1) / (8 * LAB_S);
}

static uint64_t point(const struct lab_lane *l, uint64_t k)
{
    return mix(l->config.seed ^ mix(k + 1)) % (l->config.jitter_ns + 1);
}

static uint64_t jitter(struct lab_lane *l, uint64_t at_ns)
{
    uint64_t period = l->config.jitter_period_ns;
    if (l->config.jitter_ns == 0)
        return 0;
    if (l->config.jitter_free || period == 0)
        return draw(l) % (l->config.jitter_ns + 1);
    uint64_t k = at_ns / period, part = at_ns % period;
    return (point(l, k) * (period - part) + point(l, k + 1) * part) / period;
}

struct lab_verdict lab_lane_offer(struct lab_lane *l, uint64_t now_ns, uint32_t bytes)
{
    const struct lab_lane_config *c = &l->config;
    struct lab_verdict v = {.fate = LAB_CARRIED, .copies = 1};
    uint64_t at = now_ns;
    if (c->path_mtu > 0 && bytes > c->path_mtu)
        return (struct lab_verdict){.fate = LAB_TOO_LONG};
    if (c->rate_bps > 0) {
        uint64_t waiting = lab_lane_backlog(l, now_ns);
        if (waiting > 0 && waiting + bytes > c->queue_bytes)
            return (struct lab_verdict){.fate = LAB_QUEUE_FULL};
        if (waiting + bytes > l->queue_bytes_max)
            l->queue_bytes_max = waiting + bytes;
        v.mark = c->mark_bytes > 0 && waiting >= c->mark_bytes;
        at = (l->free_ns > now_ns ? l->free_ns : now_ns) + cost_ns(l, bytes);
        l->free_ns = at;
    }
    if (happens(l, c->loss_ppm))
        return (struct lab_verdict){.fate = LAB_LOST};
    at += c->delay_ns + jitter(l, at);
    v.reordered = happens(l, c->reorder_ppm);
    if (v.reordered) {
        at += c->reorder_ns;
    } else if (!c->jitter_free) {
        if (at < l->order_ns)
            at = l->order_ns;
        l->order_ns = at;
    }
    if (happens(l, c->duplicate_ppm))
        v.copies = 2;
    v.at_ns = at;
    return v;
}
