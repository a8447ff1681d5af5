"""Pairs of homes, each kind of router in one or more: what tools/lab/matrix says of them."""

import json
import os
import subprocess

from harness import BAUTA, GIVE_UP_S, ROOT, SLOW, check, equal

SKIPPED = 77
MATRIX = os.path.join(ROOT, "tools/lab/matrix")
# The path of each without relays. The others have none: ports that nobody can foretell, no address family in common,
# no UDP.
DIRECT = ("public+public", "public+symmetric-random", "full-cone+symmetric-kept", "address-restricted+symmetric-random",
          "address-restricted+symmetric-kept", "port-restricted+port-restricted", "port-restricted+carrier",
          "port-restricted+hairpin", "carrier+carrier", "hairpin+hairpin", "dual-stack+ipv6-only",
          "ipv6-only+ipv6-only", "one-lan+one-lan", "one-carrier+one-carrier")
PORTS = ("symmetric-random+symmetric-random", "symmetric-kept+symmetric-random")
FAMILIES = ("port-restricted+ipv6-only",)
NO_UDP = ("public+udp-blocked", "tcp-443+tcp-443")


def matrix(*args):
    """Exit status, rows by pair, and all that was said."""
    done = subprocess.run([MATRIX, "--build", os.path.dirname(BAUTA), "--patience", str(20 * SLOW), "--give-up",
                           str(6 * SLOW)] + list(args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=10 * GIVE_UP_S, check=False)
    rows = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
    return done.returncode, {r["pair"]: r for r in rows}, done.stdout


def paths(pairs, *args):
    status, rows, said = matrix(*args, *pairs)
    if status == SKIPPED:
        print(said.strip())
        return
    equal(status, 0, "exit status; it said\n%s" % said)
    equal(sorted(rows), sorted(pairs), "pairs")
    for pair, r in rows.items():
        equal(r["path"], pairs[pair], pair)
        equal(r["delivered"], 0 if r["path"] == "none" else 6, "messages of %s" % pair)


def test_pairs_without_relays(_world):
    paths(dict([(p, "direct") for p in DIRECT] + [(p, "none") for p in PORTS + FAMILIES + NO_UDP]))


def through_relays(pairs):
    paths({p: "relayed" for p in pairs}, "--relays", "4")


def test_relays_for_ports_that_nobody_can_foretell(_world):
    through_relays(PORTS)


def test_relays_between_address_families(_world):
    through_relays(FAMILIES)


def test_relays_where_udp_is_blocked(_world):
    through_relays(NO_UDP)


def test_it_can_fail(_world):
    """A pair that must work and has no time to."""
    status, rows, said = matrix("--patience", "0.001", "--servers", "1", "public+public")
    if status == SKIPPED:
        print(said.strip())
        return
    equal((status, rows["public+public"]["path"]), (1, "none"), said)
    check("FAILED public+public" in said, said)
