// Names of the choices of privacy and cover.
#include "node/host/api.h"

#include <string.h>

const char *api_privacy_name(enum node_privacy p)
{
    return p == NODE_DIRECT ? "direct" : p == NODE_RELAYED ? "relayed" : "unchosen";
}

bool api_privacy_of(const char *name, enum node_privacy *out)
{
    if (strcmp(name, "direct") == 0)
        *out = NODE_DIRECT;
    else if (strcmp(name, "relayed") == 0)
        *out = NODE_RELAYED;
    else
        return false;
    return true;
}

static const char *const covers[] = {"off", "low", "high"};

const char *api_cover_name(enum channel_cover level)
{
    return covers[level];
}

bool api_cover_of(const char *name, enum channel_cover *out)
{
    for (size_t i = 0; i < sizeof covers / sizeof *covers; i++)
        if (strcmp(name, covers[i]) == 0) {
            *out = (enum channel_cover)i;
            return true;
        }
    return false;
}
