// Offers against tests/vectors/relay-offer.json; round trips; every damaged bit; whatever an offer may not say.
#include "node/relay/offer.h"
#include "tests/unit/vectors.h"

#define EPOCH 472222u
#define NOW (EPOCH * 3600u + 100)

static struct net net;
static const uint8_t seed[32] = {5}, rec_id[RECORD_ID_BYTES] = {6}, nonce[24] = {7};

static struct offer_rules rules(void)
{
    return (struct offer_rules){.net = &net};
}

static struct relay_offer offer_of(json_t *row)
{
    struct relay_offer o = {.tcp = json_is_true(json_object_get(row, "tcp")),
                            .tcp_port = (uint16_t)vectors_int(row, "tcp_port"),
                            .free = (uint8_t)vectors_int(row, "free"),
                            .capacity_kBps = (uint32_t)vectors_int(row, "capacity_kBps"),
                            .issued_s = (uint64_t)vectors_int(row, "issued_s"),
                            .expiry_s = (uint64_t)vectors_int(row, "expiry_s")};
    json_t *contacts = vectors_array(row, "contacts");
    vectors_exact(row, "ed_pk", o.ed_pk, 32);
    for (size_t i = 0; i < json_array_size(contacts); i++) {
        json_t *one = json_array_get(contacts, i);
        struct contact *c = &o.contact[o.contacts++];
        uint8_t ip[16];
        uint16_t port = (uint16_t)vectors_int(one, "port");
        size_t n = vectors_bytes(one, "ip", ip, sizeof ip);
        c->path = n == 4 ? path_v4(ip, port) : path_v6(ip, port);
        vectors_exact(row, "pk", c->pk, 32);
        vectors_exact(row, "puzzle_nonce", c->puzzle_nonce, PUZZLE_NONCE_BYTES);
    }
    return o;
}

static void same_offer(const struct relay_offer *a, const struct relay_offer *b)
{
    assert_memory_equal(a->ed_pk, b->ed_pk, 32);
    assert_int_equal(a->contacts, b->contacts);
    for (unsigned i = 0; i < a->contacts; i++)
        assert_memory_equal(&a->contact[i], &b->contact[i], sizeof a->contact[i]);
    assert_int_equal(a->tcp, b->tcp);
    assert_int_equal(a->tcp_port, b->tcp_port);
    assert_int_equal(a->free, b->free);
    assert_int_equal(a->capacity_kBps, b->capacity_kBps);
    assert_int_equal(a->issued_s, b->issued_s);
    assert_int_equal(a->expiry_s, b->expiry_s);
}

static void vectors_match(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/relay-offer.json"), *row;
    size_t i;
    struct net named;
    assert_int_equal(net_init(&named, vectors_text(root, "network")), 0);
    json_array_foreach (vectors_array(root, "slots"), i, row) {
        struct offer_slot s;
        offer_slot(&s, &named, (uint64_t)vectors_int(row, "epoch"),
                   (unsigned)vectors_int(row, "slot"));
        vectors_same(row, "place", s.place, 32);
        vectors_same(row, "seal", s.seal, 32);
    }
    json_array_foreach (vectors_array(root, "offers"), i, row) {
        struct relay_offer o = offer_of(row), back;
        struct offer_slot s;
        struct offer_body body;
        struct offer_rules r = {.net = &named};
        uint8_t own[32];
        vectors_exact(row, "seed", own, 32);
        offer_slot(&s, &named, (uint64_t)vectors_int(row, "epoch"),
                   (unsigned)vectors_int(row, "slot"));
        assert_int_equal(offer_check(&o, &r), 0);
        offer_encode(body.plain, &o, &named, s.place, own);
        vectors_same(row, "plaintext", body.plain, sizeof body.plain);
        assert_int_equal(offer_decode(&back, &body), 0);
        vectors_same(row, "signature", body.plain + body.len, 64);
        assert_int_equal(offer_verify(&back, &body, &r, &s), 0);
        same_offer(&o, &back);
    }
    json_decref(root);
}

// A good one of the seed's key.
static struct relay_offer good(const uint8_t of[static 32])
{
    static const uint8_t v4[4] = {80, 1, 2, 3}, v6[16] = {0x20, 1, 4, 0x70, [15] = 1};
    struct relay_offer o = {.contacts = 2,
                            .tcp = true,
                            .tcp_port = 443,
                            .free = 8,
                            .capacity_kBps = 1000,
                            .issued_s = NOW - 10,
                            .expiry_s = (EPOCH + 1) * 3600u + 900};
    relay_public(o.ed_pk, o.contact[0].pk, of);
    memcpy(o.contact[1].pk, o.contact[0].pk, 32);
    o.contact[0].path = path_v4(v4, 4000);
    o.contact[1].path = path_v6(v6, 4001);
    return o;
}

static int read_back(const struct relay_offer *o, const struct offer_slot *at,
                     const struct offer_slot *from, uint64_t now_s, bool lab)
{
    uint8_t record[RECORD_BYTES];
    struct offer_rules r = rules();
    struct offer_body body;
    struct relay_offer back;
    r.lab = lab;
    offer_seal(record, o, &net, at, rec_id, nonce, seed);
    int rc = offer_open(&back, &body, record, &r, from, now_s);
    return rc == 0 ? offer_verify(&back, &body, &r, from) : rc;
}

static void its_place_is_its_own(void **state)
{
    (void)state;
    struct offer_slot at, other, next;
    struct relay_offer o = good(seed), back;
    struct offer_rules r = rules();
    struct offer_body body;
    offer_slot(&at, &net, EPOCH, 3);
    offer_slot(&other, &net, EPOCH, 4);
    offer_slot(&next, &net, EPOCH + 1, 3);
    assert_int_equal(read_back(&o, &at, &at, NOW, false), 0);
    assert_int_equal(read_back(&o, &at, &other, NOW, false), BAUTA_EAUTH);
    assert_int_equal(read_back(&o, &at, &next, NOW, false), BAUTA_EAUTH);
    // Whoever reads it can seal it anew for another place: the signature is for the first one.
    uint8_t record[RECORD_BYTES];
    offer_encode(body.plain, &o, &net, at.place, seed);
    record_seal(record, body.plain, rec_id, nonce, other.seal, other.place);
    assert_int_equal(offer_open(&back, &body, record, &r, &other, NOW), 0);
    assert_int_equal(offer_verify(&back, &body, &r, &other), BAUTA_EAUTH);
    assert_int_equal(offer_verify(&back, &body, &r, &at), 0);
    record_seal(record, body.plain, rec_id, nonce, next.seal, next.place);
    assert_int_equal(offer_open(&back, &body, record, &r, &next, NOW + 3600), BAUTA_ESTATE);
    struct net elsewhere;
    assert_int_equal(net_init(&elsewhere, "elsewhere"), 0);
    r.net = &elsewhere;
    assert_int_equal(offer_verify(&back, &body, &r, &at), BAUTA_EAUTH);
}

static void it_has_its_time(void **state)
{
    (void)state;
    struct offer_slot at;
    struct relay_offer o = good(seed);
    offer_slot(&at, &net, EPOCH, 3);
    assert_int_equal(read_back(&o, &at, &at, o.expiry_s - 1, false), 0);
    assert_int_equal(read_back(&o, &at, &at, o.expiry_s, false), BAUTA_ESTATE);
    assert_int_equal(read_back(&o, &at, &at, o.issued_s - 600, false), 0);
    assert_int_equal(read_back(&o, &at, &at, o.issued_s - 601, false), BAUTA_ESTATE);
    o.expiry_s++; // beyond its hour's end
    assert_int_equal(read_back(&o, &at, &at, NOW, false), BAUTA_ESTATE);
    o = good(seed);
    o.issued_s = EPOCH * 3600u - 1; // made for the hour before, or for the next
    assert_int_equal(read_back(&o, &at, &at, NOW, false), BAUTA_ESTATE);
    o.issued_s = (EPOCH + 1) * 3600u;
    assert_int_equal(read_back(&o, &at, &at, o.issued_s, false), BAUTA_ESTATE);
    o.issued_s = o.expiry_s = NOW + 5; // never good
    assert_int_equal(read_back(&o, &at, &at, NOW, false), BAUTA_ESTATE);
}

static void damage_is_seen(void **state)
{
    (void)state;
    struct offer_slot at;
    struct relay_offer o = good(seed), back;
    struct offer_rules r = rules();
    struct offer_body body, whole = {.len = 0};
    uint8_t record[RECORD_BYTES];
    offer_slot(&at, &net, EPOCH, 3);
    offer_seal(record, &o, &net, &at, rec_id, nonce, seed);
    for (size_t i = 0; i < RECORD_BYTES; i++) {
        record[i] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(offer_open(&back, &body, record, &r, &at, NOW), BAUTA_EAUTH);
        record[i] ^= (uint8_t)(1u << i % 8);
    }
    // The seal is anybody's: each bit of what it holds is signed, or has to be zero.
    offer_encode(whole.plain, &o, &net, at.place, seed);
    for (size_t bit = 0; bit < 8 * RECORD_PLAIN_BYTES; bit++) {
        body = whole;
        body.plain[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = offer_decode(&back, &body);
        rc = rc == 0 ? offer_verify(&back, &body, &r, &at) : rc;
        assert_true(rc == BAUTA_EFORMAT || rc == BAUTA_EAUTH);
    }
}

// A signature by somebody else's key, and one by the own key under another one's name.
static void forgeries_fail(void **state)
{
    (void)state;
    static const uint8_t thief[32] = {9};
    struct offer_slot at;
    struct relay_offer o = good(seed), back;
    struct offer_rules r = rules();
    struct offer_body body;
    offer_slot(&at, &net, EPOCH, 3);
    offer_encode(body.plain, &o, &net, at.place, thief);
    assert_int_equal(offer_decode(&back, &body), 0);
    assert_int_equal(offer_verify(&back, &body, &r, &at), BAUTA_EAUTH);
    o = good(thief);
    offer_encode(body.plain, &o, &net, at.place, thief);
    assert_int_equal(offer_decode(&back, &body), 0);
    assert_int_equal(offer_verify(&back, &body, &r, &at), 0);
    assert_memory_not_equal(back.contact[0].pk, good(seed).contact[0].pk, 32);
    // Keys without their work are no servers' keys.
    r.puzzle_bits = 200;
    assert_int_equal(offer_verify(&back, &body, &r, &at), BAUTA_EAUTH);
    assert_int_equal(offer_check(&o, &r), BAUTA_EFORMAT);
}

static void refused(const struct relay_offer *o)
{
    struct offer_slot at;
    struct offer_rules r = rules();
    offer_slot(&at, &net, EPOCH, 3);
    assert_int_equal(offer_check(o, &r), BAUTA_EFORMAT);
    assert_int_equal(read_back(o, &at, &at, NOW, false), BAUTA_EFORMAT);
}

static void what_may_not_be_said(void **state)
{
    (void)state;
    static const uint8_t private[4] = {10, 1, 2, 3}, v4[4] = {80, 1, 2, 4};
    struct relay_offer o = good(seed), swapped;
    struct offer_rules r = rules();
    assert_int_equal(offer_check(&o, &r), 0);
    swapped = o;
    swapped.contact[0] = o.contact[1];
    swapped.contact[1] = o.contact[0];
    refused(&swapped);
    o.contact[1].path = path_v4(v4, 4001);
    refused(&o);
    o = good(seed), o.contact[0].path = path_v4(private, 4000);
    refused(&o);
    struct offer_slot at;
    offer_slot(&at, &net, EPOCH, 3);
    assert_int_equal(read_back(&o, &at, &at, NOW, true), 0); // in a lab
    o = good(seed), o.contact[0].path.port = 1023;
    refused(&o);
    o = good(seed), o.tcp_port = 25;
    refused(&o);
    o = good(seed), o.tcp_port = 4001; // said by the flag
    refused(&o);
    o.tcp = false;
    assert_int_equal(offer_check(&o, &r), 0);
    o = good(seed), o.tcp_port = 1024;
    assert_int_equal(offer_check(&o, &r), 0);
    o = good(seed), o.free = 9;
    refused(&o);
    o = good(seed), o.capacity_kBps = 0;
    refused(&o);
    o = good(seed), o.capacity_kBps = OFFER_CAPACITY_KBPS_MAX + 1;
    refused(&o);
    o = good(seed), o.contacts = 0;
    assert_int_equal(offer_check(&o, &r), BAUTA_EFORMAT);
    o = good(seed), o.contacts = 3;
    assert_int_equal(offer_check(&o, &r), BAUTA_EFORMAT);
    o = good(seed), o.contact[1].pk[0] ^= 1;
    assert_int_equal(offer_check(&o, &r), BAUTA_EFORMAT);
    o = good(seed), o.contact[1].puzzle_nonce[0] ^= 1;
    assert_int_equal(offer_check(&o, &r), BAUTA_EFORMAT);
    o = good(seed), o.contact[0].path.via = 1;
    assert_int_equal(offer_check(&o, &r), BAUTA_EFORMAT);
}

// Bytes that no encoder writes.
static void other_spellings_fail(void **state)
{
    (void)state;
    struct offer_slot at;
    struct relay_offer o = good(seed), back;
    struct offer_body whole = {.len = 0}, body;
    offer_slot(&at, &net, EPOCH, 3);
    offer_encode(whole.plain, &o, &net, at.place, seed);
    static const struct {
        size_t at;
        uint8_t byte;
    } wrong[] = {{0, 0}, {0, 2}, {1, 2}, {1, 0x81}, {65, 0}, {65, 3}, {66, 5}, {391, 1}};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        body = whole;
        body.plain[wrong[i].at] = wrong[i].byte;
        assert_int_equal(offer_decode(&back, &body), BAUTA_EFORMAT);
    }
    memset(body.plain, 0xff, sizeof body.plain);
    assert_int_equal(offer_decode(&back, &body), BAUTA_EFORMAT);
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0 || net_init(&net, "test") != 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_match),        cmocka_unit_test(its_place_is_its_own),
        cmocka_unit_test(it_has_its_time),      cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(forgeries_fail),       cmocka_unit_test(what_may_not_be_said),
        cmocka_unit_test(other_spellings_fail),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
