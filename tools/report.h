/* What goes to standard error: messages, and on a terminal a live line. */
#ifndef REPORT_H
#define REPORT_H

#include <eventsource.h>

enum report_colour {
    REPORT_PLAIN,
    REPORT_GREEN,
    REPORT_YELLOW,
    REPORT_RED,
};

/* How the stream stands, for the live line. */
struct report_state {
    enum report_colour colour;
    const char *name;
    eventsource_stats stats;
    const char *last_event_id;
};

/* To be called first. A silent program reports nothing. */
void report_begin(int silent);

/* Reports a line: `eventsource: LABEL: ...`, the label in that colour. */
void report(enum report_colour colour, const char *label, const char *format,
            ...);

/* Reports text of others, a line for each of theirs, behind a prefix. */
void report_text(const char *prefix, const char *text, size_t len);

/* Reports a header of a response. */
void report_header(const char *name, const char *value);

/* Returns whether there is a live line. */
int report_is_live(void);

/* Writes the live line anew, if it has changed and some time has passed. */
void report_live(const struct report_state *state);

/* Takes the live line away, for something else to be written. */
void report_hide(void);

#endif
