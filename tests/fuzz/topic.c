// layer: crypto
// Normalisation never crashes, keeps its bounds, and is idempotent; the same for passphrases.
#include "crypto/topic.h"
#include "crypto/bytes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool error_is_named(int rc)
{
    return rc == BAUTA_EFORMAT || rc == BAUTA_ELIMIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t topic[TOPIC_BYTES_MAX], pass[PASS_BYTES_MAX], again[PASS_BYTES_MAX];
    size_t topic_len, pass_at, pass_len, n, m;
    topic_split(data, len, &topic_len, &pass_at, &pass_len);
    require(pass_at <= len && pass_len == len - pass_at);
    require(topic_len == len ? pass_len == 0 : topic_len + 2 == pass_at);

    int rc = topic_normalise(data, topic_len, topic, &n);
    require(rc == BAUTA_OK || error_is_named(rc));
    if (rc == BAUTA_OK) {
        require(n > 0 && n <= TOPIC_BYTES_MAX && topic[0] != ' ' && topic[n - 1] != ' ');
        for (size_t i = 0; i < n; i++)
            require(topic[i] >= 0x20 && topic[i] != 0x7f && (topic[i] < 'A' || topic[i] > 'Z') &&
                    (i == 0 || topic[i] != ' ' || topic[i - 1] != ' '));
        require(topic_normalise(topic, n, again, &m) == BAUTA_OK);
        require(m == n && memcmp(again, topic, n) == 0);
    }
    rc = topic_pass_normalise(data + pass_at, pass_len, pass, &n);
    require(rc == BAUTA_OK || error_is_named(rc));
    if (rc == BAUTA_OK) {
        require(n <= PASS_BYTES_MAX);
        require(topic_pass_normalise(pass, n, again, &m) == BAUTA_OK);
        require(m == n && memcmp(again, pass, n) == 0);
    }
    return 0;
}
