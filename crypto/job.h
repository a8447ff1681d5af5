// Slow pure work as data: a machine hands a job out, the host runs it on a worker, the simulator
// remembers its result by its input and lets virtual time pass.
#ifndef BAUTA_CRYPTO_JOB_H
#define BAUTA_CRYPTO_JOB_H

#include "crypto/limits.h"

#include <stddef.h>
#include <stdint.h>

enum job_kind {
    JOB_TOPIC,       // out: secret[32]
    JOB_NODE_PUZZLE, // out: puzzle_nonce[8]
    JOB_POW          // out: nonce[16] || sol[32]
};

#define JOB_INPUT_BYTES_MAX 512u
#define JOB_RESULT_BYTES_MAX 64u

struct job {
    uint32_t id; // the machine's own, to match the result
    enum job_kind kind;
    uint16_t len;
    uint8_t input[JOB_INPUT_BYTES_MAX]; // written by job_*, read by job_run
};

struct net;
// topic and pass normalised (crypto/topic.h).
void job_topic(struct job *, uint32_t id, const struct net *net, uint32_t day, const uint8_t *topic,
               size_t topic_len, const uint8_t *pass, size_t pass_len);
// bits <= NODE_PUZZLE_BITS_MAX.
void job_node_puzzle(struct job *, uint32_t id, const struct net *net, const uint8_t pk[static 32],
                     unsigned bits);
void job_pow(struct job *, uint32_t id, const uint8_t m[static 32], const uint8_t rec_id[static 16],
             uint32_t effort, const uint8_t start[static 16]);
// Of JOB_POW; 0 of others.
uint32_t job_effort(const struct job *);
// Runs it on any thread. Returns the result's length, or BAUTA_EFORMAT (not an input that job_* wrote),
// BAUTA_ELIMIT (effort above POW_EFFORT_MAX, or no solution found), BAUTA_ESPACE (no memory for a topic).
int job_run(const struct job *, uint8_t result[static JOB_RESULT_BYTES_MAX]);
void job_wipe(struct job *);

#endif
