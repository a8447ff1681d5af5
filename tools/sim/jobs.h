// Slow pure work, done once for each input in the whole process: a hundred people on a topic cost one
// topic hash of real time, and each its virtual time.
#ifndef BAUTA_SIM_JOBS_H
#define BAUTA_SIM_JOBS_H

#include "crypto/job.h"
#include "dht/machine.h"

struct sim_jobs;

struct sim_jobs *sim_jobs_new(void);
void sim_jobs_free(struct sim_jobs *); // NULL is fine
// As job_run.
int sim_jobs_run(struct sim_jobs *, const struct job *,
                 uint8_t result[static JOB_RESULT_BYTES_MAX]);
usec_t sim_job_takes_us(const struct job *);

#endif
