// The ratchet's messages and their times (PROTOCOL 7; README.md, "Steps").
#include "node/channel/internal.h"

#include <sodium.h>

void chan_step_begin(struct channel *c, usec_t now)
{
    uint8_t seed[32];
    rng_fill(&c->rng, c->step_cid, sizeof c->step_cid);
    rng_fill(&c->rng, seed, sizeof seed);
    int rc = ratchet_start(&c->ratchet, c->step_cid, seed, c->message_out.data);
    sodium_memzero(seed, sizeof seed);
    if (rc != 0) {
        chan_violation(c, now);
        return;
    }
    chan_message_begin(&c->message_out, c->ratchet.step + 1, 1, RATCHET1_BYTES);
}

static void done(struct channel *c, usec_t now)
{
    c->step_at = now;
    c->step_bytes = 0;
    c->step_asked = c->ask_due = false;
}

// Is the next step the peer's to begin, and not begun?
static bool is_theirs(const struct channel *c)
{
    return c->ratchet.state == RATCHET_IDLE && !ratchet_mine(&c->ratchet);
}

static void ask(struct channel *c)
{
    if (c->ask_step == c->ratchet.step + 1)
        return; // once a step
    c->ask_step = c->ratchet.step + 1;
    c->ask_due = true;
}

void chan_step_ask_lost(struct channel *c)
{
    if (is_theirs(c) && c->ask_step == c->ratchet.step + 1)
        c->ask_due = true;
}

int channel_step_ask(struct channel *c, usec_t now)
{
    if (!c->matched || !chan_alive(c))
        return BAUTA_ESTATE;
    if (c->ratchet.state != RATCHET_IDLE)
        return 0; // it is under way
    // An end that was not heard under the newest keys may have done its part of the last step a moment ago.
    if (c->keys.switch_waits || now - c->step_at < CHAN_STEP_US_MIN ||
        now - c->step_known_at < CHAN_STEP_US_MIN)
        return BAUTA_ELIMIT;
    if (is_theirs(c))
        ask(c);
    else
        c->step_asked = true;
    return 0;
}

static int on1(struct channel *c, usec_t now)
{
    if (c->ratchet.step > 0 && now - c->step_at < CHAN_STEP_US_MIN &&
        c->step_bytes < CHAN_STEP_BYTES_MIN)
        return BAUTA_ELIMIT;
    uint8_t cid[CID_BYTES], peer_cid[CID_BYTES], seed[64], n_r[32];
    struct packet_keys out, in;
    size_t len = 0;
    rng_fill(&c->rng, cid, sizeof cid);
    rng_fill(&c->rng, seed, sizeof seed);
    rng_fill(&c->rng, n_r, sizeof n_r);
    int rc = ratchet_on1(&c->ratchet, c->message_in.data, RATCHET1_BYTES, cid, seed, n_r,
                         c->message_out.data, &len, peer_cid, &out, &in);
    if (rc == 0) {
        chan_message_begin(&c->message_out, c->ratchet.step, 2, len);
        chan_keys_install(&c->keys, c->ratchet.step, cid, &in, peer_cid, &out, true);
        done(c, now);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(n_r, sizeof n_r);
    sodium_memzero(&out, sizeof out);
    sodium_memzero(&in, sizeof in);
    return rc;
}

static int on2(struct channel *c, usec_t now)
{
    uint8_t peer_cid[CID_BYTES], n_i[32], out3[RATCHET3_BYTES];
    struct packet_keys out, in;
    size_t len = 0, total = c->ratchet.step == 0 ? RATCHET2_FIRST_BYTES : RATCHET2_BYTES;
    rng_fill(&c->rng, n_i, sizeof n_i);
    int rc =
        ratchet_on2(&c->ratchet, c->message_in.data, total, n_i, out3, &len, peer_cid, &out, &in);
    if (rc == 0) {
        chan_keys_install(&c->keys, c->ratchet.step, c->step_cid, &in, peer_cid, &out, false);
        chan_message_end(&c->message_out); // RATCHET1 did arrive
        if (len > 0) {
            memcpy(c->message_out.data, out3, len);
            chan_message_begin(&c->message_out, c->ratchet.step, 3, len);
            c->ready = c->tell_ready = true;
        } else {
            c->ping_due = true; // the peer sends under the new keys after a packet under them
        }
        done(c, now);
    }
    sodium_memzero(n_i, sizeof n_i);
    sodium_memzero(out3, sizeof out3);
    sodium_memzero(&out, sizeof out);
    sodium_memzero(&in, sizeof in);
    return rc;
}

static void matched(struct channel *c)
{
    c->matched = c->tell_matched = true;
}

static int on3(struct channel *c)
{
    int rc = ratchet_on3(&c->ratchet, c->message_in.data, RATCHET3_BYTES, c->message_out.data);
    if (rc != 0)
        return rc;
    chan_message_begin(&c->message_out, c->ratchet.step, 4, RATCHET4_BYTES);
    c->ready = c->tell_ready = true;
    matched(c);
    return 0;
}

static int on4(struct channel *c)
{
    int rc = ratchet_on4(&c->ratchet, c->message_in.data, RATCHET4_BYTES);
    if (rc == 0) {
        matched(c);
        c->recovery.pto_max_us = CHAN_PTO_US_MAX;
    }
    return rc;
}

// The message that the ratchet waits for. False: it is our turn to speak.
static bool expected(const struct channel *c, uint32_t *step, uint8_t *type, size_t *total)
{
    const struct ratchet *r = &c->ratchet;
    *step = r->step + 1;
    switch (r->state) {
    case RATCHET_IDLE:
        *type = 1;
        *total = RATCHET1_BYTES;
        return !ratchet_mine(r);
    case RATCHET_STARTED:
        *type = 2;
        *total = r->step == 0 ? RATCHET2_FIRST_BYTES : RATCHET2_BYTES;
        return true;
    case RATCHET_WORDS_R:
    case RATCHET_WORDS_I:
        *step = r->step;
        *type = r->state == RATCHET_WORDS_R ? 3 : 4;
        *total = RATCHET3_BYTES;
        return true;
    case RATCHET_FAILED:
        break;
    }
    return false;
}

static_assert(RATCHET3_BYTES == RATCHET4_BYTES, "both are nonces");
static_assert(RATCHET1_BYTES <= CHAN_RATCHET_BYTES && RATCHET2_FIRST_BYTES <= CHAN_RATCHET_BYTES,
              "the message buffers");

// The peer asks for the next step, which is ours to begin.
static void on_ask(struct channel *c, usec_t now, const struct chan_frame *f)
{
    const struct ratchet *r = &c->ratchet;
    if (f->step <= r->step)
        return; // it is done
    if (f->len > 0 || f->offset > 0 || f->step != r->step + 1 || !ratchet_mine(r) || r->step == 0 ||
        (now - c->step_at < CHAN_STEP_US_MIN && c->step_bytes < CHAN_STEP_BYTES_MIN))
        chan_violation(c, now);
    else
        c->step_asked = true;
}

void chan_step_frame(struct channel *c, usec_t now, const struct chan_frame *f, uint32_t phase_step)
{
    uint32_t step;
    uint8_t type = 0;
    size_t total = 0;
    bool any = expected(c, &step, &type, &total);
    if (f->kind == 0) {
        on_ask(c, now, f);
        return;
    }
    if (f->step < step || (any && f->step == step && f->kind < type))
        return; // sent again although it had arrived
    // RATCHET1 and 2 travel under the step before, the words' nonces under the step itself.
    if (!any || f->step != step || f->kind != type || phase_step != (type <= 2 ? step - 1 : step)) {
        chan_violation(c, now);
        return;
    }
    int rc = chan_message_put(&c->message_in, f, total);
    if (rc == 0)
        return;
    if (rc == 1)
        rc = type == 1 ? on1(c, now) : type == 2 ? on2(c, now) : type == 3 ? on3(c) : on4(c);
    chan_message_clear(&c->message_in);
    if (rc == BAUTA_EAUTH && type == 4)
        chan_end(c, now, CHANNEL_ENDED_MIDDLE, CHAN_CLOSE_MIDDLE, 0);
    else if (rc != 0)
        chan_violation(c, now);
}

// May we begin the next step, once it is time?
static bool may_begin(const struct channel *c)
{
    return c->matched && c->ratchet.state == RATCHET_IDLE && ratchet_mine(&c->ratchet) &&
           c->message_out.len == 0 && !c->keys.switch_waits;
}

static usec_t begin_at(const struct channel *c)
{
    return c->step_asked || c->step_bytes >= CHAN_STEP_BYTES ? 0 : c->step_at + CHAN_STEP_US;
}

// When to ask the peer for what it should have begun.
static usec_t ask_at(const struct channel *c)
{
    if (!is_theirs(c) || c->ask_step == c->ratchet.step + 1)
        return USEC_NEVER;
    return c->step_bytes >= CHAN_STEP_ASK_BYTES ? 0 : c->step_at + CHAN_STEP_ASK_US;
}

void chan_step_expire(struct channel *c, usec_t now)
{
    if (!c->matched) {
        if (now >= c->started_at + CHAN_FIRST_STEP_US)
            chan_end(c, now, CHANNEL_ENDED_GONE, CHAN_CLOSE_PROTOCOL, 0); // a bad path, as likely
        return;
    }
    if (now >= c->step_at + CHAN_STEP_US_MAX || c->step_bytes >= CHAN_STEP_BYTES_MAX)
        chan_violation(c, now);
    else if (may_begin(c) && begin_at(c) <= now)
        chan_step_begin(c, now);
    else if (ask_at(c) <= now)
        ask(c);
}

usec_t chan_step_deadline(const struct channel *c)
{
    if (!c->matched)
        return c->started_at + CHAN_FIRST_STEP_US;
    if (c->step_bytes >= CHAN_STEP_BYTES_MAX)
        return 0;
    if (may_begin(c))
        return begin_at(c);
    usec_t asking = ask_at(c), last = c->step_at + CHAN_STEP_US_MAX;
    return asking < last ? asking : last;
}
