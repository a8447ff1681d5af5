// The little that the link has to know of an IP packet: whether it may be marked, and how.
#ifndef BAUTA_TOOLS_LAB_PACKET_H
#define BAUTA_TOOLS_LAB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Sets CE (RFC 3168) and mends the header's checksum. False: the packet's sender does not do ECN, or it
// is no IP packet; nothing was changed.
bool lab_packet_mark(uint8_t *ip, size_t len);

#endif
