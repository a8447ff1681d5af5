// The command line of bauta.
#include "node/host/client.h"
#include "node/host/portmapper.h"
#include "node/host/process.h"
#include "node/host/run.h"
#include "node/host/version.h"
#include "node/ui/terminal/plain.h"

#include <stdio.h>

static int help(enum command about)
{
    fputs(config_usage(about), stdout);
    if (about == COMMAND_RUN || about == COMMAND_CHAT)
        fputs(config_usage(COMMAND_NONE), stdout); // the options that both take
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    static struct config config;
    char error[HOST_ERROR_BYTES];
    int rc = process_harden();
    if (rc != EXIT_OK)
        return rc;
    rc = config_parse(&config, argc, argv, error);
    if (rc != EXIT_OK)
        return process_fail(rc, "%s", error);
    if (config.help)
        return help(config.command);
    switch (config.command) {
    case COMMAND_RUN:
        return run_node(&config);
    case COMMAND_CHAT:
        return plain_chat(&config);
    case COMMAND_CTL:
        return client_ctl(&config);
    case COMMAND_STATUS:
        return client_status(&config);
    case COMMAND_DEMO:
        return run_demo(&config);
    case COMMAND_RELAY:
        return run_node(&config);
    case COMMAND_PORT_MAPPER:
        return portmapper();
    case COMMAND_VERSION:
        puts("bauta " BAUTA_VERSION);
        return EXIT_OK;
    case COMMAND_HELP:
    case COMMAND_NONE:
        break;
    }
    return help(config.about != COMMAND_NONE ? config.about : COMMAND_HELP);
}
