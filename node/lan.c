#include "node/lan.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <sodium.h>

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define BODY_BYTES (LAN_BEACON_BYTES - NONCE_BYTES - TAG_BYTES)
#define CONTACT_BYTES_MAX (32u + PUZZLE_NONCE_BYTES + PATH_WIRE_BYTES_MAX)
#define FLAG_ASKS 1u

static_assert(6 + LAN_CONTACTS_MAX * CONTACT_BYTES_MAX <= BODY_BYTES, "they fit");

void lan_init(struct lan *l, const struct net *net)
{
    const struct piece of[] = {{"bauta lan", 9}, {net->bytes, net->len}};
    memset(l, 0, sizeof *l);
    hash_pieces(l->key, sizeof l->key, NULL, 0, of, 2);
    l->beacon_at = l->answer_at = USEC_NEVER;
}

void lan_end(struct lan *l)
{
    sodium_memzero(l, sizeof *l);
}

// ---- time -------------------------------------------------------------------------------------------

static usec_t about(usec_t now, usec_t us, const struct rng *rng)
{
    return now + us / 2 + rng_below(rng, us);
}

void lan_restart(struct lan *l, usec_t now, const struct rng *rng)
{
    l->gap = LAN_ASK_US_MIN;
    l->beacon_at = now + rng_below(rng, LAN_START_US);
}

usec_t lan_deadline(const struct lan *l)
{
    return l->beacon_at < l->answer_at ? l->beacon_at : l->answer_at;
}

bool lan_expire(struct lan *l, usec_t now, const struct rng *rng, bool alone, bool tells)
{
    bool send = false;
    if (l->answer_at <= now) {
        l->answer_at = USEC_NEVER;
        send = tells;
    }
    if (l->beacon_at <= now) {
        send = send || alone || tells;
        l->beacon_at = about(now, alone ? l->gap : LAN_BEACON_US, rng);
        usec_t longer = 2 * l->gap > LAN_ASK_US_MAX ? LAN_ASK_US_MAX : 2 * l->gap;
        l->gap = alone ? longer : LAN_ASK_US_MIN;
    }
    if (send && tells)
        l->told_at = now;
    return send;
}

// ---- a beacon ---------------------------------------------------------------------------------------

void lan_seal(uint8_t out[static LAN_BEACON_BYTES], const struct lan *l, const struct lan_beacon *b,
              int64_t unix_us, const struct rng *rng)
{
    uint8_t body[BODY_BYTES] = {0};
    struct wr w = wr_init(body, sizeof body);
    assert(b->n <= LAN_CONTACTS_MAX);
    wr_u8(&w, b->asks ? FLAG_ASKS : 0);
    wr_le32(&w, unix_us > 0 ? (uint32_t)(unix_us / 60000000) : 0);
    wr_u8(&w, b->n);
    for (unsigned i = 0; i < b->n; i++) {
        wr_bytes(&w, b->contact[i].pk, 32);
        wr_bytes(&w, b->contact[i].puzzle_nonce, PUZZLE_NONCE_BYTES);
        path_put(&w, &b->contact[i].path);
    }
    assert(!w.bad);
    rng_fill(rng, out, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_BYTES, NULL, body, sizeof body, NULL, 0,
                                               NULL, out, l->key);
    sodium_memzero(body, sizeof body);
}

static int decode(struct lan_beacon *b, const uint8_t body[static BODY_BYTES], int64_t unix_us)
{
    struct rd r = rd_init(body, BODY_BYTES);
    memset(b, 0, sizeof *b);
    uint8_t flags = rd_u8(&r);
    int64_t minute = rd_le32(&r), now = unix_us / 60000000;
    b->asks = (flags & FLAG_ASKS) != 0;
    b->n = rd_u8(&r);
    if ((flags & ~FLAG_ASKS) != 0 || b->n > LAN_CONTACTS_MAX)
        return BAUTA_EFORMAT;
    for (unsigned i = 0; i < b->n; i++) {
        struct contact *c = &b->contact[i];
        rd_copy(&r, c->pk, 32);
        rd_copy(&r, c->puzzle_nonce, PUZZLE_NONCE_BYTES);
        path_get(&r, &c->path);
    }
    if (r.bad)
        return BAUTA_EFORMAT;
    bool late = minute > now + LAN_CLOCK_MINUTES || now > minute + LAN_CLOCK_MINUTES;
    return late ? BAUTA_EREPLAY : BAUTA_OK;
}

bool lan_admit(struct lan *l, usec_t now)
{
    if (now - l->second_at >= USEC_PER_S) {
        l->second_at = now;
        l->opened = 0;
    }
    if (l->opened == LAN_OPENED_PER_S) {
        l->dropped++;
        return false;
    }
    l->opened++;
    return true;
}

int lan_open(struct lan *l, struct lan_beacon *b, int64_t unix_us,
             const uint8_t datagram[static LAN_BEACON_BYTES])
{
    uint8_t body[BODY_BYTES];
    int rc = crypto_aead_xchacha20poly1305_ietf_decrypt(body, NULL, NULL, datagram + NONCE_BYTES,
                                                        LAN_BEACON_BYTES - NONCE_BYTES, NULL, 0,
                                                        datagram, l->key) == 0
                 ? decode(b, body, unix_us)
                 : BAUTA_EAUTH;
    sodium_memzero(body, sizeof body);
    *(rc == BAUTA_OK ? &l->heard : &l->dropped) += 1;
    return rc;
}

bool lan_heard(struct lan *l, usec_t now, const struct rng *rng, const struct lan_beacon *b,
               bool alone, bool tells)
{
    bool lately = l->told_at != 0 && now - l->told_at < LAN_ANSWER_GAP_US;
    if (b->asks && tells && !lately && l->answer_at == USEC_NEVER)
        l->answer_at = rng_between(rng, now + LAN_ANSWER_US_MIN, now + LAN_ANSWER_US_MAX);
    if (!b->asks && b->n > 0) // somebody else has answered
        l->answer_at = USEC_NEVER;
    if (!alone || b->n == 0)
        return false;
    if (now - l->minute_at >= 60 * USEC_PER_S) {
        l->minute_at = now;
        l->taken = 0;
    }
    if (l->taken + b->n > LAN_TAKEN_PER_MINUTE)
        return false;
    l->taken += b->n;
    return true;
}
