// noise-vectors FILE: runs Noise test vectors (their form: tools/noise_vectors.h). Ends with the line
// `N passed, M failed`, and `, K skipped` where there were any. Exit: 0, 1 when a vector failed, 2 when
// the file can't be read.
#include "tools/noise_vectors.h"

#include <errno.h>

// Names come from the file: nothing unprintable reaches the terminal.
static void print_name(const char *name)
{
    for (size_t i = 0; i < 80 && name[i] != '\0'; i++)
        putchar(name[i] >= 0x20 && name[i] <= 0x7e ? name[i] : '?');
}

static int run_all(const json_t *vectors)
{
    static const char *const label[] = {"pass", "FAIL", "skip"};
    size_t count[3] = {0, 0, 0};
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        char why[160];
        const json_t *vector = json_array_get(vectors, i);
        enum noise_vector_result result = noise_vector_run(vector, why, sizeof why);
        count[result]++;
        if (result == VECTOR_PASSED)
            continue;
        printf("%s %zu ", label[result], i);
        print_name(noise_vector_name(vector) != NULL ? noise_vector_name(vector) : "(no name)");
        printf(": %s\n", why);
    }
    printf("%zu passed, %zu failed", count[VECTOR_PASSED], count[VECTOR_FAILED]);
    if (count[VECTOR_SKIPPED] > 0)
        printf(", %zu skipped", count[VECTOR_SKIPPED]);
    printf("\n");
    if (fflush(stdout) != 0)
        return 2;
    return count[VECTOR_FAILED] > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: noise-vectors FILE\n");
        return 2;
    }
    if (sodium_init() < 0) {
        fprintf(stderr, "noise-vectors: libsodium does not start\n");
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    if (file == NULL) {
        fprintf(stderr, "noise-vectors: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    json_error_t error;
    json_t *root = json_loadf(file, 0, &error);
    fclose(file);
    if (root == NULL) {
        fprintf(stderr, "noise-vectors: %s:%d: %s\n", argv[1], error.line, error.text);
        return 2;
    }
    const json_t *vectors = json_is_array(root) ? root : json_object_get(root, "vectors");
    int rc = 2;
    if (json_is_array(vectors))
        rc = run_all(vectors);
    else
        fprintf(stderr, "noise-vectors: %s: no list of vectors in it\n", argv[1]);
    json_decref(root);
    return rc;
}
