// What a congestion controller decides.
#ifndef BAUTA_NODE_CHANNEL_WINDOW_H
#define BAUTA_NODE_CHANNEL_WINDOW_H

#include "node/channel/limits.h"

struct chan_window {
    uint64_t cwnd_bytes;
    uint64_t pace_rate;    // bytes a second; 0: not paced
    uint16_t packet_bytes; // of a full packet
    bool limited;          // the window, not the application, stopped the last transmit
};

#endif
