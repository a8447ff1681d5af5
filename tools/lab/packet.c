#include "tools/lab/packet.h"

#define ECN_MASK 3u
#define ECN_CE 3u

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

bool lab_packet_mark(uint8_t *ip, size_t len)
{
    if (len >= 20 && ip[0] >> 4 == 4) {
        if ((ip[1] & ECN_MASK) == 0)
            return false;
        uint32_t before = be16(ip);
        ip[1] |= ECN_CE;
        // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
        uint32_t sum = (~be16(ip + 10) & 0xffffu) + (~before & 0xffffu) + be16(ip);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        ip[10] = (uint8_t)(~sum >> 8);
        ip[11] = (uint8_t)~sum;
        return true;
    }
    if (len >= 40 && ip[0] >> 4 == 6) { // the traffic class straddles the first two bytes
        if ((ip[1] >> 4 & ECN_MASK) == 0)
            return false;
        ip[1] |= ECN_CE << 4;
        return true;
    }
    return false;
}
