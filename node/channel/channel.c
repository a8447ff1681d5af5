// A channel's life: its start, time, the application's calls, events and its end.
#include "node/channel/internal.h"

#include <sodium.h>

// ---- contents of packets that arrived or were lost ------------------------------------------------------
static void mtu_fell(struct channel *c)
{
    chan_cc_packet(&c->recovery.cc, chan_paths_mtu(&c->paths));
}

static void path_carried(struct channel *c, const struct chan_sent *s)
{
    struct chan_path *path = chan_paths_by_id(&c->paths, s->path);
    if (path != NULL)
        chan_mtu_acked(&path->mtu, c->now, s->bytes, s->flags & CHAN_SENT_PROBE, s->at);
    if (s->flags & CHAN_SENT_PROBE)
        chan_cc_packet(&c->recovery.cc, chan_paths_mtu(&c->paths));
    if ((s->flags & CHAN_SENT_ECT) && s->path == c->ecn_path)
        chan_ecn_acked(&c->ecn, s->at);
}

static void path_lost(struct channel *c, const struct chan_sent *s)
{
    struct chan_path *path = chan_paths_by_id(&c->paths, s->path);
    if (path != NULL &&
        chan_mtu_lost(&path->mtu, c->now, s->bytes, s->flags & CHAN_SENT_PROBE, s->at))
        mtu_fell(c);
    if ((s->flags & CHAN_SENT_ECT) && s->path == c->ecn_path)
        chan_ecn_lost(&c->ecn, s->at);
}

static void on_acked(void *ctx, const struct chan_sent *s)
{
    struct channel *c = ctx;
    path_carried(c, s);
    for (unsigned i = 0; i < CHAN_STREAM_FRAMES; i++)
        if (s->len[i] > 0)
            chan_streams_acked(&c->streams,
                               &(struct chan_chunk){s->offset[i], s->len[i], s->stream[i]});
    if (s->ratchet_len > 0)
        chan_message_acked(&c->message_out, s->ratchet_serial, s->ratchet_offset, s->ratchet_len);
    if (c->matched && c->message_out.len == 0) // the other end, too, has all of the first step
        c->recovery.pto_max_us = CHAN_PTO_US_MAX;
    chan_reunion_acked(&c->reunion, s->meeting);
    if (s->ack_next > 0)
        chan_seen_told(&c->seen, s->ack_next);
}

static void on_again(void *ctx, const struct chan_sent *s)
{
    struct channel *c = ctx;
    for (unsigned i = 0; i < CHAN_STREAM_FRAMES; i++)
        if (s->len[i] > 0)
            chan_streams_lost(&c->streams,
                              &(struct chan_chunk){s->offset[i], s->len[i], s->stream[i]});
    if (s->ratchet_len > 0)
        chan_message_lost(&c->message_out, s->ratchet_serial, s->ratchet_offset, s->ratchet_len);
    if (s->flags & CHAN_SENT_ASK)
        chan_step_ask_lost(c);
    chan_streams_credit_lost(&c->streams, s->credit);
    if (s->flags & CHAN_SENT_NEW_CID)
        chan_keys_new_cid_lost(&c->keys);
    chan_reunion_lost(&c->reunion, s->meeting);
}

static void on_lost(void *ctx, const struct chan_sent *s)
{
    path_lost(ctx, s);
    on_again(ctx, s);
}

struct chan_sink chan_sink(struct channel *c)
{
    return (struct chan_sink){c, on_acked, on_lost, on_again};
}

static usec_t earlier(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

// ---- start and end ----------------------------------------------------------------------------------
static void start_keys(struct channel *c, const struct channel_config *config)
{
    struct packet_keys out, in;
    ratchet_init(&c->ratchet, config->initiator, config->aead, config->k_ir, config->k_ri,
                 config->h, &out, &in);
    chan_keys_install(&c->keys, 0, config->local_cid, &in, config->remote_cid, &out, false);
    sodium_memzero(&out, sizeof out);
    sodium_memzero(&in, sizeof in);
}

int channel_new(struct channel **out, usec_t now, const struct channel_config *config,
                struct arena *a)
{
    if (config->candidates == 0 || config->candidates > CHANNEL_CANDIDATES_MAX)
        return BAUTA_EFORMAT;
    struct channel *c = arena_take(a, sizeof *c);
    if (c == NULL)
        return BAUTA_ESPACE;
    c->arena = a;
    c->rng = config->rng;
    c->initiator = config->initiator;
    c->aead = config->aead;
    memcpy(c->remote_mask, config->remote_mask, sizeof c->remote_mask);
    c->started_at = c->active_at = c->step_at = now;
    c->keep_us = CHAN_IDLE_US;
    c->idle_us = chan_idle(c);
    c->patience_us = config->patience_us > 0 ? config->patience_us : CHAN_NO_PATH_US;
    c->skip_at = rng_between(&c->rng, CHAN_SKIP_MIN, CHAN_SKIP_MAX);
    c->retry_at = USEC_NEVER;
    c->burst_path = CHAN_NO_PATH;
    c->nominee = -1;
    c->ecn.state = CHAN_ECN_FAILED; // until a path is in use
    uint32_t window = config->receive_bytes == 0 ? CHAN_RECEIVE_BYTES : config->receive_bytes;
    window = window < CHAN_CREDIT_INITIAL ? CHAN_CREDIT_INITIAL : window;
    window = window > CHAN_RECEIVE_BYTES_MAX ? CHAN_RECEIVE_BYTES_MAX : window;
    chan_seen_init(&c->seen);
    chan_recovery_init(&c->recovery, config->cc, config->rtt_hint_us, rng_u64(&c->rng));
    chan_streams_init(&c->streams, a, window);
    chan_cover_init(&c->cover);
    if (!chan_recovery_room(&c->recovery, a)) {
        arena_give(a, c, sizeof *c);
        return BAUTA_ESPACE;
    }
    chan_paths_init(&c->paths, now, config);
    start_keys(c, config);
    if (c->initiator) {
        chan_step_begin(c, now);
        const struct path *seen = config->observed < config->candidates
                                      ? &config->candidate[config->observed]
                                  : config->lab ? &config->candidate[0]
                                                : NULL;
        for (int i = 0; seen != NULL && i < c->paths.count; i++)
            if (memcmp(&c->paths.path[i].path, seen, sizeof *seen) == 0)
                c->burst_path = (int8_t)i;
    }
    *out = c;
    return 0;
}

void channel_free(struct channel *c)
{
    if (c == NULL)
        return;
    struct arena *a = c->arena;
    chan_streams_free(&c->streams);
    chan_recovery_free(&c->recovery, a);
    chan_datagrams_free(&c->datagrams, a);
    arena_give(a, c, sizeof *c); // wiped by the arena
}

void chan_over(struct channel *c, usec_t now)
{
    c->state = CHAN_ENDED;
    c->close_end = now;
    chan_keys_end(&c->keys);
    uint16_t words[SAS_WORDS];
    bool has_words = c->ratchet.has_words;
    memcpy(words, c->ratchet.words, sizeof words);
    ratchet_wipe(&c->ratchet);
    c->ratchet.has_words = has_words; // what was shown stays true
    memcpy(c->ratchet.words, words, sizeof words);
    chan_message_end(&c->message_out);
    chan_message_clear(&c->message_in);
}

void chan_end(struct channel *c, usec_t now, enum channel_reason reason, enum chan_close_kind kind,
              uint16_t code)
{
    if (!chan_alive(c))
        return;
    c->reason = reason;
    c->code = code;
    c->close_kind = kind;
    if (chan_paths_target(&c->paths) == CHAN_NO_PATH) {
        chan_over(c, now);
        return;
    }
    usec_t pto = chan_recovery_pto(&c->recovery);
    c->state = CHAN_CLOSING;
    c->close_at = now;
    c->close_gap_us = pto;
    c->close_end = now + 3 * pto;
    c->close_answer = 1;
}

void channel_close(struct channel *c, usec_t now, uint16_t code)
{
    if (c->state != CHAN_OPEN)
        return;
    c->code = code;
    if (c->ready && chan_streams_pending(&c->streams, UINT8_MAX)) {
        c->state = CHAN_LINGER;
        c->close_end = now + (chan_cover_on(&c->cover) ? CHAN_COVER_LINGER_US : CHAN_LINGER_US);
        return;
    }
    chan_end(c, now, CHANNEL_ENDED_LOCAL, CHAN_CLOSE_APPLICATION, code);
}

// ---- time -------------------------------------------------------------------------------------------
static usec_t gone_wait(const struct channel *c)
{
    usec_t wait = 3 * chan_recovery_pto(&c->recovery);
    usec_t least = c->reunion.patient ? CHAN_GONE_REUNION_US
                   : c->matched       ? CHAN_GONE_US
                                      : CHAN_GONE_EARLY_US;
    return wait > least ? wait : least;
}

static usec_t gone_at(const struct channel *c)
{
    if (c->recovery.unanswered_at == USEC_NEVER || !c->heard)
        return USEC_NEVER;
    return c->recovery.unanswered_at + gone_wait(c);
}

// Until the first step is done neither end is silent for long, whoever's turn it is.
static usec_t silent_at(const struct channel *c)
{
    return c->matched || !c->heard ? USEC_NEVER
                                   : c->paths.path[c->paths.last].heard_at + gone_wait(c);
}

// Who has proved its path and only waits asks whether the other is still there: that one may have used up what
// it may send to an address that has not answered it yet (RFC 9002, 6.2.2.1).
// And who received bulk that stopped asks once: it may come to an address that is not ours any more, and who only
// receives would not notice.
static usec_t ask_at(const struct channel *c)
{
    if (c->ping_due || c->paths.active == CHAN_NO_PATH || c->recovery.tracked > 0)
        return USEC_NEVER;
    if (c->matched) {
        usec_t quiet = 2 * chan_recovery_pto(&c->recovery);
        quiet = quiet > CHAN_QUIET_US ? quiet : CHAN_QUIET_US;
        return c->bulk_in < CHAN_MTU_BULK ? USEC_NEVER : c->active_at + quiet;
    }
    usec_t wait = earlier(chan_recovery_pto(&c->recovery), CHAN_PTO_EARLY_US_MAX);
    return c->active_at + (wait > CHAN_ASK_US_MIN ? wait : CHAN_ASK_US_MIN);
}

usec_t channel_deadline(const struct channel *c)
{
    if (c->state == CHAN_OVER)
        return USEC_NEVER;
    if (c->state == CHAN_ENDED)
        return c->close_end;
    if (c->state == CHAN_CLOSING)
        return earlier(c->close_at, c->close_end);
    usec_t first = earlier(chan_paths_deadline(&c->paths), chan_keys_deadline(&c->keys));
    first = earlier(first, chan_step_deadline(c));
    first = earlier(first, earlier(gone_at(c), silent_at(c)));
    first = earlier(first, chan_trial_deadline(&c->paths));
    first = earlier(first, ask_at(c));
    first = earlier(first, chan_lost_at(c));
    first = earlier(first, c->retry_at);
    if (c->matched)
        first = earlier(first, c->cover.at);
    first = earlier(first, c->active_at + c->idle_us);
    if (!c->heard)
        first = earlier(first, c->started_at + c->patience_us);
    if (c->seen.unacked > 0 && !c->seen.ack_now)
        first = earlier(first, c->seen.ack_deadline);
    if (chan_paths_target(&c->paths) != CHAN_NO_PATH)
        first = earlier(first, earlier(chan_recovery_deadline(&c->recovery),
                                       chan_pace_deadline(&c->recovery.cc.pace)));
    if (c->state == CHAN_LINGER)
        first = earlier(first, c->close_end);
    return first;
}

static void probe_timeout(struct channel *c, usec_t now)
{
    struct chan_sink sink = chan_sink(c);
    c->probes = CHAN_PROBE_PACKETS;
    chan_recovery_again(&c->recovery, CHAN_PROBE_PACKETS, &sink);
    // The oldest may have carried what is over by now; a message of the ratchet is what the other waits for.
    if (c->message_out.len > 0)
        chan_message_lost(&c->message_out, c->message_out.serial, 0, c->message_out.len);
    if (c->recovery.pto_count >= 2) {
        chan_paths_restart(&c->paths, now, c->recovery.srtt_us);
    }
}

static void expire_recovery(struct channel *c, usec_t now)
{
    struct chan_sink sink = chan_sink(c);
    if (chan_paths_target(&c->paths) != CHAN_NO_PATH &&
        chan_recovery_expire(&c->recovery, now, &sink))
        probe_timeout(c, now);
    // Whether the peer is still there was asked, and nothing that could be answered is on its way.
    if (c->recovery.tracked == 0 && c->recovery.unanswered_at != USEC_NEVER)
        c->ping_due = true;
}

void chan_tidy(struct channel *c, usec_t now)
{
    chan_recovery_shrink(&c->recovery, now, c->arena);
    chan_datagrams_tidy(&c->datagrams, c->arena);
}

usec_t chan_idle(const struct channel *c)
{
    return rng_between(&c->rng, c->keep_us * 8 / 9, c->keep_us * 10 / 9);
}

void chan_silence_lost(struct channel *c)
{
    if (c->paths.active == CHAN_NO_PATH)
        return;
    const struct chan_path *at = &c->paths.path[c->paths.active];
    c->silent_at = at->path;
    c->silence_us = c->recovery.unanswered_at - at->heard_at;
}

// The same address answers again, so nobody has moved: its NAT has forgotten us, until it sent something itself.
void chan_silence_found(struct channel *c)
{
    usec_t silence = c->silence_us;
    const struct path *now = &c->paths.path[c->paths.active].path;
    c->silence_us = 0;
    if (c->paths.active == CHAN_NO_PATH || silence < CHAN_IDLE_US_MIN ||
        now->family != c->silent_at.family || memcmp(now->ip, c->silent_at.ip, sizeof now->ip) != 0)
        return;
    usec_t keep = silence * 3 / 4 > CHAN_IDLE_US_MIN ? silence * 3 / 4 : CHAN_IDLE_US_MIN;
    c->keep_us = keep < c->keep_us ? keep : c->keep_us;
}

static void on_idle(struct channel *c, usec_t now)
{
    c->ping_due = true;
    c->active_at = now;
    c->idle_us = chan_idle(c);
    chan_tidy(c, now);
}

static void expire_alive(struct channel *c, usec_t now)
{
    if (!c->heard && now >= c->started_at + c->patience_us) {
        c->reason = CHANNEL_ENDED_NO_PATH;
        c->code = 0;
        chan_over(c, now);
        return;
    }
    if (gone_at(c) <= now || silent_at(c) <= now) {
        c->reason = CHANNEL_ENDED_GONE;
        c->code = 0;
        chan_over(c, now);
        return;
    }
    if (c->state == CHAN_LINGER &&
        (c->close_end <= now || !chan_streams_pending(&c->streams, UINT8_MAX))) {
        chan_end(c, now, CHANNEL_ENDED_LOCAL, CHAN_CLOSE_APPLICATION, c->code);
        return;
    }
    chan_keys_expire(&c->keys, now);
    chan_step_expire(c, now);
    if (!chan_alive(c))
        return;
    expire_recovery(c, now);
    if (chan_lost_at(c) <= now)
        chan_lost(c, now);
    if (chan_trial_deadline(&c->paths) <= now)
        chan_decide(c, now);
    if (ask_at(c) <= now) {
        c->ping_due = true;
        c->bulk_in = 0;
    }
    if (c->active_at + c->idle_us <= now)
        on_idle(c, now);
    if (c->seen.unacked > 0 && c->seen.ack_deadline <= now)
        c->seen.ack_now = true;
    if (c->retry_at <= now) {
        c->retry_at = USEC_NEVER;
        c->streams.writable |= c->streams.wants_room;
        c->streams.wants_room = 0;
    }
}

bool channel_expire(struct channel *c, usec_t now, unsigned budget)
{
    c->now = now;
    (void)budget; // what is due here takes constant time
    if (c->state == CHAN_CLOSING && c->close_end <= now)
        chan_over(c, now);
    else if (chan_alive(c))
        expire_alive(c, now);
    return false;
}

void channel_drop_sockets(struct channel *c)
{
    chan_paths_drop_sockets(&c->paths);
}

void channel_prefer_far(struct channel *c, bool on)
{
    c->paths.prefer_far = on;
}

void channel_drop_near(struct channel *c)
{
    chan_paths_drop_near(&c->paths);
}

void channel_sent(struct channel *c, usec_t now, int rc)
{
    int target = chan_paths_target(&c->paths);
    if (rc >= 0 || !chan_alive(c) || target == CHAN_NO_PATH)
        return;
    if (rc == SENT_TOO_LONG) {
        struct chan_path *path = &c->paths.path[target];
        if (chan_mtu_refused(&path->mtu, now))
            mtu_fell(c);
        return;
    }
    if (c->paths.active == CHAN_NO_PATH)
        return;
    // Forged easily, so it ends nothing; and a path that fails each send asks once a round trip.
    const struct chan_path *at = &c->paths.path[c->paths.active];
    if (at->challenges == 0 || at->challenged_at[at->challenges - 1] + c->recovery.srtt_us <= now)
        chan_paths_restart(&c->paths, now, c->recovery.srtt_us);
}

// ---- the application ----------------------------------------------------------------------------------
int channel_stream_send(struct channel *c, usec_t now, unsigned stream, const uint8_t *data,
                        size_t len)
{
    if (stream >= CHANNEL_STREAMS_MAX)
        return BAUTA_EUNKNOWN;
    if (!c->ready || c->state != CHAN_OPEN)
        return BAUTA_ESTATE;
    size_t n = chan_streams_write(&c->streams, stream, data, len < INT32_MAX ? len : INT32_MAX);
    if (c->streams.starved) {
        c->streams.starved = false;
        c->retry_at = now + CHAN_RETRY_US;
    }
    return (int)n;
}

size_t channel_stream_receive(struct channel *c, usec_t now, unsigned stream, uint8_t *buf,
                              size_t cap)
{
    (void)now;
    if (stream >= CHANNEL_STREAMS_MAX || !c->matched)
        return 0;
    return chan_streams_read(&c->streams, stream, buf, cap);
}

void channel_stream_class(struct channel *c, unsigned stream, enum channel_class class)
{
    if (stream < CHANNEL_STREAMS_MAX)
        chan_streams_class(&c->streams, stream, class);
}

void channel_cover(struct channel *c, usec_t now, enum channel_cover level)
{
    chan_cover_set(&c->cover, now, level, &c->rng);
    if (chan_cover_on(&c->cover))
        chan_datagrams_clear(&c->datagrams);
}

size_t channel_stream_pending(const struct channel *c, unsigned stream)
{
    if (stream >= CHANNEL_STREAMS_MAX)
        return 0;
    return (size_t)(c->streams.stream[stream].end - c->streams.stream[stream].acked);
}

size_t channel_datagram_max(const struct channel *c)
{
    size_t around = PACKET_HEADER_BYTES + CHAN_DATAGRAM_HEADER_BYTES + packet_tag_bytes(c->aead);
    return chan_paths_mtu(&c->paths) - around;
}

int channel_datagram_put(struct channel *c, size_t len, uint8_t **data)
{
    if (!c->ready || c->state != CHAN_OPEN || chan_cover_on(&c->cover))
        return BAUTA_ESTATE;
    if (len == 0 || len > channel_datagram_max(c))
        return BAUTA_ELIMIT;
    *data = chan_datagrams_put(&c->datagrams, c->arena, len);
    return *data != NULL ? 0 : BAUTA_ESPACE;
}

bool channel_datagram(struct channel *c, const uint8_t **data, size_t *len)
{
    struct chan_datagram d;
    if (!c->matched || !chan_datagrams_next(&c->datagrams, &d))
        return false;
    *data = d.data;
    *len = d.len;
    return true;
}

// ---- events -----------------------------------------------------------------------------------------
static bool tell(bool *flag)
{
    bool was = *flag;
    *flag = false;
    return was;
}

static bool event_cid(struct channel *c, struct channel_event *e)
{
    for (unsigned i = 0; i < CHAN_PHASES; i++) {
        struct chan_phase_in *in = &c->keys.in[i];
        if (!in->live || in->announced == in->cids)
            continue;
        e->kind = CHANNEL_CID_ADD;
        e->phase = (uint8_t)i;
        memcpy(e->cid, in->cid[in->announced++], CID_BYTES);
        return true;
    }
    if (c->keys.drops == 0)
        return false;
    e->kind = CHANNEL_CID_DROP;
    memcpy(e->cid, c->keys.dropped[--c->keys.drops], CID_BYTES);
    return true;
}

static bool event_stream(uint8_t *mask, struct channel_event *e, enum channel_event_kind kind)
{
    if (*mask == 0)
        return false;
    unsigned i = 0;
    while (!(*mask & 1u << i))
        i++;
    *mask = (uint8_t)(*mask & ~(1u << i));
    e->kind = kind;
    e->stream = (uint8_t)i;
    return true;
}

bool channel_event(struct channel *c, struct channel_event *e)
{
    memset(e, 0, sizeof *e);
    if (c->state == CHAN_OVER)
        return false;
    if (event_cid(c, e))
        return true;
    if (tell(&c->tell_heard)) {
        e->kind = CHANNEL_HEARD;
    } else if (c->paths.active != CHAN_NO_PATH && tell(&c->tell_path)) {
        e->kind = CHANNEL_PATH;
        e->path = c->paths.path[c->paths.active].path;
        e->direct = !c->paths.path[c->paths.active].far;
    } else if (tell(&c->tell_ready)) {
        e->kind = CHANNEL_READY;
    } else if (tell(&c->tell_matched)) {
        e->kind = CHANNEL_MATCHED;
    } else if (tell(&c->reunion.tell_lost)) {
        e->kind = CHANNEL_LOST;
    } else if (tell(&c->reunion.tell_found)) {
        e->kind = CHANNEL_FOUND;
    } else if (c->matched && tell(&c->reunion.tell_peer)) {
        e->kind = CHANNEL_MEETING;
        e->data = c->reunion.peer;
        e->len = c->reunion.peer_len;
    } else if (c->matched && event_stream(&c->streams.readable, e, CHANNEL_READABLE)) {
        return true;
    } else if (c->state == CHAN_OPEN && event_stream(&c->streams.writable, e, CHANNEL_WRITABLE)) {
        return true;
    } else if (c->state == CHAN_ENDED) {
        e->kind = CHANNEL_CLOSED;
        e->reason = c->reason;
        e->code = c->code;
        c->state = CHAN_OVER;
    } else {
        return false;
    }
    return true;
}

bool channel_words(const struct channel *c, uint16_t words[static SAS_WORDS])
{
    if (!c->ratchet.has_words)
        return false;
    memcpy(words, c->ratchet.words, sizeof c->ratchet.words);
    return true;
}

void channel_status(const struct channel *c, struct channel_status *s)
{
    *s = (struct channel_status){.srtt_us = c->recovery.srtt_us,
                                 .rttvar_us = c->recovery.rttvar_us,
                                 .min_rtt_us = c->recovery.min_rtt_us,
                                 .cwnd_bytes = c->recovery.cc.window.cwnd_bytes,
                                 .in_flight_bytes = c->recovery.cc.in_flight_bytes,
                                 .packets_in = c->packets_in,
                                 .packets_out = c->packets_out,
                                 .packets_lost = c->recovery.lost_packets,
                                 .packets_dropped = c->packets_dropped,
                                 .bytes_in = c->bytes_in,
                                 .bytes_out = c->bytes_out,
                                 .mtu_bytes = chan_paths_mtu(&c->paths),
                                 .ecn = c->ecn.state == CHAN_ECN_CAPABLE,
                                 .step = c->ratchet.step,
                                 .ready = c->ready,
                                 .cover = c->cover.level,
                                 .aead = c->aead};
    if (chan_paths_target(&c->paths) != CHAN_NO_PATH)
        s->path = c->paths.path[chan_paths_target(&c->paths)].path;
}
