// Runs Noise test vectors in the JSON form of the cacophony collection:
//   {"vectors": [{"protocol_name", "init_prologue", "init_static", "init_ephemeral",
//     "init_remote_static", "init_psks": [...], the same with "resp_", "handshake_hash",
//     "messages": [{"payload", "ciphertext"}, ...]}, ...]}
// All values but names are hex. Both parties run in lockstep: who sends must produce the ciphertext of
// the file, who receives must get the payload out of it. Any field but the name and the messages may
// be missing: an absent static public key, psk or prologue is taken from the other party, an absent
// ciphertext from the sender; a party that lacks a key of its own sits out, and then the file plays it.
// Shared by tools/noise-vectors.c and the unit test, hence one header. The caller has jansson.
#ifndef BAUTA_TOOLS_NOISE_VECTORS_H
#define BAUTA_TOOLS_NOISE_VECTORS_H

#include "crypto/bytes.h"
#include "crypto/noise.h"
#include "crypto/noise_patterns.h"

#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum noise_vector_result { VECTOR_PASSED, VECTOR_FAILED, VECTOR_SKIPPED };

struct noise_vector_party {
    struct noise noise;
    struct noise_cipher send, receive;
    uint8_t s[32], e[32], rs[32], psk[NOISE_PSKS_MAX][32];
    bool has_s, has_e, has_rs, runs, split;
    size_t psks;
    uint8_t *prologue;
    size_t prologue_len;
};

struct noise_vector {
    struct noise_spec spec;
    struct noise_vector_party party[2]; // initiator, responder
    unsigned compared;                  // values of the file that were checked
    char *why;                          // the caller's buffer for the reason of a failure
    size_t why_size;
};

__attribute__((format(printf, 2, 3))) static inline bool vector_fails(struct noise_vector *v,
                                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(v->why, v->why_size, format, args);
    va_end(args);
    return false;
}

// A hex string as malloc'd bytes; absent: *out stays NULL. False on anything that is not hex.
static inline bool vector_hex(struct noise_vector *v, const json_t *object, const char *field,
                              uint8_t **out, size_t *len)
{
    *out = NULL;
    *len = 0;
    const json_t *value = json_object_get(object, field);
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_string(value))
        return vector_fails(v, "%s is not a string", field);
    size_t chars = json_string_length(value);
    uint8_t *bytes = malloc(chars / 2 + 1);
    if (bytes == NULL)
        return vector_fails(v, "out of memory");
    const char *end = NULL, *text = json_string_value(value);
    if (sodium_hex2bin(bytes, chars / 2 + 1, text, chars, NULL, len, &end) != 0 ||
        end != text + chars) {
        free(bytes);
        return vector_fails(v, "%s is not hex", field);
    }
    *out = bytes;
    return true;
}

static inline bool vector_key(struct noise_vector *v, const json_t *object, const char *field,
                              uint8_t key[static 32], bool *has)
{
    uint8_t *bytes;
    size_t len;
    if (!vector_hex(v, object, field, &bytes, &len))
        return false;
    *has = bytes != NULL;
    if (bytes != NULL && len == 32)
        memcpy(key, bytes, 32);
    free(bytes);
    return !*has || len == 32 || vector_fails(v, "%s has %zu bytes, not 32", field, len);
}

static inline bool vector_psks(struct noise_vector *v, const json_t *object, const char *field,
                               struct noise_vector_party *p)
{
    const json_t *list = json_object_get(object, field);
    if (list == NULL || json_is_null(list))
        return true;
    if (!json_is_array(list) || json_array_size(list) > NOISE_PSKS_MAX)
        return vector_fails(v, "%s is not a list of at most %u psks", field, NOISE_PSKS_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_pack("{s:O}", field, json_array_get(list, i));
        bool has = false;
        bool ok = one != NULL && vector_key(v, one, field, p->psk[i], &has);
        json_decref(one);
        if (!ok || !has)
            return ok ? vector_fails(v, "%s holds null", field) : false;
    }
    p->psks = json_array_size(list);
    return true;
}

static inline bool vector_party(struct noise_vector *v, const json_t *object, bool initiator)
{
    static const char *const fields[2][5] = {
        {"init_prologue", "init_static", "init_ephemeral", "init_remote_static", "init_psks"},
        {"resp_prologue", "resp_static", "resp_ephemeral", "resp_remote_static", "resp_psks"}};
    const char *const *f = fields[initiator ? 0 : 1];
    struct noise_vector_party *p = &v->party[initiator ? 0 : 1];
    return vector_hex(v, object, f[0], &p->prologue, &p->prologue_len) &&
           vector_key(v, object, f[1], p->s, &p->has_s) &&
           vector_key(v, object, f[2], p->e, &p->has_e) &&
           vector_key(v, object, f[3], p->rs, &p->has_rs) && vector_psks(v, object, f[4], p);
}

// Fills what one party lacks from the other.
static inline bool vector_share(struct noise_vector *v)
{
    for (unsigned i = 0; i < 2; i++) {
        struct noise_vector_party *own = &v->party[i], *other = &v->party[1 - i];
        if (own->prologue == NULL && other->prologue != NULL) {
            own->prologue = malloc(other->prologue_len + 1);
            if (own->prologue == NULL)
                return vector_fails(v, "out of memory");
            memcpy(own->prologue, other->prologue, other->prologue_len);
            own->prologue_len = other->prologue_len;
        }
        if (!own->has_rs && other->has_s) {
            crypto_scalarmult_base(own->rs, other->s);
            own->has_rs = true;
        }
        if (own->psks == 0 && other->psks > 0) {
            memcpy(own->psk, other->psk, sizeof own->psk);
            own->psks = other->psks;
        }
    }
    return true;
}

static inline bool vector_start(struct noise_vector *v)
{
    size_t psks = 0;
    for (unsigned bit = 0; bit < NOISE_PSKS_MAX; bit++)
        psks += (v->spec.psk_mask >> bit & 1) != 0 ? 1u : 0u;
    for (unsigned i = 0; i < 2; i++) {
        struct noise_vector_party *p = &v->party[i];
        if (p->psks != psks)
            return vector_fails(v, "%zu psks where the name says %zu", p->psks, psks);
        struct noise_keys keys = {p->has_s ? p->s : NULL, p->has_rs ? p->rs : NULL, {NULL}};
        for (size_t k = 0; k < psks; k++)
            keys.psk[k] = p->psk[k];
        bool writes = i == 0 || v->spec.pattern->messages > 1; // every first message has an "e"
        p->runs = (p->has_e || !writes) &&
                  noise_init(&p->noise, &v->spec, i == 0, p->prologue, p->prologue_len, &keys) == 0;
    }
    return v->party[0].runs || v->party[1].runs ||
           vector_fails(v, "keys are missing on both sides");
}

struct vector_message {
    uint8_t *payload, *expected, *sent, *got;
    size_t payload_len, expected_len, sent_len, got_len;
    bool has_expected;
};

static inline int vector_send(struct noise_vector_party *p, struct vector_message *m)
{
    if (!noise_done(&p->noise))
        return noise_write(&p->noise, p->e, m->payload, m->payload_len, m->sent,
                           NOISE_MESSAGE_BYTES_MAX, &m->sent_len);
    m->sent_len = m->payload_len + NOISE_TAG_BYTES;
    return m->sent_len > NOISE_MESSAGE_BYTES_MAX
               ? BAUTA_ESPACE
               : noise_cipher_seal(&p->send, NULL, 0, m->payload, m->payload_len, m->sent);
}

static inline int vector_receive(struct noise_vector_party *p, struct vector_message *m,
                                 const uint8_t *in, size_t len)
{
    if (!noise_done(&p->noise))
        return noise_read(&p->noise, in, len, m->got, NOISE_MESSAGE_BYTES_MAX, &m->got_len);
    m->got_len = len - (len < NOISE_TAG_BYTES ? len : NOISE_TAG_BYTES);
    return noise_cipher_open(&p->receive, NULL, 0, in, len, m->got);
}

static inline bool vector_split(struct noise_vector *v, unsigned i)
{
    struct noise_vector_party *p = &v->party[i];
    if (!p->runs || p->split || !noise_done(&p->noise))
        return true;
    p->split = true;
    if (noise_split(&p->noise, i == 0 ? &p->send : &p->receive, i == 0 ? &p->receive : &p->send) !=
        0)
        return vector_fails(v, "split refused");
    return true;
}

static inline bool vector_exchange(struct noise_vector *v, size_t index, struct vector_message *m)
{
    // Transport goes on alternating where the handshake stopped, but one way in one-way patterns.
    unsigned from = v->spec.pattern->one_way ? 0 : (unsigned)(index % 2);
    struct noise_vector_party *sender = &v->party[from], *receiver = &v->party[1 - from];
    int rc;
    if (sender->runs) {
        if ((rc = vector_send(sender, m)) != 0)
            return vector_fails(v, "message %zu: sending failed with %d", index, rc);
        if (m->has_expected &&
            (m->sent_len != m->expected_len || memcmp(m->sent, m->expected, m->sent_len) != 0))
            return vector_fails(v, "message %zu: another ciphertext", index);
        v->compared += m->has_expected;
    }
    if (receiver->runs) {
        if (!m->has_expected && !sender->runs)
            return vector_fails(v, "message %zu: no ciphertext, and no keys to make it", index);
        rc = m->has_expected ? vector_receive(receiver, m, m->expected, m->expected_len)
                             : vector_receive(receiver, m, m->sent, m->sent_len);
        if (rc != 0)
            return vector_fails(v, "message %zu: receiving failed with %d", index, rc);
        if (m->got_len != m->payload_len ||
            (m->got_len > 0 && memcmp(m->got, m->payload, m->got_len) != 0))
            return vector_fails(v, "message %zu: another payload", index);
        v->compared += m->has_expected;
    }
    return vector_split(v, 0) && vector_split(v, 1);
}

static inline bool vector_message_run(struct noise_vector *v, const json_t *object, size_t index)
{
    if (!json_is_object(object))
        return vector_fails(v, "message %zu is not an object", index);
    struct vector_message m = {0};
    bool ok = vector_hex(v, object, "payload", &m.payload, &m.payload_len) &&
              vector_hex(v, object, "ciphertext", &m.expected, &m.expected_len);
    m.has_expected = m.expected != NULL;
    m.sent = malloc(NOISE_MESSAGE_BYTES_MAX);
    m.got = malloc(NOISE_MESSAGE_BYTES_MAX);
    if (ok && (m.sent == NULL || m.got == NULL))
        ok = vector_fails(v, "out of memory");
    ok = ok && vector_exchange(v, index, &m);
    free(m.payload);
    free(m.expected);
    free(m.sent);
    free(m.got);
    return ok;
}

static inline bool vector_hash_check(struct noise_vector *v, const json_t *object)
{
    uint8_t *hash;
    size_t len;
    if (!vector_hex(v, object, "handshake_hash", &hash, &len))
        return false;
    bool ok = true;
    for (unsigned i = 0; i < 2 && hash != NULL; i++) {
        if (!v->party[i].runs)
            continue;
        v->compared++;
        if (len != NOISE_HASH_BYTES || memcmp(hash, v->party[i].noise.h, len) != 0)
            ok = false;
    }
    free(hash);
    return ok || vector_fails(v, "another handshake hash");
}

static inline bool vector_conversation(struct noise_vector *v, const json_t *object)
{
    const json_t *messages = json_object_get(object, "messages");
    if (!json_is_array(messages))
        return vector_fails(v, "messages is not a list");
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (!vector_message_run(v, json_array_get(messages, i), i))
            return false;
    for (unsigned i = 0; i < 2; i++)
        if (v->party[i].runs && !noise_done(&v->party[i].noise))
            return vector_fails(v, "%zu messages don't complete the handshake",
                                json_array_size(messages));
    if (!vector_hash_check(v, object))
        return false;
    return v->compared > 0 || vector_fails(v, "nothing to compare with");
}

// The vector's name, or NULL.
static inline const char *noise_vector_name(const json_t *object)
{
    const json_t *name = json_object_get(object, "protocol_name");
    return json_string_value(name != NULL ? name : json_object_get(object, "name"));
}

// Runs one vector. `why` gets the reason of a failure or a skip.
static inline enum noise_vector_result noise_vector_run(const json_t *object, char *why,
                                                        size_t size)
{
    struct noise_vector v = {.why = why, .why_size = size};
    why[0] = '\0';
    if (!json_is_object(object) || noise_vector_name(object) == NULL) {
        vector_fails(&v, "no protocol_name");
        return VECTOR_FAILED;
    }
    if (noise_spec_parse(&v.spec, noise_vector_name(object)) != 0) {
        vector_fails(&v, "not a protocol of ours");
        return VECTOR_SKIPPED;
    }
    bool ok = vector_party(&v, object, true) && vector_party(&v, object, false) &&
              vector_share(&v) && vector_start(&v) && vector_conversation(&v, object);
    free(v.party[0].prologue);
    free(v.party[1].prologue);
    return ok ? VECTOR_PASSED : VECTOR_FAILED;
}

#endif
