"""Network namespaces that live as long as this process, and sockets and commands in them. Nothing is
named, so nothing is left behind and no two labs meet."""
import ctypes
import os
import shutil
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
GIVE_UP_S = 60
# Debian keeps these from who is not root.
os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
# What a lab needs, tried in a namespace of its own.
RIGHTS = """set -e
ip link add v0 type veth peer name v1
ip link add br0 type bridge
echo 'table ip t {
  map m { type inet_service : ipv4_addr . inet_service; flags timeout; timeout 9s; size 9; }
  chain c { type nat hook postrouting priority 100; udp sport 9 masquerade fully-random; }
  chain n { type filter hook postrouting priority 200;
    udp sport 9 update @m { udp sport : ct original ip saddr . ct original proto-src }; }
}' | nft -f -
"""


class Failure(Exception):
    pass


def unshare():
    """What makes who is not root the root of namespaces of its own."""
    return [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


def why_not(here=True):
    """Why this machine has no lab, or None; `here`: in this process, as it is."""
    for tool in ("ip", "nft", "unshare", "nsenter", "setpriv"):
        if shutil.which(tool) is None:
            return "no %s" % tool
    done = subprocess.run(([] if here else unshare()) + ["unshare", "--net", "sh", "-c", RIGHTS], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return "no network namespaces with nftables here (%s)" % (done.stderr.strip() or "refused").split("\n")[0]
    return None


def socket_in(file, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0):
    """A socket in the namespace of that file: a thread goes and opens it, and ends."""
    made = []

    def make():
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            with open(file, "rb") as f:
                if libc.setns(f.fileno(), CLONE_NEWNET) == 0:
                    made.append(socket.socket(family, kind, proto))
        except OSError:
            pass

    t = threading.Thread(target=make)
    t.start()
    t.join()
    if not made:
        raise Failure("no socket in %s" % file)
    return made[0]


class Namespace:
    """The holder ends with its standard input, thus also when this process is killed; a Ctrl-C on the
    terminal does not reach it, so that what it holds can be taken down in order."""

    def __init__(self, name):
        self.name = name
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "ip link set lo up; echo there; exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                       start_new_session=True)
        if self.holder.stdout.readline() != "there\n":
            self.close()
            raise Failure("no namespace for %s" % name)
        self.file = "/proc/%d/ns/net" % self.holder.pid

    def within(self):
        """Put before a command: it runs there, and not longer than this process. Python kills it when the
        thread that started it ends, so that has to be a thread that lasts."""
        return ["setpriv", "--pdeathsig", "KILL", "nsenter", "--net=" + self.file]

    def run(self, argv, text=None):
        done = subprocess.run(["nsenter", "--net=" + self.file] + argv, input=text, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=GIVE_UP_S)
        if done.returncode:
            raise Failure("%s: %s: %s" % (self.name, " ".join(argv), done.stdout.strip()))
        return done.stdout

    def ip(self, *lines):
        self.run(["ip", "-batch", "-"], "\n".join(lines) + "\n")

    def nft(self, text):
        self.run(["nft", "-f", "-"], text)

    def forward(self):
        """Makes it a router, before it has interfaces: duplicate address detection would hold them up."""
        self.run(["sh", "-c", "cd /proc/sys/net; echo 1 >ipv4/ip_forward; if [ -d ipv6 ]; then "
                  "echo 1 >ipv6/conf/all/forwarding; echo 0 >ipv6/conf/default/accept_dad; fi"])

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0):
        return socket_in(self.file, family, kind, proto)

    def close(self):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait(GIVE_UP_S)


def veth(a, a_name, b, b_name):
    """A cable between two namespaces; both ends are up."""
    subprocess.run(["ip", "link", "add", a_name, "netns", str(a.holder.pid), "type", "veth", "peer", "name",
                    b_name, "netns", str(b.holder.pid)], check=True, timeout=GIVE_UP_S)
    a.ip("link set %s up" % a_name)
    b.ip("link set %s up" % b_name)
