// layer: relay
// Offers of relays: what is taken is within the rules and written the same way again, but for the signature.
#include "node/relay/offer.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[KEY_BYTES] = {1};
    uint8_t again[RECORD_PLAIN_BYTES];
    struct offer_body body;
    struct relay_offer o;
    struct net net;
    struct offer_slot slot;
    require(net_init(&net, "fuzz") == 0);
    if (size < sizeof body.plain)
        return 0;
    memcpy(body.plain, data, sizeof body.plain);
    if (offer_decode(&o, &body) != BAUTA_OK)
        return 0;
    const struct offer_rules rules = {.net = &net, .lab = true};
    require(offer_check(&o, &rules) == BAUTA_OK);
    offer_slot(&slot, &net, o.issued_s / EPOCH_SECONDS, 3);
    offer_encode(again, &o, &net, slot.place, seed);
    require(memcmp(again, body.plain, body.len) == 0);
    size_t end = body.len + RELAY_SIGNATURE_BYTES;
    require(memcmp(again + end, body.plain + end, sizeof again - end) == 0);
    if (offer_verify(&o, &body, &rules, &slot) == BAUTA_OK)
        require(offer_check(&o, &rules) == BAUTA_OK);
    return 0;
}
