#include "crypto/noise.h"

#include "crypto/bytes.h"
#include "crypto/noise_patterns.h"

#include <assert.h>
#include <sodium.h>

#define BLAKE2B_BLOCK_BYTES 128u
#define DH_BYTES 32u
// psk0, the row's own tokens, and one more psk at the message's end
#define MESSAGE_TOKENS_MAX (NOISE_PATTERN_TOKENS_MAX + 2u)

static const char suite[] = "_25519_ChaChaPoly_BLAKE2b";

_Static_assert(crypto_scalarmult_BYTES == DH_BYTES, "X25519");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == NOISE_TAG_BYTES, "tag");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == NOISE_KEY_BYTES, "key");
_Static_assert(NOISE_PSKS_MAX == NOISE_PATTERN_MESSAGES_MAX + 1, "psk0 .. psk<messages>");
_Static_assert(sizeof((struct noise_spec *)0)->name <= NOISE_HASH_BYTES,
               "h starts as the padded name");

// ---- names ---------------------------------------------------------------------------------------

// "psk0+psk3" to bits. The pattern says how many places there are.
static int parse_modifiers(struct noise_spec *spec, const char *at, const char *end)
{
    while (at < end) {
        if (end - at < 4 || memcmp(at, "psk", 3) != 0 || at[3] < '0' || at[3] > '9')
            return BAUTA_EUNKNOWN;
        unsigned place = (unsigned)(at[3] - '0');
        if (place > spec->pattern->messages || (spec->psk_mask & (1u << place)) != 0)
            return BAUTA_EUNKNOWN;
        spec->psk_mask = (uint8_t)(spec->psk_mask | 1u << place);
        at += 4;
        if (at < end && (*at++ != '+' || at == end))
            return BAUTA_EUNKNOWN;
    }
    return BAUTA_OK;
}

int noise_spec_parse(struct noise_spec *spec, const char *name)
{
    memset(spec, 0, sizeof *spec);
    unsigned fields = 1;
    for (const char *p = name; *p != '\0'; p++)
        fields += *p == '_';
    if (strncmp(name, "Noise", 5) != 0 || fields != 5)
        return BAUTA_EFORMAT;
    size_t len = strlen(name), suite_len = sizeof suite - 1;
    if (strncmp(name, "Noise_", 6) != 0 || len >= sizeof spec->name || len < 6 + suite_len ||
        strcmp(name + len - suite_len, suite) != 0)
        return BAUTA_EUNKNOWN;
    const char *at = name + 6, *end = name + len - suite_len;
    size_t letters = 0;
    while (at + letters < end && at[letters] >= 'A' && at[letters] <= 'Z')
        letters++;
    spec->pattern = noise_pattern_find(at, letters);
    if (spec->pattern == NULL)
        return BAUTA_EUNKNOWN;
    memcpy(spec->name, name, len);
    return parse_modifiers(spec, at + letters, end);
}

// ---- cipher --------------------------------------------------------------------------------------

static void cipher_nonce(uint8_t nonce[static 12], uint64_t n)
{
    struct wr w = wr_init(nonce, 12);
    wr_zero(&w, 4);
    wr_le64(&w, n);
}

int noise_cipher_seal(struct noise_cipher *c, const uint8_t *ad, size_t ad_len, const uint8_t *in,
                      size_t len, uint8_t *out)
{
    if (!c->has_key) {
        if (len > 0)
            memmove(out, in, len);
        return BAUTA_OK;
    }
    if (len > NOISE_MESSAGE_BYTES_MAX - NOISE_TAG_BYTES)
        return BAUTA_ESPACE;
    if (c->n == UINT64_MAX) // reserved by the specification
        return BAUTA_ELIMIT;
    uint8_t nonce[12];
    cipher_nonce(nonce, c->n);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, nonce, c->k);
    c->n++;
    return BAUTA_OK;
}

int noise_cipher_open(struct noise_cipher *c, const uint8_t *ad, size_t ad_len, const uint8_t *in,
                      size_t len, uint8_t *out)
{
    if (!c->has_key) {
        if (len > 0)
            memmove(out, in, len);
        return BAUTA_OK;
    }
    if (len < NOISE_TAG_BYTES || len > NOISE_MESSAGE_BYTES_MAX)
        return BAUTA_EFORMAT;
    if (c->n == UINT64_MAX)
        return BAUTA_ELIMIT;
    uint8_t nonce[12];
    cipher_nonce(nonce, c->n);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len, nonce,
                                                  c->k) != 0)
        return BAUTA_EAUTH;
    c->n++;
    return BAUTA_OK;
}

// ---- HKDF ----------------------------------------------------------------------------------------

// HMAC (RFC 2104) over a || b.
static void hmac(uint8_t out[static 64], const uint8_t *key, size_t key_len, const uint8_t *a,
                 size_t a_len, const uint8_t *b, size_t b_len)
{
    assert(key_len <= BLAKE2B_BLOCK_BYTES);
    uint8_t pad[BLAKE2B_BLOCK_BYTES], inner[64];
    crypto_generichash_blake2b_state st;
    memset(pad, 0x36, sizeof pad);
    for (size_t i = 0; i < key_len; i++)
        pad[i] ^= key[i];
    crypto_generichash_blake2b_init(&st, NULL, 0, 64);
    crypto_generichash_blake2b_update(&st, pad, sizeof pad);
    if (a_len > 0)
        crypto_generichash_blake2b_update(&st, a, a_len);
    if (b_len > 0)
        crypto_generichash_blake2b_update(&st, b, b_len);
    crypto_generichash_blake2b_final(&st, inner, 64);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    crypto_generichash_blake2b_init(&st, NULL, 0, 64);
    crypto_generichash_blake2b_update(&st, pad, sizeof pad);
    crypto_generichash_blake2b_update(&st, inner, sizeof inner);
    crypto_generichash_blake2b_final(&st, out, 64);
    sodium_memzero(&st, sizeof st);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

void noise_hkdf(const uint8_t *ck, size_t ck_len, const uint8_t *ikm, size_t ikm_len,
                uint8_t out1[static 64], uint8_t *out2, uint8_t *out3)
{
    assert(out2 != NULL || out3 == NULL);
    uint8_t temp[64];
    static const uint8_t one = 1, two = 2, three = 3;
    hmac(temp, ck, ck_len, ikm, ikm_len, NULL, 0);
    hmac(out1, temp, 64, &one, 1, NULL, 0);
    if (out2 != NULL)
        hmac(out2, temp, 64, out1, 64, &two, 1);
    if (out3 != NULL)
        hmac(out3, temp, 64, out2, 64, &three, 1);
    sodium_memzero(temp, sizeof temp);
}

// ---- symmetric state -----------------------------------------------------------------------------

static void mix_hash(struct noise *n, const uint8_t *data, size_t len)
{
    crypto_generichash_blake2b_state st;
    crypto_generichash_blake2b_init(&st, NULL, 0, NOISE_HASH_BYTES);
    crypto_generichash_blake2b_update(&st, n->h, NOISE_HASH_BYTES);
    if (len > 0)
        crypto_generichash_blake2b_update(&st, data, len);
    crypto_generichash_blake2b_final(&st, n->h, NOISE_HASH_BYTES);
}

static void cipher_key(struct noise_cipher *c, const uint8_t key[static NOISE_KEY_BYTES])
{
    memcpy(c->k, key, NOISE_KEY_BYTES);
    c->n = 0;
    c->has_key = true;
}

static void mix_key(struct noise *n, const uint8_t ikm[static 32])
{
    uint8_t temp[64];
    noise_hkdf(n->ck, sizeof n->ck, ikm, 32, n->ck, temp, NULL);
    cipher_key(&n->cipher, temp);
    sodium_memzero(temp, sizeof temp);
}

static void mix_key_and_hash(struct noise *n, const uint8_t ikm[static 32])
{
    uint8_t temp_h[64], temp_k[64];
    noise_hkdf(n->ck, sizeof n->ck, ikm, 32, n->ck, temp_h, temp_k);
    mix_hash(n, temp_h, sizeof temp_h);
    cipher_key(&n->cipher, temp_k);
    sodium_memzero(temp_h, sizeof temp_h);
    sodium_memzero(temp_k, sizeof temp_k);
}

static size_t tag_bytes(const struct noise *n)
{
    return n->cipher.has_key ? NOISE_TAG_BYTES : 0;
}

static int encrypt_and_hash(struct noise *n, const uint8_t *in, size_t len, uint8_t *out)
{
    size_t out_len = len + tag_bytes(n);
    int rc = noise_cipher_seal(&n->cipher, n->h, sizeof n->h, in, len, out);
    if (rc == BAUTA_OK)
        mix_hash(n, out, out_len);
    return rc;
}

static int decrypt_and_hash(struct noise *n, const uint8_t *in, size_t len, uint8_t *out)
{
    int rc = noise_cipher_open(&n->cipher, n->h, sizeof n->h, in, len, out);
    if (rc == BAUTA_OK)
        mix_hash(n, in, len);
    return rc;
}

// ---- handshake -----------------------------------------------------------------------------------

static int take_keys(struct noise *n, const struct noise_keys *keys)
{
    const struct noise_pattern *p = n->spec.pattern;
    if (noise_pattern_needs_static(p, n->initiator)) {
        if (keys->s == NULL)
            return BAUTA_EFORMAT;
        memcpy(n->s, keys->s, 32);
        n->has_s = true;
        crypto_scalarmult_base(n->s_pub, n->s);
    }
    if (n->initiator ? p->knows_r : p->knows_i) {
        if (keys->rs == NULL)
            return BAUTA_EFORMAT;
        memcpy(n->rs, keys->rs, 32);
        n->has_rs = true;
    }
    for (unsigned place = 0; place < NOISE_PSKS_MAX; place++) {
        if ((n->spec.psk_mask & (1u << place)) == 0)
            continue;
        if (keys->psk[n->psks] == NULL)
            return BAUTA_EFORMAT;
        memcpy(n->psk[n->psks], keys->psk[n->psks], 32);
        n->psks++;
    }
    return BAUTA_OK;
}

int noise_init(struct noise *n, const struct noise_spec *spec, bool initiator,
               const uint8_t *prologue, size_t prologue_len, const struct noise_keys *keys)
{
    memset(n, 0, sizeof *n);
    n->spec = *spec;
    n->initiator = initiator;
    int rc = take_keys(n, keys);
    if (rc != BAUTA_OK) {
        noise_wipe(n);
        return rc;
    }
    // The name is never longer than a hash, so it is padded with zeroes rather than hashed.
    memcpy(n->h, n->spec.name, strlen(n->spec.name));
    memcpy(n->ck, n->h, sizeof n->ck);
    mix_hash(n, prologue, prologue_len);
    if (spec->pattern->knows_i)
        mix_hash(n, initiator ? n->s_pub : n->rs, 32);
    if (spec->pattern->knows_r)
        mix_hash(n, initiator ? n->rs : n->s_pub, 32);
    return BAUTA_OK;
}

// The next message's tokens with its psks in their places.
static unsigned message_tokens(const struct noise *n, uint8_t token[static MESSAGE_TOKENS_MAX])
{
    const uint8_t *row = n->spec.pattern->token[n->message];
    unsigned count = 0;
    if (n->message == 0 && (n->spec.psk_mask & 1u) != 0)
        token[count++] = TOKEN_PSK;
    for (unsigned i = 0; i < NOISE_PATTERN_TOKENS_MAX && row[i] != TOKEN_END; i++)
        token[count++] = row[i];
    if ((n->spec.psk_mask & (2u << n->message)) != 0)
        token[count++] = TOKEN_PSK;
    return count;
}

// What the next message has beside its payload.
static size_t message_overhead(const struct noise *n, const uint8_t *token, unsigned count)
{
    bool keyed = n->cipher.has_key;
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        if (token[i] == TOKEN_E)
            len += DH_BYTES;
        else if (token[i] == TOKEN_S)
            len += DH_BYTES + (keyed ? NOISE_TAG_BYTES : 0);
        // In a handshake with psks the ephemeral key is mixed into the key too.
        keyed = keyed || (token[i] == TOKEN_E ? n->psks > 0 : token[i] != TOKEN_S);
    }
    return len + (keyed ? NOISE_TAG_BYTES : 0);
}

static int mix_dh(struct noise *n, uint8_t token)
{
    bool own_e = token == TOKEN_EE || token == (n->initiator ? TOKEN_ES : TOKEN_SE);
    bool remote_e = token == TOKEN_EE || token == (n->initiator ? TOKEN_SE : TOKEN_ES);
    assert(own_e ? n->has_e : n->has_s);
    assert(remote_e ? n->has_re : n->has_rs);
    uint8_t shared[DH_BYTES];
    int rc = crypto_scalarmult(shared, own_e ? n->e : n->s, remote_e ? n->re : n->rs);
    if (rc == 0)
        mix_key(n, shared);
    sodium_memzero(shared, sizeof shared);
    return rc == 0 ? BAUTA_OK : BAUTA_EAUTH;
}

static void mix_ephemeral(struct noise *n, const uint8_t pub[static 32])
{
    mix_hash(n, pub, 32);
    if (n->psks > 0)
        mix_key(n, pub);
}

// Tokens that are the same for who writes and who reads.
static int mix_token(struct noise *n, uint8_t token)
{
    if (token != TOKEN_PSK)
        return mix_dh(n, token);
    mix_key_and_hash(n, n->psk[n->psk_next++]);
    return BAUTA_OK;
}

static int write_token(struct noise *n, uint8_t token, const uint8_t *e_secret, struct wr *w)
{
    uint8_t *at;
    switch (token) {
    case TOKEN_E:
        memcpy(n->e, e_secret, 32);
        n->has_e = true;
        crypto_scalarmult_base(n->e_pub, n->e);
        wr_bytes(w, n->e_pub, 32);
        mix_ephemeral(n, n->e_pub);
        return BAUTA_OK;
    case TOKEN_S:
        at = wr_room(w, DH_BYTES + tag_bytes(n));
        return encrypt_and_hash(n, n->s_pub, 32, at);
    default:
        return mix_token(n, token);
    }
}

static int read_token(struct noise *n, uint8_t token, struct rd *r)
{
    size_t len;
    switch (token) {
    case TOKEN_E:
        rd_copy(r, n->re, 32);
        n->has_re = true;
        mix_ephemeral(n, n->re);
        return BAUTA_OK;
    case TOKEN_S:
        len = DH_BYTES + tag_bytes(n);
        n->has_rs = true;
        return decrypt_and_hash(n, rd_bytes(r, len), len, n->rs);
    default:
        return mix_token(n, token);
    }
}

static int fail(struct noise *n, int rc)
{
    noise_wipe(n);
    n->failed = true;
    return rc;
}

static void message_passed(struct noise *n)
{
    n->message++;
    if (!noise_done(n))
        return;
    // Split needs ck alone.
    sodium_memzero(n->s, sizeof n->s);
    sodium_memzero(n->e, sizeof n->e);
    sodium_memzero(n->psk, sizeof n->psk);
}

static bool may(const struct noise *n, bool write)
{
    if (n->failed || n->spec.pattern == NULL || noise_done(n))
        return false;
    bool initiator_writes = n->message % 2 == 0;
    return (initiator_writes == n->initiator) == write;
}

int noise_write(struct noise *n, const uint8_t *e_secret, const uint8_t *payload,
                size_t payload_len, uint8_t *out, size_t cap, size_t *out_len)
{
    if (!may(n, true))
        return BAUTA_ESTATE;
    uint8_t token[MESSAGE_TOKENS_MAX];
    unsigned count = message_tokens(n, token);
    size_t overhead = message_overhead(n, token, count);
    if (payload_len > NOISE_MESSAGE_BYTES_MAX - overhead || cap < payload_len + overhead)
        return BAUTA_ESPACE;
    struct wr w = wr_init(out, payload_len + overhead);
    int rc = BAUTA_OK;
    for (unsigned i = 0; i < count && rc == BAUTA_OK; i++) {
        assert(token[i] != TOKEN_E || e_secret != NULL);
        rc = write_token(n, token[i], e_secret, &w);
    }
    if (rc == BAUTA_OK) {
        uint8_t *at = wr_room(&w, payload_len + tag_bytes(n));
        rc = encrypt_and_hash(n, payload, payload_len, at);
    }
    if (rc != BAUTA_OK)
        return fail(n, rc);
    assert(!w.bad && w.left == 0);
    *out_len = wr_len(&w);
    message_passed(n);
    return BAUTA_OK;
}

int noise_read(struct noise *n, const uint8_t *msg, size_t len, uint8_t *out, size_t cap,
               size_t *out_len)
{
    if (!may(n, false))
        return BAUTA_ESTATE;
    uint8_t token[MESSAGE_TOKENS_MAX];
    unsigned count = message_tokens(n, token);
    size_t overhead = message_overhead(n, token, count);
    if (len < overhead || len > NOISE_MESSAGE_BYTES_MAX)
        return fail(n, BAUTA_EFORMAT);
    if (cap < len - overhead)
        return BAUTA_ESPACE;
    struct rd r = rd_init(msg, len);
    int rc = BAUTA_OK;
    for (unsigned i = 0; i < count && rc == BAUTA_OK; i++)
        rc = read_token(n, token[i], &r);
    if (rc == BAUTA_OK) {
        assert(!r.bad && r.left == len - overhead + tag_bytes(n));
        size_t rest = r.left;
        rc = decrypt_and_hash(n, rd_bytes(&r, rest), rest, out);
    }
    if (rc != BAUTA_OK)
        return fail(n, rc);
    *out_len = len - overhead;
    message_passed(n);
    return BAUTA_OK;
}

bool noise_done(const struct noise *n)
{
    return !n->failed && n->spec.pattern != NULL && n->message == n->spec.pattern->messages;
}

int noise_split(const struct noise *n, struct noise_cipher *i_to_r, struct noise_cipher *r_to_i)
{
    if (!noise_done(n))
        return BAUTA_ESTATE;
    uint8_t k1[64], k2[64];
    noise_hkdf(n->ck, sizeof n->ck, NULL, 0, k1, k2, NULL);
    cipher_key(i_to_r, k1);
    cipher_key(r_to_i, k2);
    // Nobody may answer in a one-way pattern: an exhausted nonce refuses, where no key would copy.
    if (n->spec.pattern->one_way)
        *r_to_i = (struct noise_cipher){.n = UINT64_MAX, .has_key = true};
    sodium_memzero(k1, sizeof k1);
    sodium_memzero(k2, sizeof k2);
    return BAUTA_OK;
}

void noise_wipe(struct noise *n)
{
    sodium_memzero(n, sizeof *n);
}
