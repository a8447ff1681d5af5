#include "node/channel/ecn.h"

static void begin(struct chan_ecn *e)
{
    e->state = CHAN_ECN_TESTING;
    e->sent = e->acked = e->lost = 0;
    e->base_ect = e->ect;
    e->base_ce = e->ce;
    e->plain = e->lost_run = 0;
    e->newly = 0;
    e->told = false;
}

void chan_ecn_start(struct chan_ecn *e)
{
    e->round = 0;
    e->proved_at = 0;
    begin(e);
}

void chan_ecn_sent(struct chan_ecn *e)
{
    e->sent++;
    e->sent_ever++;
    if (e->state == CHAN_ECN_TESTING && e->sent >= CHAN_ECN_TEST)
        e->state = CHAN_ECN_UNKNOWN;
}

// A test is over when all its packets have met their fate; without a count to judge by there is another.
static void conclude(struct chan_ecn *e)
{
    if (e->state != CHAN_ECN_UNKNOWN || e->acked + e->lost < e->sent)
        return;
    if (e->told)
        e->state = CHAN_ECN_CAPABLE;
    else if (++e->round >= CHAN_ECN_ROUNDS)
        e->state = CHAN_ECN_FAILED;
    else
        begin(e);
}

void chan_ecn_acked(struct chan_ecn *e, usec_t sent_at)
{
    e->acked++;
    e->newly++;
    e->lost_run = 0;
    if (sent_at > e->proved_at)
        e->proved_at = sent_at;
}

void chan_ecn_lost(struct chan_ecn *e, usec_t sent_at)
{
    e->lost++;
    // A later marked one came through: this one was lost for another reason.
    if (sent_at > e->proved_at && ++e->lost_run >= CHAN_ECN_TEST)
        e->state = CHAN_ECN_FAILED;
}

static bool less(uint32_t a, uint32_t b) // modulo 2^32
{
    return a - b > INT32_MAX;
}

uint32_t chan_ecn_on_ack(struct chan_ecn *e, const struct chan_ack *ack, bool news)
{
    uint32_t newly = e->newly;
    e->newly = 0;
    if (!ack->has_ecn) {
        if (newly > 0 && ++e->plain >= CHAN_ECN_PLAIN)
            e->state = CHAN_ECN_FAILED; // the marks are washed off on the way
        conclude(e);
        return 0;
    }
    if (!news)
        return 0; // it may be an older one that was overtaken
    e->plain = 0;
    uint32_t ce = ack->ce - e->ce, marked = ack->ce - e->base_ce;
    uint32_t arrived = (ack->ect - e->base_ect) + marked;
    bool back = less(ack->ect, e->ect) || less(ack->ce, e->ce);
    bool too_many = less(e->sent_ever, ack->ect + ack->ce);
    bool all = e->state == CHAN_ECN_UNKNOWN && e->acked >= CHAN_ECN_TEST / 2 &&
               !less(marked, e->acked); // who marks everything says nothing
    if (back || too_many || less(arrived, e->acked) || all) {
        e->state = CHAN_ECN_FAILED;
        return 0;
    }
    e->ect = ack->ect;
    e->ce = ack->ce;
    if (e->state == CHAN_ECN_FAILED)
        return 0;
    e->told = e->told || e->acked > 0;
    conclude(e);
    return ce;
}
