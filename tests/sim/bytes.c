// What somebody on the wire sees of joins, meetings and conversations: sizes, and random bytes.
#include "tests/sim/help.h"

#define OFFSETS 64u // at which the frequency of bytes is tested
#define DATAGRAMS_MIN 500u

struct wire {
    uint64_t datagrams;
    uint32_t head[OFFSETS][256]; // offset from the start, byte
    uint32_t tail[OFFSETS][256]; // offset from the end
    uint32_t all[SIM_DATAGRAM_BYTES_MAX][256];
    uint64_t at[SIM_DATAGRAM_BYTES_MAX]; // datagrams that have this offset
    uint64_t odd_sizes;
    uint64_t readable;
};

static void look(void *ctx, usec_t now, uint32_t from, const struct path *to, const uint8_t *data,
                 size_t len)
{
    static const char *const secrets[] = {"mask tonight", "ridotto", "knows my", "uniform topic",
                                          "bauta"};
    struct wire *w = ctx;
    (void)now;
    (void)from;
    (void)to;
    w->datagrams++;
    for (size_t i = 0; i < len; i++) {
        w->all[i][data[i]]++;
        w->at[i]++;
    }
    for (size_t i = 0; i < OFFSETS && i < len; i++) {
        w->head[i][data[i]]++;
        w->tail[i][data[len - 1 - i]]++;
    }
    w->odd_sizes += len != class_of((uint32_t)len);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        w->readable += memmem(data, len, secrets[i], strlen(secrets[i])) != NULL;
}

// Chi-square of 256 equally likely values, times 1,000. Its mean is 255, its deviation 22.6.
static uint64_t chi_square(const uint32_t count[static 256], uint64_t n)
{
    uint64_t sum = 0; // sum of squares: chi2 = sum * 256 / n - n
    for (int i = 0; i < 256; i++)
        sum += (uint64_t)count[i] * count[i];
    return (sum * 256 - n * n) * 1000 / n;
}

static void check(struct sim *s, uint64_t seed, const uint32_t count[static 256], uint64_t n,
                  const char *where, size_t offset)
{
    uint64_t chi = chi_square(count, n);
    char what[96];
    snprintf(what, sizeof what, "byte %zu from the %s is uniform (chi-square %llu / 1000 of %llu)",
             offset, where, (unsigned long long)chi, (unsigned long long)n);
    // 7 deviations above and 5 below: once in a hundred million tests of random bytes.
    help_must(s, seed, chi < 420000 && chi > 140000, what);
}

static void the_wire_shows_random_bytes(void **state)
{
    (void)state;
    struct wire *w = calloc(1, sizeof *w);
    assert_non_null(w);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        memset(w, 0, sizeof *w);
        struct sim *s = help_sim(seed, 0);
        sim_tap(s, look, w);
        for (int i = 0; i < 20; i++)
            (void)help_node(s, (usec_t)i * 50 * MS, i % 2 == 0 || i < 3);
        for (uint32_t i = 0; i < 6; i++)
            (void)help_person(s, 10 + i, "uniform topic", 3 * S, 300);
        (void)sim_run(s, 60 * S, help_people_done, NULL);
        help_must(s, seed, sim_people_done(s), "all have talked");
        help_must(s, seed, w->datagrams >= DATAGRAMS_MIN, "enough was sent");
        help_must(s, seed, w->odd_sizes == 0, "every datagram has one of the sizes");
        help_must(s, seed, w->readable == 0, "nothing of the conversation can be read");
        for (size_t i = 0; i < OFFSETS; i++) {
            check(s, seed, w->head[i], w->datagrams, "start", i);
            check(s, seed, w->tail[i], w->datagrams, "end", i);
        }
        for (size_t i = 0; i < SIM_DATAGRAM_BYTES_MAX && w->at[i] >= DATAGRAMS_MIN; i++) {
            uint32_t most = 0;
            for (int b = 0; b < 256; b++)
                most = w->all[i][b] > most ? w->all[i][b] : most;
            // A byte that is the same in one datagram of thirty would show.
            help_must(s, seed, most < w->at[i] / 30, "no byte stands out at any offset");
        }
        print_message("seed %llu: %llu datagrams\n", (unsigned long long)seed,
                      (unsigned long long)w->datagrams);
        help_no_failures(s, seed);
        sim_free(s);
    }
    free(w);
}

// The test's own eye: it has to see a constant byte and a text.
static void the_eye_sees(void **state)
{
    (void)state;
    struct wire *w = calloc(1, sizeof *w);
    assert_non_null(w);
    struct sim_prf prf;
    struct sim_stream stream;
    sim_prf_init(&prf, 5);
    sim_stream_init(&stream, &prf, 0);
    for (int i = 0; i < 2000; i++) {
        uint8_t d[192];
        sim_stream_fill(&stream, d, sizeof d);
        d[3] &= 0xfe;
        if (i == 7)
            memcpy(d + 100, "the ridotto", 11);
        look(w, 0, 0, NULL, d, sizeof d);
    }
    assert_in_range(chi_square(w->head[2], w->datagrams), 140000, 420000);
    assert_true(chi_square(w->head[3], w->datagrams) > 420000);
    assert_int_equal(w->readable, 1);
    assert_int_equal(w->odd_sizes, 0);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_eye_sees),
        cmocka_unit_test(the_wire_shows_random_bytes),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
