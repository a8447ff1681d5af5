// layer: host
// The head of an HTTP request: whatever stands there is read inside its bounds, and gets one of few answers.
#include "node/host/metrics.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    enum metrics_page page = METRICS_PAGE;
    char *head = malloc(len + 1); // not one byte more may be read
    if (head == NULL)
        return 0;
    char *exact = len > 0 ? realloc(head, len) : head;
    if (exact == NULL)
        exact = head;
    memcpy(exact, data, len);
    int status = metrics_request(exact, len, &page);
    if (status != 0 && status != 200 && status != 400 && status != 404 && status != 405 &&
        status != 421)
        abort();
    // What was decided stays so when more comes.
    for (size_t part = 1; part < len; part++) {
        int early = metrics_request(exact, part, &page);
        if (early != 0 && early != 421 && early != status)
            abort();
    }
    free(exact);
    return 0;
}
