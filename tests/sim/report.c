// What a run leaves in its folder: a summary, a table and a page, each well-formed and of one mind; and
// the figures under them.
#include "tools/sim/report.h"

#include "tests/sim/help.h"
#include "tools/sim/series.h"
#include "tools/sim/sim_internal.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_file(const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long len = ftell(f);
    assert_true(len > 0);
    rewind(f);
    char *text = malloc((size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)len, f), (size_t)len);
    text[len] = '\0';
    fclose(f);
    (void)remove(path);
    return text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
        n++;
    return n;
}

// Each line has as many fields as the first, and from the second on they are numbers. Sums one column.
static double sum_of(const char *csv, const char *column, size_t *rows)
{
    size_t columns = 0, wanted = SIZE_MAX;
    double sum = 0;
    char *copy = strdup(csv), *rest = copy, *line;
    assert_non_null(copy);
    for (*rows = 0; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; (*rows)++) {
        size_t n = 0;
        char *field;
        for (; (field = strsep(&line, ",")) != NULL; n++) {
            char *end = field;
            if (*rows == 0)
                wanted = strcmp(field, column) == 0 ? n : wanted;
            else
                sum += strtod(field, &end) * (n == wanted);
            assert_true(*rows == 0 || (end != field && *end == '\0'));
        }
        columns = *rows == 0 ? n : columns;
        assert_int_equal(n, columns);
    }
    assert_true(wanted < columns);
    free(copy);
    return sum;
}

// Elements that are opened are closed, in order; what is within script and style counts as text.
static void is_balanced(const char *html)
{
    static const char *const empty[] = {"meta", "br", "link"};
    char open[32][16];
    size_t depth = 0;
    for (const char *p = html; (p = strchr(p, '<')) != NULL; p++) {
        bool closing = p[1] == '/';
        char name[16] = "";
        (void)sscanf(p + 1 + closing, "%15[a-z0-9]", name);
        bool skip = name[0] == '\0';
        for (size_t i = 0; i < 3; i++)
            skip = skip || strcmp(name, empty[i]) == 0;
        if (skip)
            continue;
        if (closing) {
            assert_true(depth > 0);
            assert_string_equal(open[--depth], name);
            continue;
        }
        assert_true(depth < 32);
        memcpy(open[depth++], name, sizeof name);
        if (strcmp(name, "script") == 0 || strcmp(name, "style") == 0) {
            char end[24];
            snprintf(end, sizeof end, "</%s>", name);
            p = strstr(p, end);
            assert_non_null(p);
            p--;
        }
    }
    assert_int_equal(depth, 0);
}

static void a_run_leaves_three_files(void **state)
{
    (void)state;
    struct scenario sc;
    char error[256], folder[] = "build/report-XXXXXX";
    assert_int_equal(scenario_read(&sc, "tools/sim/scenarios/small.ini", error, sizeof error), 0);
    sc.nodes = 100;
    sc.modelled = true;
    snprintf(sc.about, sizeof sc.about, "%s", "</script><b>\"bold\" & 50 % off</b>");
    struct sim *s = scenario_build(&sc);
    (void)sim_run(s, sc.duration_us, NULL, NULL);
    char *summary = scenario_summary(s, &sc, 1.5, 4096);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(report_write(s, &sc, "small", summary, folder, error, sizeof error), 0);

    char *json = read_file(folder, "summary.json"), *csv = read_file(folder, "series.csv");
    char *html = read_file(folder, "report.html");
    json_t *o = json_loads(json, 0, NULL), *same = json_loads(summary, 0, NULL);
    assert_true(o != NULL && json_equal(o, same));

    size_t rows;
    double events = sum_of(csv, "events", &rows);
    assert_int_equal(rows, 1 + sc.duration_us / sc.series_us);
    // The last row is written before the last events of the run.
    assert_true(events <= (double)s->events && events > 0.98 * (double)s->events);
    assert_true(sum_of(csv, "matches", &rows) == 20 && sum_of(csv, "seeks", &rows) == 20);

    is_balanced(html);
    assert_int_equal(count(html, "@DATA@"), 0);
    // Nothing is loaded; the one address is the name of SVG's elements.
    static const char *const loads[] = {"src=", "href=", "@import", "url(", "fetch(", "https:"};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        assert_null(strstr(html, loads[i]));
    assert_int_equal(count(html, "http:"), 1);
    assert_int_equal(count(html, "</script>"), 2);
    char *begin = strstr(html, "application/json\">");
    assert_non_null(begin);
    begin += strlen("application/json\">");
    *strstr(begin, "</script>") = '\0';
    json_t *data = json_loads(begin, 0, NULL);
    assert_non_null(data);
    assert_string_equal(json_string_value(json_object_get(data, "about")), sc.about);
    json_t *table = json_object_get(json_object_get(data, "series"), "rows");
    assert_int_equal(json_array_size(table), rows - 1);
    size_t columns = json_array_size(json_object_get(json_object_get(data, "series"), "columns"));
    for (size_t i = 0; i < json_array_size(table); i++)
        assert_int_equal(json_array_size(json_array_get(table, i)), columns);
    assert_true(json_array_size(json_object_get(data, "lookup_cdf")) > 5);
    assert_int_equal(json_array_size(json_object_get(data, "matches")), 3);

    json_decref(data);
    json_decref(o);
    json_decref(same);
    free(json);
    free(csv);
    free(html);
    free(summary);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(
        report_write(s, &sc, "small", "{}", "build/no such folder", error, sizeof error), -1);
    sim_free(s);
}

static void percentiles_are_near_enough(void **state)
{
    (void)state;
    static struct sim_hist h;
    assert_int_equal(sim_hist_at(&h, 500), 0);
    for (uint64_t i = 1; i <= 100000; i++)
        sim_hist_add(&h, i * 37);
    for (unsigned p = 1; p < 1000; p += 7) {
        uint64_t exact = ((100000 - 1) * (uint64_t)p / 1000 + 1) * 37, is = sim_hist_at(&h, p);
        assert_true(is >= exact && is * 1000 <= exact * 1016);
    }
    assert_int_equal(sim_hist_at(&h, 1000), 3700000);
    sim_hist_add(&h, UINT64_MAX);
    assert_true(h.max == UINT64_MAX && h.count == 100001);
    static struct sim_hist small;
    for (uint64_t i = 0; i < 128; i++)
        sim_hist_add(&small, i);
    for (unsigned p = 0; p <= 1000; p += 10)
        assert_int_equal(sim_hist_at(&small, p), 127 * p / 1000);
}

// The index of recall against a plain search through all servers.
static void recall_knows_the_nearest(void **state)
{
    (void)state;
    struct sim *s = help_sim(5, 0);
    for (unsigned i = 0; i < 60; i++)
        (void)help_node(s, 0, true);
    (void)sim_run(s, S, NULL, NULL);
    sim_recall_tick(s);
    (void)sim_run(s, 100 * S, NULL, NULL);
    sim_node_kill(s, 100 * S, 20);
    (void)sim_run(s, 101 * S, NULL, NULL);
    struct net net;
    assert_int_equal(net_init(&net, "bauta"), 0);
    const uint8_t none[PUZZLE_NONCE_BYTES] = {0};
    uint8_t place[32] = {0x5a, 1, 2, 3};
    struct {
        uint8_t distance[32];
        struct contact c;
    } all[60], swap;
    size_t n = 0;
    for (uint32_t i = 0; i < 60; i++) {
        uint8_t sk[32], id[32];
        if (i == 20 || i == 7) // dead; the asker itself
            continue;
        memset(&all[n], 0, sizeof all[n]);
        all[n].c.path = *sim_path(s, i);
        sim_server_key(s, i, all[n].c.pk, sk);
        node_id(id, &net, all[n].c.pk, none, 4, all[n].c.path.ip);
        for (unsigned k = 0; k < 32; k++)
            all[n].distance[k] = id[k] ^ place[k];
        for (size_t k = n++; k > 0 && memcmp(all[k].distance, all[k - 1].distance, 32) < 0; k--) {
            swap = all[k];
            all[k] = all[k - 1];
            all[k - 1] = swap;
        }
    }
    struct contact region[17];
    for (unsigned i = 0; i < 17; i++)
        region[i] = all[i].c;
    sim_recall_check(s, 7, place, region, 16, false);
    assert_true(s->recall.lookups == 1 && s->recall.whole == 1 && s->recall.found == 16);
    sim_recall_check(s, 7, place, region + 1, 16, false); // the nearest is missing
    assert_true(s->recall.lookups == 2 && s->recall.whole == 1 && s->recall.found == 31);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_three_files),
        cmocka_unit_test(percentiles_are_near_enough),
        cmocka_unit_test(recall_knows_the_nearest),
    };
    return help_main(tests, sizeof tests / sizeof *tests);
}
