/* What ends the program from outside: signals, and the time limit. */
#ifndef ENDING_H
#define ENDING_H

#include <eventsource.h>

#include <poll.h>
#include <stdint.h>

enum ending {
    ENDING_NONE,
    ENDING_BY_SIGNAL,
    ENDING_BY_TIME,
};

/* Milliseconds of a clock that nobody sets. */
int64_t ending_clock_ms(void);

/* Has SIGHUP, SIGINT and SIGTERM close the source, except those that the
 * program's parent has it ignore. SIGPIPE is ignored from here on: writing
 * fails instead. */
void ending_watch(eventsource *source);

/* To be called before the source is freed: a signal may come at any time. */
void ending_forget_source(void);

/* Sets the time limit, from now on. */
void ending_set_limit(int64_t ms);

/* Returns what has ended the program, if anything has. */
enum ending ending(void);

/* Waits as poll(2) does, for `timeout_ms` at most, but not beyond the end of
 * the program: then it only looks. Returns whether a descriptor is ready. */
int ending_poll(struct pollfd *files, nfds_t count, int timeout_ms);

/* Ends the process by the signal that has ended the program, so that a shell
 * sees it. Returns if none has. */
void ending_by_signal(void);

/* Ends the process by SIGPIPE, as the system does where nobody asks it not to.
 * Returns if the program's parent has it ignore that signal. */
void ending_by_sigpipe(void);

#endif
