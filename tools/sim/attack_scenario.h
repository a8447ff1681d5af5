// [attack] sections of a scenario file. Each `kind` begins another attack.
#ifndef BAUTA_SIM_ATTACK_SCENARIO_H
#define BAUTA_SIM_ATTACK_SCENARIO_H

#include "tools/sim/attack.h"
#include "tools/sim/attack_probe.h"
#include "tools/sim/setting.h"

#define ATTACK_TOPIC_BYTES 64u

struct attack_scenario {
    uint32_t attacks;
    struct attack_setting {
        struct attack_config config;
        char topic[ATTACK_TOPIC_BYTES];
        struct scenario_amount hosts; // a share is one of all servers, these among them
        bool spread;                  // over the region instead of as near as can be
        uint32_t probes;              // pairs, after the start
        usec_t probe_at_us;
    } attack[SIM_ATTACKS_MAX];
};
// False: no such setting, not a value that it takes, or too many attacks.
bool attack_setting(struct attack_scenario *, const char *name, const char *value);
usec_t attack_scenario_end(const struct attack_scenario *); // when its probes have had their time
// After the honest nodes and people were added.
void attack_scenario_begin(struct sim *, const struct attack_scenario *, const char *network,
                           uint32_t bootstraps);

#endif
