#include "tools/sim/modelled.h"

#include "crypto/stamp.h"
#include "tools/sim/mix.h"

#include <assert.h>
#include <sodium.h>

// With --wrap=NAME the linker sends every call of NAME here, to __wrap_NAME, and __real_NAME is
// libsodium's.
#define WRAP(result, name, ...)                                                                    \
    result __real_##name(__VA_ARGS__);                                                             \
    result __wrap_##name(__VA_ARGS__);                                                             \
    result __wrap_##name(__VA_ARGS__)

typedef unsigned char byte;
typedef unsigned long long ull;

static bool modelled;
static _Thread_local struct crypto_calls calls;

struct crypto_calls crypto_calls(void)
{
    return calls;
}

void modelled_use(bool on)
{
    modelled = on;
}

bool modelled_used(void)
{
    return modelled;
}

// ---- hashes -----------------------------------------------------------------------------------------

struct hash { // in place of libsodium's state
    struct mix_state mix;
    uint64_t total;
    uint8_t buf[16];
    uint8_t held; // in buf
};
static_assert(sizeof(struct hash) <= sizeof(crypto_generichash_blake2b_state), "fits");

static void hash_begin(struct hash *h, const byte *key, size_t key_len, size_t out_len)
{
    *h = (struct hash){.mix = {MIX_C ^ out_len, MIX_D ^ key_len}};
    if (key_len > 0)
        mix_bytes(&h->mix, key, key_len);
}

// What is hashed does not depend on how it is cut into pieces.
static void hash_more(struct hash *h, const byte *in, size_t len)
{
    h->total += len;
    if (h->held > 0) {
        size_t n = sizeof h->buf - h->held;
        n = n < len ? n : len;
        memcpy(h->buf + h->held, in, n);
        h->held = (uint8_t)(h->held + n);
        in += n;
        len -= n;
        if (h->held < sizeof h->buf)
            return;
        mix_absorb(&h->mix, mix_load(h->buf), mix_load(h->buf + 8));
        h->held = 0;
    }
    for (; len >= 16; len -= 16, in += 16)
        mix_absorb(&h->mix, mix_load(in), mix_load(in + 8));
    if (len > 0)
        memcpy(h->buf, in, len);
    h->held = (uint8_t)len;
}

static void hash_end(struct hash *h, byte *out, size_t out_len)
{
    memset(h->buf + h->held, 0, sizeof h->buf - h->held);
    mix_absorb(&h->mix, mix_load(h->buf), mix_load(h->buf + 8));
    mix_absorb(&h->mix, h->total, out_len);
    mix_out(&h->mix, out, out_len);
}

WRAP(int, crypto_generichash_blake2b_init, crypto_generichash_blake2b_state *st, const byte *key,
     const size_t key_len, const size_t out_len)
{
    if (!modelled)
        return __real_crypto_generichash_blake2b_init(st, key, key_len, out_len);
    hash_begin((struct hash *)st, key, key_len, out_len);
    return 0;
}

WRAP(int, crypto_generichash_blake2b_update, crypto_generichash_blake2b_state *st, const byte *in,
     ull len)
{
    if (!modelled)
        return __real_crypto_generichash_blake2b_update(st, in, len);
    hash_more((struct hash *)st, in, (size_t)len);
    return 0;
}

WRAP(int, crypto_generichash_blake2b_final, crypto_generichash_blake2b_state *st, byte *out,
     const size_t out_len)
{
    if (!modelled)
        return __real_crypto_generichash_blake2b_final(st, out, out_len);
    hash_end((struct hash *)st, out, out_len);
    return 0;
}

// crypto_generichash_init, _update and _final are these by another name, and so come here, too.

WRAP(int, crypto_generichash, byte *out, size_t out_len, const byte *in, ull len, const byte *key,
     size_t key_len)
{
    if (!modelled)
        return __real_crypto_generichash(out, out_len, in, len, key, key_len);
    struct hash h;
    hash_begin(&h, key, key_len, out_len);
    hash_more(&h, in, (size_t)len);
    hash_end(&h, out, out_len);
    return 0;
}

static void short_hash(byte *out, size_t out_len, const byte *in, ull len, const byte *key)
{
    struct mix_state s = {mix_load(key) ^ out_len, mix_load(key + 8)};
    mix_bytes(&s, in, (size_t)len);
    mix_out(&s, out, out_len);
}

WRAP(int, crypto_shorthash, byte *out, const byte *in, ull len, const byte *key)
{
    if (!modelled)
        return __real_crypto_shorthash(out, in, len, key);
    short_hash(out, crypto_shorthash_BYTES, in, len, key);
    return 0;
}

WRAP(int, crypto_shorthash_siphash24, byte *out, const byte *in, ull len, const byte *key)
{
    if (!modelled)
        return __real_crypto_shorthash_siphash24(out, in, len, key);
    short_hash(out, crypto_shorthash_siphash24_BYTES, in, len, key);
    return 0;
}

WRAP(int, crypto_pwhash_argon2id, byte *const out, ull out_len, const char *const passwd,
     ull passwd_len, const byte *const salt, ull passes, size_t memory, int alg)
{
    calls.argon2id++;
    if (!modelled)
        return __real_crypto_pwhash_argon2id(out, out_len, passwd, passwd_len, salt, passes, memory,
                                             alg);
    struct mix_state s = {passes, memory};
    mix_bytes(&s, salt, crypto_pwhash_argon2id_SALTBYTES);
    mix_bytes(&s, (const byte *)passwd, (size_t)passwd_len);
    mix_out(&s, out, (size_t)out_len);
    return 0;
}

// ---- sealing ----------------------------------------------------------------------------------------

static struct mix_state keyed(const byte *key, const byte *nonce, size_t nonce_len)
{
    struct mix_state s = {mix_load(key), mix_load(key + 8)};
    mix_absorb(&s, mix_load(key + 16), mix_load(key + 24));
    mix_bytes(&s, nonce, nonce_len);
    return s;
}

static void stream_xor(byte *out, const byte *in, size_t len, const struct mix_state *s)
{
    uint64_t word = mix_word(s, 0), step = mix_word(s, 1) | 1;
    for (; len >= 8; len -= 8, in += 8, out += 8, word += step)
        mix_store(out, mix_load(in) ^ word);
    for (size_t i = 0; i < len; i++)
        out[i] = (byte)(in[i] ^ word >> (8 * i));
}

static void seal_tag(byte *tag, size_t tag_len, struct mix_state s, const byte *ad, ull ad_len,
                     const byte *text, size_t len)
{
    s.a ^= tag_len;
    mix_bytes(&s, ad, (size_t)ad_len);
    mix_bytes(&s, text, len);
    mix_out(&s, tag, tag_len);
}

struct seal {
    const byte *nonce, *key;
    size_t nonce_len, tag_len;
};

static int seal(byte *c, byte *tag, const byte *m, ull len, const byte *ad, ull ad_len,
                struct seal with)
{
    struct mix_state s = keyed(with.key, with.nonce, with.nonce_len);
    stream_xor(c, m, (size_t)len, &s);
    seal_tag(tag, with.tag_len, s, ad, ad_len, c, (size_t)len);
    return 0;
}

static int open_sealed(byte *m, const byte *c, ull len, const byte *tag, const byte *ad, ull ad_len,
                       struct seal with)
{
    byte expected[crypto_aead_aegis256_ABYTES];
    struct mix_state s = keyed(with.key, with.nonce, with.nonce_len);
    seal_tag(expected, with.tag_len, s, ad, ad_len, c, (size_t)len);
    if (memcmp(expected, tag, with.tag_len) != 0) {
        if (m != NULL)
            memset(m, 0, (size_t)len); // as libsodium does
        return -1;
    }
    if (m != NULL)
        stream_xor(m, c, (size_t)len, &s);
    return 0;
}

#define AEAD(name)                                                                                 \
    WRAP(int, crypto_aead_##name##_encrypt_detached, byte *c, byte *mac, ull *mac_len,             \
         const byte *m, ull len, const byte *ad, ull ad_len, const byte *nsec, const byte *nonce,  \
         const byte *key)                                                                          \
    {                                                                                              \
        if (!modelled)                                                                             \
            return __real_crypto_aead_##name##_encrypt_detached(c, mac, mac_len, m, len, ad,       \
                                                                ad_len, nsec, nonce, key);         \
        if (mac_len != NULL)                                                                       \
            *mac_len = crypto_aead_##name##_ABYTES;                                                \
        return seal(c, mac, m, len, ad, ad_len,                                                    \
                    (struct seal){nonce, key, crypto_aead_##name##_NPUBBYTES,                      \
                                  crypto_aead_##name##_ABYTES});                                   \
    }                                                                                              \
    WRAP(int, crypto_aead_##name##_decrypt_detached, byte *m, byte *nsec, const byte *c, ull len,  \
         const byte *mac, const byte *ad, ull ad_len, const byte *nonce, const byte *key)          \
    {                                                                                              \
        if (!modelled)                                                                             \
            return __real_crypto_aead_##name##_decrypt_detached(m, nsec, c, len, mac, ad, ad_len,  \
                                                                nonce, key);                       \
        return open_sealed(m, c, len, mac, ad, ad_len,                                             \
                           (struct seal){nonce, key, crypto_aead_##name##_NPUBBYTES,               \
                                         crypto_aead_##name##_ABYTES});                            \
    }
#define AEAD_COMBINED(name)                                                                        \
    WRAP(int, crypto_aead_##name##_encrypt, byte *c, ull *c_len, const byte *m, ull len,           \
         const byte *ad, ull ad_len, const byte *nsec, const byte *nonce, const byte *key)         \
    {                                                                                              \
        if (!modelled)                                                                             \
            return __real_crypto_aead_##name##_encrypt(c, c_len, m, len, ad, ad_len, nsec, nonce,  \
                                                       key);                                       \
        if (c_len != NULL)                                                                         \
            *c_len = len + crypto_aead_##name##_ABYTES;                                            \
        return seal(c, c + len, m, len, ad, ad_len,                                                \
                    (struct seal){nonce, key, crypto_aead_##name##_NPUBBYTES,                      \
                                  crypto_aead_##name##_ABYTES});                                   \
    }                                                                                              \
    WRAP(int, crypto_aead_##name##_decrypt, byte *m, ull *m_len, byte *nsec, const byte *c,        \
         ull c_len, const byte *ad, ull ad_len, const byte *nonce, const byte *key)                \
    {                                                                                              \
        if (!modelled)                                                                             \
            return __real_crypto_aead_##name##_decrypt(m, m_len, nsec, c, c_len, ad, ad_len,       \
                                                       nonce, key);                                \
        ull len = c_len >= crypto_aead_##name##_ABYTES ? c_len - crypto_aead_##name##_ABYTES : 0;  \
        int rc = c_len < crypto_aead_##name##_ABYTES                                               \
                     ? -1                                                                          \
                     : open_sealed(m, c, len, c + len, ad, ad_len,                                 \
                                   (struct seal){nonce, key, crypto_aead_##name##_NPUBBYTES,       \
                                                 crypto_aead_##name##_ABYTES});                    \
        if (m_len != NULL)                                                                         \
            *m_len = rc == 0 ? len : 0;                                                            \
        return rc;                                                                                 \
    }
AEAD(xchacha20poly1305_ietf)
AEAD(chacha20poly1305_ietf)
AEAD(aegis256)
AEAD_COMBINED(xchacha20poly1305_ietf)
AEAD_COMBINED(chacha20poly1305_ietf)

WRAP(int, crypto_stream_chacha20_ietf_xor_ic, byte *c, const byte *m, ull len, const byte *nonce,
     uint32_t ic, const byte *key)
{
    if (!modelled)
        return __real_crypto_stream_chacha20_ietf_xor_ic(c, m, len, nonce, ic, key);
    struct mix_state s = keyed(key, nonce, crypto_stream_chacha20_ietf_NONCEBYTES);
    s.a ^= ic;
    stream_xor(c, m, (size_t)len, &s);
    return 0;
}

// ---- agreement --------------------------------------------------------------------------------------

// Multiplication commutes, so both ends have the same product. Odd numbers only: none is lost.
static void multiply(byte *q, const byte *n, const byte *p)
{
    for (unsigned i = 0; i < 32; i += 8)
        mix_store(q + i, (mix_load(n + i) | 1) * mix_load(p + i));
}

static int multiply_base(byte *q, const byte *n)
{
    byte base[32];
    for (unsigned i = 0; i < 32; i += 8)
        mix_store(base + i, MIX_A + 2 * i * MIX_B);
    multiply(q, n, base);
    return 0;
}

static int agree(byte *q, const byte *n, const byte *p)
{
    if ((mix_load(p) | mix_load(p + 8) | mix_load(p + 16) | mix_load(p + 24)) == 0)
        return -1; // as X25519 refuses points of small order
    multiply(q, n, p);
    return 0;
}

WRAP(int, crypto_scalarmult, byte *q, const byte *n, const byte *p)
{
    calls.x25519++;
    return modelled ? agree(q, n, p) : __real_crypto_scalarmult(q, n, p);
}

WRAP(int, crypto_scalarmult_curve25519, byte *q, const byte *n, const byte *p)
{
    calls.x25519++;
    return modelled ? agree(q, n, p) : __real_crypto_scalarmult_curve25519(q, n, p);
}

WRAP(int, crypto_scalarmult_base, byte *q, const byte *n)
{
    calls.x25519++;
    return modelled ? multiply_base(q, n) : __real_crypto_scalarmult_base(q, n);
}

// ---- X-Wing: 32 bytes of agreement, and as many others as the real one has ----------------------------

static void kem_fill(byte *out, size_t len, const byte *head)
{
    struct mix_state s = {len, MIX_C};
    mix_bytes(&s, head, 32);
    memcpy(out, head, 32);
    mix_out(&s, out + 32, len - 32);
}

static void kem_secret(byte *ss, const byte *dh, const byte *ct, const byte *pk)
{
    struct mix_state s = {MIX_B, MIX_D};
    mix_bytes(&s, dh, 32);
    mix_bytes(&s, ct, crypto_kem_xwing_CIPHERTEXTBYTES);
    mix_bytes(&s, pk, crypto_kem_xwing_PUBLICKEYBYTES);
    mix_out(&s, ss, crypto_kem_xwing_SHAREDSECRETBYTES);
}

static void kem_public(byte *pk, const byte *sk)
{
    byte head[32];
    multiply_base(head, sk);
    kem_fill(pk, crypto_kem_xwing_PUBLICKEYBYTES, head);
}

WRAP(int, crypto_kem_xwing_seed_keypair, byte *pk, byte *sk, const byte *seed)
{
    if (!modelled)
        return __real_crypto_kem_xwing_seed_keypair(pk, sk, seed);
    memmove(sk, seed, crypto_kem_xwing_SECRETKEYBYTES);
    kem_public(pk, sk);
    return 0;
}

WRAP(int, crypto_kem_xwing_enc_deterministic, byte *ct, byte *ss, const byte *pk, const byte *seed)
{
    if (!modelled)
        return __real_crypto_kem_xwing_enc_deterministic(ct, ss, pk, seed);
    byte head[32], dh[32];
    multiply_base(head, seed);
    kem_fill(ct, crypto_kem_xwing_CIPHERTEXTBYTES, head);
    if (agree(dh, seed, pk) != 0)
        return -1;
    kem_secret(ss, dh, ct, pk);
    return 0;
}

WRAP(int, crypto_kem_xwing_dec, byte *ss, const byte *ct, const byte *sk)
{
    if (!modelled)
        return __real_crypto_kem_xwing_dec(ss, ct, sk);
    byte pk[crypto_kem_xwing_PUBLICKEYBYTES], dh[32];
    kem_public(pk, sk);
    if (agree(dh, sk, ct) != 0)
        return -1;
    kem_secret(ss, dh, ct, pk);
    return 0;
}

// ---- signatures: who knows the public key could sign, too; nobody in the simulator does ----------------------

// The two curves' public keys differ by a constant, so that none can be taken for the other.
static void curve_to_curve(byte *out, const byte *in)
{
    for (unsigned i = 0; i < 32; i += 8)
        mix_store(out + i, mix_load(in + i) ^ MIX_D);
}

static void signature(byte *sig, const byte *m, ull len, const byte *pk)
{
    struct mix_state s = {MIX_A, MIX_C};
    mix_bytes(&s, pk, 32);
    mix_bytes(&s, m, (size_t)len);
    mix_absorb(&s, len, MIX_B);
    mix_out(&s, sig, crypto_sign_ed25519_BYTES);
}

WRAP(int, crypto_sign_ed25519_seed_keypair, byte *pk, byte *sk, const byte *seed)
{
    if (!modelled)
        return __real_crypto_sign_ed25519_seed_keypair(pk, sk, seed);
    byte curve[32];
    multiply_base(curve, seed);
    curve_to_curve(pk, curve);
    memmove(sk, seed, 32);
    memcpy(sk + 32, pk, 32);
    return 0;
}

WRAP(int, crypto_sign_ed25519_sk_to_curve25519, byte *curve, const byte *sk)
{
    if (!modelled)
        return __real_crypto_sign_ed25519_sk_to_curve25519(curve, sk);
    memmove(curve, sk, 32);
    return 0;
}

WRAP(int, crypto_sign_ed25519_pk_to_curve25519, byte *curve, const byte *pk)
{
    if (!modelled)
        return __real_crypto_sign_ed25519_pk_to_curve25519(curve, pk);
    if (sodium_is_zero(pk, 32))
        return -1; // as points of small order
    curve_to_curve(curve, pk);
    return 0;
}

WRAP(int, crypto_sign_ed25519_detached, byte *sig, ull *sig_len, const byte *m, ull len,
     const byte *sk)
{
    if (!modelled)
        return __real_crypto_sign_ed25519_detached(sig, sig_len, m, len, sk);
    signature(sig, m, len, sk + 32);
    if (sig_len != NULL)
        *sig_len = crypto_sign_ed25519_BYTES;
    return 0;
}

WRAP(int, crypto_sign_ed25519_verify_detached, const byte *sig, const byte *m, ull len,
     const byte *pk)
{
    if (!modelled)
        return __real_crypto_sign_ed25519_verify_detached(sig, m, len, pk);
    byte expected[crypto_sign_ed25519_BYTES];
    signature(expected, m, len, pk);
    return memcmp(expected, sig, sizeof expected) == 0 ? 0 : -1;
}

// ---- stamps: what was tried counts as if each had brought what is expected of it ---------------------------

static uint64_t stamp_mark(const byte *mask_key, const byte *e, const byte *nonce)
{
    struct mix_state s = {MIX_A, MIX_D};
    mix_bytes(&s, mask_key, 32);
    mix_bytes(&s, e, 32);
    mix_bytes(&s, nonce, RPC_NONCE_BYTES - 2);
    uint8_t out[8];
    mix_out(&s, out, sizeof out);
    return mix_load(out);
}

WRAP(unsigned, stamp_bits, const byte *mask_key, const byte *e, const byte *nonce, uint64_t unix_s,
     uint64_t *tag)
{
    if (!modelled)
        return __real_stamp_bits(mask_key, e, nonce, unix_s, tag);
    *tag = stamp_mark(mask_key, e, nonce);
    unsigned claim = ((unsigned)nonce[RPC_NONCE_BYTES - 2] << 8 | nonce[RPC_NONCE_BYTES - 1]) ^
                     (unsigned)(*tag & 0xffff);
    return claim <= 32 ? claim : 0;
}

WRAP(void, stamp_make, byte *nonce, const byte *mask_key, const byte *e, uint64_t unix_s,
     uint32_t tries)
{
    if (!modelled) {
        __real_stamp_make(nonce, mask_key, e, unix_s, tries);
        return;
    }
    unsigned bits = 0;
    while (tries >> (bits + 1) != 0)
        bits++;
    unsigned mark = bits ^ (unsigned)(stamp_mark(mask_key, e, nonce) & 0xffff);
    nonce[RPC_NONCE_BYTES - 2] = (byte)(mark >> 8);
    nonce[RPC_NONCE_BYTES - 1] = (byte)mark;
}
