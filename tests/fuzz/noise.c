// layer: crypto
// Handshake messages of strangers, at a responder and at an initiator of IKpsk1 who waits for the answer.
#include "crypto/noise.h"
#include "crypto/bytes.h"

#include <sodium.h>
#include <stdlib.h>

#define PAYLOAD_BYTES_MAX 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

// The keys that the seed corpus was made with. The first byte of an input chooses who reads the rest.
static void start(struct noise *n, bool initiator)
{
    static const uint8_t secret_i[32] = {1}, secret_r[32] = {2}, psk[32] = {3};
    uint8_t pub_r[32];
    struct noise_spec spec;
    crypto_scalarmult_base(pub_r, secret_r);
    struct noise_keys keys = {initiator ? secret_i : secret_r, initiator ? pub_r : NULL, {psk}};
    require(noise_spec_parse(&spec, "Noise_IKpsk1_25519_ChaChaPoly_BLAKE2b") == BAUTA_OK);
    require(noise_init(n, &spec, initiator, NULL, 0, &keys) == BAUTA_OK);
}

static void answer_and_end(struct noise *n, bool initiator)
{
    static const uint8_t e[32] = {5};
    uint8_t msg[256];
    size_t len;
    if (!initiator)
        require(noise_write(n, e, NULL, 0, msg, sizeof msg, &len) == BAUTA_OK);
    struct noise_cipher a, b;
    require(noise_done(n) && noise_split(n, &a, &b) == BAUTA_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    static const uint8_t e[32] = {4};
    bool initiator = (data[0] & 1) != 0;
    struct noise n, before;
    uint8_t msg[256], out[PAYLOAD_BYTES_MAX];
    size_t msg_len, out_len;
    start(&n, initiator);
    if (initiator)
        require(noise_write(&n, e, NULL, 0, msg, sizeof msg, &msg_len) == BAUTA_OK);
    before = n;
    int rc = noise_read(&n, data + 1, len - 1, out, sizeof out, &out_len);
    if (rc == BAUTA_OK) {
        require(out_len <= sizeof out);
        answer_and_end(&n, initiator);
    } else if (rc == BAUTA_ESPACE) {
        require(len - 1 > sizeof out && memcmp(before.h, n.h, sizeof n.h) == 0);
        require(memcmp(before.ck, n.ck, sizeof n.ck) == 0 && before.message == n.message &&
                !n.failed);
    } else {
        require(rc == BAUTA_EFORMAT || rc == BAUTA_EAUTH);
        require(n.failed && sodium_is_zero(n.ck, sizeof n.ck) && sodium_is_zero(n.s, sizeof n.s));
        require(noise_read(&n, data + 1, len - 1, out, sizeof out, &out_len) == BAUTA_ESTATE);
    }
    return 0;
}
