// The command line and the --config file as one struct.
#ifndef BAUTA_NODE_HOST_CONFIG_H
#define BAUTA_NODE_HOST_CONFIG_H

#include "dht/path.h"
#include "node/host/limits.h"
#include "node/host/socks.h"
#include "node/node.h"

enum command {
    COMMAND_NONE,
    COMMAND_RUN,
    COMMAND_CHAT,
    COMMAND_CTL,
    COMMAND_STATUS,
    COMMAND_DEMO,
    COMMAND_RELAY,
    COMMAND_PORT_MAPPER, // of the node itself: in no help
    COMMAND_HELP,
    COMMAND_VERSION
};

#define CONFIG_UNSAID UINT32_MAX
#define CONFIG_TEXT_BYTES 320u // of tcp://HOST:PORT/KEY: a host name of 253, a port, a key

struct bootstrap {
    char host[256]; // a name to resolve, "" where contact.path is known
    char port[6];
    struct contact
        contact; // its key, its path where that was written as numbers, and always its via
};

struct config {
    enum command command, about; // about: of `help COMMAND`
    struct path listen[2];
    size_t listens;
    struct path tcp[HOST_TCP_LISTENS_MAX]; // to listen on
    size_t tcps;
    bool proxied;
    struct socks_proxy proxy;
    struct bootstrap bootstrap[CONFIG_BOOTSTRAPS_MAX];
    size_t bootstraps;
    char network[64];
    char control[HOST_PATH_BYTES]; // "": the default path
    char state[HOST_PATH_BYTES];   // "": nothing is kept
    enum node_privacy privacy;
    uint8_t hops; // 0: not said
    enum channel_cover cover;
    uint32_t lease_s; // how long a router is asked to keep a port open
    bool public_server, lab, lab_strict, no_lan, no_upnp, plain, help;
    const char *word[CONFIG_TOPICS_MAX]; // topics of chat; METHOD and JSON of ctl
    size_t words;
    // Of a relay; 0: not said.
    uint32_t clients, rate_kBps, bandwidth_kBps, volume_GB;
    uint32_t drain_s;    // CONFIG_UNSAID: not said
    struct path metrics; // family 0: off
    bool metrics_said;
};

// 0, or an exit status (process.h) with a line for a person in `error`.
int config_parse(struct config *, int argc, char **argv, char error[static HOST_ERROR_BYTES]);
// [tcp://]HOST:PORT/KEY. 0 or BAUTA_EFORMAT.
int config_bootstrap(struct bootstrap *, const char *text);
const char *config_usage(enum command); // text of --help and `help COMMAND`

#endif
