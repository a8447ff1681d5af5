#include "node/meet/pairing.h"

#include "crypto/bytes.h"

#include <assert.h>
#include <limits.h>

#define NOBODY PAIRING_CANDIDATES_MAX

uint64_t pairing_weight(const uint8_t a[static 32], const uint8_t b[static 32],
                        const uint8_t psk[static 32])
{
    bool a_first = memcmp(a, b, 32) < 0;
    const struct piece piece[3] = {{a_first ? a : b, 32}, {a_first ? b : a, 32}, {psk, 32}};
    uint8_t hash[8];
    hash_pieces(hash, sizeof hash, NULL, 0, piece, 3);
    struct rd r = rd_init(hash, sizeof hash);
    return rd_le64(&r);
}

void pairing_init(struct pairing *p, struct rng rng)
{
    memset(p, 0, sizeof *p);
    p->rng = rng;
    pairing_reset(p);
}

void pairing_topic(struct pairing *p, uint8_t topic, const uint8_t own_pk[static 32])
{
    assert(topic < MEET_TOPICS_MAX);
    memcpy(p->own[topic], own_pk, 32);
    rng_fill(&p->rng, &p->generation[topic], sizeof p->generation[topic]);
}

void pairing_reset(struct pairing *p)
{
    memset(p->candidate, 0, sizeof p->candidate);
    p->state = PAIRING_FREE;
    p->sampled = p->offered = false;
    p->doublings = p->misses = 0;
    p->trust = 0;
    p->partner = NOBODY;
    p->start_at = p->quiet_at = p->answer_at = p->look_at = USEC_NEVER;
}

// ---- candidates -----------------------------------------------------------------------------------

static unsigned find(const struct pairing *p, const struct pairing_peer *peer)
{
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        if (p->candidate[i].used && p->candidate[i].peer.topic == peer->topic &&
            memcmp(p->candidate[i].peer.pk, peer->pk, 32) == 0)
            return i;
    return NOBODY;
}

// Is a the better choice? Never equal for two different people.
static bool better(const struct pairing_candidate *a, const struct pairing_candidate *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    if (a->weight != b->weight)
        return a->weight < b->weight;
    if (a->peer.topic != b->peer.topic)
        return a->peer.topic < b->peer.topic;
    return memcmp(a->peer.pk, b->peer.pk, 32) < 0;
}

static uint64_t record_hash(const struct pairing_peer *peer, const uint8_t rec_id[static 16])
{
    const struct piece piece[3] = {{&peer->topic, 1}, {peer->pk, 32}, {rec_id, 16}};
    uint8_t hash[8];
    hash_pieces(hash, sizeof hash, NULL, 0, piece, 3);
    struct rd r = rd_init(hash, sizeof hash);
    return rd_le64(&r);
}

static void drop(struct pairing *p, unsigned slot)
{
    assert(!p->candidate[slot].taken && !p->candidate[slot].quiet);
    memset(&p->candidate[slot], 0, sizeof p->candidate[slot]);
}

// The record can't be used any more; an offer that is held stays.
static void unlist(struct pairing *p, unsigned slot)
{
    struct pairing_candidate *c = &p->candidate[slot];
    c->listed = false;
    if (!c->held && !c->taken && !c->quiet)
        drop(p, slot);
}

static void bury(struct pairing *p, unsigned slot)
{
    struct pairing_candidate *c = &p->candidate[slot];
    if (c->listed) {
        p->dead[p->dead_next] = record_hash(&c->peer, c->rec_id);
        p->dead_next = (uint16_t)((p->dead_next + 1u) % PAIRING_DEAD_MAX);
    }
    unlist(p, slot);
}

// How many of the candidates name an introducer that this one names.
static unsigned shares(const struct pairing *p, const struct pairing_candidate *c)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        n += p->candidate[i].used && doubt_same(&p->candidate[i].ways, &c->ways) ? 1 : 0;
    return n;
}

// A slot for somebody new. Who is left out is drawn, after those of whom nothing is known any more,
// those who do not answer, and those who share introducers with most: weights can be ground, and so must
// not decide whom a sample crowds out.
static unsigned make_room(struct pairing *p)
{
    unsigned worst = NOBODY, ties = 0, worst_rank = 0;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++) {
        const struct pairing_candidate *c = &p->candidate[i];
        if (!c->used)
            return i;
        if (c->held || c->taken || c->quiet)
            continue;
        unsigned rank = c->listed ? c->unanswered : PAIRING_SILENT_DOUBLINGS_MAX + 1u;
        rank = rank * (PAIRING_CANDIDATES_MAX + 1u) + shares(p, c);
        if (worst != NOBODY && rank < worst_rank)
            continue;
        ties = worst == NOBODY || rank > worst_rank ? 1 : ties + 1;
        if (rng_below(&p->rng, ties) == 0)
            worst = i;
        worst_rank = rank;
    }
    // Held and quiet ones are few, so somebody always can go.
    assert(worst != NOBODY);
    drop(p, worst);
    return worst;
}

static unsigned enter(struct pairing *p, const struct pairing_peer *peer, uint64_t weight,
                      uint8_t score)
{
    unsigned slot = find(p, peer);
    if (slot == NOBODY) {
        slot = make_room(p);
        p->candidate[slot] = (struct pairing_candidate){
            .used = true, .peer = *peer, .weight = weight, .score = score};
    } else {
        p->candidate[slot].weight = weight;
        p->candidate[slot].score = score;
    }
    return slot;
}

unsigned pairing_add(struct pairing *p, const struct pairing_peer *peer,
                     const uint8_t rec_id[static 16], uint64_t weight, uint8_t score)
{
    uint64_t hash = record_hash(peer, rec_id);
    for (unsigned i = 0; i < PAIRING_DEAD_MAX; i++)
        if (p->dead[i] == hash)
            return NOBODY;
    unsigned slot = enter(p, peer, weight, score);
    struct pairing_candidate *c = &p->candidate[slot];
    if (memcmp(c->rec_id, rec_id, sizeof c->rec_id) != 0)
        c->unanswered = 0;
    c->listed = true;
    memcpy(c->rec_id, rec_id, sizeof c->rec_id);
    return slot;
}

// ---- actions --------------------------------------------------------------------------------------

static struct pairing_action *act(const struct pairing *p, struct pairing_out *out,
                                  enum pairing_action_kind kind, unsigned slot, uint32_t generation)
{
    assert(out->n < PAIRING_ACTIONS_MAX);
    struct pairing_action *a = &out->action[out->n++];
    memset(a, 0, sizeof *a);
    a->kind = kind;
    a->slot = slot;
    a->generation = generation;
    if (slot != NOBODY)
        a->peer = p->candidate[slot].peer;
    return a;
}

static void look(const struct pairing *p, uint8_t topic, struct pairing_out *out)
{
    act(p, out, PAIRING_LOOK, NOBODY, 0)->peer.topic = topic;
}

static void refuse(const struct pairing *p, const struct pairing_peer *peer, uint32_t generation,
                   bool for_good, struct pairing_out *out)
{
    struct pairing_action *a = act(p, out, PAIRING_REFUSE, NOBODY, generation);
    a->peer = *peer;
    a->for_good = for_good;
}

// The own offer is not in flight any more; its candidate may be offered to again from usable_at on.
static unsigned offer_over(struct pairing *p, usec_t usable_at)
{
    unsigned slot = p->partner;
    assert(p->offered && slot != NOBODY);
    p->offered = false;
    p->partner = NOBODY;
    p->quiet_at = p->answer_at = USEC_NEVER;
    p->candidate[slot].taken = false;
    p->candidate[slot].usable_at = usable_at;
    return slot;
}

static void missed(struct pairing *p)
{
    p->misses =
        (uint8_t)(p->misses + 1u > PAIRING_MISSES_MAX ? PAIRING_MISSES_MAX / 2 : p->misses + 1u);
    if (p->trust < PAIRING_TRUST_MAX)
        p->trust++;
}

void pairing_via(struct pairing *p, unsigned slot, const uint64_t *via, unsigned n)
{
    assert(p->candidate[slot].used);
    doubt_ways(&p->candidate[slot].ways, via, n);
}

static unsigned quiet_count(const struct pairing *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        n += p->candidate[i].quiet ? 1 : 0;
    return n;
}

// The own offer stays out, but does not keep me from another one.
static void make_quiet(struct pairing *p)
{
    usec_t until = p->answer_at;
    uint32_t generation = p->partner_generation;
    struct pairing_candidate *c = &p->candidate[offer_over(p, until)];
    c->quiet = true;
    c->quiet_generation = generation;
    c->quiet_until = until;
    doubt_silent(&p->doubts, &c->ways);
    missed(p);
}

static void quiet_over(struct pairing *p, unsigned slot, enum pairing_action_kind how,
                       struct pairing_out *out)
{
    struct pairing_candidate *c = &p->candidate[slot];
    c->quiet = false;
    act(p, out, how, slot, c->quiet_generation);
    if (!c->listed && !c->held && !c->taken)
        drop(p, slot);
}

// All quiet offers but that to `slot` are taken back; that one is void, and its peer knows.
static void give_up_quiet(struct pairing *p, unsigned slot, struct pairing_out *out)
{
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        if (p->candidate[i].quiet)
            quiet_over(p, i, i == slot ? PAIRING_ABANDON : PAIRING_RETRACT, out);
}

// Somebody else, or the same person's own offer, goes before mine.
static void give_up_offer(struct pairing *p, usec_t now, unsigned slot, struct pairing_out *out)
{
    if (!p->offered)
        return;
    // Crossing: the peer's own rule makes it wait for my answer, there is nothing to take back.
    unsigned mine = p->partner;
    uint32_t generation = p->partner_generation;
    offer_over(p, now);
    act(p, out, mine == slot ? PAIRING_ABANDON : PAIRING_RETRACT, mine, generation);
}

static void accept(struct pairing *p, usec_t now, unsigned slot, struct pairing_out *out)
{
    struct pairing_candidate *c = &p->candidate[slot];
    assert(p->state == PAIRING_FREE && c->held);
    give_up_offer(p, now, slot, out);
    give_up_quiet(p, slot, out);
    p->state = PAIRING_PENDING;
    p->partner = slot;
    p->partner_generation = c->held_generation;
    p->answer_at = now + (p->trust < 0 ? PAIRING_CONFIRM_AGAIN_US : PAIRING_CONFIRM_US);
    p->look_at = USEC_NEVER;
    c->held = false;
    c->taken = true;
    act(p, out, PAIRING_ACCEPT, slot, c->held_generation);
}

static void offer(struct pairing *p, usec_t now, unsigned slot, struct pairing_out *out)
{
    struct pairing_candidate *c = &p->candidate[slot];
    uint32_t generation = ++p->generation[c->peer.topic];
    p->offered = true;
    p->partner = slot;
    p->partner_generation = generation;
    unsigned halvings =
        p->misses < PAIRING_QUIET_HALVINGS_MAX ? p->misses : PAIRING_QUIET_HALVINGS_MAX;
    p->quiet_at = now + (PAIRING_QUIET_US >> halvings);
    p->answer_at = now + PAIRING_ANSWER_US + rng_below(&p->rng, PAIRING_ANSWER_JITTER_US + 1);
    p->look_at = USEC_NEVER;
    c->taken = true;
    act(p, out, PAIRING_OFFER, slot, generation);
}

static void wait_idle(struct pairing *p, usec_t now)
{
    usec_t gap = PAIRING_LOOK_US << p->doublings;
    p->look_at = now + rng_between(&p->rng, gap / 2, gap + gap / 2);
}

// Whom to try before whom, once offers have come to nothing; lower is earlier. Somebody who offers is
// there, unless such ones did not confirm; then those whose introducers left the fewest offers unanswered.
static unsigned rank(const struct pairing *p, const struct pairing_candidate *c)
{
    if (p->misses == 0)
        return 0;
    if (c->held)
        return p->trust > 0 ? 0 : 2;
    return 1 + doubt_most(&p->doubts, &c->ways);
}

// The best of all usable candidates and held offers. After a miss every second choice is drawn, for
// somebody may have ground weights that go before everybody's.
static unsigned pick(const struct pairing *p, usec_t now)
{
    unsigned best = NOBODY, usable = 0, lowest = UINT_MAX;
    bool may_offer = now >= p->start_at, draw = p->misses % 2 == 1;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++) {
        const struct pairing_candidate *c = &p->candidate[i];
        if (!c->used || c->taken || c->quiet ||
            !(c->held || (may_offer && c->listed && c->usable_at <= now)))
            continue;
        unsigned r = rank(p, c);
        if (r > lowest)
            continue;
        if (r < lowest)
            best = NOBODY;
        usable = r < lowest ? 1 : usable + 1;
        lowest = r;
        if (best == NOBODY ||
            (draw ? rng_below(&p->rng, usable) == 0 : better(c, &p->candidate[best])))
            best = i;
    }
    return best;
}

// FREE, with no offer out or one that waits for long: what comes next.
static void choose(struct pairing *p, usec_t now, struct pairing_out *out)
{
    if (p->state != PAIRING_FREE ||
        (p->offered && (now < p->quiet_at || quiet_count(p) >= PAIRING_QUIET_MAX)))
        return;
    unsigned best = pick(p, now);
    if (best == NOBODY) {
        if (!p->offered && p->sampled && p->look_at == USEC_NEVER)
            wait_idle(p, now);
        return;
    }
    if (p->offered) {
        make_quiet(p);
        best = pick(p, now);                      // that silence counts
        if (p->misses % PAIRING_LOOK_MISSES == 0) // the right one may not be among them
            look(p, PAIRING_ALL_TOPICS, out);
    }
    if (p->candidate[best].held)
        accept(p, now, best, out);
    else
        offer(p, now, best, out);
}

static void matched(struct pairing *p, enum pairing_action_kind how, struct pairing_out *out)
{
    unsigned slot = p->partner;
    p->state = PAIRING_MATCHED;
    p->quiet_at = p->answer_at = p->look_at = USEC_NEVER;
    p->offered = false;
    act(p, out, how, slot, p->partner_generation);
    give_up_quiet(p, slot, out);
    p->candidate[slot].held = false;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++) {
        struct pairing_candidate *c = &p->candidate[i];
        if (c->used && c->held)
            refuse(p, &c->peer, c->held_generation, true, out);
        if (i != slot)
            memset(c, 0, sizeof *c);
    }
    act(p, out, PAIRING_WITHDRAW, NOBODY, 0);
}

// PENDING ends without a match.
static void set_free(struct pairing *p, usec_t usable_at)
{
    unsigned slot = p->partner;
    assert(p->state == PAIRING_PENDING && slot != NOBODY);
    p->state = PAIRING_FREE;
    p->partner = NOBODY;
    p->answer_at = USEC_NEVER;
    struct pairing_candidate *c = &p->candidate[slot];
    c->taken = false;
    c->usable_at = usable_at;
}

// The slot of the own offer of that generation, in flight or quiet; NOBODY.
static unsigned mine_out_to(const struct pairing *p, const struct pairing_peer *peer,
                            uint32_t generation)
{
    unsigned slot = find(p, peer);
    if (slot == NOBODY || p->state != PAIRING_FREE)
        return NOBODY;
    const struct pairing_candidate *c = &p->candidate[slot];
    bool out = (p->offered && slot == p->partner && p->partner_generation == generation) ||
               (c->quiet && c->quiet_generation == generation);
    return out ? slot : NOBODY;
}

// An answer to it has come: it is not out any more.
static void mine_answered(struct pairing *p, unsigned slot, usec_t usable_at)
{
    struct pairing_candidate *c = &p->candidate[slot];
    if (c->quiet)
        c->quiet = false;
    else
        offer_over(p, usable_at);
    c->usable_at = usable_at;
}

static bool pending_with(const struct pairing *p, const struct pairing_peer *peer)
{
    return p->state == PAIRING_PENDING && find(p, peer) == p->partner;
}

// ---- inputs ---------------------------------------------------------------------------------------

void pairing_sampled(struct pairing *p, usec_t now, unsigned usable, struct pairing_out *out)
{
    p->sampled = true;
    if (usable > 0) {
        if (p->start_at == USEC_NEVER)
            p->start_at =
                now + (usable <= PAIRING_FEW
                           ? rng_below(&p->rng, PAIRING_START_FEW_MAX_US + 1)
                           : rng_between(&p->rng, PAIRING_START_MIN_US, PAIRING_START_MAX_US));
        p->doublings = 0;
    }
    choose(p, now, out);
}

void pairing_elsewhere(struct pairing *p, usec_t now)
{
    p->doublings = 0;
    if (p->look_at == USEC_NEVER)
        return;
    // The answers from there take a look-up and a round trip.
    p->doublings = PAIRING_LOOK_MOVED_DOUBLINGS;
    wait_idle(p, now);
}

static unsigned held_count(const struct pairing *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        n += p->candidate[i].used && p->candidate[i].held ? 1 : 0;
    return n;
}

void pairing_offer(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                   uint32_t generation, uint64_t weight, uint8_t score, struct pairing_out *out)
{
    if (p->state == PAIRING_MATCHED) {
        refuse(p, peer, generation, true, out);
        return;
    }
    unsigned slot = find(p, peer);
    bool held_already = slot != NOBODY && p->candidate[slot].held;
    if (p->state == PAIRING_PENDING && slot != NOBODY && slot == p->partner) {
        // It has given up the offer that I accepted: one offer in flight is all that it may have.
        if (generation == p->partner_generation)
            return;
        p->candidate[slot].held = true;
        p->candidate[slot].held_generation = generation;
        set_free(p, now);
        accept(p, now, slot, out);
        return;
    }
    bool crossing =
        slot != NOBODY && ((p->offered && slot == p->partner) || p->candidate[slot].quiet);
    bool wins = p->state == PAIRING_FREE &&
                (crossing ? memcmp(p->own[peer->topic], peer->pk, 32) < 0
                          : !p->offered || weight < p->candidate[p->partner].weight);
    if (!wins && !held_already && held_count(p) >= PAIRING_HELD_MAX) {
        if (!crossing)
            refuse(p, peer, generation, false, out);
        return;
    }
    slot = enter(p, peer, weight, score);
    struct pairing_candidate *c = &p->candidate[slot];
    c->held = true;
    c->held_generation = generation;
    if (wins)
        accept(p, now, slot, out);
}

void pairing_repeated(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                      uint32_t generation)
{
    if (pending_with(p, peer) && p->partner_generation == generation)
        p->answer_at = now + PAIRING_CONFIRM_US;
}

void pairing_accepted(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                      uint32_t generation, struct pairing_out *out)
{
    unsigned slot = mine_out_to(p, peer, generation);
    if (slot != NOBODY) {
        if (p->candidate[slot].quiet) {
            p->candidate[slot].quiet = false;
            give_up_offer(p, now, NOBODY, out);
            p->partner = slot;
            p->partner_generation = generation;
            p->candidate[slot].taken = true;
        }
        matched(p, PAIRING_CONFIRM, out);
        return;
    }
    if (p->state == PAIRING_MATCHED && find(p, peer) == p->partner &&
        generation == p->partner_generation)
        return; // the same answer again
    struct pairing_action *a = act(p, out, PAIRING_RETRACT, NOBODY, generation);
    a->peer = *peer;
}

// Where one has gone, the others of that sample have aged as much.
static void drop_aged(struct pairing *p, usec_t now, uint8_t topic, unsigned but)
{
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++) {
        struct pairing_candidate *c = &p->candidate[i];
        if (!c->used || i == but || c->peer.topic != topic)
            continue;
        // Those that a garbled answer spared keep their turn with the next introducer.
        if (c->unanswered > 0 && c->usable_at > now)
            continue;
        c->listed = false;
        if (!c->held && !c->taken && !c->quiet && c->usable_at <= now)
            drop(p, i);
    }
}

void pairing_refused(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                     uint32_t generation, bool for_good, struct pairing_out *out)
{
    unsigned slot = mine_out_to(p, peer, generation);
    if (slot == NOBODY)
        return;
    usec_t pause = rng_between(&p->rng, PAIRING_NOT_NOW_MIN_US, PAIRING_NOT_NOW_MAX_US);
    mine_answered(p, slot, now + pause);
    doubt_answered(&p->doubts, &p->candidate[slot].ways);
    p->candidate[slot].unanswered = 0;
    if (for_good) {
        missed(p);
        bury(p, slot);
        drop_aged(p, now, peer->topic, NOBODY);
        look(p, peer->topic, out);
    }
    choose(p, now, out);
}

void pairing_garbled(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                     uint32_t generation, struct pairing_out *out)
{
    unsigned slot = mine_out_to(p, peer, generation);
    if (slot == NOBODY)
        return;
    unsigned doublings = p->candidate[slot].unanswered;
    mine_answered(p, slot, now + (PAIRING_GARBLED_US << doublings));
    if (doublings < PAIRING_SILENT_DOUBLINGS_MAX)
        p->candidate[slot].unanswered++;
    missed(p);
    drop_aged(p, now, peer->topic, slot);
    look(p, peer->topic, out);
    choose(p, now, out);
}

void pairing_retracted(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                       uint32_t generation, struct pairing_out *out)
{
    usec_t usable_at =
        now + rng_between(&p->rng, PAIRING_RETRACTED_MIN_US, PAIRING_RETRACTED_MAX_US);
    unsigned slot = find(p, peer);
    if (slot == NOBODY)
        return;
    struct pairing_candidate *c = &p->candidate[slot];
    if (c->late_generation == generation)
        c->late_until = 0;
    if (c->held && c->held_generation == generation) {
        c->held = false;
        c->usable_at = usable_at;
    } else if (pending_with(p, peer) && p->partner_generation == generation) {
        set_free(p, usable_at);
    } else {
        return;
    }
    choose(p, now, out);
}

void pairing_confirmed(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                       uint32_t generation, struct pairing_out *out)
{
    if (pending_with(p, peer) && p->partner_generation == generation) {
        matched(p, PAIRING_JOINED, out);
        return;
    }
    // Its initiator is MATCHED with me and with nobody else, so while I am FREE nothing speaks against it.
    unsigned slot = find(p, peer);
    if (p->state != PAIRING_FREE || slot == NOBODY || p->candidate[slot].late_until <= now ||
        p->candidate[slot].late_generation != generation)
        return;
    give_up_offer(p, now, slot, out);
    p->partner = slot;
    p->partner_generation = generation;
    p->candidate[slot].taken = true;
    matched(p, PAIRING_JOINED, out);
}

static void awaits_until(struct pairing *p, const struct pairing_peer *peer, uint32_t generation,
                         usec_t until)
{
    unsigned slot = mine_out_to(p, peer, generation);
    if (slot == NOBODY)
        return;
    if (p->candidate[slot].quiet)
        p->candidate[slot].quiet_until = until;
    else
        p->answer_at = until;
}

void pairing_solving(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                     uint32_t generation)
{
    awaits_until(p, peer, generation, now + PAIRING_PUZZLE_US);
}

void pairing_sent(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                  uint32_t generation)
{
    awaits_until(p, peer, generation, now + PAIRING_ANSWER_US);
}

static void unanswered(struct pairing *p, usec_t now, struct pairing_out *out)
{
    uint32_t generation = p->partner_generation;
    unsigned doublings = p->candidate[p->partner].unanswered;
    unsigned slot = offer_over(p, now + (PAIRING_SILENT_US << doublings));
    act(p, out, PAIRING_RETRACT, slot, generation);
    doubt_silent(&p->doubts, &p->candidate[slot].ways);
    if (doublings < PAIRING_SILENT_DOUBLINGS_MAX)
        p->candidate[slot].unanswered++;
    missed(p);
    choose(p, now, out);
}

// As unanswered, of a quiet offer.
static void quiet_unanswered(struct pairing *p, usec_t now, unsigned slot, struct pairing_out *out)
{
    struct pairing_candidate *c = &p->candidate[slot];
    c->usable_at = now + (PAIRING_SILENT_US << c->unanswered);
    if (c->unanswered < PAIRING_SILENT_DOUBLINGS_MAX)
        c->unanswered++;
    quiet_over(p, slot, PAIRING_RETRACT, out);
}

void pairing_unreachable(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                         uint32_t generation, struct pairing_out *out)
{
    unsigned slot = mine_out_to(p, peer, generation);
    if (slot == NOBODY)
        return;
    if (p->candidate[slot].quiet)
        quiet_unanswered(p, now, slot, out);
    else
        unanswered(p, now, out);
}

void pairing_lost(struct pairing *p, usec_t now, const struct pairing_peer *peer,
                  uint32_t generation, bool for_good, struct pairing_out *out)
{
    unsigned slot = find(p, peer);
    if (slot == NOBODY || p->state == PAIRING_MATCHED)
        return;
    struct pairing_candidate *c = &p->candidate[slot];
    if (c->held && c->held_generation == generation) {
        c->held = false;
    } else if (pending_with(p, peer) && p->partner_generation == generation) {
        c->taken = false;
        p->state = PAIRING_FREE;
        p->partner = NOBODY;
        p->answer_at = USEC_NEVER;
        c->usable_at = now + PAIRING_SILENT_US;
    } else {
        return;
    }
    if (for_good && !c->taken)
        bury(p, slot);
    else if (!c->listed && !c->taken && !c->quiet)
        drop(p, slot);
    choose(p, now, out);
}

void pairing_expire(struct pairing *p, usec_t now, struct pairing_out *out)
{
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        if (p->candidate[i].quiet && p->candidate[i].quiet_until <= now)
            quiet_unanswered(p, now, i, out);
    if (p->answer_at <= now) {
        if (p->offered) {
            unanswered(p, now, out);
        } else {
            struct pairing_candidate *c = &p->candidate[p->partner];
            c->late_generation = p->partner_generation;
            c->late_until = now + PAIRING_LATE_US;
            p->trust = -PAIRING_TRUST_LOST;
            set_free(p, now + PAIRING_SILENT_US);
        }
    }
    if (p->look_at <= now && p->state == PAIRING_FREE && !p->offered) {
        look(p, PAIRING_ALL_TOPICS, out);
        // Where people were a moment ago more are to be expected.
        bool busy = p->start_at != USEC_NEVER && now < p->start_at + PAIRING_BUSY_US;
        if (p->doublings < (busy ? PAIRING_LOOK_BUSY_DOUBLINGS : PAIRING_LOOK_DOUBLINGS_MAX))
            p->doublings++;
        wait_idle(p, now);
    }
    choose(p, now, out);
}

usec_t pairing_deadline(const struct pairing *p)
{
    usec_t at = p->answer_at < p->look_at ? p->answer_at : p->look_at;
    if (p->state != PAIRING_FREE)
        return at;
    bool waits = p->offered && quiet_count(p) >= PAIRING_QUIET_MAX;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++) {
        const struct pairing_candidate *c = &p->candidate[i];
        if (c->quiet && c->quiet_until < at)
            at = c->quiet_until;
        if (!c->used || c->taken || c->quiet || waits || !(c->listed || c->held))
            continue;
        usec_t turn = c->held ? 0 : c->usable_at > p->start_at ? c->usable_at : p->start_at;
        if (p->offered && turn < p->quiet_at)
            turn = p->quiet_at;
        if (turn < at)
            at = turn;
    }
    return at;
}
