#include "crypto/nodekey.h"

#include "crypto/bytes.h"
#include "tests/unit/vectors.h"

static json_t *load(void)
{
    return vectors_load("tests/vectors/crypto-node.json");
}

static void row_net(json_t *row, struct net *net, uint8_t pk[static 32])
{
    assert_int_equal(net_init(net, vectors_text(row, "network")), BAUTA_OK);
    vectors_exact(row, "public", pk, 32);
}

static void key_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "key_pair"), i, row) {
        uint8_t seed[32], pk[32], sk[32];
        vectors_exact(row, "seed", seed, 32);
        key_pair(pk, sk, seed);
        vectors_same(row, "public", pk, 32);
        assert_memory_equal(sk, seed, 32);
        key_pair(pk, seed, seed); // in place
        vectors_same(row, "public", pk, 32);
    }
    json_array_foreach (vectors_array(root, "mask_key"), i, row) {
        struct net net;
        uint8_t pk[32], key[32];
        row_net(row, &net, pk);
        node_mask_key(key, &net, pk);
        vectors_same(row, "mask_key", key, 32);
    }
    json_decref(root);
}

static void id_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "id"), i, row) {
        struct net net;
        uint8_t pk[32], nonce[PUZZLE_NONCE_BYTES], prefix[6], id[32], other[32];
        row_net(row, &net, pk);
        vectors_exact(row, "puzzle_nonce", nonce, sizeof nonce);
        uint8_t family = (uint8_t)vectors_int(row, "family");
        vectors_exact(row, "prefix", prefix, family == 4 ? 3 : 6);
        node_id(id, &net, pk, nonce, family, prefix);
        vectors_same(row, "id", id, 32);
        prefix[family == 4 ? 2 : 5] ^= 1;
        node_id(other, &net, pk, nonce, family, prefix);
        assert_memory_not_equal(other, id, 32);
    }
    json_decref(root);
}

static void puzzle_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "puzzle"), i, row) {
        struct net net;
        uint8_t pk[32], nonce[PUZZLE_NONCE_BYTES], found[PUZZLE_NONCE_BYTES];
        row_net(row, &net, pk);
        vectors_exact(row, "puzzle_nonce", nonce, sizeof nonce);
        unsigned bits = (unsigned)vectors_int(row, "bits"),
                 has = (unsigned)vectors_int(row, "zero_bits");
        for (unsigned b = 0; b <= 300; b++)
            assert_int_equal(node_puzzle_ok(&net, pk, nonce, b), b <= has);
        if (bits > 16) // its search is the generator's work, not a test's
            continue;
        uint64_t counter = 0, last = 0;
        assert_true(node_puzzle_search(found, &net, pk, bits, &counter, UINT64_MAX));
        assert_memory_equal(found, nonce, sizeof nonce);
        for (unsigned k = 0; k < 8; k++)
            last |= (uint64_t)nonce[k] << 8 * k;
        assert_int_equal(counter, last + 1);
        // In pieces, as a host would: the same nonce, and not before its turn.
        counter = 0;
        assert_false(node_puzzle_search(found, &net, pk, bits, &counter, last));
        assert_int_equal(counter, last);
        assert_true(node_puzzle_search(found, &net, pk, bits, &counter, 1));
        assert_memory_equal(found, nonce, sizeof nonce);
    }
    json_decref(root);
}

static void pow_vectors(void **state)
{
    (void)state;
    json_t *root = load(), *row;
    size_t i;
    json_array_foreach (vectors_array(root, "pow"), i, row) {
        uint8_t m[32], rec_id[16], start[16], nonce[16], sol[32], got_nonce[16], got_sol[32];
        vectors_exact(row, "m", m, 32);
        vectors_exact(row, "rec_id", rec_id, 16);
        vectors_exact(row, "start", start, 16);
        vectors_exact(row, "nonce", nonce, 16);
        vectors_exact(row, "solution", sol, 32);
        uint32_t effort = (uint32_t)vectors_int(row, "effort");
        uint32_t most = (uint32_t)vectors_int(row, "effort_max");
        assert_true(pow_check(m, rec_id, nonce, sol, effort));
        assert_true(pow_check(m, rec_id, nonce, sol, most));
        assert_false(pow_check(m, rec_id, nonce, sol, most + 1));
        assert_false(pow_cheap(m, nonce, sol, most + 1));
        assert_false(pow_cheap(m, nonce, sol, UINT32_MAX));
        assert_true(pow_solve(got_nonce, got_sol, m, rec_id, effort, start, effort * 64u));
        assert_memory_equal(got_nonce, nonce, 16);
        assert_memory_equal(got_sol, sol, 32);
        // Each input is bound, even where effort 1 accepts any value.
        uint8_t *const input[] = {m, rec_id, nonce, sol};
        for (unsigned k = 0; k < 4; k++) {
            input[k][5] ^= 1;
            assert_false(pow_check(m, rec_id, nonce, sol, 1));
            assert_true(pow_check(m, rec_id, nonce, sol, 0));
            input[k][5] ^= 1;
        }
        assert_true(pow_check(m, rec_id, nonce, sol, 1));
    }
    json_decref(root);
}

static void solve_gives_up(void **state)
{
    (void)state;
    uint8_t m[32] = {1}, rec_id[16] = {2}, start[16] = {3}, nonce[16], sol[32];
    assert_false(pow_solve(nonce, sol, m, rec_id, UINT32_MAX, start, 3));
    assert_false(pow_solve(nonce, sol, m, rec_id, 1, start, 0));
    start[0] += 3;
    assert_true(pow_solve(nonce, sol, m, rec_id, 0, start, 1));
    assert_memory_equal(nonce, start, 16);
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_vectors),    cmocka_unit_test(id_vectors),
        cmocka_unit_test(puzzle_vectors), cmocka_unit_test(pow_vectors),
        cmocka_unit_test(solve_gives_up),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
