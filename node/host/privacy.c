// Names of the choices of privacy.
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
