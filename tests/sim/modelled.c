// Modelled crypto keeps the laws that the product counts on, and a network runs with it as with
// libsodium's.
#include "tools/sim/modelled.h"
#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "crypto/relaykey.h"
#include "tests/sim/help.h"

static void fill(uint8_t *out, size_t len, uint8_t seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + 37 * i);
}

static void both_ends_agree(void **state)
{
    (void)state;
    uint8_t a[32], b[32], pa[32], pb[32], ab[32], ba[32], zero[32] = {0};
    fill(a, 32, 1);
    fill(b, 32, 2);
    modelled_use(true);
    assert_int_equal(crypto_scalarmult_base(pa, a), 0);
    assert_int_equal(crypto_scalarmult_base(pb, b), 0);
    assert_memory_not_equal(pa, pb, 32);
    assert_int_equal(crypto_scalarmult(ab, a, pb), 0);
    assert_int_equal(crypto_scalarmult_curve25519(ba, b, pa), 0);
    assert_memory_equal(ab, ba, 32);
    for (unsigned i = 0; i < 32; i++) {
        pb[i] ^= 1;
        assert_int_equal(crypto_scalarmult(ab, a, pb), 0);
        assert_memory_not_equal(ab, ba, 32);
        pb[i] ^= 1;
    }
    assert_int_equal(crypto_scalarmult(ab, a, zero), -1);

    static uint8_t pk[crypto_kem_xwing_PUBLICKEYBYTES], ct[crypto_kem_xwing_CIPHERTEXTBYTES];
    uint8_t sk[32], seed[64], ss[32], same[32];
    fill(seed, 64, 9);
    assert_int_equal(crypto_kem_xwing_seed_keypair(pk, sk, a), 0);
    assert_int_equal(crypto_kem_xwing_enc_deterministic(ct, ss, pk, seed), 0);
    assert_int_equal(crypto_kem_xwing_dec(same, ct, sk), 0);
    assert_memory_equal(ss, same, 32);
    ct[crypto_kem_xwing_CIPHERTEXTBYTES - 1] ^= 128;
    assert_int_equal(crypto_kem_xwing_dec(same, ct, sk), 0);
    assert_memory_not_equal(ss, same, 32);
    modelled_use(false);
}

static void a_relay_has_one_key(void **state)
{
    (void)state;
    uint8_t seed[32], other[32], ed_pk[32], pk[32], secret[32], same[32], sk[32], sig[64];
    uint8_t msg[100], zero[32] = {0};
    fill(seed, 32, 5);
    fill(other, 32, 6);
    fill(msg, sizeof msg, 7);
    modelled_use(true);
    relay_secret(secret, seed);
    relay_public(ed_pk, pk, seed);
    key_pair(same, sk, secret);
    assert_memory_equal(same, pk, 32);
    assert_memory_not_equal(ed_pk, pk, 32);
    assert_int_equal(relay_contact_key(same, zero), BAUTA_EAUTH);
    relay_sign(sig, seed, msg, sizeof msg);
    assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg, sig), 0);
    assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg - 1, sig), BAUTA_EAUTH);
    uint8_t *part[] = {ed_pk, pk, msg, sig};
    size_t part_len[] = {sizeof ed_pk, sizeof pk, sizeof msg, sizeof sig};
    for (unsigned p = 0; p < 4; p++) {
        for (size_t i = 0; i < part_len[p]; i++) {
            part[p][i] ^= (uint8_t)(1u << i % 8);
            assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg, sig), BAUTA_EAUTH);
            part[p][i] ^= (uint8_t)(1u << i % 8);
        }
    }
    relay_sign(sig, other, msg, sizeof msg);
    assert_int_equal(relay_verify(ed_pk, pk, msg, sizeof msg, sig), BAUTA_EAUTH);
    modelled_use(false);
}

typedef int seal_fn(unsigned char *, unsigned char *, unsigned long long *, const unsigned char *,
                    unsigned long long, const unsigned char *, unsigned long long,
                    const unsigned char *, const unsigned char *, const unsigned char *);
typedef int open_fn(unsigned char *, unsigned char *, const unsigned char *, unsigned long long,
                    const unsigned char *, const unsigned char *, unsigned long long,
                    const unsigned char *, const unsigned char *);

// One flipped bit of key, nonce, associated data, text or tag, and it does not open.
static void sealed(seal_fn *seal, open_fn *open, size_t nonce_len, size_t tag_len, size_t len)
{
    uint8_t plain[1300], text[1300], out[1300], in[4][64], tag[32];
    uint8_t *part[] = {in[0], in[1], in[2], text, tag};
    size_t part_len[] = {32, nonce_len, 33, len, tag_len};
    unsigned long long n = 0;
    fill(plain, len, 4);
    for (uint8_t i = 0; i < 3; i++)
        fill(in[i], 64, i);
    assert_int_equal(seal(text, tag, &n, plain, len, in[2], 33, NULL, in[1], in[0]), 0);
    assert_int_equal(n, tag_len);
    assert_int_equal(open(out, NULL, text, len, tag, in[2], 33, in[1], in[0]), 0);
    assert_memory_equal(out, plain, len);
    if (len >= 16)
        assert_memory_not_equal(text, plain, len);
    for (unsigned p = 0; p < 5; p++) {
        for (size_t i = 0; i < part_len[p]; i++) {
            part[p][i] ^= (uint8_t)(1u << i % 8);
            assert_int_equal(open(out, NULL, text, len, tag, in[2], 33, in[1], in[0]), -1);
            part[p][i] ^= (uint8_t)(1u << i % 8);
        }
    }
    assert_int_equal(open(text, NULL, text, len, tag, in[2], 33, in[1], in[0]), 0); // in place
    assert_memory_equal(text, plain, len);
}

static void a_flipped_bit_does_not_open(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 7, 8, 15, 16, 63, 64, 65, 616, 1300};
    modelled_use(true);
    for (unsigned i = 0; i < sizeof lens / sizeof *lens; i++) {
        sealed(crypto_aead_xchacha20poly1305_ietf_encrypt_detached,
               crypto_aead_xchacha20poly1305_ietf_decrypt_detached, 24, 16, lens[i]);
        sealed(crypto_aead_chacha20poly1305_ietf_encrypt_detached,
               crypto_aead_chacha20poly1305_ietf_decrypt_detached, 12, 16, lens[i]);
        sealed(crypto_aead_aegis256_encrypt_detached, crypto_aead_aegis256_decrypt_detached, 32, 32,
               lens[i]);
    }
    uint8_t key[32], text[116], out[116];
    unsigned long long n = 0;
    fill(key, 32, 3);
    assert_int_equal(
        crypto_aead_chacha20poly1305_ietf_encrypt(text, &n, key, 32, NULL, 0, NULL, key, key), 0);
    assert_int_equal(n, 48);
    assert_int_equal(
        crypto_aead_chacha20poly1305_ietf_decrypt(out, &n, NULL, text, 48, NULL, 0, key, key), 0);
    assert_int_equal(n, 32);
    assert_memory_equal(out, key, 32);
    text[47] ^= 1;
    assert_int_equal(
        crypto_aead_chacha20poly1305_ietf_decrypt(out, &n, NULL, text, 48, NULL, 0, key, key), -1);
    assert_int_equal(
        crypto_aead_chacha20poly1305_ietf_decrypt(out, &n, NULL, text, 15, NULL, 0, key, key), -1);
    modelled_use(false);
}

// However it is cut, a hash is the same; its bits are half ones, and one flipped bit changes half.
static void hashes_spread(void **state)
{
    (void)state;
    uint8_t in[96], whole[32], cut[32];
    uint32_t ones[256] = {0}, changed = 0;
    modelled_use(true);
    for (uint32_t v = 0; v < 4096; v++) {
        fill(in, sizeof in, 0);
        memcpy(in + 40, &v, sizeof v);
        crypto_generichash(whole, 32, in, sizeof in, NULL, 0);
        crypto_generichash_blake2b_state st;
        crypto_generichash_blake2b_init(&st, NULL, 0, 32);
        crypto_generichash_blake2b_update(&st, in, v % 97);
        crypto_generichash_blake2b_update(&st, in + v % 97, sizeof in - v % 97);
        crypto_generichash_blake2b_final(&st, cut, 32);
        assert_memory_equal(whole, cut, 32);
        in[v % 96] ^= (uint8_t)(1u << v % 8);
        crypto_generichash(cut, 32, in, sizeof in, NULL, 0);
        for (unsigned b = 0; b < 256; b++) {
            ones[b] += whole[b / 8] >> b % 8 & 1;
            changed += (uint32_t)(whole[b / 8] ^ cut[b / 8]) >> b % 8 & 1;
        }
    }
    for (unsigned b = 0; b < 256; b++)
        assert_in_range(ones[b], 2048 - 160, 2048 + 160); // five standard deviations
    assert_in_range(changed, 4096 * 128 - 5 * 512, 4096 * 128 + 5 * 512);
    modelled_use(false);
    crypto_generichash(whole, 32, (const uint8_t *)"abc", 3, NULL, 0);
    static const uint8_t blake2b_abc[4] = {0xbd, 0xdd, 0x81, 0x3c}; // off: libsodium's own
    assert_memory_equal(whole, blake2b_abc, 4);
}

struct outcome {
    char digest[65];
    struct sim_figures figures;
};

static struct outcome run(bool modelled, uint64_t seed)
{
    struct sim_config cfg = {
        .seed = seed, .loss_ppm = 20000, .jobs = jobs, .modelled = modelled, .no_aes_percent = 50};
    struct sim *s = sim_new(&cfg);
    help_sixty(s);
    help_must(s, seed, sim_run(s, 60 * S, help_people_done, NULL), "all met and talked");
    help_no_failures(s, seed);
    struct outcome o;
    sim_digest(s, o.digest);
    sim_figures(s, &o.figures);
    sim_free(s);
    return o;
}

static void a_network_runs_with_either(void **state)
{
    (void)state;
    struct outcome real = run(false, 1), first = run(true, 1), again = run(true, 1);
    assert_int_equal(real.figures.matched, 20);
    assert_int_equal(first.figures.matched, 20);
    assert_string_equal(first.digest, again.digest);
    assert_memory_equal(&first.figures, &again.figures, sizeof first.figures);
    assert_string_not_equal(first.digest, real.digest);
    assert_string_not_equal(first.digest, run(true, 2).digest);
    print_message("modelled digest %s\n", first.digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree),
        cmocka_unit_test(a_relay_has_one_key),
        cmocka_unit_test(a_flipped_bit_does_not_open),
        cmocka_unit_test(hashes_spread),
        cmocka_unit_test(a_network_runs_with_either),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
