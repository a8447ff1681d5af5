// The contact book, and the routing table: who gets in, who stays, who is given out.
#include "dht/table.h"

#include "crypto/nodekey.h"
#include "tests/unit/dht/help.h"

struct fixture {
    struct arena arena;
    struct contact_book *book;
    struct net net;
    uint64_t tag;
    struct table table;
};

static void start(struct fixture *f, bool prefix_limits)
{
    static const uint8_t centre[32] = {0}, hash_key[16] = {1};
    memset(f, 0, sizeof *f);
    memory_arena(&f->arena, 16u << 20);
    f->book = contact_book_new(&f->arena, 3000);
    assert_int_equal(net_init(&f->net, "test"), 0);
    f->tag = book_net_tag(&f->net);
    table_init(&f->table, &f->arena, f->book, prefix_limits, hash_key, centre);
}

static void end(struct fixture *f)
{
    table_end(&f->table);
    assert_int_equal(book_count(f->book), 0);
    contact_book_end(f->book);
    help_arena_end(&f->arena);
}

static struct contact contact(uint32_t i, uint8_t a, uint8_t b, uint8_t c)
{
    struct contact x;
    memset(&x, 0, sizeof x);
    memcpy(x.pk, &i, sizeof i);
    x.path = path_v4((const uint8_t[4]){a, b, c, 1}, 4000);
    return x;
}

// It answers. The table keeps its own reference.
static enum table_result heard(struct fixture *f, const struct contact *c, uint32_t now_s,
                               book_ref *check)
{
    book_ref none, ref = book_hold(f->book, &f->net, f->tag, c);
    enum table_result r = table_answered(&f->table, ref, now_s, check != NULL ? check : &none);
    book_drop(f->book, ref);
    return r;
}

static bool has(struct fixture *f, const struct contact *c)
{
    book_ref ref = book_hold(f->book, &f->net, f->tag, c);
    bool there = table_has(&f->table, ref);
    book_drop(f->book, ref);
    return there;
}

static unsigned bucket_of(struct fixture *f, const struct contact *c)
{
    book_ref ref = book_hold(f->book, &f->net, f->tag, c);
    unsigned bits = id_common_bits(f->table.centre, book_at(f->book, ref)->id);
    book_drop(f->book, ref);
    return bits;
}

static void test_book(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    book_ref refs[3000];
    for (uint32_t i = 0; i < 3000; i++) { // grows through several sizes
        struct contact c = contact(i, 1, 2, 3);
        refs[i] = book_hold(f.book, &f.net, f.tag, &c);
        assert_int_not_equal(refs[i], 0);
    }
    struct contact more = contact(5000, 1, 2, 3);
    assert_int_equal(book_hold(f.book, &f.net, f.tag, &more), 0); // full
    for (uint32_t i = 0; i < 3000; i++) {
        struct contact c = contact(i, 1, 2, 3);
        book_ref again = book_hold(f.book, &f.net, f.tag, &c);
        assert_int_equal(again, refs[i]); // once each
        uint8_t id[32];
        node_id(id, &f.net, c.pk, c.puzzle_nonce, 4, c.path.ip);
        assert_memory_equal(book_at(f.book, again)->id, id, 32);
        assert_memory_equal(&book_at(f.book, again)->contact, &c, sizeof c);
        book_drop(f.book, again);
    }
    for (uint32_t i = 0; i < 3000; i += 2)
        book_drop(f.book, refs[i]);
    assert_int_equal(book_count(f.book), 1500);
    book_ref reused = book_hold(f.book, &f.net, f.tag, &more);
    assert_int_not_equal(reused, 0);
    book_drop(f.book, reused);
    for (uint32_t i = 1; i < 3000; i += 2)
        book_drop(f.book, refs[i]);
    // Another network, puzzle nonce or address is another contact.
    struct contact a = contact(1, 1, 2, 3), b = a, c = a;
    b.puzzle_nonce[0] = 1;
    c.path.port++;
    book_ref r[4] = {book_hold(f.book, &f.net, f.tag, &a), book_hold(f.book, &f.net, f.tag, &b),
                     book_hold(f.book, &f.net, f.tag, &c),
                     book_hold(f.book, &f.net, f.tag + 1, &a)};
    for (unsigned i = 0; i < 4; i++)
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(r[i], r[j]);
    for (unsigned i = 0; i < 4; i++)
        book_drop(f.book, r[i]);
    end(&f);
}

static void test_ids(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0}, t[32] = {0};
    assert_int_equal(id_common_bits(a, b), 256);
    for (unsigned bit = 0; bit < 256; bit++) {
        b[bit / 8] = (uint8_t)(0x80u >> bit % 8);
        assert_int_equal(id_common_bits(a, b), bit);
        assert_true(id_nearer(a, b, t));
        assert_false(id_nearer(b, a, t));
        assert_true(id_nearer(b, a, b));
        b[bit / 8] = 0;
    }
    assert_false(id_nearer(a, a, t));
}

// Fills bucket 0 and returns how many contacts were tried; the rest go to other buckets or are spares.
static uint32_t fill_first_bucket(struct fixture *f, uint32_t now_s)
{
    uint32_t i = 1;
    for (unsigned n = 0; n < TABLE_K; i++) {
        struct contact c = contact(i, 1, 2, 3);
        if (bucket_of(f, &c) != 0)
            continue;
        assert_int_equal(heard(f, &c, now_s, NULL), TABLE_ADDED);
        n++;
    }
    return i;
}

static struct contact next_of_first_bucket(struct fixture *f, uint32_t *i)
{
    for (;; (*i)++) {
        struct contact c = contact(*i, 1, 2, 3);
        if (bucket_of(f, &c) == 0) {
            (*i)++;
            return c;
        }
    }
}

static void test_old_ones_stay(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    uint32_t i = fill_first_bucket(&f, 1000);
    book_ref check;
    struct contact late = next_of_first_bucket(&f, &i);
    assert_int_equal(heard(&f, &late, 1001, &check), TABLE_SPARE);
    assert_int_equal(check, 0); // all have answered a moment ago
    assert_false(has(&f, &late));
    assert_int_equal(heard(&f, &late, 1000 + TABLE_CHECK_AFTER_S + 1, &check), TABLE_SPARE);
    assert_int_not_equal(check, 0); // the least recently seen is to be pinged
    struct contact old = book_at(f.book, check)->contact;
    // One failure is not the end, the second is: the spare takes its slot.
    assert_true(table_failed(&f.table, old.pk, &old.path));
    assert_true(has(&f, &old));
    assert_false(table_failed(&f.table, old.pk, &old.path));
    assert_false(has(&f, &old));
    assert_true(has(&f, &late));
    assert_int_equal(f.table.live, TABLE_K);
    end(&f);
}

// In a full bucket a public one, whom everybody asks to begin with, makes room for one that is not; those
// that are not stay, and so does everybody where many are public.
static void test_public_ones_give_way(void **state)
{
    (void)state;
    for (unsigned many = 0; many < 2; many++) {
        struct fixture f;
        start(&f, true);
        struct contact in[TABLE_K], late[3];
        uint8_t net = 1;
        uint32_t i = 1;
        for (unsigned n = 0; n < TABLE_K + 3; i++) {
            struct contact c = contact(i, net, 2, 3);
            if (bucket_of(&f, &c) != 0)
                continue;
            net++;
            *(n < TABLE_K ? &in[n] : &late[n - TABLE_K]) = c;
            if (n++ < TABLE_K)
                assert_int_equal(heard(&f, &c, 1000, NULL), TABLE_ADDED);
        }
        book_ref public = book_hold(f.book, &f.net, f.tag, &in[5]), ref[3];
        for (unsigned k = 0; k < 3; k++)
            ref[k] = book_hold(f.book, &f.net, f.tag, &late[k]);
        const uint8_t *id = book_at(f.book, ref[0])->id;
        assert_false(table_wants(&f.table, id, &late[0].path));
        assert_false(table_relieve(&f.table, ref[0], 1001));
        table_public_set(&f.table, public, true);
        for (unsigned k = 0; k < TABLE_PUBLIC_FEW && many != 0; k++) {
            book_ref other = book_hold(f.book, &f.net, f.tag, &in[6 + k]);
            table_public_set(&f.table, other, true);
            book_drop(f.book, other);
        }
        assert_true(table_public(&f.table, public));
        assert_int_equal(table_wants(&f.table, id, &late[0].path), many == 0);
        assert_int_equal(heard(&f, &late[0], 1001, NULL), TABLE_SPARE);
        assert_int_equal(table_relieve(&f.table, ref[0], 1001), many == 0);
        assert_int_equal(has(&f, &late[0]), many == 0);
        assert_int_equal(has(&f, &in[5]), many != 0);
        assert_int_equal(f.table.live, TABLE_K);
        if (many == 0) { // no other is public; the one that went is the first to come back
            assert_int_equal(heard(&f, &late[1], 1001, NULL), TABLE_SPARE);
            assert_false(table_relieve(&f.table, ref[1], 1001));
            assert_false(table_wants(&f.table, book_at(f.book, ref[2])->id, &late[2].path));
            for (unsigned k = 0; k < TABLE_DEAD_FAILURES; k++)
                for (unsigned j = 0; j < 2; j++)
                    (void)table_failed(&f.table, in[j].pk, &in[j].path);
            assert_true(has(&f, &late[1]));
            assert_true(has(&f, &in[5]));
        }
        for (unsigned k = 0; k < 3; k++)
            book_drop(f.book, ref[k]);
        book_drop(f.book, public);
        end(&f);
    }
}

static void test_dead_ones(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    struct contact a = contact(1, 1, 2, 3), b = contact(2, 1, 2, 3);
    (void)heard(&f, &a, 1, NULL);
    (void)heard(&f, &b, 1, NULL);
    assert_int_equal(f.table.live, 2);
    for (unsigned k = 0; k < TABLE_DEAD_FAILURES; k++)
        (void)table_failed(&f.table, a.pk, &a.path);
    assert_int_equal(f.table.live, 1);
    book_ref out[4];
    assert_int_equal(table_nearest(&f.table, f.table.centre, out, 4), 1); // not handed out
    assert_int_equal(heard(&f, &a, 2, NULL), TABLE_KNOWN);                // back again
    assert_int_equal(f.table.live, 2);
    for (unsigned k = 0; k < TABLE_GONE_FAILURES; k++)
        (void)table_failed(&f.table, a.pk, &a.path);
    assert_int_equal(heard(&f, &a, 3, NULL), TABLE_ADDED); // it was forgotten
    // Silence at an address that somebody made up does not count against it.
    struct contact elsewhere = contact(1, 7, 7, 7);
    for (unsigned k = 0; k < TABLE_GONE_FAILURES; k++)
        assert_false(table_failed(&f.table, a.pk, &elsewhere.path));
    assert_true(has(&f, &a));
    // The same key under another address, which may be somebody who passes datagrams on, does not
    // replace a live one; that is pinged when it was silent, and gives way when it is dead.
    struct contact moved = contact(1, 9, 9, 9);
    book_ref check;
    assert_int_equal(heard(&f, &moved, 4, &check), TABLE_SPARE);
    assert_int_equal(check, 0);
    assert_int_equal(heard(&f, &moved, 4 + TABLE_CHECK_AFTER_S, &check), TABLE_SPARE);
    assert_int_not_equal(check, 0);
    assert_true(path_equal(&book_at(f.book, check)->contact.path, &a.path));
    assert_true(has(&f, &a));
    for (unsigned k = 0; k < TABLE_DEAD_FAILURES; k++)
        (void)table_failed(&f.table, a.pk, &a.path);
    assert_int_equal(heard(&f, &moved, 100, NULL), TABLE_ADDED);
    assert_int_equal(f.table.live, 2);
    assert_false(has(&f, &a));
    assert_true(has(&f, &moved));
    end(&f);
}

// One failure, or a quarter of an hour of silence; an answer mends both.
static void test_doubtful_ones_come_last(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    struct contact near = contact(1, 10, 1, 1), far = contact(2, 10, 2, 1);
    assert_int_equal(heard(&f, &near, 100, NULL), TABLE_ADDED);
    assert_int_equal(heard(&f, &far, 300, NULL), TABLE_ADDED);
    book_ref ref = book_hold(f.book, &f.net, f.tag, &near), out[2];
    uint8_t target[32];
    memcpy(target, book_at(f.book, ref)->id, 32);
    assert_int_equal(table_nearest_sure(&f.table, target, 100 + TABLE_SILENT_S, out, 2), 2);
    assert_int_equal(out[0], ref);
    assert_int_equal(table_nearest_sure(&f.table, target, 101 + TABLE_SILENT_S, out, 2), 2);
    assert_int_equal(out[1], ref); // silent for too long
    assert_int_equal(table_nearest(&f.table, target, out, 2), 2);
    assert_int_equal(out[0], ref);
    assert_int_equal(heard(&f, &near, 300, NULL), TABLE_KNOWN);
    assert_true(table_failed(&f.table, near.pk, &near.path));
    assert_true(has(&f, &near));
    assert_int_equal(table_nearest_sure(&f.table, target, 300, out, 2), 2);
    assert_int_equal(out[1], ref); // one failure
    assert_int_equal(table_nearest_sure(&f.table, target, 300, out, 1), 1);
    assert_int_equal(out[0], ref); // of the nearest alone
    assert_int_equal(heard(&f, &near, 301, NULL), TABLE_KNOWN);
    assert_int_equal(table_nearest_sure(&f.table, target, 301, out, 2), 2);
    assert_int_equal(out[0], ref);
    book_drop(f.book, ref);
    end(&f);
}

// Held one by one or together, a contact is the same entry.
static void test_hold_all(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    struct contact c[4];
    book_ref one[4], all[4];
    for (uint32_t i = 0; i < 4; i++)
        c[i] = contact(i % 3, 10, (uint8_t)(i % 3), 1); // the last is the first again
    for (unsigned i = 0; i < 4; i++)
        one[i] = book_hold(f.book, &f.net, f.tag, &c[i]);
    book_hold_all(f.book, &f.net, f.tag, c, 4, all);
    assert_memory_equal(all, one, sizeof one);
    assert_int_equal(all[3], all[0]);
    assert_int_equal(book_count(f.book), 3);
    for (unsigned i = 0; i < 4; i++) {
        book_drop(f.book, one[i]);
        book_drop(f.book, all[i]);
    }
    end(&f);
}

static void test_prefix_limits(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    // One /24 for all: two a bucket, ten in the table.
    unsigned added = 0;
    for (uint32_t i = 1; i < 3000; i++) {
        struct contact c = contact(i, 1, 2, 3);
        added += heard(&f, &c, 1, NULL) == TABLE_ADDED;
        assert_true(f.table.row[0].n <= TABLE_BUCKET_FINE_MAX);
    }
    assert_int_equal(added, TABLE_FINE_MAX);
    table_end(&f.table);
    f.table.live = 0;
    // One /16, many /24: four a bucket, twenty in all.
    added = 0;
    for (uint32_t i = 1; i < 30000; i++) {
        struct contact c = contact(i, 1, 2, (uint8_t)i);
        added += heard(&f, &c, 1, NULL) == TABLE_ADDED;
        assert_true(f.table.row[0].n <= TABLE_BUCKET_COARSE_MAX);
    }
    assert_int_equal(added, TABLE_COARSE_MAX);
    struct contact other = contact(99999, 7, 7, 7);
    book_ref ref = book_hold(f.book, &f.net, f.tag, &other);
    assert_true(table_wants(&f.table, book_at(f.book, ref)->id, &other.path));
    book_drop(f.book, ref);
    end(&f);
}

static void test_nearest(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    for (uint32_t i = 1; i <= 200; i++) {
        struct contact c = contact(i, 1, 2, 3);
        (void)heard(&f, &c, 1, NULL);
    }
    book_ref all[512], out[8];
    size_t n = table_list(&f.table, all, 512);
    assert_int_equal(n, f.table.live);
    for (uint8_t k = 0; k < 50; k++) {
        uint8_t target[32];
        memset(target, k * 5, 32);
        assert_int_equal(table_nearest(&f.table, target, out, 8), 8);
        for (size_t i = 0; i < n; i++) {
            bool in = false;
            for (unsigned j = 0; j < 8; j++)
                in |= out[j] == all[i];
            if (!in)
                assert_true(
                    id_nearer(book_at(f.book, out[7])->id, book_at(f.book, all[i])->id, target));
        }
        for (unsigned j = 1; j < 8; j++)
            assert_true(
                id_nearer(book_at(f.book, out[j - 1])->id, book_at(f.book, out[j])->id, target));
    }
    end(&f);
}

static void test_recentre(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    for (uint32_t i = 1; i <= 12; i++) {
        struct contact c = contact(i, 1, 2, 3);
        (void)heard(&f, &c, 1, NULL);
    }
    struct contact dead = contact(3, 1, 2, 3);
    (void)table_failed(&f.table, dead.pk, &dead.path);
    (void)table_failed(&f.table, dead.pk, &dead.path);
    assert_int_equal(f.table.live, 11);
    uint8_t centre[32];
    memset(centre, 0xa5, 32);
    table_recentre(&f.table, centre);
    assert_int_equal(f.table.live, 11); // who is dead stays dead
    for (unsigned i = 0; i < f.table.rows; i++)
        for (unsigned j = 0; j < f.table.row[i].n; j++)
            assert_int_equal(
                id_common_bits(centre, book_at(f.book, f.table.row[i].slot[j].ref)->id), i);
    end(&f);
}

// All live ones, sorted the slow way.
static void check_nearest(struct fixture *f, const uint8_t target[static 32], size_t max)
{
    book_ref all[512], got[TABLE_NEAREST_MAX];
    size_t n = table_list(&f->table, all, 512);
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && id_nearer(book_at(f->book, all[k])->id,
                                              book_at(f->book, all[k - 1])->id, target);
             k--) {
            book_ref x = all[k];
            all[k] = all[k - 1];
            all[k - 1] = x;
        }
    assert_int_equal(table_nearest(&f->table, target, got, max), n < max ? n : max);
    assert_memory_equal(got, all, (n < max ? n : max) * sizeof *got);
}

static void test_nearest_of_all(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    for (uint32_t i = 1; i <= 1500; i++) {
        struct contact c = contact(i, 1, 2, 3);
        (void)heard(&f, &c, 1, NULL);
    }
    // Around somebody: he stands in the last bucket, those of his subtree in deep ones.
    uint64_t seed = 3;
    for (unsigned round = 0; round < 40; round++) {
        book_ref all[512];
        uint8_t centre[32], target[32];
        size_t n = table_list(&f.table, all, 512);
        memcpy(centre, book_at(f.book, all[round % n])->id, 32);
        for (unsigned i = 0; i < 4; i++)
            check_nearest(&f, centre, (size_t[]){1, 16, 17, 128}[i]);
        centre[round % 2 == 0 ? 3 : 4] ^= 1; // bit 31, or one behind it
        table_recentre(&f.table, centre);
        for (unsigned i = 0; i < f.table.rows; i++)
            for (unsigned j = 0; j < f.table.row[i].n; j++) {
                book_ref ref = f.table.row[i].slot[j].ref;
                unsigned bits = id_common_bits(centre, book_at(f.book, ref)->id);
                assert_int_equal(bits < TABLE_BUCKETS ? bits : TABLE_BUCKETS - 1, i);
            }
        assert_int_equal(table_depth(&f.table), TABLE_BUCKETS);
        check_nearest(&f, centre, 20);
        for (unsigned i = 0; i < 20; i++) {
            help_fill(&seed, target, 32);
            memcpy(target, centre, i / 4);
            check_nearest(&f, target, 20);
        }
    }
    end(&f);
}

// What is kept beside a contact stays his when others come and go, and when the centre moves.
static void test_round_trips_stay(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, false);
    book_ref refs[200];
    for (uint32_t i = 0; i < 200; i++) {
        struct contact c = contact(i, 1, 2, 3);
        (void)heard(&f, &c, 1, NULL);
        refs[i] = book_hold(f.book, &f.net, f.tag, &c);
        table_rtt_set(&f.table, refs[i], 1000 + i);
    }
    for (unsigned round = 0; round < 2; round++) {
        unsigned listed = 0;
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t rtt;
            bool has = table_rtt(&f.table, refs[i], &rtt);
            assert_true(rtt == 0 || (has && rtt == 1000 + i)); // spares had none
            listed += rtt != 0;
        }
        assert_true(round > 0 ? listed >= 20 : listed == f.table.live);
        uint8_t centre[32];
        memset(centre, 0x5a, 32);
        for (uint32_t i = 0; i < 200; i += 3) {
            struct contact c = contact(i, 1, 2, 3);
            for (unsigned k = 0; k < TABLE_GONE_FAILURES; k++)
                (void)table_failed(&f.table, c.pk, &c.path);
        }
        table_recentre(&f.table, centre);
    }
    for (uint32_t i = 0; i < 200; i++)
        book_drop(f.book, refs[i]);
    end(&f);
}

static void test_prefix_limits_of_ipv6(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, true);
    unsigned in = 0, net = 0;
    for (uint32_t i = 0; i < 600; i++) { // one /48 each, of one /32
        struct contact c = contact(i, 0, 0, 0);
        const uint8_t ip[16] = {0x20, 0x01, 0x12, 0x34, (uint8_t)(i >> 8), (uint8_t)i, [15] = 1};
        c.path = path_v6(ip, 4000);
        in += heard(&f, &c, 1, NULL) == TABLE_ADDED;
    }
    assert_in_range(in, TABLE_BUCKET_COARSE_MAX + 1, TABLE_COARSE_MAX);
    for (uint32_t i = 0; i < 600; i++) { // one /48
        struct contact c = contact(1000 + i, 0, 0, 0);
        const uint8_t ip[16] = {0x20,       0x01,    0x56, 0x78, 1, 1, (uint8_t)(i >> 8),
                                (uint8_t)i, [15] = 1};
        c.path = path_v6(ip, 4000);
        net += heard(&f, &c, 1, NULL) == TABLE_ADDED;
    }
    assert_in_range(net, TABLE_BUCKET_FINE_MAX + 1, TABLE_FINE_MAX);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_book),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_old_ones_stay),
        cmocka_unit_test(test_public_ones_give_way),
        cmocka_unit_test(test_dead_ones),
        cmocka_unit_test(test_doubtful_ones_come_last),
        cmocka_unit_test(test_hold_all),
        cmocka_unit_test(test_prefix_limits),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_recentre),
        cmocka_unit_test(test_nearest_of_all),
        cmocka_unit_test(test_round_trips_stay),
        cmocka_unit_test(test_prefix_limits_of_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
