// The pairing rule line by line.
#include "node/meet/pairing.h"

#include "crypto/bytes.h"
#include "tests/unit/meet/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
// cmocka needs the above before it.
#include <cmocka.h>

// ---- the rule, line by line -----------------------------------------------------------------------
// People are letters; I am 'm'. The weight of a letter is its place in the alphabet, so 'a' is the best
// of all, and a..l have the lower pseudonym. A wanted text that begins with ~ leaves out idle looks,
// whose time is random. Times are in milliseconds. My generations count from 1.
enum op {
    END,
    SAMPLE,      // `who`: the usable records of a sample
    OFFER,       // offer of who[0], generation `gen`
    ACCEPTED,    // who[0] accepts my generation `gen`
    NO_GOOD,     // who[0] says no for good
    NO_NOW,      // who[0] says no, not now
    RETRACTED,   // who[0] retracts its generation
    CONFIRMED,   // who[0] confirms
    GARBLED,     // an answer of who[0] that can't be read
    UNREACHABLE, // no introducer of who[0]
    LOST,        // the offer of who[0] is of no use, for good
    REPEATED,    // the same offer of who[0] again
    EXPIRE,      // time passes to `at`
    RESET
};

struct step {
    enum op op;
    const char *who;
    uint32_t gen;
    unsigned at;
    const char *want; // actions, "" none
    enum pairing_state state;
};

struct row {
    const char *line;
    struct step step[16];
};

#define F PAIRING_FREE
#define P PAIRING_PENDING
#define M PAIRING_MATCHED

static const struct row rows[] = {
    {"start 20-40 ms after a first sample of more than two",
     {{SAMPLE, "dbc", 0, 0, "", F},
      {EXPIRE, "", 0, 19, "", F},
      {EXPIRE, "", 0, 40, "offer b 1; ", F}}},
    {"start 0-4 ms after a first sample of two",
     {{SAMPLE, "db", 0, 0, "", F}, {EXPIRE, "", 0, 4, "offer b 1; ", F}}},
    {"an empty sample starts nothing, and is looked at again",
     {{SAMPLE, "", 0, 0, "", F},
      {EXPIRE, "", 0, 49, "", F},
      {EXPIRE, "", 0, 150, "look all; ", F}}},
    {"the gaps between looks double, up to 2^5",
     {{SAMPLE, "", 0, 0, "", F},
      {EXPIRE, "", 0, 150, "look all; ", F},
      {EXPIRE, "", 0, 249, "", F},
      {EXPIRE, "", 0, 450, "look all; ", F},
      {EXPIRE, "", 0, 1050, "look all; ", F},
      {EXPIRE, "", 0, 2250, "look all; ", F},
      {EXPIRE, "", 0, 4650, "look all; ", F},
      {EXPIRE, "", 0, 9450, "look all; ", F},
      {EXPIRE, "", 0, 11049, "", F},
      {EXPIRE, "", 0, 14250, "look all; ", F}}},
    {"no offer out: whoever offers is accepted at once, even before the start",
     {{OFFER, "x", 7, 0, "accept x 7; ", P}}},
    {"accept, then confirm: matched, all held refused for good, records withdrawn",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {OFFER, "b", 3, 1, "", P},
      {OFFER, "q", 4, 1, "", P},
      {CONFIRMED, "x", 7, 2, "joined x 7; refuse b 3 good; refuse q 4 good; withdraw; ", M}}},
    {"a confirm of another generation is stale",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {CONFIRMED, "x", 6, 2, "", P},
      {CONFIRMED, "b", 7, 2, "", P}}},
    {"a confirm while free is stale", {{CONFIRMED, "x", 7, 2, "", F}}},
    {"my offer accepted: matched, confirm, withdraw",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {ACCEPTED, "d", 1, 9, "confirm d 1; withdraw; ", M},
      {ACCEPTED, "d", 1, 10, "", M}}},
    {"matched refuses every offer for good",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {CONFIRMED, "x", 7, 2, "joined x 7; withdraw; ", M},
      {OFFER, "a", 2, 3, "refuse a 2 good; ", M}}},
    {"an accept of a stale generation is answered by a retract",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {ACCEPTED, "d", 9, 9, "retract d 9; ", F}}},
    {"an accept when pending with another is answered by a retract",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {OFFER, "a", 5, 6, "retract d 1; accept a 5; ", P},
      {ACCEPTED, "d", 1, 9, "retract d 1; ", P}}},
    {"a lower weight than that of my offer: accept it and retract mine",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {OFFER, "c", 5, 6, "retract d 1; accept c 5; ", P}}},
    {"a higher weight than that of my offer: hold, and accept when mine is refused",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {OFFER, "e", 5, 6, "", F},
      {NO_GOOD, "d", 1, 8, "look 0; accept e 5; ", P}}},
    {"pending: hold",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {OFFER, "a", 3, 1, "", P},
      {RETRACTED, "x", 7, 2, "accept a 3; ", P}}},
    {"at most eight are held, the ninth is told not now",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {OFFER, "a", 1, 1, "", P},
      {OFFER, "b", 1, 1, "", P},
      {OFFER, "c", 1, 1, "", P},
      {OFFER, "d", 1, 1, "", P},
      {OFFER, "e", 1, 1, "", P},
      {OFFER, "f", 1, 1, "", P},
      {OFFER, "g", 1, 1, "", P},
      {OFFER, "h", 1, 1, "", P},
      {OFFER, "i", 1, 1, "refuse i 1 now; ", P},
      {OFFER, "a", 2, 1, "", P}}},
    {"crossing: the lower pseudonym accepts, without a retract",
     {{SAMPLE, "x", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer x 1; ", F},
      {OFFER, "x", 8, 6, "abandon x 1; accept x 8; ", P},
      {CONFIRMED, "x", 8, 9, "joined x 8; withdraw; ", M}}},
    {"crossing: the higher pseudonym waits for the answer",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {OFFER, "d", 8, 6, "", F},
      {ACCEPTED, "d", 1, 9, "confirm d 1; withdraw; ", M}}},
    {"crossing, and the answer never comes: the held one is accepted",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {OFFER, "d", 8, 6, "", F},
      {EXPIRE, "", 0, 1804, "retract d 1; accept d 8; ", P}}},
    {"no for good: that record is dead, the others of the sample are dropped, look again",
     {{SAMPLE, "bcd", 0, 0, "", F},
      {EXPIRE, "", 0, 40, "offer b 1; ", F},
      {NO_GOOD, "b", 1, 50, "look 0; ", F},
      {EXPIRE, "", 0, 51, "", F},
      {SAMPLE, "bc", 0, 60, "offer c 2; ", F},
      {NO_GOOD, "c", 2, 70, "look 0; ", F}}},
    {"no for good of another generation is stale",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 40, "offer b 1; ", F},
      {NO_GOOD, "b", 2, 50, "", F},
      {NO_GOOD, "c", 1, 50, "", F}}},
    {"no, not now: the next one; unusable for 100-400 ms",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {NO_NOW, "b", 1, 10, "offer c 2; ", F},
      {NO_NOW, "c", 2, 15, "", F},
      {EXPIRE, "", 0, 109, "~", F},
      {EXPIRE, "", 0, 415, "~offer b 3; ", F}}},
    {"retracted while held: not accepted any more, unusable for 200-400 ms",
     {{SAMPLE, "be", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {OFFER, "e", 5, 6, "", F},
      {RETRACTED, "e", 5, 7, "", F},
      {NO_NOW, "b", 1, 8, "", F},
      {EXPIRE, "", 0, 107, "~", F},
      {EXPIRE, "", 0, 408, "~offer b 2; ", F}}},
    {"a retract of another generation is stale",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {RETRACTED, "x", 6, 1, "", P},
      {RETRACTED, "y", 7, 1, "", P}}},
    {"retracted while pending: free, unusable for 200-400 ms",
     {{SAMPLE, "x", 0, 0, "", F},
      {OFFER, "x", 7, 0, "accept x 7; ", P},
      {RETRACTED, "x", 7, 1, "", F},
      {EXPIRE, "", 0, 40, "", F},
      {EXPIRE, "", 0, 401, "~offer x 1; ", F}}},
    {"no answer in 1.5 to 1.8 s: retract, unusable for 500 ms",
     {{SAMPLE, "b", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {EXPIRE, "", 0, 1503, "", F},
      {EXPIRE, "", 0, 1804, "retract b 1; ", F},
      {EXPIRE, "", 0, 1850, "", F},
      {EXPIRE, "", 0, 2003, "~", F},
      {EXPIRE, "", 0, 2304, "~offer b 2; ", F}}},
    {"the pause after no answer doubles each time in a row",
     {{SAMPLE, "b", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {UNREACHABLE, "b", 1, 10, "retract b 1; ", F},
      {EXPIRE, "", 0, 510, "~offer b 2; ", F},
      {UNREACHABLE, "b", 2, 520, "retract b 2; ", F},
      {SAMPLE, "b", 0, 1500, "~", F},
      {EXPIRE, "", 0, 1519, "~", F},
      {EXPIRE, "", 0, 1520, "~offer b 3; ", F},
      {UNREACHABLE, "b", 2, 1530, "", F},
      {UNREACHABLE, "b", 3, 1530, "retract b 3; ", F},
      {EXPIRE, "", 0, 3529, "~", F},
      {EXPIRE, "", 0, 3530, "~offer b 4; ", F}}},
    {"the same offer again: the time for its confirm starts anew",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {REPEATED, "x", 7, 900, "", P},
      {REPEATED, "x", 6, 950, "", P},
      {EXPIRE, "", 0, 1899, "", P},
      {EXPIRE, "", 0, 1900, "", F}}},
    {"pending without confirm for 1 s: free again",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {EXPIRE, "", 0, 999, "", P},
      {EXPIRE, "", 0, 1000, "", F},
      {CONFIRMED, "x", 7, 2001, "", F}}},
    {"a confirm that comes up to a second later counts while I am free",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {EXPIRE, "", 0, 1000, "", F},
      {CONFIRMED, "x", 6, 1500, "", F},
      {CONFIRMED, "x", 7, 1999, "joined x 7; withdraw; ", M}}},
    {"later than that it is stale",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {EXPIRE, "", 0, 1000, "", F},
      {CONFIRMED, "x", 7, 2000, "", F}}},
    {"a late confirm goes before an offer of my own",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {SAMPLE, "b", 0, 1, "", P},
      {EXPIRE, "", 0, 1000, "offer b 1; ", F},
      {CONFIRMED, "x", 7, 1100, "retract b 1; joined x 7; withdraw; ", M}}},
    {"but not when I have accepted somebody else since, or it was retracted",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {EXPIRE, "", 0, 1000, "", F},
      {OFFER, "y", 3, 1050, "accept y 3; ", P},
      {CONFIRMED, "x", 7, 1100, "", P},
      {RETRACTED, "y", 3, 1200, "", F},
      {RETRACTED, "x", 7, 1300, "", F},
      {CONFIRMED, "x", 7, 1400, "", F}}},
    {"the peer offers anew while I wait for its confirm: the new offer counts",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {OFFER, "x", 7, 1, "", P},
      {OFFER, "x", 8, 2, "accept x 8; ", P},
      {CONFIRMED, "x", 7, 3, "", P},
      {CONFIRMED, "x", 8, 3, "joined x 8; withdraw; ", M}}},
    {"no answer in 0.6 s, and somebody else is known: another offer beside it",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {EXPIRE, "", 0, 599, "", F},
      {EXPIRE, "", 0, 604, "offer c 2; ", F},
      {EXPIRE, "", 0, 900, "", F},
      {EXPIRE, "", 0, 1499, "", F},
      {EXPIRE, "", 0, 1804, "retract b 1; ", F}}},
    {"a quiet offer's answer still counts, and the other one is retracted",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {EXPIRE, "", 0, 604, "offer c 2; ", F},
      {ACCEPTED, "b", 1, 700, "retract c 2; confirm b 1; withdraw; ", M}}},
    {"the other one's answer retracts the quiet offer",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {EXPIRE, "", 0, 604, "offer c 2; ", F},
      {ACCEPTED, "c", 2, 700, "confirm c 2; retract b 1; withdraw; ", M}}},
    {"who accepts takes back the quiet ones too",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {EXPIRE, "", 0, 604, "offer c 2; ", F},
      {OFFER, "a", 5, 610, "retract c 2; retract b 1; accept a 5; ", P},
      {ACCEPTED, "b", 1, 620, "retract b 1; ", P}}},
    {"after 0.6 s a held offer is accepted, and mine stays out",
     {{SAMPLE, "d", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer d 1; ", F},
      {OFFER, "e", 5, 6, "", F},
      {EXPIRE, "", 0, 604, "retract d 1; accept e 5; ", P}}},
    {"crossing with a quiet offer: as with any",
     {{SAMPLE, "bx", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {EXPIRE, "", 0, 604, "offer x 2; ", F},
      {OFFER, "b", 9, 610, "", F},
      {OFFER, "x", 9, 620, "abandon x 2; retract b 1; accept x 9; ", P}}},
    {"garbled: not dead, but looked again, and after a second once more",
     {{SAMPLE, "bc", 0, 0, "", F},
      {EXPIRE, "", 0, 4, "offer b 1; ", F},
      {GARBLED, "b", 1, 50, "look 0; ", F},
      {EXPIRE, "", 0, 1049, "~", F},
      {EXPIRE, "", 0, 1050, "~offer b 2; ", F},
      {GARBLED, "b", 2, 1100, "~look 0; ", F},
      {EXPIRE, "", 0, 3099, "~", F},
      {EXPIRE, "", 0, 3100, "~offer b 3; ", F},
      {NO_GOOD, "b", 3, 3200, "~look 0; ", F},
      {SAMPLE, "b", 0, 3300, "~", F},
      {EXPIRE, "", 0, 9000, "~", F}}},
    {"an offer that became useless is forgotten",
     {{OFFER, "x", 7, 0, "accept x 7; ", P},
      {OFFER, "b", 2, 1, "", P},
      {LOST, "b", 2, 2, "", P},
      {LOST, "x", 7, 3, "", F}}},
    {"after a match that is over: free, with what new samples bring; the dead stay dead",
     {{SAMPLE, "bcd", 0, 0, "", F},
      {EXPIRE, "", 0, 40, "offer b 1; ", F},
      {NO_GOOD, "b", 1, 50, "look 0; ", F},
      {OFFER, "x", 7, 60, "accept x 7; ", P},
      {CONFIRMED, "x", 7, 61, "joined x 7; withdraw; ", M},
      {RESET, "", 0, 0, "", F},
      {SAMPLE, "bc", 0, 70, "", F},
      {EXPIRE, "", 0, 74, "offer c 2; ", F}}},
};

static void to_text(char *text, size_t cap, const struct pairing_out *out, bool idle_looks)
{
    static const char *const name[] = {"offer",   "accept", "refuse",   "retract", "abandon",
                                       "confirm", "joined", "withdraw", "look"};
    size_t at = 0;
    text[0] = 0;
    for (unsigned i = 0; i < out->n; i++) {
        const struct pairing_action *a = &out->action[i];
        const char *n = name[a->kind];
        int len;
        if (a->kind == PAIRING_LOOK && a->peer.topic == PAIRING_ALL_TOPICS && !idle_looks)
            continue;
        if (a->kind == PAIRING_WITHDRAW)
            len = snprintf(text + at, cap - at, "%s; ", n);
        else if (a->kind == PAIRING_LOOK)
            len = a->peer.topic == PAIRING_ALL_TOPICS
                      ? snprintf(text + at, cap - at, "%s all; ", n)
                      : snprintf(text + at, cap - at, "%s %u; ", n, a->peer.topic);
        else
            len = snprintf(text + at, cap - at, "%s %c %u%s; ", n, a->peer.pk[0], a->generation,
                           a->kind != PAIRING_REFUSE ? ""
                           : a->for_good             ? " good"
                                                     : " now");
        assert_true(len > 0 && (size_t)len < cap - at);
        at += (size_t)len;
    }
}

static struct pairing_peer letter(char c)
{
    struct pairing_peer peer = {.topic = 0};
    memset(peer.pk, c, sizeof peer.pk);
    return peer;
}

static void run_step(struct pairing *p, const struct step *s, struct pairing_out *out)
{
    usec_t now = 1000 * USEC_PER_S + s->at * USEC_PER_MS;
    struct pairing_peer peer = letter(s->who[0]);
    uint64_t weight = (uint64_t)(s->who[0] - 'a');
    unsigned usable = 0;
    out->n = 0;
    switch (s->op) {
    case SAMPLE:
        for (const char *c = s->who; *c != 0; c++) {
            struct pairing_peer x = letter(*c);
            uint8_t rec_id[16];
            memset(rec_id, *c, sizeof rec_id);
            if (pairing_add(p, &x, rec_id, (uint64_t)(*c - 'a'), 0) < PAIRING_CANDIDATES_MAX)
                usable++;
        }
        pairing_sampled(p, now, usable, out);
        break;
    case OFFER:
        pairing_offer(p, now, &peer, s->gen, weight, 0, out);
        break;
    case ACCEPTED:
        pairing_accepted(p, now, &peer, s->gen, out);
        break;
    case NO_GOOD:
        pairing_refused(p, now, &peer, s->gen, true, out);
        break;
    case NO_NOW:
        pairing_refused(p, now, &peer, s->gen, false, out);
        break;
    case GARBLED:
        pairing_garbled(p, now, &peer, s->gen, out);
        break;
    case RETRACTED:
        pairing_retracted(p, now, &peer, s->gen, out);
        break;
    case CONFIRMED:
        pairing_confirmed(p, now, &peer, s->gen, out);
        break;
    case UNREACHABLE:
        pairing_unreachable(p, now, &peer, s->gen, out);
        break;
    case LOST:
        pairing_lost(p, now, &peer, s->gen, true, out);
        break;
    case REPEATED:
        pairing_repeated(p, now, &peer, s->gen);
        break;
    case EXPIRE:
        pairing_expire(p, now, out);
        break;
    case RESET:
        pairing_reset(p);
        break;
    case END:
        break;
    }
}

static void each_line_of_the_rule(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            uint64_t random = seed;
            struct pairing p;
            pairing_init(&p, (struct rng){fill, &random});
            struct pairing_peer me = letter('m');
            pairing_topic(&p, 0, me.pk);
            p.generation[0] = 0;
            for (const struct step *s = rows[i].step; s->op != END; s++) {
                struct pairing_out out;
                char text[512];
                run_step(&p, s, &out);
                bool idle_looks = s->want[0] != '~';
                to_text(text, sizeof text, &out, idle_looks);
                if (strcmp(text, s->want + (idle_looks ? 0 : 1)) != 0 || p.state != s->state)
                    fail_msg("%s, step %d, seed %u: got \"%s\" state %d, wanted \"%s\" state %d",
                             rows[i].line, (int)(s - rows[i].step), (unsigned)seed, text, p.state,
                             s->want, s->state);
            }
        }
}

static void the_deadline_is_when_something_happens(void **state)
{
    (void)state;
    uint64_t random = 5;
    struct pairing p;
    struct pairing_out out = {0};
    pairing_init(&p, (struct rng){fill, &random});
    assert_true(pairing_deadline(&p) == USEC_NEVER);
    struct pairing_peer b = letter('b');
    const uint8_t rec_id[16] = {1};
    pairing_add(&p, &b, rec_id, 1, 0);
    pairing_sampled(&p, 10, 1, &out);
    usec_t at = pairing_deadline(&p);
    assert_true(out.n == 1 || (at > 10 && at <= 10 + PAIRING_START_FEW_MAX_US));
    if (out.n == 0)
        pairing_expire(&p, at, &out);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.action[0].kind, PAIRING_OFFER);
    usec_t answer = pairing_deadline(&p);
    assert_true(answer >= at + PAIRING_ANSWER_US - PAIRING_START_FEW_MAX_US);
    out.n = 0;
    pairing_expire(&p, answer - 1, &out);
    assert_int_equal(out.n, 0);
}

static void weight_is_of_the_pair(void **state)
{
    (void)state;
    uint8_t a[32] = {1}, b[32] = {2}, psk[32] = {3}, other[32] = {4};
    assert_true(pairing_weight(a, b, psk) == pairing_weight(b, a, psk));
    assert_true(pairing_weight(a, b, psk) != pairing_weight(a, b, other));
    assert_true(pairing_weight(a, b, psk) != pairing_weight(a, other, psk));
}

static void a_rather_goes_before_the_weight(void **state)
{
    (void)state;
    uint64_t random = 5;
    struct pairing p;
    struct pairing_out out = {0};
    pairing_init(&p, (struct rng){fill, &random});
    struct pairing_peer b = letter('b'), c = letter('c');
    const uint8_t rec_id[16] = {1};
    pairing_add(&p, &b, rec_id, 1, 0);
    pairing_add(&p, &c, rec_id, 2, 1);
    pairing_sampled(&p, 10, 2, &out);
    pairing_expire(&p, 10 * USEC_PER_MS, &out);
    assert_int_equal(out.action[0].peer.pk[0], 'c');
}

// Somebody may grind weights that go before everybody's: those don't crowd out what samples bring.
static void a_full_table_does_not_go_by_weight(void **state)
{
    (void)state;
    uint64_t random = 5;
    struct pairing p;
    pairing_init(&p, (struct rng){fill, &random});
    const uint8_t rec_id[16] = {1};
    for (unsigned i = 0; i < 4 * PAIRING_CANDIDATES_MAX; i++) {
        struct pairing_peer peer = {.topic = 0};
        memcpy(peer.pk, &i, sizeof i);
        unsigned slot = pairing_add(&p, &peer, rec_id, i % 2 == 0 ? i : UINT64_MAX - i, 0);
        assert_true(slot < PAIRING_CANDIDATES_MAX);
        assert_memory_equal(p.candidate[slot].peer.pk, peer.pk, 32);
    }
    unsigned heavy = 0;
    for (unsigned i = 0; i < PAIRING_CANDIDATES_MAX; i++)
        heavy += p.candidate[i].weight > UINT32_MAX ? 1 : 0;
    assert_in_range(heavy, PAIRING_CANDIDATES_MAX / 4, PAIRING_CANDIDATES_MAX * 3 / 4);
}

// The kind of the first action that is not a retract, at the moment when my offer turns quiet.
static struct pairing_action when_quiet(struct pairing *p)
{
    struct pairing_out out = {0};
    pairing_expire(p, p->quiet_at, &out);
    assert_true(out.n > 0);
    return out.action[out.n - 1];
}

// Weights are the alphabet's, introducers those of `via`; the first offer goes to 'a'.
static void offer_to_a(struct pairing *p, uint64_t *random, const char *who, const uint64_t *via)
{
    struct pairing_out out = {0};
    const uint8_t rec_id[16] = {1};
    pairing_init(p, (struct rng){fill, random});
    for (unsigned i = 0; who[i] != 0; i++) {
        struct pairing_peer x = letter(who[i]);
        unsigned slot = pairing_add(p, &x, rec_id, (uint64_t)(who[i] - 'a'), 0);
        pairing_via(p, slot, &via[i], 1);
    }
    pairing_sampled(p, 10, (unsigned)strlen(who), &out);
    if (out.n == 0)
        pairing_expire(p, pairing_deadline(p), &out);
    assert_int_equal(out.action[0].kind, PAIRING_OFFER);
    assert_int_equal(out.action[0].peer.pk[0], 'a');
}

// Records of nobody name the few introducers of whoever made them.
static void one_silent_introducer_goes_last(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t random = seed;
        struct pairing p;
        offer_to_a(&p, &random, "abcde", (const uint64_t[]){1, 1, 1, 2, 1});
        struct pairing_action next = when_quiet(&p);
        assert_int_equal(next.kind, PAIRING_OFFER);
        assert_int_equal(next.peer.pk[0], 'd');
    }
}

// Who offers is there; who then does not confirm spends that trust.
static void who_offers_goes_first_after_a_silence(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t random = seed;
        struct pairing p;
        struct pairing_out out = {0};
        struct pairing_peer y = letter('y'), z = letter('z');
        offer_to_a(&p, &random, "abcde", (const uint64_t[]){1, 2, 3, 4, 5});
        pairing_offer(&p, p.quiet_at - 2, &y, 1, 'y' - 'a', 0, &out);
        pairing_offer(&p, p.quiet_at - 1, &z, 1, 'z' - 'a', 0, &out);
        assert_int_equal(out.n, 0);
        struct pairing_action next = when_quiet(&p);
        assert_int_equal(next.kind, PAIRING_ACCEPT);
        pairing_expire(&p, p.answer_at, &out);
        assert_int_equal(out.action[out.n - 1].kind, PAIRING_OFFER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_of_the_rule),
        cmocka_unit_test(the_deadline_is_when_something_happens),
        cmocka_unit_test(weight_is_of_the_pair),
        cmocka_unit_test(a_rather_goes_before_the_weight),
        cmocka_unit_test(a_full_table_does_not_go_by_weight),
        cmocka_unit_test(one_silent_introducer_goes_last),
        cmocka_unit_test(who_offers_goes_first_after_a_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
