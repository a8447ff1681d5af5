// One direction of a link as a pure function of time: what becomes of a packet that is offered at a
// given moment. In this order: too long for the path; the bottleneck's queue (drop-tail, marks); the
// wire behind it (loss, delay, jitter, reordering, duplication). Times are nanoseconds from any origin
// and never go back; the same offers with the same seed get the same verdicts.
// Not modelled: bursts of loss, a rate that changes, a scheduler that is fair between flows, and what
// the other direction does to this one.
#ifndef BAUTA_TOOLS_LAB_MODEL_H
#define BAUTA_TOOLS_LAB_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define LAB_PPM UINT32_C(1000000) // shares are parts per million
#define LAB_S UINT64_C(1000000000)
#define LAB_MS UINT64_C(1000000)
#define LAB_US UINT64_C(1000)
// Upper ends, so that nothing below overflows 64 bits.
#define LAB_QUEUE_BYTES_MAX (UINT64_C(1) << 30)
#define LAB_RATE_MAX (100 * LAB_S) // bits a second
#define LAB_RATE_MIN UINT64_C(1000)
#define LAB_DELAY_MAX (60 * LAB_S)

struct lab_lane_config {
    uint64_t rate_bps; // bits a second, of whole IP packets; 0: no limit, so no queue
    // Bytes that wait or are being sent. A packet that does not fit is dropped, except on an idle link.
    uint64_t queue_bytes;
    uint64_t mark_bytes; // a packet that finds that many waiting is marked (ECN); 0: none
    uint64_t delay_ns;
    // Added to the delay. In order: a value that walks from one random point of [0, jitter] to the next
    // in each period, so packets come in clumps as over radio. Else each packet has its own.
    uint64_t jitter_ns, jitter_period_ns;
    bool jitter_free;
    uint32_t loss_ppm, reorder_ppm, duplicate_ppm;
    uint64_t reorder_ns; // for how long a reordered packet is held back
    uint32_t path_mtu;   // longer ones vanish without a word, as in a black hole; 0: none
    uint64_t seed;
};

enum lab_fate { LAB_CARRIED, LAB_TOO_LONG, LAB_QUEUE_FULL, LAB_LOST };

struct lab_verdict {
    enum lab_fate fate;
    bool mark, reordered;
    unsigned copies; // 1 or 2, where carried
    uint64_t at_ns;  // when it arrives; its copy right behind it
};

struct lab_lane {
    struct lab_lane_config config;
    uint64_t random;
    uint64_t free_ns;  // when the bottleneck has sent all that it holds
    uint64_t order_ns; // nothing that keeps the order arrives before
    uint64_t queue_bytes_max;
};

void lab_lane_init(struct lab_lane *, const struct lab_lane_config *);
struct lab_verdict lab_lane_offer(struct lab_lane *, uint64_t now_ns, uint32_t bytes);
// What waits or is being sent at that moment.
uint64_t lab_lane_backlog(const struct lab_lane *, uint64_t now_ns);

#endif
