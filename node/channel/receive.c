// A datagram in: opened, checked against replay, its frames taken one by one.
#include "node/channel/internal.h"

#include "dht/path.h"

// Within this a challenge is answered, where the peer is.
static usec_t answer_wait(const struct channel *c)
{
    const struct chan_recovery *r = &c->recovery;
    usec_t more = 4 * r->rttvar_us > CHAN_GRANULARITY_US ? 4 * r->rttvar_us : CHAN_GRANULARITY_US;
    return r->srtt_us * 3 / 2 + more;
}

// What is in flight went to where the peer is not any more: it goes out again at once, and that is no congestion.
static void use_path(struct channel *c, usec_t now, int i)
{
    bool moved = c->paths.active != CHAN_NO_PATH;
    bool known = chan_trial_use(&c->paths, now, i, answer_wait(c));
    c->paths.moved_pn = c->seen.next;
    c->tell_path = true;
    c->ecn_path = c->paths.path[i].id;
    c->nominee = -1;
    chan_ecn_start(&c->ecn);
    if (moved) {
        struct chan_sink sink = chan_sink(c);
        chan_recovery_forget(&c->recovery, &sink);
        if (c->cid_at + 4 * answer_wait(c) < now) // else it has done so, and we did too
            chan_keys_take(&c->keys);
    }
    if (moved && !known)
        chan_recovery_new_path(&c->recovery);
    chan_cc_packet(&c->recovery.cc, chan_paths_mtu(&c->paths));
}

void chan_decide(struct channel *c, usec_t now)
{
    int i = chan_trial_decide(&c->paths, now);
    if (i == CHAN_NO_PATH)
        return;
    usec_t rtt = c->paths.path[i].rtt_us;
    use_path(c, now, i);
    chan_recovery_rtt(&c->recovery, now, rtt, 0);
}

void chan_own_move(struct channel *c)
{
    chan_keys_take(&c->keys);
    if (c->paths.active == CHAN_NO_PATH)
        return;
    struct chan_path *at = &c->paths.path[c->paths.active];
    chan_mtu_init(&at->mtu, &at->path, at->far && path_tunnels(&at->path) == 0);
    chan_ecn_start(&c->ecn);
    chan_recovery_new_path(&c->recovery);
    chan_cc_packet(&c->recovery.cc, at->mtu.size);
}

// Several paths to one address may open at the same time: ports of its, or sockets of ours. So that both ends use
// the same, until they are matched the responder takes the one on which the initiator speaks.
static bool nominated(const struct channel *c, int i)
{
    const struct chan_path *at = &c->paths.path[i], *used = &c->paths.path[c->paths.active];
    return c->nominee == at->id && at->validated && i != c->paths.active &&
           at->path.family == used->path.family &&
           memcmp(at->path.ip, used->path.ip, sizeof at->path.ip) == 0;
}

// Direct is better than a relay, unless both ends want one.
static bool better(const struct chan_paths *p, int i)
{
    bool far = p->path[p->active].far;
    return p->prefer_far ? !far && p->path[i].far : far && !p->path[i].far;
}

static void on_response(struct channel *c, usec_t now, const struct chan_frame *f)
{
    usec_t sent_at;
    int i = chan_paths_response(&c->paths, f->data, &sent_at);
    if (i == CHAN_NO_PATH)
        return; // late, or of a path that gave way
    c->paths.path[i].rtt_us = now - sent_at;
    chan_trial_answered(&c->paths, now, i, answer_wait(c));
    int active = c->paths.active;
    if (active == CHAN_NO_PATH) {
        use_path(c, now, i);
        chan_recovery_rtt(&c->recovery, now, now - sent_at, 0);
        // A RATCHET1 that went to another address, or so early that its ACK should be here: again.
        usec_t since = now - c->recovery.last_at;
        if (c->burst_path != CHAN_NO_PATH &&
            (c->burst_path != i || 2 * since > 3 * (now - sent_at))) {
            struct chan_sink sink = chan_sink(c);
            chan_recovery_forget(&c->recovery, &sink);
        }
        c->burst_path = CHAN_NO_PATH;
    } else if (nominated(c, i) || (i != active && (c->recovery.pto_count >= 2 || c->reunion.lost ||
                                                   better(&c->paths, i)))) {
        use_path(c, now,
                 i); // the one in use has fallen silent, costs a relay, or is not the other's
        chan_recovery_rtt(&c->recovery, now, now - sent_at, 0);
    }
}

static void on_close(struct channel *c, usec_t now, const struct chan_frame *f)
{
    if (c->state == CHAN_CLOSING) {
        chan_over(c, now);
        return;
    }
    c->state = CHAN_CLOSING;
    c->reason = CHANNEL_ENDED_PEER;
    c->code = f->kind == CHAN_CLOSE_APPLICATION ? f->code : 0;
    c->close_kind = CHAN_CLOSE_APPLICATION;
    c->close_once = true;
    c->close_at = now;
    c->close_gap_us = CHAN_CLOSE_ANSWER_US;
    c->close_end = now + CHAN_CLOSE_ANSWER_US;
}

struct turn { // one packet
    uint64_t pn;
    uint32_t step; // of the keys it came under
    int path;
    size_t bytes;
    bool eliciting, soon; // asks for an ACK, at once
    bool speaks;          // holds more than probes
};

// Only these may stand in a packet under the handshake's own keys, which a quantum computer can break.
static bool is_control(enum chan_frame_type type)
{
    return type != CHAN_STREAM && type != CHAN_DATAGRAM && type != CHAN_MAX_DATA &&
           type != CHAN_NEW_CID && type != CHAN_MEETING_POINT && type != CHAN_REUNION;
}

static int on_ack(struct channel *c, usec_t now, const struct chan_ack *ack)
{
    struct chan_sink sink = chan_sink(c);
    bool news = ack->range[0].hi > c->recovery.acked_next;
    int rc = chan_recovery_ack(&c->recovery, now, ack, &sink);
    chan_streams_keep_ready(&c->streams, c->recovery.cc.window.cwnd_bytes);
    if (rc == 0)
        chan_cc_ecn(&c->recovery.cc, now, chan_ecn_on_ack(&c->ecn, ack, news));
    return rc;
}

// 0, or a negative code: BAUTA_ESPACE: nothing wrong, but not kept. Others close the channel.
static int on_frame(struct channel *c, usec_t now, struct turn *t, const struct chan_frame *f,
                    const struct chan_ack *ack)
{
    if (t->step == 0 && !is_control(f->type))
        return BAUTA_ESTATE;
    bool probing =
        f->type == CHAN_PATH_CHALLENGE || f->type == CHAN_PATH_RESPONSE || f->type == CHAN_PADDING;
    bool silent = probing || f->type == CHAN_ACK || f->type == CHAN_ACK_ECN ||
                  f->type == CHAN_CLOSE || f->type == CHAN_REUNION;
    t->speaks = t->speaks || !(probing || f->type == CHAN_NEW_CID);
    t->eliciting = t->eliciting || !silent;
    switch (f->type) {
    case CHAN_PADDING:
        return 0;
    case CHAN_PING:
        t->soon = true;
        return 0;
    case CHAN_ACK:
    case CHAN_ACK_ECN:
        return on_ack(c, now, ack);
    case CHAN_STREAM:
        return chan_streams_on_data(&c->streams, now, c->recovery.srtt_us, f);
    case CHAN_MAX_DATA:
        return chan_streams_on_max_data(&c->streams, f);
    case CHAN_DATAGRAM:
        if (f->len > CHANNEL_DATAGRAM_BYTES_MAX)
            return BAUTA_EFORMAT;
        chan_datagrams_came(&c->datagrams, c->arena, f->data, f->len);
        return 0;
    case CHAN_PATH_CHALLENGE:
        if (t->path != CHAN_NO_PATH) {
            struct chan_path *at = &c->paths.path[t->path];
            if (at->responses < CHAN_RESPONSES_MAX)
                memcpy(at->response[at->responses++], f->data, 8);
        }
        return 0;
    case CHAN_PATH_RESPONSE:
        on_response(c, now, f);
        return 0;
    case CHAN_RATCHET:
        t->soon = true;
        chan_step_frame(c, now, f, t->step);
        return 0;
    case CHAN_CLOSE:
        on_close(c, now, f);
        return 0;
    case CHAN_MEETING_POINT:
    case CHAN_REUNION:
        return chan_reunion_frame(&c->reunion, f);
    case CHAN_NEW_CID:
        return chan_keys_on_new_cid(&c->keys, f->step, f->data);
    }
    return BAUTA_EFORMAT;
}

static void on_body(struct channel *c, usec_t now, struct turn *t, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    struct chan_frame f;
    struct chan_ack ack;
    bool kept = true;
    if (len == 0)
        chan_violation(c, now);
    while (r.left > 0 && chan_alive(c)) {
        int rc = chan_wire_get(&r, &f, &ack);
        if (rc == 0)
            rc = on_frame(c, now, t, &f, &ack);
        if (rc == BAUTA_ESPACE)
            kept = false;
        else if (rc != 0)
            chan_violation(c, now);
    }
    if (chan_alive(c) && kept)
        chan_seen_acknowledge(&c->seen, now, t->pn, t->eliciting,
                              t->soon || t->bytes <= CLASS_MEDIUM, c->recovery.srtt_us);
}

// After our CLOSE only the peer's matters; ours goes again, ever more rarely.
static void on_body_closing(struct channel *c, usec_t now, const uint8_t *body, size_t len)
{
    struct rd r = rd_init(body, len);
    struct chan_frame f;
    struct chan_ack ack;
    while (r.left > 0 && chan_wire_get(&r, &f, &ack) == 0)
        if (f.type == CHAN_CLOSE) {
            on_close(c, now, &f);
            return;
        }
    if (++c->close_in >= c->close_answer) {
        c->close_answer *= 2;
        c->close_at = now;
    }
}

static int drop(struct channel *c, int rc)
{
    c->packets_dropped++;
    return rc;
}

// A peer that took a new cid for a new path finds us doing the same; each has one of the other's to take.
static void on_cid(struct channel *c, unsigned phase, int which)
{
    if (chan_keys_used(&c->keys, phase, which) && phase == c->keys.out_phase &&
        c->keys.known_used < which) {
        chan_keys_take(&c->keys);
        c->cid_at = c->now;
    }
    if (c->matched)
        chan_keys_spare(&c->keys, &c->rng);
}

// The initiator speaks there. In whatever order its packets came: the newest counts.
static void nominate(struct channel *c, usec_t now, const struct turn *t)
{
    if (c->nominee >= 0 && t->pn < c->nominee_pn)
        return;
    c->nominee = c->paths.path[t->path].id;
    c->nominee_pn = t->pn;
    if (c->paths.active != CHAN_NO_PATH && nominated(c, t->path))
        use_path(c, now, t->path);
}

// After a long search the times of the first step begin anew.
static void first_heard(struct channel *c, usec_t now)
{
    c->heard = c->tell_heard = true;
    if (now - c->started_at <= CHAN_NO_PATH_US)
        return;
    c->started_at = now;
    if (c->recovery.unanswered_at != USEC_NEVER)
        c->recovery.unanswered_at = now;
}

int channel_receive(struct channel *c, usec_t now, const uint8_t cid[static CID_BYTES],
                    unsigned phase, const struct path *from, uint8_t ecn, uint8_t *datagram,
                    size_t len)
{
    c->now = now;
    chan_datagrams_turn(&c->datagrams);
    if (c->state >= CHAN_ENDED || phase >= CHAN_PHASES)
        return drop(c, BAUTA_ESTATE);
    struct chan_phase_in *in = &c->keys.in[phase];
    int which = chan_keys_cid(in, cid);
    if (which < 0 || in->dies_at <= now)
        return drop(c, BAUTA_ESTATE);
    if (len < PACKET_HEADER_BYTES + packet_tag_bytes(c->aead) || len > UINT16_MAX)
        return drop(c, BAUTA_EFORMAT);
    uint64_t pn;
    uint8_t *body;
    size_t body_len;
    int rc = packet_open(datagram, len, &in->keys, cid, phase, &pn, &body, &body_len);
    if (rc != 0)
        return drop(c, rc);
    pn &= PACKET_PN_MAX;
    rc = chan_seen_check(&c->seen, pn);
    if (rc != 0) {
        if (pn >= c->paths.moved_pn)
            chan_trial_echo(&c->paths, now, from, answer_wait(c));
        return drop(c, rc);
    }
    bool highest = pn >= c->seen.next;
    chan_seen_mark(&c->seen, pn, ecn);

    c->packets_in++;
    c->bulk_in = (uint8_t)(c->bulk_in + (len > CLASS_MEDIUM && c->bulk_in < CHAN_MTU_BULK));
    c->bytes_in += len;
    c->cover.heard_bulk = c->cover.heard_bulk || len > CLASS_MEDIUM;
    c->step_bytes += len;
    if (now - c->active_at >= CHAN_TIDY_US)
        chan_tidy(c, now);
    c->active_at = now;
    if (!c->heard)
        first_heard(c, now);
    usec_t pto = chan_recovery_pto(&c->recovery);
    usec_t old = 3 * pto > CHAN_OLD_KEYS_US ? 3 * pto : CHAN_OLD_KEYS_US;
    struct turn t = {.pn = pn, .step = in->step, .bytes = len, .soon = ecn == CHAN_CE};
    if (chan_keys_heard(&c->keys, phase, now + old)) {
        c->step_known_at = now;
        if (c->message_out.type == 2)
            chan_message_end(&c->message_out); // RATCHET2 did arrive
    }
    t.path = from->family == 0 // an introducer brought it
                 ? CHAN_NO_PATH
                 : chan_paths_heard(&c->paths, now, from, len, c->recovery.srtt_us / 2);
    if (c->state == CHAN_CLOSING) {
        if (!c->close_once)
            on_body_closing(c, now, body, body_len);
        return 0;
    }
    bool may_follow = !c->initiator && !c->matched && t.path != CHAN_NO_PATH;
    on_body(c, now, &t, body, body_len);
    on_cid(c, phase, which);
    chan_found(c);
    if (c->state == CHAN_LINGER && !chan_streams_pending(&c->streams, UINT8_MAX))
        chan_end(c, now, CHANNEL_ENDED_LOCAL, CHAN_CLOSE_APPLICATION, c->code);
    if (highest && t.speaks && t.path != CHAN_NO_PATH)
        chan_trial_speaks(&c->paths, now, t.path, answer_wait(c));
    if (chan_alive(c) && may_follow && t.speaks)
        nominate(c, now, &t);
    if (chan_alive(c))
        chan_decide(c, now);
    return 0;
}
