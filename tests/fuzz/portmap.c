// layer: host
// What the process that speaks with routers sends, and what it is sent: whatever is taken is spelt in one way, and its
// URL is fit for nobody but the router.
#include "node/host/portmap_wire.h"

#include "crypto/bytes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t router[4] = {192, 168, 1, 1};
    struct portmap_answer a;
    struct portmap_request q;
    uint8_t answer[PORTMAP_ANSWER_BYTES], request[PORTMAP_REQUEST_BYTES];
    if (portmap_answer_get(&a, data, len) == BAUTA_OK) {
        portmap_answer_put(answer, &a);
        if (len != sizeof answer || memcmp(answer, data, len) != 0)
            abort();
        if (portmap_url_ok(a.url, router) && strncmp(a.url, "http://192.168.1.1", 18) != 0)
            abort();
    } else if (a.result != 0 || a.external.family != 0) {
        abort();
    }
    if (portmap_request_get(&q, data, len) == BAUTA_OK) {
        portmap_request_put(request, &q);
        if (len != sizeof request || memcmp(request, data, len) != 0)
            abort();
    }
    return 0;
}
