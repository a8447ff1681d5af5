// The texts of `bauta help`.
#include "node/host/config.h"

static const char usage_all[] =
    "bauta: talk about anything with a stranger who wants to talk about it too.\n"
    "\n"
    "  bauta run    [options]           runs a node until it is interrupted\n"
    "  bauta chat   [TOPIC...]          talks; uses the running node, or starts one for the time "
    "being\n"
    "  bauta ctl    METHOD [JSON]       one call of the control API; JSON - is read from standard "
    "input\n"
    "  bauta status                     what the node is, knows and does\n"
    "  bauta relay  [options]           runs a volunteer's relay\n"
    "  bauta demo                       a small network on this computer, with strangers to talk "
    "to\n"
    "  bauta help   [COMMAND]           this text, or more about one command\n"
    "  bauta --version\n";

static const char usage_node[] =
    "  --listen ADDR:PORT        where to receive; once for IPv4 and once for IPv6; port 0: any\n"
    "                            (without it: every address of this computer, any port)\n"
    "  --bootstrap HOST:PORT/KEY a node to join through; may be given several times\n"
    "                            (tcp://HOST:PORT/KEY: over TCP, where UDP is blocked)\n"
    "  --proxy socks5://[USER:PASSWORD@]HOST:PORT\n"
    "                            everything goes through this SOCKS5 proxy (Tor, say), over TCP:\n"
    "                            no UDP, no look-up of names outside of it. HOST is a numeric\n"
    "                            address or localhost\n"
    "  --tcp ADDR:PORT           of a server: takes TCP connections there; may be given several\n"
    "                            times\n"
    "  --network NAME            another network, apart from the public one\n"
    "  --privacy direct|relayed  may the stranger see your internet address? direct: yes\n"
    "  --hops 1|2                relays before the stranger, where the address is hidden (1)\n"
    "  --cover off|low|high      words leave in packets of one size at a constant rate, one a "
    "second\n"
    "                            (low: 28 MB a day) or five (high: 140 MB), whether you speak or "
    "not\n"
    "  --control PATH            where the control socket is\n"
    "  --state DIR               remembers your choice of privacy, public servers, and a --public "
    "node's key\n"
    "  --config FILE             options as NAME = VALUE lines\n"
    "  --public                  this computer can be reached from everywhere: serve others at "
    "once\n"
    "  --web off                 no page (this version has none yet)\n"
    "  --no-lan, --no-upnp       don't look for nodes or routers on the local network\n"
    "  --upnp-lease SECONDS      how long a router is asked to keep a port open (3600); renewed in "
    "time\n"
    "  --lab, --lab-strict       private addresses count as public; --lab also drops puzzles and\n"
    "                            limits by address prefix. For tests and demonstrations\n";

static const char usage_chat[] =
    "bauta chat [TOPIC...] [--plain] [options of run]\n"
    "\n"
    "Finds somebody who wants to talk about one of the topics, or asks for one.\n"
    "TOPIC##PASSPHRASE finds only those who know the passphrase. What you type is said.\n"
    "Lines that begin with / are commands: /next /end /block /verify /help /quit\n"
    "/seek TOPIC, TOPIC... /privacy direct /privacy hide.\n"
    "A running node is used as it is; without one, chat starts its own, with these options.\n"
    "--plain: line by line. This version has no other way.\n"
    "\n";

static const char usage_ctl[] =
    "bauta ctl METHOD [JSON] [--control PATH]\n"
    "\n"
    "Calls the control API of the running node and prints the result. JSON holds the\n"
    "parameters; - reads them from standard input, which is better for topics and texts,\n"
    "since others may see a command line.\n"
    "Exit status 0, or 1 with the reason on standard error.\n"
    "\n"
    "  status, seek, say, next, end, block, verify, typing, path, privacy, cover,\n"
    "  stop, contacts, add_contacts\n"
    "  subscribe   prints what happens, a line each, until it is interrupted\n";

static const char usage_status[] =
    "bauta status [--control PATH]\n"
    "\n"
    "What the running node is, knows and does, as text. For programs: bauta ctl status.\n";

static const char usage_demo[] =
    "bauta demo [--control PATH]\n"
    "\n"
    "Runs 20 nodes on this computer, with built-in conversation partners. None of it leaves the\n"
    "computer. Then, in another terminal: bauta chat books\n";

static const char usage_relay[] =
    "bauta relay [options]\n"
    "\n"
    "Runs a volunteer's relay until it is interrupted: it forwards sealed datagrams for people "
    "who\n"
    "can't reach each other, or don't want to show their address. Needs an address that everybody\n"
    "reaches. Prints \"ready CONTACT\" when it can take clients. The first SIGTERM or SIGINT lets\n"
    "clients find another relay, the second ends it at once.\n"
    "\n"
    "  --listen ADDR:PORT        where to receive, UDP and TCP; once for IPv4 and once for IPv6\n"
    "  --tcp ADDR:PORT           takes TCP there, too: port 443 reaches people behind firewalls\n"
    "  --bootstrap HOST:PORT/KEY a node to join through; may be given several times\n"
    "  --clients N               at once (1000; at most 4096)\n"
    "  --rate KBPS               of one client, both ways together, kilobytes a second (2097)\n"
    "  --bandwidth KBPS          of all clients together (20971)\n"
    "  --volume GB               of all clients, in a calendar month (UTC); no limit without it\n"
    "  --drain S                 how long clients have to leave, at the end (10)\n"
    "  --metrics ADDR:PORT|off   counters for Prometheus and /healthz, on a loopback address "
    "(off)\n"
    "  --state DIR               remembers the key for a week, the month's volume, and servers\n"
    "  --network NAME            another network, apart from the public one\n"
    "  --control PATH            where the control socket is\n"
    "  --config FILE             options as NAME = VALUE lines\n"
    "  --lab, --lab-strict       private addresses count as public; --lab also drops puzzles and\n"
    "                            limits by address prefix. For tests\n";
static const char usage_run[] =
    "bauta run [options]\n"
    "\n"
    "Prints \"ready CONTACT\" when it can take calls; CONTACT is what others\n"
    "take as --bootstrap, or - where this node serves nobody.\n"
    "\n";

const char *config_usage(enum command c)
{
    switch (c) {
    case COMMAND_RUN:
        return usage_run;
    case COMMAND_CHAT:
        return usage_chat;
    case COMMAND_CTL:
        return usage_ctl;
    case COMMAND_STATUS:
        return usage_status;
    case COMMAND_DEMO:
        return usage_demo;
    case COMMAND_RELAY:
        return usage_relay;
    case COMMAND_NONE:
        return usage_node;
    case COMMAND_HELP:
    case COMMAND_VERSION:
    case COMMAND_PORT_MAPPER:
        break;
    }
    return usage_all;
}
