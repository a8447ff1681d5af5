"""Strangers who meet, talk, part, and don't meet again."""

import signal
import time

from harness import SLOW, Failure, check, equal, meet, seek


def test_two_meet_within_5_s(w):
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.person(contacts)
    start = time.monotonic()
    ea, eb, ma, mb = meet(a, b, "night trains")
    took = time.monotonic() - start
    check(took < 5 * SLOW, "they took %.2f s to meet" % took)
    equal(len(ma["words"]), 6, "words")
    equal(ma["path"], "direct", "path")
    equal(ma["topic"], "night trains", "topic")
    check(ma["alias"] and mb["alias"], "aliases")
    equal(a.event("seeking", encounter=ea)["topics"], ["night trains"], "topics in seeking")
    equal(a.call("verify", encounter=ea)["words"], mb["words"], "verify")

    number = a.call("say", encounter=ea, text="hello \U0001f3ad\nsecond line")["id"]
    got = b.event("message", encounter=eb)
    equal(got["text"], "hello \U0001f3ad\nsecond line", "text")
    check(abs(got["at"] / 1000 - time.time()) < 60 * SLOW, "at is in milliseconds since 1970: %r" % got["at"])
    a.event("delivered", encounter=ea, id=number)
    b.call("typing", encounter=eb, on=True)
    a.event("typing", encounter=ea, on=True)
    b.call("typing", encounter=eb, on=False)
    a.event("typing", encounter=ea, on=False)
    a.call("end", encounter=ea)
    equal(b.event("ended", encounter=eb)["reason"], "left", "reason")
    equal(b.error("say", {"encounter": eb, "text": "x"}), -32001, "say after ended")
    equal(b.call("end", encounter=eb), {}, "end after ended")
    equal(b.call("end", encounter=eb), {}, "end again")


def test_thousand_messages_each_way(w):
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.person(contacts)
    ea, eb, _, _ = meet(a, b, "counting")
    count, window = 1000, 64
    ids = {"a": [], "b": []}
    for i in range(count):
        for name, c, e in (("a", a, ea), ("b", b, eb)):
            ids[name].append(c.send("say", {"encounter": e, "text": "%s %d" % (name, i)}))
            if i >= window:  # no more than a window on its way: the node takes 256
                number = c.answer(ids[name][i - window])["result"]["id"]
                c.event("delivered", encounter=e, id=number)
    for name, c, e, other, oe in (("a", a, ea, b, eb), ("b", b, eb, a, ea)):
        for i in range(count - window, count):
            number = c.answer(ids[name][i])["result"]["id"]
            c.event("delivered", encounter=e, id=number)
        other.until(lambda: sum(m == "message" for m, _ in other.events) >= count, "1,000 messages")
        texts = [p["text"] for m, p in other.events if m == "message"]
        equal(texts, ["%s %d" % (name, i) for i in range(count)], "texts in order")
        equal([m for m, _ in other.events if m in ("undelivered", "ended")], [], "losses")


def test_next_finds_others_and_never_the_same(w):
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.person(contacts)
    ea, eb, _, _ = meet(a, b, "jazz")
    enc = {a: ea, b: eb}
    # Both look on at the same place. They may not find each other again, so each newcomer, who comes
    # when nobody else is free, finds one of them, and the next newcomer the other.
    for _ in range(2):
        for c in (a, b):
            equal(c.call("next", encounter=enc[c]), {}, "next")
            equal(c.call("next", encounter=enc[c]), {}, "next while seeking")
        new = []
        for _ in range(2):
            c = w.person(contacts)
            new.append(c)
            enc[c] = seek(c, "jazz")
            c.words = c.event("matched", encounter=enc[c])["words"]
        words = [x.event("matched", encounter=enc[x])["words"] for x in (a, b)]
        equal(sorted(words), sorted(c.words for c in new), "each of the two met one of the newcomers")
        for c in new:
            c.call("end", encounter=enc[c])
        for c in (a, b):
            equal(c.event("ended", encounter=enc[c])["reason"], "left", "reason")


def test_no_silent_downgrade(w):
    """Once the address is to be hidden, neither `next` nor a search that goes on shows it to anybody."""
    contacts = w.bootstraps(2)
    a, b = w.person(contacts), w.person(contacts)
    ea, eb, _, _ = meet(a, b, "masks")
    other = seek(a, "mirrors")
    a.call("privacy", mode="relayed")
    equal(a.event("ended", encounter=other)["reason"], "privacy", "the search ends")
    a.call("say", encounter=ea, text="still here")
    equal(b.event("message", encounter=eb)["text"], "still here", "the conversation goes on")
    b.call("end", encounter=eb)
    equal(a.event("ended", encounter=ea)["reason"], "left", "reason")
    c = w.person(contacts)
    ec = seek(c, "masks")
    a.call("next", encounter=ea)  # waits for a relay, and there is none
    equal(a.event("warning", code="no_relay")["code"], "no_relay", "it says what it waits for")
    equal([m for m, _ in a.events + c.events if m == "matched"], [], "nobody is met meanwhile")
    check(not a.call("status")["relays"]["open"], "no relay is open")
    a.call("privacy", mode="direct")
    a.event("ended", encounter=ea)
    seek(a, "masks")
    c.event("matched", encounter=ec)


def test_block_holds(w):
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.person(contacts)
    ea, eb, _, _ = meet(a, b, "chess")
    a.call("block", encounter=ea)
    b.event("ended", encounter=eb)
    equal(a.call("block", encounter=ea), {}, "block again")
    # New searches of both, under new pseudonyms: the address is remembered too.
    b.call("end", encounter=eb)
    ea, eb = seek(a, "chess"), seek(b, "chess")
    # Each newcomer finds one of the two; if b is found first, the next newcomer is for a.
    for _ in range(2):
        c = w.person(contacts)
        new = c.event("matched", encounter=seek(c, "chess"))["words"]

        def found():
            return [x for x in (a, b) if any(m == "matched" and p["words"] == new for m, p in x.events)]
        if c.until(found, "the other end of the newcomer") == [a]:
            break
    else:
        raise Failure("a is never found")
    pairs = [[p["words"] for m, p in x.events if m == "matched"] for x in (a, b)]
    check(not any(words in pairs[1] for words in pairs[0]), "a met b, whom it blocked")


def test_killed_end_shows_within_30_s(w):
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.person(contacts)
    ea, eb, _, _ = meet(a, b, "silence")
    a.call("say", encounter=ea, text="still there?")
    b.event("message", encounter=eb)
    start = time.monotonic()
    b.process.send_signal(signal.SIGKILL)
    b.process.wait()
    lost = a.call("say", encounter=ea, text="into the dark")["id"]
    got = a.event("ended", encounter=ea, give_up_s=40 * SLOW)
    took = time.monotonic() - start
    check(took < 30, "it took %.1f s" % took)
    equal(got["reason"], "gone", "reason")
    equal(a.event("undelivered", encounter=ea, id=lost)["reason"], "gone", "the lost message")
    # The encounter waits: next goes on under the same number, with somebody else.
    a.call("next", encounter=ea)
    c = w.person(contacts)
    seek(c, "silence")
    a.event("matched", encounter=ea)


def test_several_encounters_and_passphrases(w):
    contacts = w.bootstraps(2)
    a, b, c = w.person(contacts), w.person(contacts), w.person(contacts)
    one = seek(a, "gardens")
    two = a.call("seek", topics=["gardens"], **{"pass": "oak"})["encounter"]
    check(one != two, "two encounters")
    eb = seek(b, "Gardens##oak")
    ec = seek(c, "  GARDENS ")
    equal(a.event("matched", encounter=two)["words"], b.event("matched", encounter=eb)["words"], "passphrase")
    equal(a.event("matched", encounter=one)["words"], c.event("matched", encounter=ec)["words"], "normalised")


def test_status_is_true(w):
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.person(contacts)
    before = a.call("status")
    equal(before["encounters"], [], "encounters")
    equal(before["contact"], a.process.contact, "contact as ready printed it")
    equal(before["network"], "bauta", "network")
    equal(before["privacy"], "direct", "privacy")
    check(before["dht"]["server"] is True, "a lab node is a server")
    ea, _, ma, _ = meet(a, b, "numbers")
    now = a.call("status")
    equal([(e["encounter"], e["state"], e["topics"], e["alias"]) for e in now["encounters"]],
          [(ea, "talking", ["numbers"], ma["alias"])], "encounters")
    check(1 <= now["dht"]["contacts"] <= 4, "contacts: %r" % now["dht"])
    equal(now["reach"]["seen"], a.process.contact.split("/")[0], "the address that others see")
    equal(now["meet"]["matched"], 1, "matched")
    check(now["traffic"]["datagrams_in"] > before["traffic"]["datagrams_in"], "traffic in")
    check(now["traffic"]["bytes_out"] > before["traffic"]["bytes_out"], "traffic out")
    a.call("end", encounter=ea)
    a.event("ended", encounter=ea)
    equal(a.call("status")["encounters"], [], "encounters after the end")


def test_two_alone(w):
    """Two nodes and nobody else: each is the other's only server."""
    a = w.person([])
    b = w.person([a.process.contact])
    ea, eb, _, _ = meet(a, b, "just us")
    number = a.call("say", encounter=ea, text="hello")["id"]
    equal(b.event("message", encounter=eb)["text"], "hello", "text")
    a.event("delivered", encounter=ea, id=number)


def test_words_wait_for_a_listener(w):
    """What happens while nobody listens is told to who subscribes later; a word counts as delivered then."""
    contacts = w.bootstraps(3)
    a, b = w.person(contacts), w.connect(w.node(bootstrap=contacts))
    ea, eb = seek(a, "patience"), seek(b, "patience")
    a.event("matched", encounter=ea)
    number = a.call("say", encounter=ea, text="are you there?")["id"]
    equal(b.call("status")["encounters"][0]["encounter"], eb, "it goes on without a listener")
    check(not any(m == "delivered" for m, _ in a.events), "nobody has read it yet")
    b.call("subscribe")
    b.event("matched", encounter=eb)
    equal(b.event("message", encounter=eb)["text"], "are you there?", "text")
    a.event("delivered", encounter=ea, id=number)
