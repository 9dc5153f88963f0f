/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <stdint.h>

/* What `retry` is if the command line does not say, and if it says `inf`. */
enum { RETRY_DEFAULT = -1, RETRY_ALWAYS = -2 };

/* Texts are NULL if they are not given. */
struct options {
    const char *url;
    const char *method;
    char **headers;
    size_t header_count;
    /* The body, if there is one. */
    char *body;
    size_t body_len;
    const char *user;
    const char *ca_file;
    const char *certificate;
    const char *key;
    int insecure;
    const char *pinned_key;
    const char *server_name;
    const char *interface;
    const char *proxy;
    const char *unix_socket;
    const char *last_event_id;
    const char *id_file;
    const char *types;
    /* How often in a row to try again, or one of the above. */
    int64_t retry;
    /* 0 is no limit. */
    int64_t max_time_ms;
    int json;
    int silent;
    int verbose;
};

/* Reads the command line. Returns -1 if the program is to go on, and otherwise
 * its exit status: all has been said. */
int options_read(struct options *options, int argc, char **argv);

void options_free(struct options *options);

#endif
