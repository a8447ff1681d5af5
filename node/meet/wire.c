#include "node/meet/wire.h"

#include "crypto/net.h"

#include <sodium.h>

static bool all_zero(struct rd *r)
{
    size_t n = r->left;
    const uint8_t *at = rd_bytes(r, n);
    return at != NULL && (n == 0 || sodium_is_zero(at, n));
}

// ---- record ---------------------------------------------------------------------------------------

static void put_contact(struct wr *w, const struct contact *c)
{
    wr_u8(w, c->path.family);
    wr_bytes(w, c->pk, sizeof c->pk);
    wr_bytes(w, c->puzzle_nonce, sizeof c->puzzle_nonce);
    wr_bytes(w, c->path.ip, c->path.family == 4 ? 4 : 16);
    wr_le16(w, c->path.port);
}

static void get_contact(struct rd *r, struct contact *c)
{
    memset(c, 0, sizeof *c);
    uint8_t family = rd_u8(r);
    rd_copy(r, c->pk, sizeof c->pk);
    rd_copy(r, c->puzzle_nonce, sizeof c->puzzle_nonce);
    if (family != 4 && family != 6)
        r->bad = true;
    uint8_t ip[16];
    rd_copy(r, ip, family == 4 ? 4 : 16);
    uint16_t port = rd_le16(r);
    if (!r->bad)
        c->path = family == 4 ? path_v4(ip, port) : path_v6(ip, port);
    // One spelling for one address.
    if (c->path.family != family)
        r->bad = true;
}

void wire_put_record(uint8_t out[static RECORD_PLAIN_BYTES], const struct wire_record *rec)
{
    struct wr w = wr_init(out, RECORD_PLAIN_BYTES);
    uint8_t card[CARD_BYTES];
    assert(rec->introducers >= 1 && rec->introducers <= DHT_INTRODUCERS_MAX);
    card_encode(card, &rec->card);
    wr_bytes(&w, rec->pseudonym, sizeof rec->pseudonym);
    wr_le64(&w, rec->expiry_s);
    wr_le32(&w, rec->effort);
    wr_bytes(&w, rec->seed, sizeof rec->seed);
    wr_bytes(&w, card, sizeof card);
    wr_bytes(&w, rec->random, sizeof rec->random);
    wr_u8(&w, rec->introducers);
    for (unsigned i = 0; i < rec->introducers; i++) {
        put_contact(&w, &rec->introducer[i].contact);
        wr_bytes(&w, rec->introducer[i].handle, DHT_HANDLE_BYTES);
    }
    wr_zero(&w, w.left);
    assert(!w.bad);
}

int wire_get_record(struct wire_record *rec, const uint8_t in[static RECORD_PLAIN_BYTES])
{
    struct rd r = rd_init(in, RECORD_PLAIN_BYTES);
    uint8_t card[CARD_BYTES];
    memset(rec, 0, sizeof *rec);
    rd_copy(&r, rec->pseudonym, sizeof rec->pseudonym);
    rec->expiry_s = rd_le64(&r);
    rec->effort = rd_le32(&r);
    rd_copy(&r, rec->seed, sizeof rec->seed);
    rd_copy(&r, card, sizeof card);
    rd_copy(&r, rec->random, sizeof rec->random);
    rec->introducers = rd_u8(&r);
    if (rec->introducers < 1 || rec->introducers > DHT_INTRODUCERS_MAX)
        return BAUTA_EFORMAT;
    for (unsigned i = 0; i < rec->introducers; i++) {
        get_contact(&r, &rec->introducer[i].contact);
        rd_copy(&r, rec->introducer[i].handle, DHT_HANDLE_BYTES);
    }
    bool ok = !r.bad && all_zero(&r) && card_decode(&rec->card, card) == BAUTA_OK;
    return ok ? BAUTA_OK : BAUTA_EFORMAT;
}

// ---- towards the owner of a handle ------------------------------------------------------------------

void wire_put_envelope(uint8_t out[static WIRE_OFFER_BYTES], const struct wire_envelope *e)
{
    struct wr w = wr_init(out, WIRE_OFFER_BYTES);
    wr_bytes(&w, e->rec_id, sizeof e->rec_id);
    wr_le32(&w, e->effort);
    wr_bytes(&w, e->nonce, sizeof e->nonce);
    wr_bytes(&w, e->sol, sizeof e->sol);
    wr_bytes(&w, e->msg1, WIRE_MSG1_BYTES);
    assert(!w.bad && w.left == 0);
}

int wire_get_envelope(struct wire_envelope *e, const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    memset(e, 0, sizeof *e);
    rd_copy(&r, e->rec_id, sizeof e->rec_id);
    e->effort = rd_le32(&r);
    rd_copy(&r, e->nonce, sizeof e->nonce);
    rd_copy(&r, e->sol, sizeof e->sol);
    e->msg1 = rd_bytes(&r, WIRE_MSG1_BYTES);
    return r.bad || r.left != 0 ? BAUTA_EFORMAT : BAUTA_OK;
}

void wire_put_msg1(uint8_t out[static WIRE_MSG1_PAYLOAD_BYTES], const struct wire_msg1 *m)
{
    struct wr w = wr_init(out, WIRE_MSG1_PAYLOAD_BYTES);
    uint8_t card[CARD_BYTES];
    card_encode(card, &m->card);
    wr_le32(&w, m->generation);
    wr_u8(&w, m->capabilities);
    wr_bytes(&w, card, sizeof card);
    wr_zero(&w, w.left);
    assert(!w.bad);
}

int wire_get_msg1(struct wire_msg1 *m, const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    uint8_t card[CARD_BYTES];
    memset(m, 0, sizeof *m);
    m->generation = rd_le32(&r);
    m->capabilities = rd_u8(&r);
    rd_copy(&r, card, sizeof card);
    bool ok = len == WIRE_MSG1_PAYLOAD_BYTES && !r.bad && all_zero(&r) &&
              card_decode(&m->card, card) == BAUTA_OK;
    return ok ? BAUTA_OK : BAUTA_EFORMAT;
}

static size_t path_bytes(const struct path *p)
{
    return p->family == 4 ? 1u + 4 + 2 : 1u + 16 + 2;
}

static void put_reach(struct wr *w, const struct wire_reach *reach)
{
    uint8_t skip = 0, relays = reach->relays;
    assert(reach->candidates <= CHANNEL_CANDIDATES_MAX && relays <= reach->candidates);
    size_t bytes = WIRE_REACH_FIXED_BYTES;
    for (unsigned i = 0; i < reach->candidates; i++)
        bytes += path_bytes(&reach->candidate[i]);
    // What doesn't fit is left out from behind, but not before the relays.
    unsigned last = reach->candidates;
    unsigned keep = relays < reach->candidates ? relays : 0;
    while (bytes > w->left)
        bytes -= path_bytes(&reach->candidate[last - keep - ++skip]);
    unsigned gap = last - keep - skip;
    wr_bytes(w, reach->cid, sizeof reach->cid);
    wr_bytes(w, reach->recv_mask, sizeof reach->recv_mask);
    unsigned flags = reach->observed ? WIRE_REACH_OBSERVED : 0;
    flags |= (unsigned)reach->nat << WIRE_REACH_NAT_SHIFT;
    flags |= ((unsigned)reach->step & 0x0fu) << WIRE_REACH_STEP_SHIFT;
    wr_u8(w, (uint8_t)flags);
    wr_u8(w, (uint8_t)((last - skip) | (unsigned)(keep < relays ? relays - skip : relays)
                                           << WIRE_REACH_RELAYS_SHIFT));
    for (unsigned i = 0; i < last; i++)
        if (i < gap || i >= gap + skip)
            path_put(w, &reach->candidate[i]);
    wr_zero(w, w->left);
}

static bool get_flags(struct wire_reach *reach, uint8_t flags)
{
    unsigned nat = flags >> WIRE_REACH_NAT_SHIFT & 0x07u, step = flags >> WIRE_REACH_STEP_SHIFT;
    reach->observed = (flags & WIRE_REACH_OBSERVED) != 0;
    reach->nat = nat < CHANNEL_NATS ? (enum channel_nat)nat : CHANNEL_NAT_UNKNOWN;
    reach->step = (int8_t)(step < 8 ? (int)step : (int)step - 16);
    return nat < CHANNEL_NATS && (step != 0) == (nat == CHANNEL_NAT_STEP);
}

static bool get_reach(struct rd *r, struct wire_reach *reach)
{
    rd_copy(r, reach->cid, sizeof reach->cid);
    rd_copy(r, reach->recv_mask, sizeof reach->recv_mask);
    uint8_t flags = rd_u8(r);
    uint8_t counts = rd_u8(r);
    reach->candidates = counts & ((1u << WIRE_REACH_RELAYS_SHIFT) - 1);
    reach->relays = counts >> WIRE_REACH_RELAYS_SHIFT;
    if (!get_flags(reach, flags) || reach->candidates > CHANNEL_CANDIDATES_MAX ||
        reach->relays > reach->candidates || (reach->observed && reach->candidates == 0)) {
        reach->candidates = reach->relays = 0;
        return false;
    }
    for (unsigned i = 0; i < reach->candidates; i++)
        path_get(r, &reach->candidate[i]);
    return !r->bad && all_zero(r);
}

void wire_put_msg2(uint8_t out[static WIRE_MSG2_PAYLOAD_BYTES], const struct wire_msg2 *m)
{
    struct wr w = wr_init(out, WIRE_MSG2_PAYLOAD_BYTES);
    wr_u8(&w, (uint8_t)m->verdict);
    wr_u8(&w, m->verdict == WIRE_ACCEPT ? (uint8_t)m->aead : 0);
    wr_le32(&w, m->generation);
    if (m->verdict == WIRE_ACCEPT)
        put_reach(&w, &m->reach);
    else
        wr_zero(&w, w.left);
    assert(!w.bad && w.left == 0);
}

int wire_get_msg2(struct wire_msg2 *m, const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    memset(m, 0, sizeof *m);
    uint8_t verdict = rd_u8(&r), aead = rd_u8(&r);
    m->generation = rd_le32(&r);
    if (r.bad || len != WIRE_MSG2_PAYLOAD_BYTES || verdict < WIRE_ACCEPT ||
        verdict > WIRE_NO_NOT_NOW || aead > PACKET_AEGIS256)
        return BAUTA_EFORMAT;
    m->verdict = (enum wire_verdict)verdict;
    m->aead = (enum packet_aead)aead;
    if (m->verdict == WIRE_ACCEPT)
        return get_reach(&r, &m->reach) ? BAUTA_OK : BAUTA_EFORMAT;
    return aead == 0 && all_zero(&r) ? BAUTA_OK : BAUTA_EFORMAT;
}

void wire_put_confirm(uint8_t out[static WIRE_CONFIRM_PAYLOAD_BYTES], const struct wire_confirm *c)
{
    struct wr w = wr_init(out, WIRE_CONFIRM_PAYLOAD_BYTES);
    wr_le32(&w, c->generation);
    put_reach(&w, &c->reach);
    assert(!w.bad && w.left == 0);
}

int wire_get_confirm(struct wire_confirm *c, const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    memset(c, 0, sizeof *c);
    c->generation = rd_le32(&r);
    if (len != WIRE_CONFIRM_PAYLOAD_BYTES)
        return BAUTA_EFORMAT;
    return get_reach(&r, &c->reach) ? BAUTA_OK : BAUTA_EFORMAT;
}

void wire_retract_tag(uint8_t tag[static WIRE_RETRACT_TAG_BYTES], const uint8_t ck[static 64],
                      uint32_t generation)
{
    static const char label[] = "bauta retract";
    uint8_t key[32], le[4];
    struct wr w = wr_init(le, sizeof le);
    wr_le32(&w, generation);
    hash_pieces(key, sizeof key, ck, 64, &(struct piece){label, sizeof label - 1}, 1);
    hash_pieces(tag, WIRE_RETRACT_TAG_BYTES, key, sizeof key, &(struct piece){le, sizeof le}, 1);
    sodium_memzero(key, sizeof key);
}
