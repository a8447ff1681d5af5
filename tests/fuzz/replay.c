// layer: none
// Feeds files to a fuzz target without libFuzzer, so that `make test` replays every corpus with any
// compiler: each file of the given folders as it is, every truncation of it, and mutations that are
// the same in every run. Usage: TARGET FOLDER...; the last line is `N passed, M failed`.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (1u << 20)
#define TRUNCATIONS_MAX 2048u // of one file, spread evenly over its length
#define MUTATIONS 512u        // of one file

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint64_t next(uint64_t *state) // splitmix64: small, and the same everywhere
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// A copy of exactly `len` bytes, so that the sanitizer sees a read past the end.
static void feed(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, data, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void mutate(uint8_t *data, size_t len, uint64_t *state)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (uint64_t n = 1 + next(state) % 4; n > 0; n--) {
        size_t at = (size_t)(next(state) % len);
        switch (next(state) % 4) {
        case 0:
            data[at] ^= (uint8_t)(1u << next(state) % 8);
            break;
        case 1:
            data[at] = edges[next(state) % sizeof edges];
            break;
        case 2:
            data[at] = (uint8_t)next(state);
            break;
        default: { // a piece of it moved over another
            size_t from = (size_t)(next(state) % len);
            size_t room = len - (at > from ? at : from);
            memmove(data + at, data + from, (size_t)(next(state) % (room + 1)));
            break;
        }
        }
    }
}

// Returns the bytes of a file (to be freed), or NULL.
static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = f != NULL ? malloc(FILE_BYTES_MAX) : NULL;
    if (data != NULL)
        *len = fread(data, 1, FILE_BYTES_MAX, f);
    if (f != NULL)
        fclose(f);
    return data;
}

static int replay_file(const char *path, uint64_t seed)
{
    size_t len = 0;
    uint8_t *data = read_file(path, &len);
    uint8_t *work = data != NULL ? malloc(len + 1) : NULL;
    if (work == NULL) {
        fprintf(stderr, "%s: can't be read\n", path);
        free(data);
        return -1;
    }
    feed(data, len);
    size_t step = len / TRUNCATIONS_MAX + 1;
    for (size_t n = 0; n < len; n += step)
        feed(data, n);
    for (unsigned i = 0; len > 0 && i < MUTATIONS; i++) {
        memcpy(work, data, len);
        mutate(work, len, &seed);
        feed(work, len);
    }
    free(work);
    free(data);
    return 0;
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        struct dirent **list;
        int n = scandir(argv[i], &list, visible, alphasort);
        for (int k = 0; k < n; k++) {
            char path[4096];
            struct stat st;
            int len = snprintf(path, sizeof path, "%s/%s", argv[i], list[k]->d_name);
            if (len < 0 || (size_t)len >= sizeof path || stat(path, &st) != 0)
                failed++;
            else if (S_ISREG(st.st_mode) && replay_file(path, (uint64_t)k) == 0)
                passed++;
            else if (S_ISREG(st.st_mode))
                failed++;
            free(list[k]);
        }
        if (n < 0)
            fprintf(stderr, "%s: no such folder\n", argv[i]);
        else
            free(list);
    }
    if (passed + failed == 0) {
        fprintf(stderr, "nothing to replay\n");
        failed = 1;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
