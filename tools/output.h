/* What goes to standard output: events. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <eventsource.h>

#include <stddef.h>

struct output {
    /* The `errno` of what went wrong first; EINTR if the program has ended
     * while a reader let it wait. */
    int error;
    /* How much is written at once. */
    size_t piece;
    /* Whether it is a terminal, perhaps that of the live line. */
    int is_terminal;
    size_t len;
    char bytes[64 * 1024];
};

void output_begin(struct output *output);

/* Appends the data of an event, and a line feed. */
void output_data(struct output *output, const eventsource_event *event);

/* Appends an event as a JSON object on a line of its own. */
void output_json(struct output *output, const eventsource_event *event);

/* Writes out what was appended. Returns whether all of it was written. */
int output_flush(struct output *output);

#endif
