// A TUN device in another network namespace: raw IP packets, one a read or write, without any offload,
// so that every packet has the size that it has on a wire. Linux only; needs CAP_NET_ADMIN there.
#ifndef BAUTA_TOOLS_LAB_TUN_H
#define BAUTA_TOOLS_LAB_TUN_H

#include <stdint.h>

#define TUN_NAME_BYTES 16

struct tun_config {
    const char *netns;    // a file: /run/netns/NAME or /proc/PID/ns/net
    const char *name;     // of the device
    const char *address;  // IPv4 with /PREFIX, NULL: none
    const char *address6; // IPv6 with /PREFIX, NULL: none
    uint32_t mtu;
    uint32_t queue_packets; // of the device itself: only what was not read yet
};

struct tun {
    int fd;    // non-blocking
    int netns; // kept open, for the counters
    char name[TUN_NAME_BYTES];
};

// Makes the device, gives it addresses and brings it up. 0, or -1 with a line on standard error.
int tun_open(struct tun *, const struct tun_config *);
// Packets that the device dropped since nobody read them in time; -1: unknown.
int64_t tun_dropped(const struct tun *);
void tun_close(struct tun *);

#endif
