#include "node/channel/cover.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

static_assert(CHAN_COVER_KEY_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4");

void chan_cover_init(struct chan_cover *v)
{
    *v = (struct chan_cover){.at = USEC_NEVER};
}

// Even between 3/4 and 5/4 of the interval.
static usec_t gap(const struct chan_cover *v)
{
    usec_t interval = v->level == CHANNEL_COVER_LOW ? CHAN_COVER_LOW_US : CHAN_COVER_HIGH_US;
    uint8_t count[8], hash[crypto_shorthash_BYTES];
    struct wr w = wr_init(count, sizeof count);
    wr_le64(&w, v->ticks);
    crypto_shorthash(hash, count, sizeof count, v->key);
    struct rd r = rd_init(hash, sizeof hash);
    return interval - interval / 4 + rd_le64(&r) % (interval / 2 + 1);
}

void chan_cover_set(struct chan_cover *v, usec_t now, enum channel_cover level,
                    const struct rng *rng)
{
    if (level == v->level)
        return;
    chan_cover_init(v);
    v->level = level;
    if (level == CHANNEL_COVER_OFF)
        return;
    rng_fill(rng, v->key, sizeof v->key);
    v->at = now + gap(v);
}

void chan_cover_tick(struct chan_cover *v, usec_t now)
{
    v->ticks++;
    v->heard_bulk = false;
    usec_t next = gap(v);
    v->at += next;
    if (v->at <= now) // the machine slept: what was missed is not made up for
        v->at = now + next;
}
