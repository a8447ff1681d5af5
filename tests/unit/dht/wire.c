// Bodies of each kind: round trips, every truncation, limits, and the vectors in
// tests/vectors/dht-wire.json. BAUTA_WRITE_VECTORS=1 prints that file anew.
#include "dht/wire.h"

#include "crypto/bytes.h"
#include "tests/unit/dht/help.h"

#include <jansson.h>

static uint8_t record[2 * RECORD_BYTES], blob[2000];

static void fill_up(uint8_t *p, size_t n, uint8_t from)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(from + i);
}

static void setup_bytes(void)
{
    fill_up(record, sizeof record, 0x80);
    fill_up(blob, sizeof blob, 0x40);
}

static struct wire_request request(enum rpc_kind kind)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = kind;
    fill_up(q.reply, 8, 0x10);
    fill_up(q.target, 32, 0x20);
    switch (kind) {
    case RPC_FIND:
        q.want = WIRE_WANT_V4 | WIRE_WANT_V6;
        q.bits = 13;
        q.has_self = true;
        fill_up(q.pk, 32, 0x30);
        fill_up(q.puzzle_nonce, 8, 0x50);
        break;
    case RPC_ANNOUNCE:
        q.ttl_s = 600;
        q.version = 0x01020304;
        fill_up(q.salt, RECORD_SALT_BYTES, 0x60);
        q.effort = 512;
        fill_up(q.nonce, POW_NONCE_BYTES, 0x70);
        fill_up(q.sol, POW_SOLUTION_BYTES, 0x90);
        q.record = record;
        break;
    case RPC_DIAL_BACK:
        q.has_self = true;
        fill_up(q.pk, 32, 0x30);
        fill_up(q.puzzle_nonce, 8, 0x50);
        break;
    case RPC_WITHDRAW:
        fill_up(q.rec_id, RECORD_ID_BYTES, 0x90);
        fill_up(q.salt, RECORD_SALT_BYTES, 0x60);
        break;
    case RPC_SEEK:
        fill_up(q.rec_id, RECORD_ID_BYTES, 0x90);
        break;
    case RPC_ATTEND:
        q.ttl_s = 120;
        break;
    case RPC_OPEN:
        q.blob = blob;
        q.blob_len = 5;
        break;
    case RPC_INTRODUCE:
    case RPC_RELAY_BACK:
        q.blob = blob;
        q.blob_len = 5;
        fill_up(q.link, DHT_LINK_BYTES, 0xa0);
        break;
    default:
        break;
    }
    if (kind == RPC_PING || kind >= RPC_ATTEND)
        memset(q.target, 0, 32);
    if (kind >= RPC_ATTEND && kind <= RPC_RELAY_BACK)
        fill_up(q.handle, DHT_HANDLE_BYTES, 0xb0);
    if (kind == RPC_ATTEND || kind == RPC_INTRODUCE)
        fill_up(q.push_key, 32, 0xc0);
    return q;
}

static struct wire_request dial_contact(const char *where)
{
    struct wire_request q;
    memset(&q, 0, sizeof q);
    q.kind = RPC_DIAL_BACK;
    fill_up(q.reply, 8, 0x10);
    fill_up(q.contact.pk, 32, 0x31);
    fill_up(q.contact.puzzle_nonce, 8, 0x51);
    assert_int_equal(path_parse(&q.contact.path, where, strlen(where)), 0);
    return q;
}

// Contacts of an answer as they stand on the wire; valid until the next one is made.
static void two_contacts(struct wire_answer *a)
{
    static uint8_t body[CLASS_FULL];
    struct wire_part part;
    assert_int_equal(wire_part_begin(&part, a, body, sizeof body), 0);
    size_t head = part.len;
    for (unsigned i = 0; i < 2; i++) {
        static const char *const where[] = {"198.51.100.7:5000", "[2001:db8::1]:6000"};
        struct contact c;
        memset(&c, 0, sizeof c);
        fill_up(c.pk, 32, (uint8_t)(0x30 + i));
        fill_up(c.puzzle_nonce, 8, (uint8_t)(0x50 + i));
        assert_int_equal(path_parse(&c.path, where[i], strlen(where[i])), 0);
        assert_true(wire_part_contact(&part, &c));
    }
    assert_int_equal(body[part.n_at], 2);
    a->n = 2;
    a->contacts = body + head;
    a->contacts_len = (uint16_t)(part.len - head);
    assert_int_equal(a->contacts_len, WIRE_CONTACT_V4_BYTES + WIRE_CONTACT_V6_BYTES);
}

static struct wire_answer answer(enum rpc_kind kind)
{
    struct wire_answer a;
    memset(&a, 0, sizeof a);
    a.count = 1;
    a.kind = kind;
    fill_up(a.token, RPC_TOKEN_BYTES, 0xd0);
    if (kind == RPC_PING || kind == RPC_FIND) {
        fill_up(a.puzzle_nonce, 8, 0x50);
        a.minute = 28333333;
        a.listed = kind == RPC_FIND;
    }
    if (kind == RPC_PING || kind == RPC_FIND || kind == RPC_ATTEND)
        assert_int_equal(path_parse(&a.seen, "192.0.2.1:4000", 14), 0);
    if (kind == RPC_FIND)
        two_contacts(&a);
    if (kind == RPC_ANNOUNCE || kind == RPC_SEEK) {
        a.index = 1;
        a.count = 2;
        a.live = 300;
        a.hint = 2;
        a.effort = 64;
        a.n = kind == RPC_SEEK ? 0 : 1;
        a.records = record;
    }
    if (kind == RPC_ATTEND)
        a.ttl_s = 120;
    if (kind == RPC_OPEN) {
        a.blob = blob;
        a.blob_len = 6;
    }
    return a;
}

static void same_request(const struct wire_request *a, const struct wire_request *b)
{
    struct wire_request x = *a, y = *b;
    assert_true((x.record == NULL) == (y.record == NULL));
    if (x.record != NULL)
        assert_memory_equal(x.record, y.record, RECORD_BYTES);
    assert_int_equal(x.blob_len, y.blob_len);
    if (x.blob_len > 0)
        assert_memory_equal(x.blob, y.blob, x.blob_len);
    x.record = y.record = x.blob = y.blob = NULL;
    assert_memory_equal(&x, &y, sizeof x);
}

static void test_requests(void **state)
{
    (void)state;
    for (int kind = RPC_PING; kind <= RPC_KIND_LAST + 2; kind++) { // dial_back has three forms
        struct wire_request q =
            kind <= RPC_KIND_LAST ? request((enum rpc_kind)kind)
                                  : dial_contact(kind == RPC_KIND_LAST + 1 ? "198.51.100.7:5000"
                                                                           : "[2001:db8::1]:6000");
        struct wire_request back;
        uint8_t body[CLASS_FULL], small[CLASS_FULL];
        size_t len, at;
        assert_int_equal(wire_request_encode(&q, body, sizeof body, &len), 0);
        assert_int_equal(wire_request_decode(&back, body, len), 0);
        same_request(&q, &back);
        memset(body + len, 0xff, 20); // padding is not looked at
        assert_int_equal(wire_request_decode(&back, body, len + 20), 0);
        same_request(&q, &back);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1); // so that a sanitizer sees a read past the end
            memcpy(exact, body, cut);
            assert_int_equal(wire_request_decode(&back, exact, cut), BAUTA_EFORMAT);
            free(exact);
            assert_int_equal(wire_request_encode(&q, small, cut, &at), BAUTA_ESPACE);
        }
    }
}

static void test_bad_requests(void **state)
{
    (void)state;
    uint8_t body[CLASS_FULL] = {0};
    struct wire_request q;
    for (int kind = 0; kind < 256; kind++) {
        body[0] = (uint8_t)kind;
        if (kind < RPC_PING || kind > RPC_KIND_LAST)
            assert_int_equal(wire_request_decode(&q, body, sizeof body), BAUTA_EFORMAT);
    }
    size_t len;
    struct wire_request find = request(RPC_FIND);
    find.bits = 257;
    assert_int_equal(wire_request_encode(&find, body, sizeof body, &len), 0);
    assert_int_equal(wire_request_decode(&q, body, len), BAUTA_EFORMAT);
    find.bits = 256;
    find.want = 0;
    assert_int_equal(wire_request_encode(&find, body, sizeof body, &len), 0);
    assert_int_equal(wire_request_decode(&q, body, len), BAUTA_EFORMAT);
    struct wire_request dial = request(RPC_DIAL_BACK); // just one of the two forms
    assert_int_equal(wire_request_encode(&dial, body, sizeof body, &len), 0);
    for (unsigned flags = 0; flags < 256; flags++) {
        body[WIRE_REQUEST_HEAD_BYTES] = (uint8_t)flags;
        body[WIRE_REQUEST_HEAD_BYTES + 1] = 4;
        assert_int_equal(wire_request_decode(&q, body, 200),
                         flags == 1 || flags == 2 ? 0 : BAUTA_EFORMAT);
    }
    body[WIRE_REQUEST_HEAD_BYTES] = WIRE_FLAG_CONTACT;
    body[WIRE_REQUEST_HEAD_BYTES + 1] = 5;
    assert_int_equal(wire_request_decode(&q, body, 200), BAUTA_EFORMAT);
    struct wire_request intro = request(RPC_INTRODUCE);
    intro.blob_len = (uint16_t)dht_introduce_blob_max();
    assert_int_equal(wire_request_encode(&intro, body, sizeof body, &len), 0);
    assert_int_equal(len + RPC_REQUEST_OVERHEAD, CLASS_MEDIUM);
    assert_int_equal(wire_request_decode(&q, body, len), 0);
    intro.blob_len++;
    assert_int_equal(wire_request_encode(&intro, body, sizeof body, &len), 0);
    assert_int_equal(wire_request_decode(&q, body, len), BAUTA_EFORMAT);
    struct wire_request back = request(RPC_RELAY_BACK);
    back.blob_len = (uint16_t)dht_answer_blob_max();
    assert_int_equal(wire_request_encode(&back, body, sizeof body, &len), 0);
    assert_int_equal(len + RPC_REQUEST_OVERHEAD, CLASS_CHAT);
    assert_int_equal(wire_request_decode(&q, body, len), 0);
    back.blob_len++;
    assert_int_equal(wire_request_encode(&back, body, sizeof body, &len), 0);
    assert_int_equal(wire_request_decode(&q, body, len), BAUTA_EFORMAT);
}

static void same_answer(const struct wire_answer *a, const struct wire_answer *b)
{
    struct wire_answer x = *a, y = *b;
    if (x.n > 0 && (x.kind == RPC_ANNOUNCE || x.kind == RPC_SEEK))
        assert_memory_equal(x.records, y.records, x.n * RECORD_BYTES);
    if (x.contacts_len > 0)
        assert_memory_equal(x.contacts, y.contacts, x.contacts_len);
    if (x.blob_len > 0)
        assert_memory_equal(x.blob, y.blob, x.blob_len);
    x.records = y.records = x.contacts = y.contacts = x.blob = y.blob = NULL;
    assert_memory_equal(&x, &y, sizeof x);
}

static void test_answers(void **state)
{
    (void)state;
    for (int kind = RPC_PING; kind <= RPC_KIND_LAST; kind++) {
        struct wire_answer a = answer((enum rpc_kind)kind), back;
        uint8_t body[CLASS_FULL], small[CLASS_FULL];
        size_t len, at;
        assert_int_equal(wire_answer_encode(&a, body, sizeof body, &len), 0);
        assert_int_equal(wire_answer_decode(&back, body, len), 0);
        same_answer(&a, &back);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, body, cut);
            assert_int_equal(wire_answer_decode(&back, exact, cut), BAUTA_EFORMAT);
            free(exact);
            assert_int_equal(wire_answer_encode(&a, small, cut, &at), BAUTA_ESPACE);
        }
        // After the token: full brings hint and count, effort what is wanted, others nothing.
        a.status = RPC_FULL;
        a.hint = 3;
        a.live = 201;
        assert_int_equal(wire_answer_encode(&a, body, sizeof body, &len), 0);
        assert_int_equal(len, WIRE_FULL_BYTES);
        assert_int_equal(wire_answer_decode(&back, body, len), 0);
        assert_int_equal(back.hint, 3);
        assert_int_equal(back.live, 201);
        assert_int_equal(wire_answer_decode(&back, body, len - 1), BAUTA_EFORMAT);
        a.status = RPC_EFFORT;
        a.effort = 4096;
        assert_int_equal(wire_answer_encode(&a, body, sizeof body, &len), 0);
        assert_int_equal(len, WIRE_EFFORT_BYTES);
        assert_int_equal(wire_answer_decode(&back, body, len), 0);
        assert_int_equal(back.effort, 4096);
        assert_int_equal(wire_answer_decode(&back, body, len - 1), BAUTA_EFORMAT);
        a.status = RPC_NEED_TOKEN;
        assert_int_equal(wire_answer_encode(&a, body, sizeof body, &len), 0);
        assert_int_equal(len, WIRE_ANSWER_HEAD_BYTES);
        assert_int_equal(wire_answer_decode(&back, body, len), 0);
        assert_int_equal(back.status, RPC_NEED_TOKEN);
        assert_memory_equal(back.token, a.token, RPC_TOKEN_BYTES);
    }
}

static void test_bad_answers(void **state)
{
    (void)state;
    static const struct {
        uint8_t at, value;
    } table[] = {
        {0, 1},                                                       // index not below the count
        {1, 0},   {1, 5}, {2, 0}, {2, 10}, {3, 7}, {3, 255}, {20, 5}, // family of the address seen
        {32, 33}, // more contacts than a datagram holds
        {33, 7},  // family of a contact
    };
    struct wire_answer a = answer(RPC_FIND), back;
    uint8_t good[CLASS_FULL], body[CLASS_FULL];
    size_t len;
    assert_int_equal(wire_answer_encode(&a, good, sizeof good, &len), 0);
    assert_int_equal(wire_answer_decode(&back, good, len), 0);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        memcpy(body, good, len);
        assert_int_not_equal(body[table[i].at], table[i].value);
        body[table[i].at] = table[i].value;
        assert_int_equal(wire_answer_decode(&back, body, len), BAUTA_EFORMAT);
    }
    // 3 records in one datagram.
    a = answer(RPC_SEEK);
    assert_int_equal(wire_answer_encode(&a, body, sizeof body, &len), 0);
    body[len - 1] = 3;
    assert_int_equal(wire_answer_decode(&back, body, sizeof body), BAUTA_EFORMAT);
}

// Contacts and records written one by one are what the answer as a whole would be.
static void test_parts(void **state)
{
    (void)state;
    struct wire_answer a = answer(RPC_SEEK), back;
    uint8_t whole[CLASS_FULL], body[CLASS_FULL];
    struct wire_part part;
    size_t len;
    a.n = 2;
    assert_int_equal(wire_answer_encode(&a, whole, sizeof whole, &len), 0);
    assert_int_equal(wire_part_begin(&part, &a, body, sizeof body), 0);
    assert_true(wire_part_record(&part, record));
    assert_true(wire_part_record(&part, record + RECORD_BYTES));
    assert_false(wire_part_record(&part, record)); // two a datagram
    assert_int_equal(part.len, len);
    assert_memory_equal(body, whole, len);
    a = answer(RPC_FIND);
    struct contact c[2];
    size_t at = 0;
    assert_true(wire_answer_contact(&a, &at, &c[0]));
    assert_true(wire_answer_contact(&a, &at, &c[1]));
    assert_false(wire_answer_contact(&a, &at, &c[1]));
    assert_int_equal(wire_answer_encode(&a, whole, sizeof whole, &len), 0);
    for (size_t cap = 0; cap < len; cap++) {
        int rc = wire_part_begin(&part, &a, body, cap);
        assert_true(rc != 0 || !wire_part_contact(&part, &c[0]) ||
                    !wire_part_contact(&part, &c[1]));
    }
    assert_int_equal(wire_part_begin(&part, &a, body, len), 0);
    assert_true(wire_part_contact(&part, &c[0]) && wire_part_contact(&part, &c[1]));
    assert_memory_equal(body, whole, len);
    assert_int_equal(wire_answer_decode(&back, body, len), 0);
    same_answer(&a, &back);
}

static void test_pushes(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct wire_push p = {.kind = (enum push_kind)kind, .blob = blob, .blob_len = 7}, back;
        uint8_t body[64];
        size_t len;
        fill_up(p.link, DHT_LINK_BYTES, 0xa0);
        assert_int_equal(wire_push_encode(&p, body, sizeof body, &len), 0);
        bool good = kind == PUSH_OFFER || kind == PUSH_BACK;
        assert_int_equal(wire_push_decode(&back, body, len), good ? 0 : BAUTA_EFORMAT);
        if (!good)
            continue;
        assert_int_equal(back.kind, kind);
        assert_memory_equal(back.link, p.link, DHT_LINK_BYTES);
        assert_int_equal(back.blob_len, 7);
        assert_memory_equal(back.blob, blob, 7);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(wire_push_decode(&back, body, cut), BAUTA_EFORMAT);
    }
}

// ---- vectors --------------------------------------------------------------------------------------

static const char *const kind_name[] = {"",           "ping",      "find",   "announce",
                                        "withdraw",   "seek",      "attend", "introduce",
                                        "relay_back", "dial_back", "open"};

static size_t request_vector(unsigned i, char name[static 32], uint8_t *body, size_t cap)
{
    size_t len = 0;
    struct wire_request q =
        i < RPC_KIND_LAST
            ? request((enum rpc_kind)(i + 1))
            : dial_contact(i == RPC_KIND_LAST ? "198.51.100.7:5000" : "[2001:db8::1]:6000");
    assert_int_equal(wire_request_encode(&q, body, cap, &len), 0);
    (void)snprintf(name, 32, "request %s%s", kind_name[q.kind],
                   i < RPC_KIND_LAST ? "" : " of a contact");
    return len;
}

static size_t status_vector(enum rpc_status status, char name[static 32], uint8_t *body, size_t cap)
{
    static const char *const status_name[] = {
        [RPC_NEED_TOKEN] = "need_token", [RPC_FULL] = "full", [RPC_EFFORT] = "effort"};
    size_t len = 0;
    struct wire_answer a = answer(RPC_ANNOUNCE);
    a.index = 0;
    a.count = 1;
    a.status = status;
    assert_int_equal(wire_answer_encode(&a, body, cap, &len), 0);
    (void)snprintf(name, 32, "answer %s", status_name[status]);
    return len;
}

static size_t push_vector(enum push_kind kind, char name[static 32], uint8_t *body, size_t cap)
{
    size_t len = 0;
    struct wire_push p = {.kind = kind, .blob = blob, .blob_len = 5};
    fill_up(p.link, DHT_LINK_BYTES, 0xa0);
    assert_int_equal(wire_push_encode(&p, body, cap, &len), 0);
    (void)snprintf(name, 32, "push %s", kind == PUSH_OFFER ? "offer" : "back");
    return len;
}

#define REQUEST_VECTORS (RPC_KIND_LAST + 2u)
#define ANSWER_VECTORS ((unsigned)RPC_KIND_LAST)
#define VECTORS (REQUEST_VECTORS + ANSWER_VECTORS + 5)

static size_t make_vector(unsigned i, char name[static 32], uint8_t *body, size_t cap)
{
    static const enum rpc_status status[] = {RPC_NEED_TOKEN, RPC_FULL, RPC_EFFORT};
    if (i < REQUEST_VECTORS)
        return request_vector(i, name, body, cap);
    i -= REQUEST_VECTORS;
    if (i < ANSWER_VECTORS) {
        size_t len = 0;
        struct wire_answer a = answer((enum rpc_kind)(i + 1));
        assert_int_equal(wire_answer_encode(&a, body, cap, &len), 0);
        (void)snprintf(name, 32, "answer %s", kind_name[i + 1]);
        return len;
    }
    i -= ANSWER_VECTORS;
    return i < 3 ? status_vector(status[i], name, body, cap)
                 : push_vector(i == 3 ? PUSH_OFFER : PUSH_BACK, name, body, cap);
}

static void test_vectors(void **state)
{
    (void)state;
    json_error_t error;
    json_t *file = json_load_file("tests/vectors/dht-wire.json", 0, &error);
    assert_non_null(file);
    const json_t *bodies = json_object_get(file, "bodies");
    assert_int_equal(json_array_size(bodies), VECTORS);
    for (unsigned i = 0; i < VECTORS; i++) {
        uint8_t body[CLASS_FULL];
        char hex[2 * CLASS_FULL + 1], name[32];
        size_t len = make_vector(i, name, body, sizeof body);
        for (size_t k = 0; k < len; k++)
            (void)snprintf(hex + 2 * k, 3, "%02x", body[k]);
        const json_t *v = json_array_get(bodies, i);
        assert_string_equal(json_string_value(json_object_get(v, "name")), name);
        assert_string_equal(json_string_value(json_object_get(v, "body")), hex);
    }
    json_decref(file);
}

static int write_vectors(void)
{
    printf("{\n  \"about\": \"Bodies of the DHT's requests, answers and pushes before sealing and "
           "padding, "
           "as in dht/README.md; bytes in hex.\",\n  \"bodies\": [\n");
    for (unsigned i = 0; i < VECTORS; i++) {
        uint8_t body[CLASS_FULL];
        char name[32];
        size_t len = make_vector(i, name, body, sizeof body);
        printf("    {\"name\": \"%s\", \"body\": \"", name);
        for (size_t k = 0; k < len; k++)
            printf("%02x", body[k]);
        printf("\"}%s\n", i + 1 < VECTORS ? "," : "");
    }
    printf("  ]\n}\n");
    return 0;
}

int main(void)
{
    setup_bytes();
    if (getenv("BAUTA_WRITE_VECTORS") != NULL)
        return write_vectors();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests), cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_answers),  cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_pushes),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
