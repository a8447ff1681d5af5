"""Through the real tor: a private network on loopback, one authority and three relays (TestingTorNetwork), made for the
test and gone with it."""

import os
import re
import socket
import subprocess

from harness import GIVE_UP_S, equal, meet
from test_proxy import free_port, installed, proxied, udp_sockets, until
from test_relay import relays, talk

COMMON = """
TestingTorNetwork 1
DataDirectory %(dir)s
Log notice file %(dir)s/log
Nickname %(name)s
Address 127.0.0.1
AssumeReachable 1
PathsNeededToBuildCircuits 0.25
TestingDirAuthVoteExit *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
EnforceDistinctSubnets 0
ExtendAllowPrivateAddresses 1
"""
EXIT = "SocksPort 0\nExitRelay 1\nExitPolicy accept 127.0.0.0/8:*\nExitPolicyRejectPrivate 0\n"


class TorNetwork:
    def __init__(self, folder, relays=3):
        self.folder, self.processes = folder, []
        self.tor = installed("tor")
        try:
            authority, lines = self._authority()
            self._start("authority", lines, authority)
            for i in range(relays):
                self._start("relay%d" % i, lines, EXIT + "ORPort 127.0.0.1:%d\n" % free_port())
            self.socks, self.control = free_port(), free_port()
            self._start("client", lines, "SocksPort 127.0.0.1:%d\nControlPort 127.0.0.1:%d\n"
                        "ClientRejectInternalAddresses 0\n" % (self.socks, self.control))
            log = os.path.join(folder, "client", "log")
            until(lambda: os.path.exists(log) and "Bootstrapped 100" in open(log, encoding="utf-8").read(),
                  "Tor network")
        except BaseException:
            self.__exit__()
            raise

    def _dir(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(path, 0o700, exist_ok=True)
        return path

    def _authority(self):
        """Its own lines, and the line by which all others know it."""
        path, onion, directory = self._dir("authority"), free_port(), free_port()
        keys = os.path.join(path, "keys")
        os.mkdir(keys, 0o700)
        subprocess.run([installed("tor-gencert"), "--create-identity-key", "--passphrase-fd", "0", "-m", "12", "-a",
                        "127.0.0.1:%d" % directory, "-i", keys + "/authority_identity_key", "-s",
                        keys + "/authority_signing_key", "-c", keys + "/authority_certificate"],
                       input=b"of a test\n", check=True, stderr=subprocess.DEVNULL)
        with open(keys + "/authority_certificate", encoding="ascii") as f:
            identity = re.search(r"^fingerprint (\w+)$", f.read(), re.M).group(1)
        with open(path + "/first", "w", encoding="ascii") as f:
            f.write(COMMON % {"dir": path, "name": "authority"} +
                    "ORPort %d\nDirAuthority none 127.0.0.1:1 %s\n" % (onion, "f" * 40))
        said = subprocess.run([self.tor, "--list-fingerprint", "-f", path + "/first", "--quiet"], check=True,
                              stdout=subprocess.PIPE, universal_newlines=True).stdout
        line = "DirAuthority authority orport=%d no-v2 v3ident=%s 127.0.0.1:%d %s\n" % (
            onion, identity, directory, said.split(" ", 1)[1].strip().replace(" ", ""))
        own = ("ORPort 127.0.0.1:%d\nDirPort 127.0.0.1:%d\nAuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\n"
               "ContactInfo nobody@example.invalid\n" % (onion, directory)) + EXIT
        return own, line

    def _start(self, name, authorities, lines):
        path = self._dir(name)
        with open(path + "/torrc", "w", encoding="ascii") as f:
            f.write(COMMON % {"dir": path, "name": name} + authorities + lines)
        self.processes.append(subprocess.Popen([self.tor, "-f", path + "/torrc", "--quiet"],
                                               stdin=subprocess.DEVNULL))

    def circuits(self):
        """Users of the client's circuits that are used: circuit -> user name."""
        with socket.create_connection(("127.0.0.1", self.control), GIVE_UP_S) as s:
            s.sendall(b"AUTHENTICATE\r\nGETINFO circuit-status\r\nQUIT\r\n")
            text = b""
            while True:
                more = s.recv(65536)
                if not more:
                    break
                text += more
        return dict(re.findall(r'^(\d+) BUILT .*SOCKS_USERNAME="(\w+)"', text.decode("ascii"), re.M))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            p.wait()


def test_two_talk_through_tor(w):
    if not installed("tor") or not installed("tor-gencert"):
        return
    _, all_of = relays(w, 2)
    with TorNetwork(w.path("tor")) as tor:
        a, b = (proxied(w, "socks5://127.0.0.1:%d" % tor.socks, all_of[0].contact,
                        "--bootstrap", all_of[1].contact) for _ in range(2))
        ea, eb, ma, _ = meet(a, b, "onions")
        equal(ma["path"], "relayed", "the path")
        talk(a, ea, b, eb, ["through six computers"])
        # Each run has circuits of its own, under a name of its own.
        until(lambda: len(set(tor.circuits().values())) == 2, "circuits of both: %r" % tor.circuits())
        for user in tor.circuits().values():
            equal(len(user), 32, "a random name")
        for c in (a, b):
            equal(udp_sockets(c.process) or [], [], "UDP sockets")
            equal(c.process.err.lines, [], "standard error")
    for c in (a, b):  # Tor has gone
        c.process.err.wait("The proxy does not answer.")
