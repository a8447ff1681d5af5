// A relay and its clients: opening, the exit, whose consent it asks, its limits, and its end.
#include "tests/unit/relay/world.h"

struct setting {
    struct world *w;
    struct host *relay, *server, *client, *peer, *victim;
    unsigned r, c, p;
    struct consent consent;
};

static struct setting begin_with(uint64_t seed, uint32_t clients_max, uint64_t volume)
{
    struct setting s = {.w = world_new(seed)};
    s.relay = world_host(s.w, true, true);
    s.server = world_host(s.w, true, true);
    s.client = world_host(s.w, true, false);
    s.peer = world_host(s.w, false, false);
    s.victim = world_host(s.w, false, false);
    s.r = 0;
    s.c = 2;
    s.p = 3;
    struct relay_config c = world_relay_config(s.w, s.relay);
    c.clients_max = clients_max;
    c.volume_bytes = volume;
    assert_int_equal(relay_new(&s.relay->relay, &c), 0);
    uint8_t key[32] = {7};
    consent_init(&s.consent, key);
    world_tunnel(s.w, s.client, s.relay);
    world_turn(s.w, s.c);
    return s;
}

static struct setting begin(uint64_t seed)
{
    struct setting s = begin_with(seed, 4, UINT64_MAX);
    WORLD_UNTIL(s.w, 2 * USEC_PER_S, s.client->ready);
    assert_true(s.client->ready);
    return s;
}

static struct path exit_of(const struct setting *s)
{
    struct path p = s->relay->path;
    p.port = (uint16_t)(WORLD_EXIT_PORT + (s->relay->relay->client[0]->via & 0xfff));
    return p;
}

static void client_sends(struct setting *s, const struct path *to, const uint8_t *server,
                         size_t len)
{
    uint8_t data[CHANNEL_PACKET_BYTES_MAX];
    memset(data, 0x42, sizeof data);
    assert_int_equal(tunnel_send(s->client->tunnel, to, server, data, len), 0);
    world_turn(s->w, s->c);
    world_run(s->w, 200 * USEC_PER_MS);
}

static void opens_and_asks_a_server(void **state)
{
    (void)state;
    struct setting s = begin(1);
    usec_t took = s.client->tunnel->open_at - 1000 * USEC_PER_S;
    assert_in_range(took, 60000, 100000); // a token, the handshake, the words: round trips of 20 ms
    struct relay_status st;
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.clients, 1);
    assert_int_equal(st.opened, 1);
    // A request through it: the relay pings the server first, and holds it back until then.
    struct contact c = world_contact(s.server);
    uint32_t id;
    assert_int_equal(dht_ping(s.client->dht, s.w->now, &c, WORLD_VIA, 1, &id), 0);
    world_turn(s.w, s.c);
    WORLD_UNTIL(s.w, 2 * USEC_PER_S, s.client->pongs > 0);
    assert_int_equal(s.client->pongs, 1);
    struct path exit = exit_of(&s);
    assert_true(path_equal(&s.client->seen, &exit));
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.asked_servers, 1);
    // And once only, for as long as it counts.
    assert_int_equal(dht_ping(s.client->dht, s.w->now, &c, WORLD_VIA, 1, &id), 0);
    world_turn(s.w, s.c);
    WORLD_UNTIL(s.w, 2 * USEC_PER_S, s.client->pongs > 1);
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.asked_servers, 1);
    // An idle client is cheap.
    world_run(s.w, 200 * USEC_PER_S);
    assert_int_equal(s.relay->relay->client[0]->permit_count, 0);
    assert_in_range(s.relay->relay->client[0]->arena.used_bytes +
                        pool_block_bytes(sizeof(struct relay_client)),
                    1, 25 * 1024);
    world_end(s.w);
}

static void nobody_gets_anything_unasked(void **state)
{
    (void)state;
    struct setting s = begin(2);
    // Without consent nothing goes there, whatever the client says it is.
    uint8_t pk[32] = {9};
    client_sends(&s, &s.victim->path, NULL, 64);
    client_sends(&s, &s.victim->path, pk, 192); // no server: it does not answer our ping
    world_run(s.w, 10 * USEC_PER_S);
    // All that it gets is that ping, three times at most.
    assert_in_range(s.victim->got, 1, 3);
    assert_int_equal(s.victim->got_bytes, s.victim->got * CLASS_SMALL);
    uint64_t pings = s.victim->got;
    // A peer that is not there is asked five times, with 64 bytes.
    tunnel_consent(s.client->tunnel, s.w->now, s.consent.key, &s.victim->path, 1);
    world_turn(s.w, s.c);
    world_run(s.w, 10 * USEC_PER_S);
    assert_int_equal(s.victim->got - pings, RELAY_CHALLENGES);
    client_sends(&s, &s.victim->path, NULL, 1000);
    assert_int_equal(s.victim->got - pings, RELAY_CHALLENGES);
    struct relay_status st;
    relay_status(s.relay->relay, &st);
    assert_true(st.dropped_unknown >= 2);
    assert_int_equal(st.consented_peers, 0);
    world_end(s.w);
}

// The client knows the key, but not what the victim was asked.
static void consent_cannot_be_forged(void **state)
{
    (void)state;
    struct setting s = begin(3);
    tunnel_consent(s.client->tunnel, s.w->now, s.consent.key, &s.victim->path, 1);
    world_turn(s.w, s.c);
    world_run(s.w, 50 * USEC_PER_MS);
    assert_int_equal(s.victim->got, 1);
    struct path exit = exit_of(&s);
    // An answer in the victim's name to a question of the forger's own; and the very question that the forger got at
    // its own address, answered in the victim's name.
    uint8_t forged[CONSENT_BYTES], challenge[CONSENT_CHALLENGE_BYTES] = {1};
    struct rng rng = {world_fill, &s.w->rng};
    consent_ask(forged, &s.consent, challenge, &rng);
    assert_int_equal(consent_reply(forged, sizeof forged, &s.consent, &rng), 0);
    world_fly(s.w, s.p, &s.victim->path, &exit, forged, sizeof forged);
    world_run(s.w, 100 * USEC_PER_MS);
    uint8_t probe[64] = {3};
    world_fly(s.w, s.p, &s.peer->path, &exit, probe, sizeof probe); // it is asked
    WORLD_UNTIL(s.w, USEC_PER_S, s.peer->got > 0);
    assert_true(consent_is(s.peer->last, s.peer->last_len, s.consent.ask));
    uint8_t stolen[CONSENT_BYTES];
    memcpy(stolen, s.peer->last, sizeof stolen);
    assert_int_equal(consent_reply(stolen, sizeof stolen, &s.consent, &rng), 0);
    world_fly(s.w, s.p, &s.victim->path, &exit, stolen, sizeof stolen);
    world_run(s.w, 5 * USEC_PER_S);
    struct relay_status st;
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.consented_peers, 0);
    uint64_t got = s.victim->got;
    client_sends(&s, &s.victim->path, NULL, 1000);
    assert_int_equal(s.victim->got, got);
    world_end(s.w);
}

static void a_peer_consents(void **state)
{
    (void)state;
    struct setting s = begin(4);
    s.peer->consent = &s.consent;
    tunnel_consent(s.client->tunnel, s.w->now, s.consent.key, &s.peer->path, 1);
    world_turn(s.w, s.c);
    WORLD_UNTIL(s.w, USEC_PER_S, s.client->consents > 0);
    assert_int_equal(s.client->consents, 1);
    assert_int_equal(s.client->consented.via, WORLD_VIA);
    assert_int_equal(s.client->consented.port, s.peer->path.port);
    client_sends(&s, &s.peer->path, NULL, 1000);
    assert_int_equal(s.peer->got, 1);
    assert_int_equal(s.peer->last_len, 1000);
    struct path exit = exit_of(&s), from = s.peer->path;
    assert_true(path_equal(&s.peer->got_from, &exit));
    // And back.
    uint8_t data[900];
    memset(data, 5, sizeof data);
    world_fly(s.w, s.p, &s.peer->path, &exit, data, sizeof data);
    WORLD_UNTIL(s.w, USEC_PER_S, s.client->got > 0);
    assert_int_equal(s.client->last_len, sizeof data);
    assert_memory_equal(s.client->last, data, sizeof data);
    // It moves to another port (a NAT's): asked there, it goes on.
    from.port = 7777;
    s.peer->path = from;
    world_fly(s.w, s.p, &s.peer->path, &exit, data, sizeof data);
    WORLD_UNTIL(s.w, USEC_PER_S, s.client->consents > 1);
    assert_int_equal(s.client->consented.port, 7777);
    // Forgotten: nobody new is let in.
    tunnel_forget(s.client->tunnel, s.w->now, s.consent.key);
    world_turn(s.w, s.c);
    world_run(s.w, 100 * USEC_PER_MS);
    from.port = 7778;
    s.peer->path = from;
    world_fly(s.w, s.p, &s.peer->path, &exit, data, sizeof data);
    world_run(s.w, USEC_PER_S);
    assert_int_equal(s.client->consents, 2);
    world_end(s.w);
}

static void servers_get_little(void **state)
{
    (void)state;
    struct setting s = begin(5);
    struct contact c = world_contact(s.server);
    uint32_t id;
    assert_int_equal(dht_ping(s.client->dht, s.w->now, &c, WORLD_VIA, 1, &id), 0);
    world_turn(s.w, s.c);
    WORLD_UNTIL(s.w, 2 * USEC_PER_S, s.client->pongs > 0);
    struct relay_status before, after;
    relay_status(s.relay->relay, &before);
    uint8_t data[1000] = {1};
    for (unsigned i = 0; i < 100; i++) { // 500 KB a second, for ten
        for (unsigned k = 0; k < 50; k++)
            (void)tunnel_send(s.client->tunnel, &s.server->path, NULL, data, sizeof data);
        world_turn(s.w, s.c);
        world_run(s.w, 100 * USEC_PER_MS);
    }
    relay_status(s.relay->relay, &after);
    uint64_t most = RELAY_SERVER_BURST_BYTES + 11 * RELAY_SERVER_BPS;
    assert_in_range(after.forwarded_out_bytes - before.forwarded_out_bytes, most / 2, most);
    assert_true(after.dropped_rate > before.dropped_rate + 1000);
    world_end(s.w);
}

static void refuses_when_full_and_lets_go_when_drained(void **state)
{
    (void)state;
    struct setting s = begin_with(6, 1, UINT64_MAX);
    WORLD_UNTIL(s.w, 2 * USEC_PER_S, s.client->ready);
    struct host *other = world_host(s.w, true, false);
    world_tunnel(s.w, other, s.relay);
    world_turn(s.w, s.w->hosts - 1);
    WORLD_UNTIL(s.w, 5 * USEC_PER_S, other->closed);
    assert_true(other->closed && other->refused);
    struct relay_status st;
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.refused_full, 1);
    client_sends(&s, &s.victim->path, (const uint8_t[32]){1}, 64); // its exit exists
    relay_drain(s.relay->relay, s.w->now, 30);
    world_turn(s.w, s.r);
    world_run(s.w, USEC_PER_S);
    assert_true(s.client->draining && !s.client->closed);
    assert_in_range(s.client->drain_s, 28, 30);
    world_run(s.w, 31 * USEC_PER_S);
    assert_true(s.client->closed && !s.client->refused);
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.clients, 0);
    assert_true(st.draining);
    world_end(s.w);
}

static void the_months_volume_is_the_most(void **state)
{
    (void)state;
    struct setting s = begin_with(7, 4, 5000);
    WORLD_UNTIL(s.w, 2 * USEC_PER_S, s.client->ready);
    s.peer->consent = &s.consent;
    tunnel_consent(s.client->tunnel, s.w->now, s.consent.key, &s.peer->path, 1);
    world_turn(s.w, s.c);
    WORLD_UNTIL(s.w, USEC_PER_S, s.client->consents > 0);
    for (unsigned i = 0; i < 10; i++)
        client_sends(&s, &s.peer->path, NULL, 1000);
    assert_int_equal(s.peer->got, 5);
    assert_true(s.client->draining);
    struct relay_status st;
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.volume_left_bytes, 0);
    world_end(s.w);
}

static void a_client_that_does_not_renew_is_let_go(void **state)
{
    (void)state;
    struct setting s = begin(8);
    client_sends(&s, &s.server->path, world_contact(s.server).pk, 64);
    world_run(s.w, ((usec_t)RELAY_RESERVATION_S + 100) * USEC_PER_S);
    assert_false(s.client->closed); // it renews
    s.client->tunnel->renew_at = USEC_NEVER;
    world_run(s.w, ((usec_t)RELAY_RESERVATION_S + 10) * USEC_PER_S);
    assert_true(s.client->closed);
    assert_int_equal(s.relay->relay->clients, 0);
    assert_int_equal(s.w->closed_vias, 1); // its socket, too
    world_end(s.w);
}

// The answer to the first message gets lost: the same question has the same answer, and makes no second client.
static bool lose_an_answer(struct world *w, struct flight *f, void *ctx)
{
    unsigned *left = ctx;
    bool to_client = memcmp(f->to.ip, w->host[2].path.ip, 16) == 0;
    if (!to_client || w->host[0].relay == NULL || w->host[0].relay->clients == 0 || *left == 0)
        return true;
    --*left;
    return false;
}

static void a_lost_answer_is_given_again(void **state)
{
    (void)state;
    struct setting s = begin_with(9, 4, UINT64_MAX);
    unsigned left = 1;
    s.w->tap = lose_an_answer;
    s.w->tap_ctx = &left;
    WORLD_UNTIL(s.w, 5 * USEC_PER_S, s.client->ready);
    assert_int_equal(left, 0);
    assert_true(s.client->ready);
    assert_int_equal(s.relay->relay->clients, 1);
    world_end(s.w);
}

static void a_dead_relay_is_noticed(void **state)
{
    (void)state;
    struct setting s = begin(10);
    s.relay->dead = true;
    world_run(s.w, 40 * USEC_PER_S);
    assert_true(s.client->closed);
    // And one that never was there.
    tunnel_free(s.client->tunnel);
    world_tunnel(s.w, s.client, s.relay);
    world_turn(s.w, s.c);
    world_run(s.w, 10 * USEC_PER_S);
    assert_true(s.client->closed && s.client->refused);
    world_end(s.w);
}

// What a client may say wrong, and what it may not reach.
static void hostile_clients(void **state)
{
    (void)state;
    struct setting s = begin(11);
    struct channel *c = s.client->tunnel->channel;
    static const struct {
        size_t len;
        uint8_t bytes[60];
    } junk[] = {{1, {4}},
                {6, {4, 10, 0, 0, 1}},
                {8, {5, 1, 2, 3, 4, 5, 6, 7}},
                {40, {0x86, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}},
                {38, {4, 10, 0, 0, 1, 0xd0, 7}},     // 31 bytes: no datagram
                {60, {0x84, 10, 4, 0, 1, 0xd4, 7}}}; // half of a key
    for (unsigned i = 0; i < sizeof junk / sizeof *junk; i++) {
        uint8_t *at;
        assert_int_equal(channel_datagram_put(c, junk[i].len, &at), 0);
        memcpy(at, junk[i].bytes, junk[i].len);
    }
    world_turn(s.w, s.c);
    world_run(s.w, 100 * USEC_PER_MS);
    struct relay_status st;
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.dropped_format, sizeof junk / sizeof *junk);
    // Ports of other people's services, and (outside of a lab) private addresses are not even asked.
    s.relay->relay->cfg.lab = false;
    struct path low = path_v4((const uint8_t[4]){198, 51, 100, 7}, 53);
    client_sends(&s, &low, (const uint8_t[32]){1}, 64);
    client_sends(&s, &s.server->path, world_contact(s.server).pk, 64);
    relay_status(s.relay->relay, &st);
    assert_int_equal(st.asked_servers, 0);
    // A control message longer than any is the end.
    uint8_t bad[3] = {RELAY_CONSENT, 0xff, 0xff};
    assert_int_equal(channel_stream_send(c, s.w->now, 0, bad, sizeof bad), sizeof bad);
    world_turn(s.w, s.c);
    world_run(s.w, USEC_PER_S);
    assert_true(s.client->closed);
    assert_int_equal(s.relay->relay->clients, 0);
    world_end(s.w);
}

static void messages_have_one_spelling(void **state)
{
    (void)state;
    struct relay_message m = {.type = RELAY_CONSENT, .count = RELAY_PEER_PATHS_MAX}, back;
    uint8_t out[RELAY_MESSAGE_BYTES_MAX];
    for (unsigned i = 0; i < m.count; i++)
        m.path[i] = path_v6((const uint8_t[16]){0x20, 1, (uint8_t)i}, (uint16_t)(2000 + i));
    size_t len = relay_message_put(out, &m);
    assert_int_equal(len, RELAY_MESSAGE_BYTES_MAX);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(relay_message_get(&back, out, cut), 0);
    assert_int_equal(relay_message_get(&back, out, len), len);
    assert_memory_equal(back.path, m.path, sizeof m.path);
    out[3 + 32]++; // more paths than there are
    assert_int_equal(relay_message_get(&back, out, len), BAUTA_EFORMAT);
    m = (struct relay_message){.type = RELAY_SERVER};
    memset(m.server.pk, 5, sizeof m.server.pk);
    memset(m.server.puzzle_nonce, 6, sizeof m.server.puzzle_nonce);
    m.server.path = path_v4((const uint8_t[4]){9, 8, 7, 6}, 5432);
    len = relay_message_put(out, &m);
    assert_int_equal(relay_message_get(&back, out, len), len);
    assert_memory_equal(&back.server, &m.server, sizeof m.server);
    out[1]--; // cut short
    assert_int_equal(relay_message_get(&back, out, len), BAUTA_EFORMAT);
    static const uint8_t unknown[] = {77, 2, 0, 1, 2, 9};
    assert_int_equal(relay_message_get(&back, unknown, sizeof unknown), 5);
    assert_int_equal(back.type, 0);
    static const uint8_t longer[] = {RELAY_GRANT, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_int_equal(relay_message_get(&back, longer, sizeof longer), BAUTA_EFORMAT);
}

int main(void)
{
    if (sodium_init() < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_asks_a_server),
        cmocka_unit_test(nobody_gets_anything_unasked),
        cmocka_unit_test(consent_cannot_be_forged),
        cmocka_unit_test(a_peer_consents),
        cmocka_unit_test(servers_get_little),
        cmocka_unit_test(refuses_when_full_and_lets_go_when_drained),
        cmocka_unit_test(the_months_volume_is_the_most),
        cmocka_unit_test(a_client_that_does_not_renew_is_let_go),
        cmocka_unit_test(a_lost_answer_is_given_again),
        cmocka_unit_test(a_dead_relay_is_noticed),
        cmocka_unit_test(hostile_clients),
        cmocka_unit_test(messages_have_one_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
