#include "node/relay/offer.h"

#include "crypto/nodekey.h"

#include <sodium.h>

#define CONTEXT "bauta relay offer 1"
#define SIGNED_BYTES_MAX                                                                           \
    (sizeof CONTEXT - 1 + 1 + NETWORK_NAME_BYTES_MAX + 32 + OFFER_BODY_BYTES_MAX)

void offer_slot(struct offer_slot *s, const struct net *net, uint64_t epoch, unsigned slot)
{
    static const char label[] = "bauta relays", seal[] = "bauta relays seal";
    uint8_t at[9];
    struct wr w = wr_init(at, sizeof at);
    assert(slot < DIRECTORY_SLOTS);
    wr_le64(&w, epoch);
    wr_u8(&w, (uint8_t)slot);
    s->epoch = epoch;
    const struct piece place[] = {
        {label, sizeof label - 1}, {net->bytes, net->len}, {at, sizeof at}};
    hash_pieces(s->place, sizeof s->place, NULL, 0, place, 3);
    const struct piece key[] = {{seal, sizeof seal - 1}, {net->bytes, net->len}, {s->place, 32}};
    hash_pieces(s->seal, sizeof s->seal, NULL, 0, key, 3);
}

// ---- what an offer may say --------------------------------------------------------------------------

// Nobody lets himself be led to other services of a stranger's host.
static bool tcp_port_fits(const struct relay_offer *o)
{
    if (o->tcp_port == 0)
        return true;
    for (unsigned i = 0; i < o->contacts && o->tcp; i++)
        if (o->contact[i].path.port == o->tcp_port)
            return false; // said already
    return o->tcp_port == OFFER_TCP_PORT_LOW || o->tcp_port >= 1024;
}

static bool numbers_fit(const struct relay_offer *o)
{
    return o->contacts >= 1 && o->contacts <= OFFER_CONTACTS_MAX && o->free <= OFFER_FREE_FULL &&
           o->capacity_kBps >= 1 && o->capacity_kBps <= OFFER_CAPACITY_KBPS_MAX && tcp_port_fits(o);
}

static bool paths_fit(const struct relay_offer *o, bool lab)
{
    for (unsigned i = 0; i < o->contacts; i++)
        if (!path_reachable(&o->contact[i].path, lab))
            return false;
    return o->contacts == 1 || (o->contact[0].path.family == 4 && o->contact[1].path.family == 6);
}

int offer_check(const struct relay_offer *o, const struct offer_rules *rules)
{
    if (!numbers_fit(o) || !paths_fit(o, rules->lab))
        return BAUTA_EFORMAT;
    for (unsigned i = 0; i < o->contacts; i++) {
        const struct contact *c = &o->contact[i];
        if (memcmp(c->pk, o->contact[0].pk, sizeof c->pk) != 0 || c->path.via != 0 ||
            memcmp(c->puzzle_nonce, o->contact[0].puzzle_nonce, sizeof c->puzzle_nonce) != 0 ||
            !node_puzzle_ok(rules->net, c->pk, c->puzzle_nonce, rules->puzzle_bits))
            return BAUTA_EFORMAT;
    }
    return BAUTA_OK;
}

// Signed in the slot's own hour; good until a quarter past it at most. The reader's clock may be wrong.
static bool in_time(const struct relay_offer *o, uint64_t epoch, uint64_t now_s)
{
    return o->issued_s / EPOCH_SECONDS == epoch && o->issued_s <= now_s + OFFER_AHEAD_S &&
           o->expiry_s > o->issued_s && o->expiry_s > now_s &&
           o->expiry_s <= (epoch + 1) * EPOCH_SECONDS + OFFER_READ_BEHIND_S;
}

// ---- layout -----------------------------------------------------------------------------------------

static size_t signed_bytes(uint8_t out[static SIGNED_BYTES_MAX], const struct net *net,
                           const uint8_t place[static 32], const uint8_t *body, size_t len)
{
    struct wr w = wr_init(out, SIGNED_BYTES_MAX);
    wr_bytes(&w, CONTEXT, sizeof CONTEXT - 1);
    wr_bytes(&w, net->bytes, net->len);
    wr_bytes(&w, place, 32);
    wr_bytes(&w, body, len);
    assert(!w.bad);
    return wr_len(&w);
}

void offer_encode(uint8_t plain[static RECORD_PLAIN_BYTES], const struct relay_offer *o,
                  const struct net *net, const uint8_t place[static 32],
                  const uint8_t seed[static KEY_BYTES])
{
    uint8_t msg[SIGNED_BYTES_MAX];
    struct wr w = wr_init(plain, RECORD_PLAIN_BYTES);
    assert(o->contacts >= 1 && o->contacts <= OFFER_CONTACTS_MAX);
    wr_u8(&w, OFFER_VERSION);
    wr_u8(&w, o->tcp ? OFFER_FLAG_TCP : 0);
    wr_bytes(&w, o->ed_pk, sizeof o->ed_pk);
    wr_bytes(&w, o->contact[0].puzzle_nonce, PUZZLE_NONCE_BYTES);
    wr_le64(&w, o->issued_s);
    wr_le64(&w, o->expiry_s);
    wr_le32(&w, o->capacity_kBps);
    wr_u8(&w, o->free);
    wr_le16(&w, o->tcp_port);
    wr_u8(&w, o->contacts);
    for (unsigned i = 0; i < o->contacts; i++)
        path_put(&w, &o->contact[i].path);
    size_t len = signed_bytes(msg, net, place, plain, wr_len(&w));
    relay_sign(wr_room(&w, RELAY_SIGNATURE_BYTES), seed, msg, len);
    wr_zero(&w, w.left);
    assert(!w.bad);
}

int offer_decode(struct relay_offer *o, struct offer_body *body)
{
    struct rd r = rd_init(body->plain, sizeof body->plain);
    memset(o, 0, sizeof *o);
    uint8_t version = rd_u8(&r), flags = rd_u8(&r);
    rd_copy(&r, o->ed_pk, sizeof o->ed_pk);
    rd_copy(&r, o->contact[0].puzzle_nonce, PUZZLE_NONCE_BYTES);
    o->issued_s = rd_le64(&r);
    o->expiry_s = rd_le64(&r);
    o->capacity_kBps = rd_le32(&r);
    o->free = rd_u8(&r);
    o->tcp_port = rd_le16(&r);
    o->tcp = (flags & OFFER_FLAG_TCP) != 0;
    o->contacts = rd_u8(&r);
    if (version != OFFER_VERSION || (flags & ~OFFER_FLAG_TCP) != 0 || o->contacts < 1 ||
        o->contacts > OFFER_CONTACTS_MAX) {
        o->contacts = 0;
        return BAUTA_EFORMAT;
    }
    for (unsigned i = 0; i < o->contacts; i++) {
        memcpy(o->contact[i].puzzle_nonce, o->contact[0].puzzle_nonce, PUZZLE_NONCE_BYTES);
        path_get(&r, &o->contact[i].path);
    }
    body->len = (size_t)(r.p - body->plain);
    (void)rd_bytes(&r, RELAY_SIGNATURE_BYTES);
    return !r.bad && sodium_is_zero(r.p, r.left) && numbers_fit(o) && paths_fit(o, true)
               ? BAUTA_OK
               : BAUTA_EFORMAT;
}

// ---- sealing ----------------------------------------------------------------------------------------

void offer_seal(uint8_t record[static RECORD_BYTES], const struct relay_offer *o,
                const struct net *net, const struct offer_slot *slot,
                const uint8_t rec_id[static RECORD_ID_BYTES], const uint8_t nonce[static 24],
                const uint8_t seed[static KEY_BYTES])
{
    uint8_t plain[RECORD_PLAIN_BYTES];
    offer_encode(plain, o, net, slot->place, seed);
    record_seal(record, plain, rec_id, nonce, slot->seal, slot->place);
}

int offer_open(struct relay_offer *o, struct offer_body *body,
               const uint8_t record[static RECORD_BYTES], const struct offer_rules *rules,
               const struct offer_slot *slot, uint64_t now_s)
{
    if (record_open(body->plain, record, slot->seal, slot->place) != BAUTA_OK)
        return BAUTA_EAUTH;
    if (offer_decode(o, body) != BAUTA_OK || !paths_fit(o, rules->lab))
        return BAUTA_EFORMAT;
    return in_time(o, slot->epoch, now_s) ? BAUTA_OK : BAUTA_ESTATE;
}

int offer_verify(struct relay_offer *o, const struct offer_body *body,
                 const struct offer_rules *rules, const struct offer_slot *slot)
{
    uint8_t pk[KEY_BYTES], msg[SIGNED_BYTES_MAX];
    if (relay_contact_key(pk, o->ed_pk) != BAUTA_OK ||
        !node_puzzle_ok(rules->net, pk, o->contact[0].puzzle_nonce, rules->puzzle_bits))
        return BAUTA_EAUTH;
    size_t len = signed_bytes(msg, rules->net, slot->place, body->plain, body->len);
    if (relay_verify(o->ed_pk, pk, msg, len, body->plain + body->len) != BAUTA_OK)
        return BAUTA_EAUTH;
    for (unsigned i = 0; i < o->contacts; i++)
        memcpy(o->contact[i].pk, pk, sizeof pk);
    return BAUTA_OK;
}
