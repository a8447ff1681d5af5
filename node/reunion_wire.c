#include "node/reunion_wire.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "node/meet/wire.h"

#include <sodium.h>

#define KEY_BYTES 32u
#define FLAG_OBSERVED 0x01u
// Of an envelope: rec_id, effort, nonce and solution, then msg1, which begins with a public key.
#define HEAD_BYTES RECORD_ID_BYTES
#define EFFORT_BYTES 4u
#define PROOF_BYTES (POW_NONCE_BYTES + POW_SOLUTION_BYTES)
#define TAIL_BYTES (WIRE_MSG1_BYTES - KEY_BYTES)

static_assert(REUNION_OFFER_BYTES == WIRE_OFFER_BYTES, "as long as a stranger's offer");
static_assert(REUNION_ANSWER_BYTES == WIRE_ANSWER_BYTES, "as long as its answer");
static_assert(HEAD_BYTES + EFFORT_BYTES + PROOF_BYTES == WIRE_ENVELOPE_HEAD_BYTES,
              "laid round what an introducer can read");
static_assert(HEAD_BYTES + PROOF_BYTES + TAIL_BYTES == REUNION_OFFER_NOTE_BYTES,
              "all that is left");
static_assert(REUNION_ANSWER_BYTES - KEY_BYTES == REUNION_ANSWER_NOTE_BYTES, "all that is left");

// ---- where an end can be asked for ------------------------------------------------------------------

size_t reunion_put_points(uint8_t out[static CHANNEL_MEETING_BYTES_MAX],
                          const struct reunion_point *point, size_t n)
{
    struct wr w = wr_init(out, CHANNEL_MEETING_BYTES_MAX);
    wr_u8(&w, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        const struct contact *c = &point[i].contact;
        wr_u8(&w, c->path.family);
        wr_bytes(&w, c->pk, sizeof c->pk);
        wr_bytes(&w, c->puzzle_nonce, sizeof c->puzzle_nonce);
        wr_bytes(&w, c->path.ip, c->path.family == 4 ? 4 : 16);
        wr_le16(&w, c->path.port);
        wr_bytes(&w, point[i].handle, DHT_HANDLE_BYTES);
    }
    assert(!w.bad && n >= 1 && n <= REUNION_POINTS_MAX);
    return wr_len(&w);
}

static void get_point(struct rd *r, struct reunion_point *p)
{
    struct contact *c = &p->contact;
    uint8_t ip[16] = {0}, family = rd_u8(r);
    memset(p, 0, sizeof *p);
    rd_copy(r, c->pk, sizeof c->pk);
    rd_copy(r, c->puzzle_nonce, sizeof c->puzzle_nonce);
    if (family != 4 && family != 6)
        r->bad = true;
    rd_copy(r, ip, family == 4 ? 4 : 16);
    uint16_t port = rd_le16(r);
    rd_copy(r, p->handle, DHT_HANDLE_BYTES);
    if (!r->bad)
        c->path = family == 4 ? path_v4(ip, port) : path_v6(ip, port);
    if (c->path.family != family) // one spelling for one address
        r->bad = true;
}

int reunion_get_points(struct reunion_point out[static REUNION_POINTS_MAX], size_t *n,
                       const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    size_t count = rd_u8(&r);
    if (count < 1 || count > REUNION_POINTS_MAX)
        return BAUTA_EFORMAT;
    for (size_t i = 0; i < count; i++)
        get_point(&r, &out[i]);
    if (r.bad || r.left > 0 ||
        (count == 2 && memcmp(out[0].handle, out[1].handle, DHT_HANDLE_BYTES) == 0))
        return BAUTA_EFORMAT;
    *n = count;
    return BAUTA_OK;
}

// ---- candidates -------------------------------------------------------------------------------------

size_t reunion_put_candidates(uint8_t *out, size_t cap, const struct meet_candidates *c)
{
    struct wr w = wr_init(out, cap);
    uint8_t fit = 0;
    size_t left = cap - 2;
    for (; fit < c->count; fit++) {
        size_t bytes = c->path[fit].family == 4 ? 7 : 19;
        if (bytes > left)
            break;
        left -= bytes;
    }
    wr_u8(&w, c->observed && fit > 0 ? FLAG_OBSERVED : 0);
    wr_u8(&w, fit);
    for (unsigned i = 0; i < fit; i++)
        path_put(&w, &c->path[i]);
    assert(!w.bad);
    return wr_len(&w);
}

int reunion_get_candidates(struct meet_candidates *c, const uint8_t *in, size_t len)
{
    struct rd r = rd_init(in, len);
    memset(c, 0, sizeof *c);
    uint8_t flags = rd_u8(&r), count = rd_u8(&r);
    if (r.bad || count > CHANNEL_CANDIDATES_MAX || (flags & ~FLAG_OBSERVED) != 0 ||
        (flags != 0 && count == 0))
        return BAUTA_EFORMAT;
    for (unsigned i = 0; i < count; i++)
        path_get(&r, &c->path[i]);
    if (r.bad || r.left > 0)
        return BAUTA_EFORMAT;
    c->observed = flags != 0;
    c->count = count;
    return BAUTA_OK;
}

// ---- round a note -----------------------------------------------------------------------------------

static void put_key(struct wr *w, const struct rng *rng)
{
    uint8_t seed[32], pk[KEY_BYTES], sk[32];
    rng_fill(rng, seed, sizeof seed);
    key_pair(pk, sk, seed);
    wr_bytes(w, pk, sizeof pk);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(sk, sizeof sk);
}

void reunion_wrap_offer(uint8_t out[static REUNION_OFFER_BYTES],
                        const uint8_t note[static REUNION_OFFER_NOTE_BYTES], const struct rng *rng)
{
    struct wr w = wr_init(out, REUNION_OFFER_BYTES);
    wr_bytes(&w, note, HEAD_BYTES);
    wr_zero(&w, EFFORT_BYTES);
    wr_bytes(&w, note + HEAD_BYTES, PROOF_BYTES);
    put_key(&w, rng);
    wr_bytes(&w, note + HEAD_BYTES + PROOF_BYTES, TAIL_BYTES);
    assert(!w.bad && w.left == 0);
}

void reunion_wrap_answer(uint8_t out[static REUNION_ANSWER_BYTES],
                         const uint8_t note[static REUNION_ANSWER_NOTE_BYTES],
                         const struct rng *rng)
{
    struct wr w = wr_init(out, REUNION_ANSWER_BYTES);
    put_key(&w, rng);
    wr_bytes(&w, note, REUNION_ANSWER_NOTE_BYTES);
    assert(!w.bad && w.left == 0);
}

size_t reunion_unwrap(uint8_t note[static REUNION_OFFER_NOTE_BYTES], const uint8_t *blob,
                      size_t len)
{
    struct rd r = rd_init(blob, len);
    if (len == REUNION_ANSWER_BYTES) {
        rd_bytes(&r, KEY_BYTES);
        rd_copy(&r, note, REUNION_ANSWER_NOTE_BYTES);
        return REUNION_ANSWER_NOTE_BYTES;
    }
    if (len != REUNION_OFFER_BYTES)
        return 0;
    rd_copy(&r, note, HEAD_BYTES);
    rd_bytes(&r, EFFORT_BYTES);
    rd_copy(&r, note + HEAD_BYTES, PROOF_BYTES);
    rd_bytes(&r, KEY_BYTES);
    rd_copy(&r, note + HEAD_BYTES + PROOF_BYTES, TAIL_BYTES);
    return REUNION_OFFER_NOTE_BYTES;
}
