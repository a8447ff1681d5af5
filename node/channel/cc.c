#include "node/channel/cc.h"

#include <assert.h>
#include <string.h>

void chan_cc_init(struct chan_cc *cc)
{
    memset(cc, 0, sizeof *cc);
    cc->cwnd_bytes = CHAN_CWND_INITIAL;
    cc->ssthresh_bytes = UINT64_MAX;
}

void chan_cc_forgotten(struct chan_cc *cc, uint16_t bytes)
{
    assert(cc->in_flight_bytes >= bytes);
    cc->in_flight_bytes -= bytes;
}

void chan_cc_acked(struct chan_cc *cc, usec_t sent_at, uint16_t bytes)
{
    // In slow start a window that is half used is taken as used: bursts of ACKs arrive between sends.
    bool used = cc->limited ||
                (cc->cwnd_bytes < cc->ssthresh_bytes && 2 * cc->in_flight_bytes >= cc->cwnd_bytes);
    chan_cc_forgotten(cc, bytes);
    if (!used || (cc->in_recovery_ever && sent_at <= cc->recovery_at) ||
        cc->cwnd_bytes >= CHAN_CWND_MAX)
        return;
    if (cc->cwnd_bytes < cc->ssthresh_bytes) {
        cc->cwnd_bytes += bytes;
    } else {
        cc->avoided_bytes += bytes;
        if (cc->avoided_bytes >= cc->cwnd_bytes) {
            cc->avoided_bytes -= cc->cwnd_bytes;
            cc->cwnd_bytes += CLASS_FULL;
        }
    }
    if (cc->cwnd_bytes > CHAN_CWND_MAX)
        cc->cwnd_bytes = CHAN_CWND_MAX;
}

void chan_cc_congested(struct chan_cc *cc, usec_t now, usec_t sent_at)
{
    if (cc->in_recovery_ever && sent_at <= cc->recovery_at)
        return;
    cc->in_recovery_ever = true;
    cc->recovery_at = now;
    cc->avoided_bytes = 0;
    cc->cwnd_bytes /= 2;
    if (cc->cwnd_bytes < CHAN_CWND_MIN)
        cc->cwnd_bytes = CHAN_CWND_MIN;
    cc->ssthresh_bytes = cc->cwnd_bytes;
}

void chan_cc_persistent(struct chan_cc *cc)
{
    cc->cwnd_bytes = CHAN_CWND_MIN;
    cc->in_recovery_ever = false;
    cc->avoided_bytes = 0;
}
