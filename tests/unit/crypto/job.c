#include "crypto/job.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "crypto/topic.h"
#include "tests/unit/vectors.h"

static void topic_job(void **state)
{
    (void)state;
    json_t *root = vectors_load("tests/vectors/crypto-topic.json");
    json_t *row = json_array_get(vectors_array(root, "secret"), 1);
    struct net net;
    uint8_t topic[TOPIC_BYTES_MAX], pass[PASS_BYTES_MAX], result[JOB_RESULT_BYTES_MAX];
    size_t topic_len = vectors_bytes(row, "topic", topic, sizeof topic);
    size_t pass_len = vectors_bytes(row, "pass", pass, sizeof pass);
    assert_int_equal(net_init(&net, vectors_text(row, "network")), BAUTA_OK);
    struct job job;
    job_topic(&job, 42, &net, (uint32_t)vectors_int(row, "day"), topic, topic_len, pass, pass_len);
    assert_int_equal(job.id, 42);
    assert_int_equal(job_run(&job, result), 32);
    vectors_same(row, "secret", result, 32);
    json_decref(root);
}

static void largest_topic_fits(void **state)
{
    (void)state;
    struct net net;
    char name[NETWORK_NAME_BYTES_MAX + 1];
    memset(name, 'n', sizeof name);
    name[NETWORK_NAME_BYTES_MAX] = '\0';
    assert_int_equal(net_init(&net, name), BAUTA_OK);
    uint8_t topic[TOPIC_BYTES_MAX], pass[PASS_BYTES_MAX], want[32], result[JOB_RESULT_BYTES_MAX];
    memset(topic, 't', sizeof topic);
    memset(pass, 'p', sizeof pass);
    struct job job;
    job_topic(&job, 1, &net, UINT32_MAX, topic, sizeof topic, pass, sizeof pass);
    assert_int_equal(topic_secret(want, &net, UINT32_MAX, topic, sizeof topic, pass, sizeof pass),
                     0);
    assert_int_equal(job_run(&job, result), 32);
    assert_memory_equal(result, want, 32);
}

static void puzzle_job(void **state)
{
    (void)state;
    struct net net;
    struct job job, zero;
    uint8_t pk[32] = {9}, result[JOB_RESULT_BYTES_MAX];
    assert_int_equal(net_init(&net, "lab"), BAUTA_OK);
    job_node_puzzle(&job, 7, &net, pk, 10);
    assert_int_equal(job_run(&job, result), PUZZLE_NONCE_BYTES);
    assert_true(node_puzzle_ok(&net, pk, result, 10));
    memset(&zero, 0, sizeof zero);
    job_wipe(&job);
    assert_memory_equal(&job, &zero, sizeof job);
}

static void pow_job(void **state)
{
    (void)state;
    struct job job;
    uint8_t m[32] = {1}, rec_id[16] = {2}, start[16] = {3}, result[JOB_RESULT_BYTES_MAX];
    for (uint32_t effort = 0; effort < 4; effort++) {
        job_pow(&job, 7, m, rec_id, effort, start);
        assert_int_equal(job_run(&job, result), POW_NONCE_BYTES + POW_SOLUTION_BYTES);
        assert_true(pow_check(m, rec_id, result, result + POW_NONCE_BYTES, effort));
    }
    job_pow(&job, 7, m, rec_id, POW_EFFORT_MAX + 1, start);
    assert_int_equal(job_run(&job, result), BAUTA_ELIMIT);
}

// No input that job_* did not write runs: not shorter, not longer, not of another kind.
static void malformed(void **state)
{
    (void)state;
    struct net net;
    struct job jobs[3];
    uint8_t bytes[32] = {0}, result[JOB_RESULT_BYTES_MAX];
    assert_int_equal(net_init(&net, "lab"), BAUTA_OK);
    job_topic(&jobs[0], 1, &net, 1, (const uint8_t *)"chess", 5, NULL, 0);
    job_node_puzzle(&jobs[1], 1, &net, bytes, 4);
    job_pow(&jobs[2], 1, bytes, bytes, 1, bytes);
    for (unsigned i = 0; i < 3; i++) {
        struct job bad = jobs[i];
        for (bad.len = 0; bad.len < jobs[i].len; bad.len++)
            assert_int_equal(job_run(&bad, result), BAUTA_EFORMAT);
        for (bad.len = (uint16_t)(jobs[i].len + 1); bad.len < JOB_INPUT_BYTES_MAX + 9; bad.len++)
            assert_int_equal(job_run(&bad, result), BAUTA_EFORMAT);
        for (unsigned kind = 0; kind < 5; kind++) {
            bad = jobs[i];
            bad.kind = (enum job_kind)kind;
            if (kind != i)
                assert_int_equal(job_run(&bad, result), BAUTA_EFORMAT);
        }
    }
    struct job bad = jobs[1];
    bad.input[bad.len - 1] = NODE_PUZZLE_BITS_MAX + 1;
    assert_int_equal(job_run(&bad, result), BAUTA_EFORMAT);
    bad = jobs[1];
    bad.input[0] = 0; // no network without a name
    assert_int_equal(job_run(&bad, result), BAUTA_EFORMAT);
    bad.input[0] = NETWORK_NAME_BYTES_MAX + 1;
    bad.len = (uint16_t)(bad.len + NETWORK_NAME_BYTES_MAX - 2);
    assert_int_equal(job_run(&bad, result), BAUTA_EFORMAT);
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_job),  cmocka_unit_test(largest_topic_fits),
        cmocka_unit_test(puzzle_job), cmocka_unit_test(pow_job),
        cmocka_unit_test(malformed),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
