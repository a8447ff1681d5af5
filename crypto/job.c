#include "crypto/job.h"

#include "crypto/bytes.h"
#include "crypto/nodekey.h"
#include "crypto/topic.h"

#include <assert.h>
#include <sodium.h>

// The longest input: a topic's.
_Static_assert(1 + NETWORK_NAME_BYTES_MAX + 4 + 2 + TOPIC_BYTES_MAX + 2 + PASS_BYTES_MAX <=
                   JOB_INPUT_BYTES_MAX,
               "a job's input holds a topic");
_Static_assert(POW_NONCE_BYTES + POW_SOLUTION_BYTES <= JOB_RESULT_BYTES_MAX, "pow result");

static struct wr job_begin(struct job *job, uint32_t id, enum job_kind kind)
{
    memset(job, 0, sizeof *job);
    job->id = id;
    job->kind = kind;
    return wr_init(job->input, sizeof job->input);
}

static void job_end(struct job *job, const struct wr *w)
{
    assert(!w->bad);
    job->len = (uint16_t)wr_len(w);
}

void job_topic(struct job *job, uint32_t id, const struct net *net, uint32_t day,
               const uint8_t *topic, size_t topic_len, const uint8_t *pass, size_t pass_len)
{
    assert(topic_len <= TOPIC_BYTES_MAX && pass_len <= PASS_BYTES_MAX);
    struct wr w = job_begin(job, id, JOB_TOPIC);
    wr_bytes(&w, net->bytes, net->len);
    wr_le32(&w, day);
    wr_le16(&w, (uint16_t)topic_len);
    wr_bytes(&w, topic, topic_len);
    wr_le16(&w, (uint16_t)pass_len);
    wr_bytes(&w, pass, pass_len);
    job_end(job, &w);
}

void job_node_puzzle(struct job *job, uint32_t id, const struct net *net,
                     const uint8_t pk[static 32], unsigned bits)
{
    assert(bits <= NODE_PUZZLE_BITS_MAX);
    struct wr w = job_begin(job, id, JOB_NODE_PUZZLE);
    wr_bytes(&w, net->bytes, net->len);
    wr_bytes(&w, pk, 32);
    wr_u8(&w, (uint8_t)bits);
    job_end(job, &w);
}

void job_pow(struct job *job, uint32_t id, const uint8_t m[static 32],
             const uint8_t rec_id[static 16], uint32_t effort,
             const uint8_t start[static POW_NONCE_BYTES])
{
    struct wr w = job_begin(job, id, JOB_POW);
    wr_bytes(&w, m, 32);
    wr_bytes(&w, rec_id, 16);
    wr_le32(&w, effort);
    wr_bytes(&w, start, POW_NONCE_BYTES);
    job_end(job, &w);
}

uint32_t job_effort(const struct job *job)
{
    struct rd r = rd_init(job->input, job->len);
    if (job->kind != JOB_POW)
        return 0;
    (void)rd_bytes(&r, 32 + 16);
    uint32_t effort = rd_le32(&r);
    return r.bad ? 0 : effort;
}

static void read_net(struct rd *r, struct net *net)
{
    memset(net, 0, sizeof *net);
    net->bytes[0] = rd_u8(r);
    if (net->bytes[0] == 0 || net->bytes[0] > NETWORK_NAME_BYTES_MAX) {
        r->bad = true;
        return;
    }
    rd_copy(r, net->bytes + 1, net->bytes[0]);
    net->len = (uint8_t)(1 + net->bytes[0]);
}

static bool all_read(const struct rd *r)
{
    return !r->bad && r->left == 0;
}

static int run_topic(struct rd *r, uint8_t *result)
{
    struct net net;
    read_net(r, &net);
    uint32_t day = rd_le32(r);
    size_t topic_len = rd_le16(r);
    const uint8_t *topic = rd_bytes(r, topic_len);
    size_t pass_len = rd_le16(r);
    const uint8_t *pass = rd_bytes(r, pass_len);
    if (!all_read(r) || topic_len > TOPIC_BYTES_MAX || pass_len > PASS_BYTES_MAX)
        return BAUTA_EFORMAT;
    int rc = topic_secret(result, &net, day, topic, topic_len, pass, pass_len);
    return rc == BAUTA_OK ? (int)KEY_BYTES : rc;
}

static int run_node_puzzle(struct rd *r, uint8_t *result)
{
    struct net net;
    uint8_t pk[32];
    read_net(r, &net);
    rd_copy(r, pk, sizeof pk);
    unsigned bits = rd_u8(r);
    if (!all_read(r) || bits > NODE_PUZZLE_BITS_MAX)
        return BAUTA_EFORMAT;
    uint64_t counter = 0;
    if (!node_puzzle_search(result, &net, pk, bits, &counter,
                            ((uint64_t)1 << bits) * PUZZLE_TRIES_FACTOR))
        return BAUTA_ELIMIT;
    return (int)PUZZLE_NONCE_BYTES;
}

static int run_pow(struct rd *r, uint8_t *result)
{
    uint8_t m[32], rec_id[16], start[POW_NONCE_BYTES];
    rd_copy(r, m, sizeof m);
    rd_copy(r, rec_id, sizeof rec_id);
    uint32_t effort = rd_le32(r);
    rd_copy(r, start, sizeof start);
    if (!all_read(r))
        return BAUTA_EFORMAT;
    if (effort > POW_EFFORT_MAX)
        return BAUTA_ELIMIT;
    uint64_t tries = (effort == 0 ? 1 : (uint64_t)effort) * PUZZLE_TRIES_FACTOR;
    if (!pow_solve(result, result + POW_NONCE_BYTES, m, rec_id, effort, start, tries))
        return BAUTA_ELIMIT;
    return (int)(POW_NONCE_BYTES + POW_SOLUTION_BYTES);
}

int job_run(const struct job *job, uint8_t result[static JOB_RESULT_BYTES_MAX])
{
    if (job->len > sizeof job->input)
        return BAUTA_EFORMAT;
    struct rd r = rd_init(job->input, job->len);
    memset(result, 0, JOB_RESULT_BYTES_MAX);
    switch (job->kind) {
    case JOB_TOPIC:
        return run_topic(&r, result);
    case JOB_NODE_PUZZLE:
        return run_node_puzzle(&r, result);
    case JOB_POW:
        return run_pow(&r, result);
    }
    return BAUTA_EFORMAT;
}

void job_wipe(struct job *job)
{
    sodium_memzero(job, sizeof *job);
}
