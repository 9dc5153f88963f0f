#define _GNU_SOURCE

#include "ending.h"

#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

static const int watched[] = {SIGHUP, SIGINT, SIGTERM};

/* NULL before there is a source, and after. */
static eventsource *volatile to_close;
static volatile sig_atomic_t signal_number;
static int64_t limit_ms = INT64_MAX;
static int sigpipe_was_ignored;

int64_t ending_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* eventsource_close() may be called in a signal handler. */
static void on_signal(int number)
{
    signal_number = number;
    eventsource_close(to_close);
}

typedef void signal_handler(int number);

/* Returns what was done at the signal before. */
static signal_handler *handle(int number, signal_handler *handler)
{
    struct sigaction action, before;

    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(number, &action, &before);
    return before.sa_handler;
}

void ending_watch(eventsource *source)
{
    size_t i;

    to_close = source;
    for (i = 0; i < sizeof watched / sizeof *watched; i++)
        if (handle(watched[i], on_signal) == SIG_IGN)
            handle(watched[i], SIG_IGN);
    sigpipe_was_ignored = handle(SIGPIPE, SIG_IGN) == SIG_IGN;
}

void ending_forget_source(void)
{
    to_close = NULL;
}

void ending_set_limit(int64_t ms)
{
    limit_ms = ending_clock_ms() + ms;
}

enum ending ending(void)
{
    if (signal_number != 0)
        return ENDING_BY_SIGNAL;
    if (limit_ms != INT64_MAX && ending_clock_ms() >= limit_ms)
        return ENDING_BY_TIME;
    return ENDING_NONE;
}

/* The shorter of `timeout_ms`, which is negative if there is none, and what is
 * left of the time limit. */
static int time_to_wait(int timeout_ms)
{
    int64_t left;

    if (limit_ms == INT64_MAX)
        return timeout_ms;
    left = limit_ms - ending_clock_ms();
    if (left < 0)
        left = 0;
    if (timeout_ms >= 0 && timeout_ms < left)
        return timeout_ms;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* A signal must not slip in between a look at `signal_number` and the wait:
 * that is what ppoll() is for. */
int ending_poll(struct pollfd *files, nfds_t count, int timeout_ms)
{
    int wait_ms = time_to_wait(timeout_ms);
    struct timespec time;
    sigset_t blocked, before;
    int ready;
    size_t i;

    sigemptyset(&blocked);
    for (i = 0; i < sizeof watched / sizeof *watched; i++)
        sigaddset(&blocked, watched[i]);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    if (signal_number != 0)
        wait_ms = 0;
    time.tv_sec = wait_ms / 1000;
    time.tv_nsec = wait_ms % 1000 * 1000000L;
    ready = ppoll(files, count, wait_ms < 0 ? NULL : &time, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return ready > 0;
}

static void die_of(int number)
{
    handle(number, SIG_DFL);
    raise(number);
}

void ending_by_signal(void)
{
    if (signal_number != 0)
        die_of(signal_number);
}

void ending_by_sigpipe(void)
{
    if (!sigpipe_was_ignored)
        die_of(SIGPIPE);
}
