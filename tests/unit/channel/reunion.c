// Meeting points, packets that others carry, and how long an end waits that lost the other.
#include "tests/unit/channel/link.h"

#define SIZE 152u

static void the_newest_meeting_point_arrives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct net *n = net_new(seed, PACKET_CHACHA20POLY1305);
        uint8_t point[CHANNEL_MEETING_BYTES_MAX + 1];
        net_start_both(n);
        memset(point, 1, sizeof point);
        assert_int_equal(channel_meeting(n->end[0].channel, point, 10), BAUTA_ESTATE);
        NET_UNTIL(n, 10 * USEC_PER_S, net_matched(n));
        assert_int_equal(channel_meeting(n->end[0].channel, point, 0), BAUTA_ELIMIT);
        assert_int_equal(channel_meeting(n->end[0].channel, point, sizeof point), BAUTA_ELIMIT);
        n->jitter_us = 50000;
        n->loss_pm = 300;
        n->reorder_pm = 300;
        n->dup_pm = 200;
        for (unsigned i = 0; i < 10; i++) {
            memset(point, (int)i, sizeof point);
            assert_int_equal(channel_meeting(n->end[0].channel, point, 151 + i), 0);
            assert_false(channel_meeting_told(n->end[0].channel));
            end_turn(n, 0);
            net_run(n, n->now + 30000);
        }
        n->loss_pm = 100; // and not for longer than the channel bears
        NET_UNTIL(n, 6 * USEC_PER_S, channel_meeting_told(n->end[0].channel));
        assert_true(channel_meeting_told(n->end[0].channel));
        assert_int_equal(n->end[1].meeting_len, 160);
        assert_memory_equal(n->end[1].meeting, point, 160);
        assert_int_equal(n->end[0].meeting_len, 0);
        net_free(n);
    }
}

// Who holds the cid opens it; the driver's part of channel_reunion_open.
static int open_note(struct net *n, unsigned i, const uint8_t *packet, uint8_t *data, size_t *len)
{
    struct end *e = &n->end[i];
    uint8_t cid[CID_BYTES], copy[SIZE];
    memcpy(copy, packet, SIZE);
    packet_cid(cid, copy, SIZE, e->config.local_mask);
    for (unsigned k = 0; k < e->cids; k++)
        if (memcmp(cid, e->cid[k].cid, CID_BYTES) == 0)
            return channel_reunion_open(e->channel, n->now, cid, e->cid[k].phase, copy, SIZE, data,
                                        len);
    return BAUTA_EUNKNOWN;
}

static void a_note_is_read_once_and_by_the_peer_only(void **state)
{
    (void)state;
    for (int aead = 0; aead < 2; aead++) {
        struct net *n = net_new(7, (enum packet_aead)aead);
        uint8_t packet[SIZE], other[SIZE], data[CHANNEL_REUNION_BYTES_MAX], note[110];
        size_t len = 0;
        memset(note, 0x3c, sizeof note);
        net_start_both(n);
        struct channel *c = n->end[0].channel;
        assert_int_equal(channel_reunion_seal(c, n->now, note, 90, packet, SIZE), BAUTA_ESTATE);
        NET_UNTIL(n, 10 * USEC_PER_S, net_matched(n));
        net_run(n, n->now + USEC_PER_S);
        assert_int_equal(channel_reunion_seal(c, n->now, note, 110, packet, SIZE),
                         aead == PACKET_AEGIS256 ? BAUTA_ELIMIT : 0);
        assert_int_equal(channel_reunion_seal(c, n->now, note, 90, packet, SIZE), 0);
        assert_int_equal(channel_reunion_seal(c, n->now, note, 90, other, SIZE), 0);
        assert_memory_not_equal(packet, other, SIZE);
        assert_int_not_equal(open_note(n, 0, packet, data, &len), 0);
        for (size_t bit = 0; bit < 8 * SIZE; bit += 3) {
            memcpy(other, packet, SIZE);
            other[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_not_equal(open_note(n, 1, other, data, &len), 0);
        }
        uint8_t paths = n->end[1].channel->paths.count;
        assert_int_equal(open_note(n, 1, packet, data, &len), 0);
        assert_int_equal(len, 90);
        assert_memory_equal(data, note, 90);
        assert_int_equal(open_note(n, 1, packet, data, &len), BAUTA_EREPLAY);
        assert_int_equal(n->end[1].channel->paths.count, paths); // from nowhere
        // The conversation goes on over the number that the note took.
        n->end[0].want[0] = n->end[1].want[0] = 50000;
        end_turn(n, 0);
        end_turn(n, 1);
        NET_UNTIL(n, 5 * USEC_PER_S, net_done(n));
        assert_true(net_done(n));
        assert_int_equal(n->end[0].channel->recovery.lost_packets, 0);
        net_free(n);
    }
}

// What is no note, carried the same way, is taken as any packet, and tells so.
static void other_packets_are_no_notes(void **state)
{
    (void)state;
    struct net *n = net_new(8, PACKET_CHACHA20POLY1305);
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    struct channel *c = n->end[0].channel;
    uint8_t packet[SIZE] = {0}, data[CHANNEL_REUNION_BYTES_MAX];
    size_t len = 0;
    packet[PACKET_HEADER_BYTES] = CHAN_PING;
    uint64_t pn = c->recovery.next | (uint64_t)c->keys.out_phase << CHAN_PN_BITS;
    packet_seal(packet, SIZE - 32, &c->keys.out, pn, c->keys.out_cid, c->remote_mask);
    assert_int_equal(open_note(n, 1, packet, data, &len), BAUTA_EFORMAT);
    net_free(n);
}

static void a_lost_path_is_told_and_found(void **state)
{
    (void)state;
    struct net *n = net_new(9, PACKET_CHACHA20POLY1305);
    net_connect(n);
    net_run(n, n->now + USEC_PER_S);
    n->cut = true;
    n->end[0].want[0] = 10;
    end_turn(n, 0);
    usec_t cut_at = n->now;
    NET_UNTIL(n, 5 * USEC_PER_S, n->end[0].lost > 0);
    assert_in_range(n->now - cut_at, 500000, 1000000);
    assert_int_equal(n->end[1].lost, 0); // it had nothing to say
    net_run(n, n->now + 3 * USEC_PER_S);
    assert_int_equal(n->end[0].lost, 1);
    assert_int_equal(n->end[0].found, 0);
    n->cut = false;
    NET_UNTIL(n, 5 * USEC_PER_S, n->end[0].found > 0);
    assert_int_equal(n->end[0].found, 1);
    assert_int_equal(n->end[1].got[0], 10);
    net_free(n);
}

// Eight seconds; thirty for who has heard of the other meanwhile.
static void who_hears_of_the_other_waits_longer(void **state)
{
    (void)state;
    for (unsigned heard = 0; heard < 2; heard++) {
        struct net *n = net_new(10, PACKET_CHACHA20POLY1305);
        net_connect(n);
        net_run(n, n->now + USEC_PER_S);
        n->cut = true;
        n->end[1].want[0] = 10;
        end_turn(n, 1);
        usec_t cut_at = n->now;
        net_run(n, n->now + 2 * USEC_PER_S);
        uint8_t packet[SIZE], data[CHANNEL_REUNION_BYTES_MAX], note[5] = "here";
        size_t len = 0;
        assert_int_equal(
            channel_reunion_seal(n->end[0].channel, n->now, note, sizeof note, packet, SIZE), 0);
        if (heard > 0)
            assert_int_equal(open_note(n, 1, packet, data, &len), 0);
        NET_UNTIL(n, 60 * USEC_PER_S, n->end[1].closed);
        assert_true(n->end[1].closed);
        assert_int_equal(n->end[1].reason, CHANNEL_ENDED_GONE);
        usec_t least = heard > 0 ? CHAN_GONE_REUNION_US : CHAN_GONE_US;
        assert_in_range(n->now - cut_at, least, least + 500000);
        net_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_meeting_point_arrives),
        cmocka_unit_test(a_note_is_read_once_and_by_the_peer_only),
        cmocka_unit_test(other_packets_are_no_notes),
        cmocka_unit_test(a_lost_path_is_told_and_found),
        cmocka_unit_test(who_hears_of_the_other_waits_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
