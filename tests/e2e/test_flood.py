"""A server that gets forged first datagrams while its person talks; how long messages take is for the
benchmark's figures, not asserted here."""

import json
import os
import subprocess

from harness import BAUTA, GIVE_UP_S, check, equal

BENCH = os.path.join(os.path.dirname(BAUTA), "bauta-bench")


def test_messages_come_through(w):
    if not os.path.exists(BENCH):
        return  # with the sanitizers only the product itself is built
    done = subprocess.run([BENCH, "flood", "--rate", "5000", "--seconds", "1", "--kind", "sealed"],
                          stdout=subprocess.PIPE, timeout=4 * GIVE_UP_S, check=False)
    quiet, flood = [json.loads(line) for line in done.stdout.decode().splitlines()]
    check(quiet["messages"] > 0, "they talk")
    check(flood["received_per_s"] > 0 and flood["answers_per_s"] > 0, "a flood")
    equal((flood["lost"], flood["after_lost"]), (0, 0), "lost messages")
    check(flood["bytes_out_per_byte_in"] < 1, "no more goes out than came")
