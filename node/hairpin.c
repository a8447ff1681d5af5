#include "node/hairpin.h"

#include "node/limits.h"

#include <string.h>

void hairpin_restart(struct hairpin *h, usec_t now)
{
    memset(h, 0, sizeof *h);
    h->step = HAIRPIN_LOOK_US_MIN;
    h->at = now + h->step;
}

bool hairpin_expire(struct hairpin *h, usec_t now, const struct dht_reach *reach,
                    const struct rng *rng, uint8_t datagram[static CLASS_TINY])
{
    bool asked = h->out; // and nothing came
    h->out = false;
    h->step = 2 * h->step > HAIRPIN_LOOK_US_MAX ? HAIRPIN_LOOK_US_MAX : 2 * h->step;
    h->at = now + h->step;
    if (reach->mapping != DHT_MAPPING_INDEPENDENT) {
        // Without translation there is nothing to ask; of a port for each destination our own is another one.
        h->answer = HAIRPIN_UNKNOWN;
        h->probes = 0;
        return false;
    }
    if (!path_equal(&h->to, &reach->seen)) {
        h->to = reach->seen;
        h->answer = HAIRPIN_UNKNOWN;
        h->probes = 0;
    }
    if (h->answer != HAIRPIN_UNKNOWN)
        return false;
    if (asked && h->probes == HAIRPIN_PROBES_MAX) {
        h->answer = HAIRPIN_NO;
        return false;
    }
    rng_fill(rng, datagram, CLASS_TINY);
    memcpy(h->id, datagram, sizeof h->id);
    h->out = true;
    h->probes++;
    h->at = now + HAIRPIN_WAIT_US;
    return true;
}

bool hairpin_receive(struct hairpin *h, usec_t now, const uint8_t *datagram, size_t len)
{
    if (!h->out || now >= h->at || len != CLASS_TINY || memcmp(datagram, h->id, sizeof h->id) != 0)
        return false;
    h->out = false;
    h->answer = HAIRPIN_YES;
    h->at = now + h->step;
    return true;
}
