// Datagrams out: built straight into the caller's buffer, padded to a class, sealed in place.
#include "node/channel/internal.h"

struct pack { // what one call of channel_transmit has put together
    uint8_t *buf;
    size_t cap, used;
    struct batch *batch;
    size_t max, count;
    bool open; // the last batch takes more
};

static bool same_path(const struct path *a, const struct path *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

// The last batch, where it may grow by a datagram of so many bytes, not longer than its segments; else NULL.
static struct batch *grows(const struct pack *p, const struct path *to, size_t len)
{
    struct batch *last = p->count > 0 ? &p->batch[p->count - 1] : NULL;
    bool fits = last != NULL && p->open && len <= last->seg_size && same_path(&last->path, to);
    return fits ? last : NULL;
}

// Room for one more datagram of up to `len` bytes to `to`, or NULL.
static uint8_t *pack_room(const struct pack *p, const struct path *to, size_t len)
{
    if (p->cap - p->used < len)
        return NULL;
    return p->count < p->max || grows(p, to, len) != NULL ? p->buf + p->used : NULL;
}

// `mark`: with ECT(0).
static void pack_add(struct pack *p, usec_t now, const struct path *to, size_t len, bool mark)
{
    struct batch *last = grows(p, to, len);
    uint8_t ecn = mark ? CHAN_ECT0 : 0;
    if (last != NULL && last->ecn == ecn) {
        last->count++;
        last->len += (uint32_t)len;
    } else {
        assert(p->count < p->max);
        last = &p->batch[p->count++];
        *last = (struct batch){.path = *to,
                               .ecn = ecn,
                               .seg_size = (uint16_t)len,
                               .count = 1,
                               .len = (uint32_t)len,
                               .data = p->buf + p->used,
                               .not_before = now};
    }
    p->open = len == last->seg_size && last->count < BATCH_SEGMENTS_MAX &&
              last->len + last->seg_size <= BATCH_BYTES_MAX;
    p->used += len;
}

// Room for frames in a datagram of at most `bytes`.
static struct wr frames(const struct channel *c, uint8_t *packet, size_t bytes)
{
    return wr_init(packet + PACKET_HEADER_BYTES,
                   bytes - PACKET_HEADER_BYTES - packet_tag_bytes(c->aead));
}

// Full packets of an honest try are marked; a probe goes the way that is known to work. Who finds
// no batch but one that is begun is marked as that one is.
static bool marked(struct channel *c, const struct pack *p, const struct chan_path *to,
                   uint16_t size, unsigned flags)
{
    bool mark = size == to->mtu.size && size > CLASS_MEDIUM && !(flags & CHAN_SENT_PROBE) &&
                (flags & CHAN_SENT_ELICITING) && c->recovery.pto_count == 0 &&
                c->ecn_path == to->id && chan_ecn_wanted(&c->ecn);
    if (p->count == p->max)
        mark = p->batch[p->count - 1].ecn != 0;
    if (mark)
        chan_ecn_sent(&c->ecn);
    return mark;
}

// Pads, seals, counts.
static void finish(struct channel *c, usec_t now, struct pack *p, int path, struct wr *w,
                   struct chan_sent *s)
{
    struct chan_path *to = &c->paths.path[path];
    uint8_t *packet = w->start - PACKET_HEADER_BYTES;
    size_t around = PACKET_HEADER_BYTES + packet_tag_bytes(c->aead);
    uint16_t size = s->flags & CHAN_SENT_PROBE
                        ? to->mtu.probe
                        : chan_paths_class(&c->paths, path, around + wr_len(w));
    if (s->len[0] > 0 && size < CLASS_SMALL) // a receipt looks like a sentence
        size = CLASS_SMALL;
    assert(size > 0 && !w->bad);
    wr_zero(w, size - around - wr_len(w));
    if (c->recovery.next >= c->skip_at) {
        chan_recovery_skip(&c->recovery, now);
        c->skip_at = c->recovery.next + rng_between(&c->rng, CHAN_SKIP_MIN, CHAN_SKIP_MAX);
    }
    uint64_t pn = c->recovery.next | (uint64_t)c->keys.out_phase << CHAN_PN_BITS;
    size_t len = packet_seal(packet, wr_len(w), &c->keys.out, pn, c->keys.out_cid, c->remote_mask);
    assert(len == size);
    (void)len;
    s->bytes = size;
    s->path = to->id;
    bool mark = marked(c, p, to, size, s->flags);
    if (mark)
        s->flags |= CHAN_SENT_ECT;
    chan_recovery_sent(&c->recovery, now, s);
    if (s->flags & CHAN_SENT_ELICITING)
        c->active_at = now;
    to->out_bytes += size;
    c->packets_out++;
    c->bytes_out += size;
    c->step_bytes += size;
    pack_add(p, now, &to->path, size, mark);
}

static_assert(PACKET_HEADER_BYTES + PACKET_TAG_BYTES_MAX +
                      CHAN_PATH_BYTES * (CHAN_RESPONSES_MAX + 1) <=
                  CLASS_SMALL,
              "all that a path wants at a time");

// ---- probes -----------------------------------------------------------------------------------------
static void send_probe(struct channel *c, usec_t now, struct pack *p, int i)
{
    struct chan_path *at = &c->paths.path[i];
    bool challenge = at->challenge_at <= now;
    // The first probes are bounded by their number, all others by what was received.
    bool first = at->candidate && challenge && at->unasked < CHAN_PROBES_MAX;
    size_t frame_bytes = CHAN_PATH_BYTES * (at->responses + (challenge ? 1u : 0u));
    uint16_t size =
        class_of((uint32_t)(PACKET_HEADER_BYTES + frame_bytes + packet_tag_bytes(c->aead)));
    if ((!first && chan_paths_allowance(&c->paths, i) < size) ||
        !chan_recovery_room(&c->recovery, c->arena)) {
        chan_paths_give_up(&c->paths, i, now);
        return;
    }
    uint8_t *packet = pack_room(p, &at->path, CLASS_SMALL);
    if (packet == NULL)
        return;
    struct wr w = frames(c, packet, CLASS_SMALL);
    while (at->responses > 0)
        chan_wire_path(&w, CHAN_PATH_RESPONSE, at->response[--at->responses]);
    if (challenge) {
        uint8_t data[8];
        chan_paths_challenge(&c->paths, i, now, &c->rng, data);
        chan_wire_path(&w, CHAN_PATH_CHALLENGE, data);
    }
    struct chan_sent s = {0};
    finish(c, now, p, i, &w, &s);
    if (first) {
        at->out_bytes -= size;
        at->unasked++;
    }
}

// The path's MTU: a PING of the size in question, alone in its batch, since it may be refused.
static void send_mtu_probe(struct channel *c, usec_t now, struct pack *p)
{
    int i = c->paths.active;
    uint8_t streams = chan_cover_on(&c->cover) ? c->streams.bulk : UINT8_MAX;
    bool bulk = (chan_streams_ready(&c->streams) & streams) || c->datagrams.count > 0;
    if (i == CHAN_NO_PATH || !c->matched || !bulk || !chan_cc_open(&c->recovery.cc) ||
        c->recovery.pto_count > 0)
        return;
    struct chan_path *to = &c->paths.path[i];
    uint16_t size = chan_mtu_next(&to->mtu, now);
    p->open = false;
    uint8_t *packet = size > 0 ? pack_room(p, &to->path, size) : NULL;
    if (packet == NULL || !chan_recovery_room(&c->recovery, c->arena))
        return;
    chan_mtu_probed(&to->mtu, size);
    struct wr w = frames(c, packet, size);
    wr_u8(&w, CHAN_PING);
    struct chan_sent s = {.flags = CHAN_SENT_ELICITING | CHAN_SENT_PROBE};
    finish(c, now, p, i, &w, &s);
    p->open = false;
}

// ---- everything else ----------------------------------------------------------------------------------
// What may go into a packet, or waits for one.
enum load { LOAD_CONTROL = 1, LOAD_TEXT = 2, LOAD_BULK = 4, LOAD_ALL = 7 };

static unsigned waiting(const struct channel *c)
{
    unsigned load = 0;
    if (c->message_out.due_bytes > 0 || c->ping_due || c->ask_due)
        load = LOAD_CONTROL;
    if (!c->ready)
        return load;
    uint8_t streams = chan_streams_ready(&c->streams);
    if (c->reunion.due || c->keys.new_cid_due || c->streams.credit_due != 0)
        load |= LOAD_CONTROL;
    if (streams & ~c->streams.bulk)
        load |= LOAD_TEXT;
    if ((streams & c->streams.bulk) || c->datagrams.count > 0)
        load |= LOAD_BULK;
    return load;
}

static bool is_covered(const struct channel *c)
{
    return c->matched && chan_cover_on(&c->cover);
}

// Under cover: MAX_DATA that bulk of the peer makes due, and words don't.
static uint16_t bulk_credit(const struct channel *c)
{
    unsigned mask = c->streams.bulk | (c->cover.heard_bulk ? CHAN_CREDIT_OF_CHANNEL : 0);
    return (uint16_t)(c->streams.credit_due & mask);
}

// `text` waits for the same packet: it has half of what is left.
static void put_message(struct channel *c, bool text, struct wr *w, struct chan_sent *s)
{
    struct chan_message_out *m = &c->message_out;
    if (c->ask_due && w->left >= CHAN_RATCHET_HEADER_BYTES) {
        chan_wire_ratchet(w, c->ask_step, 0, 0, NULL, 0);
        s->flags |= CHAN_SENT_ELICITING | CHAN_SENT_ASK;
        c->ask_due = false;
    }
    if (m->due_bytes == 0 || w->left <= CHAN_RATCHET_HEADER_BYTES)
        return;
    uint16_t offset, len;
    size_t room = w->left - CHAN_RATCHET_HEADER_BYTES;
    if (!chan_message_take(m, text ? room / 2 : room, &offset, &len))
        return;
    chan_wire_ratchet(w, m->step, m->type, offset, m->data + offset, len);
    s->ratchet_offset = offset;
    s->ratchet_len = len;
    s->ratchet_serial = m->serial;
    s->flags |= CHAN_SENT_ELICITING;
}

static void put_new_cid(struct channel *c, struct wr *w, struct chan_sent *s)
{
    const struct chan_phase_in *in = &c->keys.in[c->keys.newest];
    if (!c->keys.new_cid_due || w->left < CHAN_NEW_CID_BYTES)
        return;
    chan_wire_new_cid(w, in->step, in->cid[in->cids - 1]);
    s->flags |= CHAN_SENT_ELICITING | CHAN_SENT_NEW_CID;
    c->keys.new_cid_due = false;
}

static void put_streams(struct channel *c, unsigned load, struct wr *w, struct chan_sent *s)
{
    uint8_t bulk = c->streams.bulk;
    uint8_t from = (uint8_t)((load & LOAD_TEXT ? ~bulk : 0) | (load & LOAD_BULK ? bulk : 0));
    for (unsigned i = 0; i < CHAN_STREAM_FRAMES && w->left > CHAN_STREAM_HEADER_BYTES; i++) {
        struct chan_chunk chunk;
        if (!chan_streams_take(&c->streams, from, w->left - CHAN_STREAM_HEADER_BYTES, &chunk))
            return;
        uint8_t *to = chan_wire_stream(w, chunk.stream, chunk.offset, chunk.len);
        chan_streams_copy(&c->streams, &chunk, to);
        s->stream[i] = chunk.stream;
        s->offset[i] = chunk.offset;
        s->len[i] = chunk.len;
        s->flags |= CHAN_SENT_ELICITING;
    }
}

// As many as fit; one that no packet holds any more, since the path's MTU fell, is lost.
static void put_datagrams(struct channel *c, struct wr *w, struct chan_sent *s)
{
    const uint8_t *data;
    uint16_t len;
    while ((data = chan_datagrams_first(&c->datagrams, &len)) != NULL) {
        bool fits = w->left >= CHAN_DATAGRAM_HEADER_BYTES + (size_t)len;
        if (!fits && len <= channel_datagram_max(c))
            return;
        if (fits) {
            chan_wire_datagram(w, data, len);
            s->flags |= CHAN_SENT_ELICITING | CHAN_SENT_DATAGRAM;
        }
        chan_datagrams_pop(&c->datagrams);
    }
}

static void put_data(struct channel *c, unsigned load, struct wr *w, struct chan_sent *s)
{
    bool control = (load & LOAD_CONTROL) != 0, covered = is_covered(c);
    if (control)
        put_message(c, covered && (waiting(c) & LOAD_TEXT), w, s);
    if (c->ready) {
        s->credit = chan_streams_put_credit(&c->streams, control ? UINT16_MAX : bulk_credit(c), w);
        if (control) // under cover a step takes the longer, the more is said: what follows it stays in ticks
            put_new_cid(c, w, s);
        s->meeting = chan_reunion_put(&c->reunion, w);
        if (s->credit != 0 || s->meeting != 0)
            s->flags |= CHAN_SENT_ELICITING;
        put_streams(c, load, w, s);
        if (load & LOAD_BULK)
            put_datagrams(c, w, s);
    }
    if ((control && c->ping_due) || !(s->flags & CHAN_SENT_ELICITING)) {
        if (w->left == 0) // a long ACK left no room: the next packet has it
            return;
        wr_u8(w, CHAN_PING);
        s->flags |= CHAN_SENT_ELICITING;
    }
    c->ping_due = c->ping_due && !control;
}

// Between ticks only what has nothing to do with words: bulk, and where to meet. A tick is the probe of a
// timeout, unless bulk waits for one.
static unsigned may_leave_covered(struct channel *c)
{
    unsigned load = waiting(c) & LOAD_BULK;
    if (bulk_credit(c) != 0 || c->reunion.due)
        load |= LOAD_BULK;
    if (c->probes > 0 && !chan_streams_pending(&c->streams, c->streams.bulk))
        c->probes = 0;
    return chan_cc_may(&c->recovery.cc, load != 0) || c->probes > 0 ? LOAD_BULK : 0;
}

// What window and pace let out now. Control and text don't wait behind bulk.
static unsigned may_leave(struct channel *c)
{
    unsigned load = waiting(c), urgent = load & (LOAD_CONTROL | LOAD_TEXT);
    if (chan_cc_may(&c->recovery.cc, load != 0) || c->probes > 0)
        return LOAD_ALL;
    return urgent != 0 && chan_cc_urgent(&c->recovery.cc) ? LOAD_CONTROL | LOAD_TEXT : 0;
}

// Does the datagram that is next need what an ACK would take?
static bool is_long(const struct channel *c, const struct wr *w)
{
    uint16_t len;
    return chan_datagrams_first(&c->datagrams, &len) != NULL &&
           len + CHAN_DATAGRAM_HEADER_BYTES + CHAN_ACK_BYTES_BESIDE > w->left;
}

// One packet of ACK and data to a path. False: nothing to send, or no room.
static bool send_packet(struct channel *c, usec_t now, struct pack *p, int path, uint64_t allowance)
{
    unsigned load = is_covered(c) ? may_leave_covered(c) : may_leave(c);
    bool data = load != 0 || c->probes > 0;
    if (!data && !chan_seen_due(&c->seen, now))
        return false;
    struct chan_path *to = &c->paths.path[path];
    // One of the two packets of a probe timeout is short: full ones may be what does not get through.
    uint16_t safe = chan_mtu_safe(&to->mtu, c->recovery.pto_count);
    if (data && c->probes == 1 && allowance > safe)
        allowance = safe;
    uint16_t size = chan_paths_room(&c->paths, path, allowance);
    uint8_t *packet = pack_room(p, &to->path, size);
    if (size < CLASS_SMALL || packet == NULL || !chan_recovery_room(&c->recovery, c->arena))
        return false;
    struct chan_sent s = {0};
    struct wr w = frames(c, packet, size);
    bool due = chan_seen_due(&c->seen, now);
    if (c->seen.unacked > 0 && (due || !is_long(c, &w)) &&
        w.left >= CHAN_ACK_BYTES(1) + CHAN_ACK_ECN_BYTES) {
        s.ack_next = c->seen.range[0].hi;
        chan_seen_put(&c->seen, now, &w, data);
    }
    if (due && is_long(c, &w) && waiting(c) == LOAD_BULK && c->probes == 0 &&
        !chan_streams_ready(
            &c->streams)) // the next packet has it; a PING in this one would say nothing
        data = false;
    if (data)
        put_data(c, load, &w, &s);
    if (data && c->probes > 0)
        c->probes--;
    finish(c, now, p, path, &w, &s);
    if ((s.len[0] > 0 || (s.flags & CHAN_SENT_DATAGRAM)) && s.bytes == to->mtu.size)
        chan_mtu_bulk(&to->mtu);
    return true;
}

// The datagram of a tick, whatever window and pace say: it is no more than a drop.
static void send_tick(struct channel *c, usec_t now, struct pack *p, int path)
{
    if (!is_covered(c) || c->cover.at > now)
        return;
    uint8_t *packet = NULL;
    if (path != CHAN_NO_PATH && chan_paths_allowance(&c->paths, path) >= CHAN_COVER_BYTES) {
        packet = pack_room(p, &c->paths.path[path].path, CHAN_COVER_BYTES);
        if (packet == NULL)
            return; // with the next call
    }
    if (packet != NULL && chan_recovery_room(&c->recovery, c->arena)) {
        struct chan_sent s = {0};
        struct wr w = frames(c, packet, CHAN_COVER_BYTES);
        if (c->seen.unacked > 0) {
            s.ack_next = c->seen.range[0].hi;
            chan_seen_put(&c->seen, now, &w, true);
        }
        put_data(c, LOAD_CONTROL | LOAD_TEXT, &w, &s);
        wr_zero(&w, w.left);
        finish(c, now, p, path, &w, &s);
    }
    chan_cover_tick(&c->cover, now);
}

// The first RATCHET1 beside the first probe, to one address that has not answered yet.
static void send_burst(struct channel *c, usec_t now, struct pack *p)
{
    int path = c->burst_path;
    if (path == CHAN_NO_PATH || c->message_out.due_bytes == 0 || c->message_out.type != 1 ||
        c->message_out.step != 1 || chan_paths_target(&c->paths) != CHAN_NO_PATH)
        return;
    uint64_t before = c->paths.path[path].out_bytes;
    while (c->message_out.due_bytes > 0)
        if (!send_packet(c, now, p, path, CHAN_MTU_MAX))
            break;
    c->paths.path[path].out_bytes = before; // once a channel, like the first probes
}

static bool send_close(struct channel *c, usec_t now, struct pack *p, int path)
{
    uint8_t *packet = pack_room(p, &c->paths.path[path].path, CLASS_TINY);
    if (packet == NULL || !chan_recovery_room(&c->recovery, c->arena) ||
        chan_paths_allowance(&c->paths, path) < CLASS_TINY)
        return false;
    struct wr w = frames(c, packet, CLASS_TINY);
    chan_wire_close(&w, c->close_kind, c->code);
    struct chan_sent s = {0};
    finish(c, now, p, path, &w, &s);
    c->close_at = c->close_once ? USEC_NEVER : now + c->close_gap_us;
    c->close_gap_us *= 2;
    return true;
}

bool channel_probe(struct channel *c, usec_t now, const struct path *to, uint8_t ttl,
                   uint8_t buf[static CLASS_TINY], struct batch *out)
{
    static_assert(PACKET_HEADER_BYTES + PACKET_TAG_BYTES_MAX + CHAN_PATH_BYTES <= CLASS_TINY,
                  "a challenge fits");
    if (!chan_alive(c))
        return false;
    if (chan_paths_target(&c->paths) == CHAN_NO_PATH) {
        // What went out before there was a path led nowhere; and its slot would hold those of all probes.
        struct chan_sink sink = chan_sink(c);
        chan_recovery_forget(&c->recovery, &sink);
        c->burst_path = CHAN_NO_PATH;
    }
    if (!chan_recovery_room(&c->recovery, c->arena))
        return false;
    size_t body = CLASS_TINY - PACKET_HEADER_BYTES - packet_tag_bytes(c->aead);
    struct wr w = wr_init(buf + PACKET_HEADER_BYTES, body);
    uint8_t data[8];
    rng_fill(&c->rng, data, sizeof data); // of an answer only matters that it came
    chan_wire_path(&w, CHAN_PATH_CHALLENGE, data);
    wr_zero(&w, w.left);
    uint64_t pn = c->recovery.next | (uint64_t)c->keys.out_phase << CHAN_PN_BITS;
    packet_seal(buf, body, &c->keys.out, pn, c->keys.out_cid, c->remote_mask);
    struct chan_sent s = {.bytes = CLASS_TINY};
    chan_recovery_sent(&c->recovery, now, &s);
    c->packets_out++;
    c->bytes_out += CLASS_TINY;
    *out = (struct batch){.path = *to,
                          .ttl = ttl,
                          .seg_size = CLASS_TINY,
                          .count = 1,
                          .len = CLASS_TINY,
                          .data = buf,
                          .not_before = now};
    return true;
}

size_t channel_transmit(struct channel *c, usec_t now, uint8_t *buf, size_t cap,
                        struct batch *batch, size_t max)
{
    c->now = now;
    struct pack p = {.buf = buf, .cap = cap, .batch = batch, .max = max};
    chan_cc_turn(&c->recovery.cc, now);
    int target = chan_paths_target(&c->paths);
    if (c->state >= CHAN_ENDED)
        return 0;
    if (c->state == CHAN_CLOSING) {
        if (c->close_at > now || target == CHAN_NO_PATH)
            return 0;
        if (!send_close(c, now, &p, target))
            c->close_at = now + c->close_gap_us;
        else if (c->close_once)
            chan_over(c, now);
        return p.count;
    }
    for (int i = 0; i < c->paths.count; i++)
        if (chan_paths_due(&c->paths, i, now))
            send_probe(c, now, &p, i);
    send_burst(c, now, &p);
    send_tick(c, now, &p, target);
    send_mtu_probe(c, now, &p);
    if (target != CHAN_NO_PATH)
        while (send_packet(c, now, &p, target, chan_paths_allowance(&c->paths, target)))
            ;
    return p.count;
}
