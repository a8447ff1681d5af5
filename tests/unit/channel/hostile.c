// A peer, or somebody on the path, that breaks the rules.
#include "tests/unit/channel/forger.h"

static void expect_protocol_end(struct net *n, unsigned i)
{
    end_turn(n, i);
    net_run(n, n->now + 5 * USEC_PER_S);
    assert_true(n->end[i].closed);
    assert_int_equal(n->end[i].reason, CHANNEL_ENDED_PROTOCOL);
}

// A frame of the type, well-formed where there is such a thing.
static void put_any(struct wr *w, unsigned type)
{
    static const uint8_t data[8] = "hello";
    switch (type) {
    case CHAN_ACK:
    case CHAN_ACK_ECN:
        wr_u8(w, (uint8_t)type);
        wr_le64(w, 0);
        wr_le32(w, 0);
        wr_u8(w, 0);
        wr_le16(w, 0);
        if (type == CHAN_ACK_ECN)
            wr_zero(w, CHAN_ACK_ECN_BYTES);
        break;
    case CHAN_STREAM:
        memset(chan_wire_stream(w, 0, 0, 5), 'x', 5);
        break;
    case CHAN_MAX_DATA:
        chan_wire_max_data(w, 0, 1000);
        break;
    case CHAN_DATAGRAM:
        chan_wire_datagram(w, data, 5);
        break;
    case CHAN_PATH_CHALLENGE:
    case CHAN_PATH_RESPONSE:
        chan_wire_path(w, (enum chan_frame_type)type, data);
        break;
    case CHAN_RATCHET: // of a step that is over: none is
        chan_wire_ratchet(w, 0, 1, 0, data, 5);
        break;
    case CHAN_CLOSE:
        chan_wire_close(w, CHAN_CLOSE_APPLICATION, 7);
        break;
    case CHAN_NEW_CID:
        chan_wire_new_cid(w, 0, data);
        break;
    case CHAN_MEETING_POINT:
        chan_wire_meeting(w, 1, data, 4);
        break;
    case CHAN_REUNION:
        chan_wire_reunion(w, data, 4);
        break;
    default:
        wr_u8(w, (uint8_t)type);
    }
}

static bool is_control_frame(unsigned type)
{
    return type == CHAN_PADDING || type == CHAN_PING || type == CHAN_ACK || type == CHAN_ACK_ECN ||
           type == CHAN_PATH_CHALLENGE || type == CHAN_PATH_RESPONSE || type == CHAN_RATCHET ||
           type == CHAN_CLOSE;
}

static void only_control_is_taken_under_step_0(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type += type < 32 ? 1 : 37)
        for (unsigned to = 0; to < 2; to++)
            for (unsigned when = 0; when < 3; when++) {
                struct net *n = net_new(1 + type, (enum packet_aead)(type % 2));
                if (when == 0) { // nobody has said anything
                    net_start(n, to);
                } else if (when == 1) { // in the middle of the first step
                    net_start_both(n);
                    NET_UNTIL(n, USEC_PER_S, n->end[to].channel->ratchet.step == 1);
                    assert_false(n->end[to].matched);
                } else { // keys of step 0 still live for some seconds
                    net_connect(n);
                }
                struct forger f = forger_first(n, to);
                uint8_t buf[64];
                struct wr w = wr_init(buf, sizeof buf);
                put_any(&w, type);
                assert_false(w.bad);
                assert_int_equal(give(n, to, &f, &w), 0);
                if (!is_control_frame(type)) {
                    expect_protocol_end(n, to);
                    assert_int_equal(n->end[to].got[0], 0);
                    assert_int_equal(n->end[to].datagrams, 0);
                } else {
                    end_turn(n, to);
                    if (n->end[to].closed
                            ? n->end[to].reason != CHANNEL_ENDED_PEER
                            : n->end[to].channel->state > CHAN_OPEN && type != CHAN_CLOSE)
                        fail_msg("frame %u ended end %u", type, to);
                }
                net_free(n);
            }
}

// Opens what leaves under the handshake's keys: the AEAD's other end is the test itself.
struct censor {
    unsigned packets, frames;
};

static bool censor(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    (void)to;
    struct censor *seen = n->tap_ctx;
    const struct channel_config *c = &n->end[from ^ 1].config;
    struct forger f = forger_first(n, from ^ 1);
    uint8_t cid[CID_BYTES], copy[2048], *body;
    uint64_t pn;
    size_t body_len;
    packet_cid(cid, data, *len, c->local_mask);
    if (memcmp(cid, c->local_cid, CID_BYTES) != 0)
        return true;
    memcpy(copy, data, *len);
    assert_int_equal(packet_open(copy, *len, &f.keys, cid, 0, &pn, &body, &body_len), 0);
    struct rd r = rd_init(body, body_len);
    struct chan_frame frame;
    struct chan_ack ack;
    seen->packets++;
    while (r.left > 0) {
        assert_int_equal(chan_wire_get(&r, &frame, &ack), 0);
        seen->frames++;
        if (!is_control_frame(frame.type))
            fail_msg("end %u sent a frame of type %d under step 0", from, (int)frame.type);
    }
    return true;
}

static void only_control_is_sent_under_step_0(void **state)
{
    (void)state;
    struct censor seen = {0};
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct net *n = net_new(seed, (enum packet_aead)(seed % 2));
        struct prng p = {seed * 31};
        n->tap = censor;
        n->tap_ctx = &seen;
        n->delay_us = 100 + prng_next(&p) % 100000;
        n->jitter_us = prng_next(&p) % n->delay_us;
        n->loss_pm = (unsigned)(prng_next(&p) % 5) * 80;
        n->dup_pm = (unsigned)(prng_next(&p) % 3) * 100;
        n->reorder_pm = (unsigned)(prng_next(&p) % 3) * 200;
        for (unsigned i = 0; i < 2; i++) // much to say from the first moment on
            for (unsigned s = 0; s < CHANNEL_STREAMS_MAX; s++)
                n->end[i].want[s] = 3000;
        net_start(n, 0);
        net_run(n, n->now + prng_next(&p) % 200000);
        net_start(n, 1);
        static const uint8_t word[5] = "hello";
        for (unsigned k = 0; k < 60; k++) {
            for (unsigned i = 0; i < 2; i++) {
                if (n->end[i].closed)
                    continue;
                int rc = end_datagram(n, i, word, sizeof word);
                assert_true(n->end[i].channel->ready || rc == BAUTA_ESTATE);
                rc = channel_stream_send(n->end[i].channel, n->now, 1, word, 0);
                assert_true(n->end[i].channel->ready || rc == BAUTA_ESTATE);
                end_turn(n, i);
            }
            net_run(n, n->now + 50000);
        }
        NET_UNTIL(n, 10 * USEC_PER_S, net_done(n) || n->end[0].closed || n->end[1].closed);
        assert_true(net_done(n) || n->loss_pm > 0);
        for (unsigned i = 0; i < 2; i++)
            if (!n->end[i].closed)
                channel_close(n->end[i].channel, n->now, 0);
        net_run(n, n->now + 5 * USEC_PER_S);
        net_free(n);
    }
    assert_true(seen.packets > 200 * 6 && seen.frames > seen.packets);
}

// The window: 8,192 back is the last that counts.
static void window_is_kept(struct net *n, struct forger *f)
{
    uint8_t ping[1] = {CHAN_PING}, packet[CLASS_FULL];
    uint64_t top = f->pn + 2 * CHAN_REPLAY_PACKETS;
    static const struct {
        uint64_t back;
        int rc;
    } steps[] = {{0, 0},
                 {1, 0},
                 {1, BAUTA_EREPLAY},
                 {CHAN_REPLAY_PACKETS - 1, 0},
                 {CHAN_REPLAY_PACKETS - 1, BAUTA_EREPLAY},
                 {CHAN_REPLAY_PACKETS, BAUTA_EREPLAY},
                 {CHAN_REPLAY_PACKETS + 1000, BAUTA_EREPLAY},
                 {4000, 0},
                 {0, BAUTA_EREPLAY}};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        f->pn = top - steps[i].back;
        size_t len = forge(f, packet, ping, 1);
        end_receive(n, 1, &n->end[0].address, 0, packet, len);
        assert_int_equal(n->end[1].last_rc, steps[i].rc);
    }
}

static void replays_and_damage_are_dropped(void **state)
{
    (void)state;
    for (int aead = 0; aead < 2; aead++) {
        struct net *n = net_new(5, (enum packet_aead)aead);
        net_connect(n);
        net_run(n, n->now + USEC_PER_S);
        struct forger f = forger_now(n, 1);
        uint8_t ping[1] = {CHAN_PING}, packet[CLASS_FULL], copy[CLASS_FULL];
        size_t len = forge(&f, packet, ping, 1);
        // Every truncation and every flipped bit.
        uint64_t in = n->end[1].channel->packets_in;
        for (size_t cut = 0; cut < len; cut++) {
            memcpy(copy, packet, len);
            end_receive(n, 1, &n->end[0].address, 0, copy, cut);
            if (cut >= DATAGRAM_BYTES_MIN)
                assert_int_not_equal(n->end[1].last_rc, 0);
        }
        for (size_t bit = 0; bit < 8 * len; bit++) {
            memcpy(copy, packet, len);
            copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            end_receive(n, 1, &n->end[0].address, 0, copy, len);
            assert_int_not_equal(n->end[1].last_rc, 0);
        }
        assert_int_equal(n->end[1].channel->packets_in, in);
        memcpy(copy, packet, len);
        end_receive(n, 1, &n->end[0].address, 0, copy, len);
        assert_int_equal(n->end[1].last_rc, 0);
        memcpy(copy, packet, len);
        end_receive(n, 1, &n->end[0].address, 0, copy, len);
        assert_int_equal(n->end[1].last_rc, BAUTA_EREPLAY);
        // Straight to the channel: too short, another cid, a phase that does not exist.
        uint8_t cid[CID_BYTES];
        memcpy(cid, f.cid, sizeof cid);
        struct channel *c = n->end[1].channel;
        for (size_t cut = 0; cut < 32; cut++) {
            memcpy(copy, packet, len);
            assert_int_equal(
                channel_receive(c, n->now, cid, f.phase, &n->end[0].address, 0, copy, cut),
                cut < PACKET_HEADER_BYTES + packet_tag_bytes((enum packet_aead)aead) ? BAUTA_EFORMAT
                                                                                     : BAUTA_EAUTH);
        }
        assert_int_equal(
            channel_receive(c, n->now, cid, f.phase + 1, &n->end[0].address, 0, copy, len),
            BAUTA_ESTATE);
        assert_int_equal(channel_receive(c, n->now, cid, 7, &n->end[0].address, 0, copy, len),
                         BAUTA_ESTATE);
        cid[0] ^= 1;
        assert_int_equal(channel_receive(c, n->now, cid, f.phase, &n->end[0].address, 0, copy, len),
                         BAUTA_ESTATE);
        window_is_kept(n, &f);
        assert_false(n->end[1].closed);
        net_free(n);
    }
}

static void old_keys_die(void **state)
{
    (void)state;
    struct net *n = net_new(6, PACKET_CHACHA20POLY1305);
    net_connect(n);
    struct forger f = forger_first(n, 0);
    uint8_t ping[1] = {CHAN_PING};
    struct wr w = wr_init(ping, 1);
    wr_u8(&w, CHAN_PING);
    assert_int_equal(n->end[0].cids, 3); // and a spare one
    net_run(n, n->now + 4 * USEC_PER_S);
    assert_int_equal(n->end[0].cids, 2); // CHANNEL_CID_DROP
    assert_int_equal(give(n, 0, &f, &w), BAUTA_EUNKNOWN);
    const struct channel *c = n->end[0].channel;
    for (size_t i = 0; i < sizeof c->keys.in[0].keys.key; i++)
        assert_int_equal(c->keys.in[0].keys.key[i], 0);
    net_free(n);
}

enum crime {
    ACK_OF_UNSENT,
    ACK_BELOW_ZERO,
    STREAM_OVER_WINDOW,
    STREAM_OVER_CHANNEL,
    STREAM_OVERFLOW,
    STREAM_UNKNOWN,
    MAX_DATA_UNKNOWN,
    NEW_CID_AHEAD,
    NEW_CID_OF_THE_HANDSHAKE,
    NEW_CIDS,
    RATCHET_ASKED_TOO_SOON,
    RATCHET_ASKED_WITH_DATA,
    TYPE_UNKNOWN,
    CUT_FRAME,
    RATCHET_AHEAD,
    RATCHET_TOO_SOON,
    RATCHET_TYPE,
    RATCHET_TOO_LONG,
    DATAGRAM_TOO_LONG,
    CRIMES
};

static void commit(struct wr *w, enum crime crime)
{
    static const uint8_t zero[CHANNEL_DATAGRAM_BYTES_MAX + 1];
    struct chan_range r[2] = {{UINT64_C(1) << 40, (UINT64_C(1) << 40) + 2}, {5, 6}};
    switch (crime) {
    case ACK_OF_UNSENT:
        chan_wire_ack(w, r, 1, 0);
        break;
    case ACK_BELOW_ZERO:
        wr_u8(w, CHAN_ACK);
        wr_le64(w, 3);
        wr_le32(w, 0);
        wr_u8(w, 0);
        wr_le16(w, 4);
        break;
    case STREAM_OVER_WINDOW:
        wr_bytes(w, zero, 0);
        memset(chan_wire_stream(w, 0, CHAN_CREDIT_INITIAL, 1), 0, 1);
        break;
    case STREAM_OVER_CHANNEL:
        memset(chan_wire_stream(w, 0, CHAN_CREDIT_INITIAL - 1, 1), 0, 1);
        memset(chan_wire_stream(w, 1, 0, 1), 0, 1);
        break;
    case STREAM_OVERFLOW:
        memset(chan_wire_stream(w, 0, CHAN_OFFSET_MAX, 1), 0, 1);
        break;
    case STREAM_UNKNOWN:
        memset(chan_wire_stream(w, CHANNEL_STREAMS_MAX, 0, 1), 0, 1);
        break;
    case MAX_DATA_UNKNOWN:
        chan_wire_max_data(w, CHANNEL_STREAMS_MAX, 1);
        break;
    case NEW_CID_AHEAD:
        chan_wire_new_cid(w, 2, zero);
        break;
    case NEW_CID_OF_THE_HANDSHAKE:
        chan_wire_new_cid(w, 0, zero);
        break;
    case NEW_CIDS:
        for (uint8_t i = 0; i < CHAN_PHASE_CIDS; i++)
            chan_wire_new_cid(w, 1, (const uint8_t[CID_BYTES]){i});
        break;
    case RATCHET_ASKED_TOO_SOON:
        chan_wire_ratchet(w, 2, 0, 0, zero, 0);
        break;
    case RATCHET_ASKED_WITH_DATA:
        chan_wire_ratchet(w, 2, 0, 0, zero, 1);
        break;
    case TYPE_UNKNOWN:
        wr_u8(w, 0xee);
        break;
    case CUT_FRAME:
        wr_u8(w, CHAN_STREAM);
        wr_u8(w, 0);
        wr_le(w, 0, 6);
        wr_le16(w, 5000);
        break;
    case RATCHET_AHEAD:
        chan_wire_ratchet(w, 9, 1, 0, zero, 10);
        break;
    case RATCHET_TOO_SOON: // a whole RATCHET1 takes two frames
        chan_wire_ratchet(w, 2, 1, 0, zero, 600);
        break;
    case RATCHET_TYPE:
        chan_wire_ratchet(w, 2, 9, 0, zero, 10);
        break;
    case RATCHET_TOO_LONG:
        chan_wire_ratchet(w, 2, 1, 1220, zero, 40);
        break;
    case DATAGRAM_TOO_LONG:
        chan_wire_datagram(w, zero, CHANNEL_DATAGRAM_BYTES_MAX + 1);
        break;
    case CRIMES:
        break;
    }
}

static void each_crime_closes(void **state)
{
    (void)state;
    for (enum crime crime = 0; crime < CRIMES; crime++) {
        struct net *n = net_new(8, PACKET_CHACHA20POLY1305);
        net_connect(n);
        net_run(n, n->now + USEC_PER_S);
        struct forger f = forger_now(n, 0); // the initiator: step 2 is the responder's to start
        uint8_t buf[FORGED_BYTES_MAX - PACKET_HEADER_BYTES - 16];
        struct wr w = wr_init(buf, sizeof buf);
        commit(&w, crime);
        assert_false(w.bad);
        assert_int_equal(give(n, 0, &f, &w), 0);
        if (crime == RATCHET_TOO_SOON) {
            w = wr_init(buf, sizeof buf);
            uint8_t zero[624] = {0};
            chan_wire_ratchet(&w, 2, 1, 600, zero, sizeof zero);
            assert_int_equal(give(n, 0, &f, &w), 0);
        }
        if (chan_alive(n->end[0].channel))
            fail_msg("crime %d went unpunished", (int)crime);
        expect_protocol_end(n, 0);
        net_free(n);
    }
}

static void acks_of_what_did_not_arrive_are_found(void **state)
{
    (void)state;
    // The peer acknowledges everything, heard or not, to make us send faster than the path carries.
    struct net *n = net_new(17, PACKET_AEGIS256);
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    n->end[0].want[0] = 2000000;
    n->loss_pm = 900;
    struct forger f = forger_now(n, 0);
    for (unsigned i = 0; i < 2000 && chan_alive(n->end[0].channel); i++) {
        uint8_t buf[64];
        struct wr w = wr_init(buf, sizeof buf);
        uint64_t next = n->end[0].channel->recovery.next;
        f.pn = n->end[0].channel->seen.next;
        chan_wire_ack(&w, &(struct chan_range){next > 100 ? next - 100 : 0, next}, 1, 0);
        chan_wire_max_data(&w, 0, 4000000);
        chan_wire_max_data(&w, CHAN_WHOLE_CHANNEL, 4000000);
        give(n, 0, &f, &w);
        end_turn(n, 0);
        n->now += 1000;
    }
    assert_int_equal(n->end[0].channel->reason, CHANNEL_ENDED_PROTOCOL);
    assert_in_range(n->end[0].channel->recovery.next, 200, 2 * CHAN_SKIP_MAX);
    net_free(n);
}

// An empty body says nothing, not even padding: nobody honest sends it.
static void an_end_takes_no_longer_than_we_like(void **state)
{
    (void)state;
    // A peer that let its ACKs wait for minutes does not keep us from ending.
    struct net *n = net_new(12, PACKET_CHACHA20POLY1305);
    net_connect(n);
    n->end[1].dead = true;
    n->end[0].channel->recovery.srtt_us = 300 * USEC_PER_S;
    channel_close(n->end[0].channel, n->now, 0);
    end_turn(n, 0);
    net_run(n, n->now + 3 * CHAN_PTO_US_MAX);
    assert_true(n->end[0].closed);
    net_free(n);
    // A CLOSE that can't be answered, since no packet can go out, is not tried again without a pause.
    n = net_new(13, PACKET_CHACHA20POLY1305);
    net_connect(n);
    uint8_t room[32];
    struct wr w = wr_init(room, sizeof room);
    chan_wire_close(&w, CHAN_CLOSE_APPLICATION, 3);
    struct forger f = forger_now(n, 0);
    struct channel *c = n->end[0].channel;
    assert_int_equal(give(n, 0, &f, &w), 0);
    n->end[0].arena.cap_bytes = n->end[0].arena.used_bytes;
    size_t ring = chan_recovery_ring_bytes(2 * c->recovery.cap), blocks = 0;
    void *block[64];
    while (blocks < 64 && (block[blocks] = arena_take(&n->end[0].arena, ring)) != NULL)
        blocks++;
    c->recovery.base = c->recovery.next - c->recovery.cap;
    assert_false(chan_recovery_room(&c->recovery, &n->end[0].arena));
    struct batch batch[8];
    assert_int_equal(channel_transmit(c, n->now, n->buf, sizeof n->buf, batch, 8), 0);
    assert_true(channel_deadline(c) > n->now);
    net_run(n, n->now + CHAN_CLOSE_ANSWER_US);
    assert_true(n->end[0].closed);
    assert_int_equal(n->end[0].reason, CHANNEL_ENDED_PEER);
    while (blocks > 0)
        arena_give(&n->end[0].arena, block[--blocks], ring);
    net_free(n);
}

static void nothing_at_all_closes(void **state)
{
    (void)state;
    struct net *n = net_new(9, PACKET_AEGIS256);
    net_connect(n);
    struct forger f = forger_now(n, 0);
    uint8_t packet[PACKET_HEADER_BYTES + PACKET_TAG_BYTES_MAX];
    size_t len =
        packet_seal(packet, 0, &f.keys, f.pn | (uint64_t)f.phase << CHAN_PN_BITS, f.cid, f.mask);
    end_receive(n, 0, &n->end[1].address, 0, packet, len);
    expect_protocol_end(n, 0);
    net_free(n);
}

static void holes_have_a_limit(void **state)
{
    (void)state;
    // Every second byte of a stream, far more holes than are remembered: memory stays small, nothing
    // breaks, and what was not kept was not acknowledged.
    struct net *n = net_new(10, PACKET_CHACHA20POLY1305);
    net_connect(n);
    struct forger f = forger_now(n, 1);
    for (uint64_t i = 0; i < 4000; i++) {
        uint8_t buf[32];
        struct wr w = wr_init(buf, sizeof buf);
        *chan_wire_stream(&w, 0, 2 * i + 1, 1) = stream_byte(0, 0, 2 * i + 1);
        assert_int_equal(give(n, 1, &f, &w), 0);
    }
    assert_true(chan_alive(n->end[1].channel));
    assert_in_range(n->end[1].channel->streams.stream[0].ahead.count, 100, CHAN_RANGES_MAX);
    assert_in_range(n->end[1].arena.used_bytes, 1, 64 * 1024);
    struct chan_range top = n->end[1].channel->seen.range[0];
    assert_true(top.hi < f.pn);
    net_free(n);
}

static bool spy(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    (void)to;
    (void)data;
    uint64_t *bytes = n->tap_ctx;
    bytes[from] += *len;
    return true;
}

static void a_forged_source_is_not_flooded(void **state)
{
    (void)state;
    // Somebody on the path sends genuine packets on from a victim's address.
    struct net *n = net_new(12, PACKET_CHACHA20POLY1305);
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    struct path victim = {.ip = {10, 9, 9, 9}, .port = 53, .family = 4};
    struct forger f = forger_now(n, 1);
    n->end[1].want[0] = 500000;
    uint64_t got = 0, bytes[2] = {0};
    uint8_t packet[CLASS_FULL], ping[1] = {CHAN_PING};
    n->cut = true;
    n->tap = spy;
    n->tap_ctx = bytes;
    for (unsigned i = 0; i < 3; i++) {
        size_t len = forge(&f, packet, ping, 1);
        got += len;
        end_receive(n, 1, &victim, 0, packet, len);
        end_turn(n, 1);
        net_run(n, n->now + 300000);
    }
    const struct chan_paths *p = &n->end[1].channel->paths;
    bool found = false;
    for (int i = 0; i < p->count; i++)
        if (memcmp(&p->path[i].path, &victim, sizeof victim) == 0) {
            found = true;
            assert_false(p->path[i].validated);
            assert_in_range(p->path[i].out_bytes, 64, 3 * got);
        }
    assert_true(found);
    assert_true(p->active == 0);
    net_free(n);
}

static void a_man_in_the_middle_is_told(void **state)
{
    (void)state;
    struct net *n = net_new(13, PACKET_CHACHA20POLY1305);
    net_start_both(n);
    NET_UNTIL(n, USEC_PER_S, n->end[1].channel->ratchet.state == RATCHET_WORDS_R);
    n->end[1].channel->ratchet.n_own[0] ^= 1; // RATCHET4 is not what was committed to
    net_run(n, n->now + 5 * USEC_PER_S);
    assert_true(n->end[0].closed);
    assert_false(n->end[0].matched);
    assert_int_equal(n->end[0].reason, CHANNEL_ENDED_MIDDLE);
    assert_true(n->end[1].closed);
    assert_int_equal(n->end[1].reason, CHANNEL_ENDED_PEER);
    net_free(n);
}

static void a_step_that_never_comes_closes(void **state)
{
    (void)state;
    // A peer that speaks but never steps: first in phase 0, then after the first step.
    struct net *n = net_new(14, PACKET_CHACHA20POLY1305);
    net_start(n, 1);
    struct forger f = forger_first(n, 1);
    uint8_t buf[1];
    usec_t start = n->now;
    while (!n->end[1].closed && n->now < start + 60 * USEC_PER_S) {
        struct wr w = wr_init(buf, 1);
        wr_u8(&w, CHAN_PING);
        give(n, 1, &f, &w);
        end_turn(n, 1);
        net_run(n, n->now + 500000);
    }
    assert_int_equal(n->end[1].reason, CHANNEL_ENDED_GONE); // a path can do that as well
    assert_in_range(n->end[1].closed_at - start, 10 * USEC_PER_S, 12 * USEC_PER_S);
    net_free(n);

    n = net_new(15, PACKET_CHACHA20POLY1305);
    net_connect(n);
    n->end[1].channel->ratchet.initiator = true; // forgets that step 2 is its own,
    for (unsigned i = 0; i < 2; i++)
        n->end[i].channel->ask_step = 2; // and asking is of no use
    start = n->now;
    for (unsigned i = 0; i < 600 && !n->end[0].closed; i++) {
        n->end[0].want[0] += 10;
        end_turn(n, 0);
        net_run(n, n->now + 500000);
    }
    assert_true(n->end[0].closed);
    assert_in_range(n->end[0].closed_at - start, 239 * USEC_PER_S, 243 * USEC_PER_S);
    net_free(n);
}

// ---- bytes on the wire ---------------------------------------------------------------------------------------
struct histogram {
    uint32_t count[64][256];
    uint32_t datagrams;
};

static bool census(struct net *n, unsigned from, const struct path *to, uint8_t *data, size_t *len)
{
    (void)from;
    (void)to;
    struct histogram *h = n->tap_ctx;
    assert_true(*len >= 64);
    for (unsigned i = 0; i < 64; i++)
        h->count[i][data[i]]++;
    h->datagrams++;
    return true;
}

static void every_datagram_looks_random(void **state)
{
    (void)state;
    for (int aead = 0; aead < 2; aead++) {
        struct histogram *h = calloc(1, sizeof *h);
        assert_non_null(h);
        struct net *n = net_new(16 + (unsigned)aead, (enum packet_aead)aead);
        n->tap = census;
        n->tap_ctx = h;
        net_connect(n);
        for (unsigned i = 0; i < 300; i++) {
            n->end[i % 2].want[0] += 20 + i % 200;
            end_turn(n, i % 2);
            net_run(n, n->now + 300000);
        }
        assert_true(h->datagrams >= 500);
        // Uniform bytes: mean N/256; the most frequent of 64 * 256 stays under mean + 8 sqrt(mean) + 8.
        double mean = h->datagrams / 256.0;
        for (unsigned i = 0; i < 64; i++)
            for (unsigned v = 0; v < 256; v++) {
                double over = (double)h->count[i][v] - mean;
                if (over > 8 && (over - 8) * (over - 8) > 64 * mean)
                    fail_msg("offset %u is %02x in %u of %u", i, v, h->count[i][v], h->datagrams);
            }
        net_free(n);
        free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_control_is_taken_under_step_0),
        cmocka_unit_test(only_control_is_sent_under_step_0),
        cmocka_unit_test(replays_and_damage_are_dropped),
        cmocka_unit_test(old_keys_die),
        cmocka_unit_test(each_crime_closes),
        cmocka_unit_test(acks_of_what_did_not_arrive_are_found),
        cmocka_unit_test(an_end_takes_no_longer_than_we_like),
        cmocka_unit_test(nothing_at_all_closes),
        cmocka_unit_test(holes_have_a_limit),
        cmocka_unit_test(a_forged_source_is_not_flooded),
        cmocka_unit_test(a_man_in_the_middle_is_told),
        cmocka_unit_test(a_step_that_never_comes_closes),
        cmocka_unit_test(every_datagram_looks_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
