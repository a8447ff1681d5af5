#include "dht/size.h"

#include <assert.h>

// n + 1 = sum i^2 / sum (i * d_i), d_i as a fraction of the id space: the slope of a line through the
// origin by least squares. Fractions of 48 bits: 136 of them fit 64 bits, and so does 1496 times one.
static uint32_t one_sample(const uint64_t *distance, size_t k, bool all)
{
    uint64_t squares = 0, weighted = 0;
    static_assert(LOOKUP_NEAR <= 16, "sums fit 64 bits");
    if (all)
        return (uint32_t)k;
    for (size_t i = 0; i < k; i++) {
        squares += (uint64_t)(i + 1) * (i + 1);
        weighted += (uint64_t)(i + 1) * (distance[i] >> 16);
    }
    uint64_t n = (squares << 48) / (weighted == 0 ? 1 : weighted);
    n = n > k ? n - 1 : k;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

// The newest up to `max`, lowest first.
static unsigned sort_newest(const struct size *s, unsigned max, uint32_t *sorted)
{
    unsigned n = s->n < max ? s->n : max;
    for (unsigned i = 0; i < n; i++) {
        uint32_t x = s->sample[(s->next + SIZE_SAMPLES - 1 - i) % SIZE_SAMPLES];
        unsigned k = i;
        for (; k > 0 && sorted[k - 1] > x; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = x;
    }
    return n;
}

// Once settled: the middle half of all samples, on average. A young node's network may be young and
// grow by the minute: until then only the newest count, of those the highest but a quarter, or the last
// if that is higher still.
static uint32_t found(const struct size *s, bool settled)
{
    uint32_t sorted[SIZE_SAMPLES] = {0};
    unsigned n = sort_newest(s, settled ? SIZE_SAMPLES : SIZE_SAMPLES_YOUNG, sorted);
    unsigned lo = settled ? n / 4 : n - n / 4 - 1, hi = n - n / 4;
    uint64_t sum = 0;
    for (unsigned i = lo; i < hi; i++)
        sum += sorted[i];
    uint32_t mean = (uint32_t)(sum / (hi - lo));
    uint32_t last = s->sample[(s->next + SIZE_SAMPLES - 1) % SIZE_SAMPLES];
    return !settled && last > mean ? last : mean;
}

bool size_settled(const struct size *s, usec_t now)
{
    return s->n >= SIZE_SAMPLES_SETTLED && now - s->first_at >= SIZE_DOUBLING_US;
}

uint64_t size_of_nearest(const uint64_t *distance, size_t k)
{
    return one_sample(distance, k, k < LOOKUP_NEAR);
}

void size_sample(struct size *s, usec_t now, const uint64_t *distance, size_t k, bool all)
{
    if (k == 0)
        return;
    if (s->n == 0)
        s->first_at = now;
    s->sample[s->next] = one_sample(distance, k, all);
    s->next = (uint8_t)((s->next + 1) % SIZE_SAMPLES);
    s->n = (uint8_t)(s->n + (s->n < SIZE_SAMPLES));
    bool settled = size_settled(s, now);
    uint32_t n = found(s, settled);
    // e^0.7 = 2 an hour, in however many steps.
    usec_t passed = now - s->value_at < SIZE_DOUBLING_US ? now - s->value_at : SIZE_DOUBLING_US;
    uint64_t grown = s->value * (passed / USEC_PER_MS) / (SIZE_DOUBLING_US / USEC_PER_MS) * 7 / 10;
    uint64_t wanted = (uint64_t)n * SIZE_PARTS;
    s->value = settled && wanted > s->value + grown ? s->value + grown : wanted;
    s->value_at = now;
}

uint64_t size_estimate(const struct size *s)
{
    return s->value / SIZE_PARTS;
}

uint64_t size_least(const struct size *s)
{
    uint32_t sorted[SIZE_SAMPLES_YOUNG] = {0};
    unsigned n = sort_newest(s, SIZE_SAMPLES_YOUNG, sorted);
    uint64_t value = size_estimate(s), least = n == 0 ? 0 : sorted[n / 4];
    least = least < value / SIZE_LEAST_PART ? value / SIZE_LEAST_PART : least;
    return least < value ? least : value;
}

uint64_t size_radius(uint64_t n, uint64_t servers)
{
    return n <= servers ? UINT64_MAX : UINT64_MAX / n * servers;
}

unsigned size_bits(uint64_t n, uint64_t servers)
{
    unsigned bits = 0;
    for (uint64_t x = n / servers; x >= 2; x /= 2)
        bits++;
    return bits;
}
