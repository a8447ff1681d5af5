#include "crypto/ratchet.h"

#include "crypto/bytes.h"
#include "crypto/net.h"
#include "crypto/noise.h"

#include <assert.h>
#include <sodium.h>

#define KEM_PK_BYTES crypto_kem_xwing_PUBLICKEYBYTES
#define KEM_CT_BYTES crypto_kem_xwing_CIPHERTEXTBYTES
#define KEM_SS_BYTES crypto_kem_xwing_SHAREDSECRETBYTES
#define TH_BYTES 32u

static_assert(CID_BYTES + KEM_PK_BYTES == RATCHET1_BYTES, "RATCHET1");
static_assert(CID_BYTES + KEM_CT_BYTES == RATCHET2_BYTES, "RATCHET2");
static_assert(RATCHET2_BYTES + SAS_COMMIT_BYTES == RATCHET2_FIRST_BYTES, "RATCHET2 of step 1");
static_assert(RATCHET3_BYTES == SAS_NONCE_BYTES && RATCHET4_BYTES == SAS_NONCE_BYTES, "words");
// X-Wing's secret key is its seed, expanded anew in each operation.
static_assert(crypto_kem_xwing_SECRETKEYBYTES == 32 && crypto_kem_xwing_SEEDBYTES == 32, "seed");
static_assert(sizeof((struct ratchet *)0)->kem_pk == KEM_PK_BYTES, "room for the public key");

static size_t ratchet2_bytes(uint32_t step)
{
    return step == 1 ? RATCHET2_FIRST_BYTES : RATCHET2_BYTES;
}

// A check failed: whatever the other side is, it is not who we thought. Nothing is kept for it.
static int ratchet_fail(struct ratchet *r, int error)
{
    ratchet_wipe(r);
    r->state = RATCHET_FAILED;
    return error;
}

static void direction_keys(const struct ratchet *r, const uint8_t k_ir[static 32],
                           const uint8_t k_ri[static 32], struct packet_keys *send,
                           struct packet_keys *recv)
{
    packet_keys_derive(send, r->aead, r->initiator ? k_ir : k_ri);
    packet_keys_derive(recv, r->aead, r->initiator ? k_ri : k_ir);
}

void ratchet_init(struct ratchet *r, bool initiator, enum packet_aead aead,
                  const uint8_t k_ir[static 32], const uint8_t k_ri[static 32],
                  const uint8_t h[static 64], struct packet_keys *send, struct packet_keys *recv)
{
    static const char label[] = "bauta root 0";
    const struct piece piece[] = {{label, sizeof label - 1}, {h, 64}};
    uint8_t key[64];
    memset(r, 0, sizeof *r);
    r->initiator = initiator;
    r->aead = aead;
    r->state = RATCHET_IDLE;
    memcpy(key, k_ir, 32);
    memcpy(key + 32, k_ri, 32);
    hash_pieces(r->root, sizeof r->root, key, sizeof key, piece, 2);
    memcpy(r->th, h, 64);
    r->th_len = 64;
    direction_keys(r, k_ir, k_ri, send, recv);
    sodium_memzero(key, sizeof key);
}

bool ratchet_mine(const struct ratchet *r)
{
    bool odd = (r->step & 1u) == 0; // the next step's number
    return odd == r->initiator;
}

// th_n, root_n and the keys of step + 1 from the shared secret; the old root is gone afterwards.
static void ratchet_advance(struct ratchet *r, const uint8_t pk[static KEM_PK_BYTES],
                            const uint8_t ct[static KEM_CT_BYTES],
                            const uint8_t ss[static KEM_SS_BYTES], struct packet_keys *send,
                            struct packet_keys *recv)
{
    static const char label[] = "bauta ratchet";
    uint8_t le[4], ikm[KEM_SS_BYTES + TH_BYTES], root[64], k_ir[64], k_ri[64];
    struct wr w = wr_init(le, sizeof le);
    wr_le32(&w, r->step + 1);
    const struct piece piece[] = {{label, sizeof label - 1},
                                  {r->th, r->th_len},
                                  {le, sizeof le},
                                  {pk, KEM_PK_BYTES},
                                  {ct, KEM_CT_BYTES}};
    uint8_t th[TH_BYTES];
    hash_pieces(th, sizeof th, NULL, 0, piece, 5);
    memcpy(ikm, ss, KEM_SS_BYTES);
    memcpy(ikm + KEM_SS_BYTES, th, TH_BYTES);
    noise_hkdf(r->root, sizeof r->root, ikm, sizeof ikm, root, k_ir, k_ri);
    memcpy(r->root, root, sizeof r->root);
    memset(r->th, 0, sizeof r->th);
    memcpy(r->th, th, TH_BYTES);
    r->th_len = TH_BYTES;
    r->step++;
    direction_keys(r, k_ir, k_ri, send, recv);
    sodium_memzero(ikm, sizeof ikm);
    sodium_memzero(root, sizeof root);
    sodium_memzero(k_ir, sizeof k_ir);
    sodium_memzero(k_ri, sizeof k_ri);
}

int ratchet_start(struct ratchet *r, const uint8_t cid[static CID_BYTES],
                  const uint8_t seed[static 32], uint8_t out[static RATCHET1_BYTES])
{
    if (r->state != RATCHET_IDLE || !ratchet_mine(r) || r->step == UINT32_MAX)
        return BAUTA_ESTATE;
    int rc = crypto_kem_xwing_seed_keypair(r->kem_pk, r->kem_seed, seed);
    assert(rc == 0);
    (void)rc;
    memcpy(out, cid, CID_BYTES);
    memcpy(out + CID_BYTES, r->kem_pk, KEM_PK_BYTES);
    r->state = RATCHET_STARTED;
    return BAUTA_OK;
}

int ratchet_on1(struct ratchet *r, const uint8_t *msg, size_t len,
                const uint8_t cid[static CID_BYTES], const uint8_t seed[static 64],
                const uint8_t n_r[static 32], uint8_t out[static RATCHET2_FIRST_BYTES],
                size_t *out_len, uint8_t peer_cid[static CID_BYTES], struct packet_keys *send,
                struct packet_keys *recv)
{
    if (r->state != RATCHET_IDLE || ratchet_mine(r) || r->step == UINT32_MAX)
        return BAUTA_ESTATE;
    struct rd in = rd_init(msg, len);
    const uint8_t *their_cid = rd_bytes(&in, CID_BYTES), *pk = rd_bytes(&in, KEM_PK_BYTES);
    if (in.bad || in.left != 0)
        return ratchet_fail(r, BAUTA_EFORMAT);
    uint8_t ct[KEM_CT_BYTES], ss[KEM_SS_BYTES];
    if (crypto_kem_xwing_enc_deterministic(ct, ss, pk, seed) != 0) {
        sodium_memzero(ss, sizeof ss);
        return ratchet_fail(r, BAUTA_EAUTH);
    }
    ratchet_advance(r, pk, ct, ss, send, recv);
    sodium_memzero(ss, sizeof ss);
    struct wr w = wr_init(out, RATCHET2_FIRST_BYTES);
    wr_bytes(&w, cid, CID_BYTES);
    wr_bytes(&w, ct, sizeof ct);
    if (r->step == 1) {
        memcpy(r->n_own, n_r, SAS_NONCE_BYTES);
        sas_commit(r->commit, r->th, r->n_own);
        wr_bytes(&w, r->commit, SAS_COMMIT_BYTES);
        r->state = RATCHET_WORDS_R;
    }
    *out_len = wr_len(&w);
    assert(!w.bad && *out_len == ratchet2_bytes(r->step));
    memcpy(peer_cid, their_cid, CID_BYTES);
    return BAUTA_OK;
}

int ratchet_on2(struct ratchet *r, const uint8_t *msg, size_t len, const uint8_t n_i[static 32],
                uint8_t out[static RATCHET3_BYTES], size_t *out_len,
                uint8_t peer_cid[static CID_BYTES], struct packet_keys *send,
                struct packet_keys *recv)
{
    if (r->state != RATCHET_STARTED)
        return BAUTA_ESTATE;
    bool first = r->step == 0;
    struct rd in = rd_init(msg, len);
    const uint8_t *their_cid = rd_bytes(&in, CID_BYTES), *ct = rd_bytes(&in, KEM_CT_BYTES);
    const uint8_t *commit = first ? rd_bytes(&in, SAS_COMMIT_BYTES) : NULL;
    if (in.bad || in.left != 0)
        return ratchet_fail(r, BAUTA_EFORMAT);
    uint8_t ss[KEM_SS_BYTES];
    if (crypto_kem_xwing_dec(ss, ct, r->kem_seed) != 0) {
        sodium_memzero(ss, sizeof ss);
        return ratchet_fail(r, BAUTA_EAUTH);
    }
    ratchet_advance(r, r->kem_pk, ct, ss, send, recv);
    sodium_memzero(ss, sizeof ss);
    sodium_memzero(r->kem_seed, sizeof r->kem_seed);
    sodium_memzero(r->kem_pk, sizeof r->kem_pk);
    *out_len = 0;
    r->state = RATCHET_IDLE;
    if (first) {
        memcpy(r->commit, commit, SAS_COMMIT_BYTES);
        memcpy(r->n_own, n_i, SAS_NONCE_BYTES);
        memcpy(out, n_i, RATCHET3_BYTES);
        *out_len = RATCHET3_BYTES;
        r->state = RATCHET_WORDS_I;
    }
    memcpy(peer_cid, their_cid, CID_BYTES);
    return BAUTA_OK;
}

static void words_done(struct ratchet *r, const uint8_t n_i[static 32],
                       const uint8_t n_r[static 32])
{
    sas_words(r->words, r->th, r->commit, n_i, n_r);
    r->has_words = true;
    sodium_memzero(r->commit, sizeof r->commit);
    sodium_memzero(r->n_own, sizeof r->n_own);
    r->state = RATCHET_IDLE;
}

int ratchet_on3(struct ratchet *r, const uint8_t *msg, size_t len,
                uint8_t out[static RATCHET4_BYTES])
{
    if (r->state != RATCHET_WORDS_R)
        return BAUTA_ESTATE;
    if (len != RATCHET3_BYTES)
        return ratchet_fail(r, BAUTA_EFORMAT);
    memcpy(out, r->n_own, RATCHET4_BYTES);
    words_done(r, msg, out);
    return BAUTA_OK;
}

int ratchet_on4(struct ratchet *r, const uint8_t *msg, size_t len)
{
    if (r->state != RATCHET_WORDS_I)
        return BAUTA_ESTATE;
    if (len != RATCHET4_BYTES)
        return ratchet_fail(r, BAUTA_EFORMAT);
    uint8_t commit[SAS_COMMIT_BYTES];
    sas_commit(commit, r->th, msg);
    if (sodium_memcmp(commit, r->commit, sizeof commit) != 0)
        return ratchet_fail(r, BAUTA_EAUTH);
    words_done(r, r->n_own, msg);
    return BAUTA_OK;
}

void ratchet_wipe(struct ratchet *r)
{
    sodium_memzero(r, sizeof *r);
    r->state = RATCHET_FAILED;
}
