/*
 * Follows any number of event streams on one thread, with callbacks on it:
 *
 *     loop URL...
 *
 * A thousand are fine. It runs until SIGINT or SIGTERM, or until every source
 * has closed. The exit status is 0 after a signal, 1 when all sources gave up,
 * 2 when the program could not begin.
 */
#define _POSIX_C_SOURCE 200809L

#include <eventsource.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Callbacks come on this thread: no lock is needed. */
static int open_sources;

/* What the signal handler closes, and whether it has run. */
static eventsource **sources;
static int count;
static volatile sig_atomic_t told;

static void on_signal(int number)
{
    int i;

    (void)number;
    told = 1;
    for (i = 0; i < count; i++)
        eventsource_close(sources[i]);
}

static void on_open(eventsource *source, const eventsource_response *response,
                    void *user_data)
{
    (void)user_data;
    printf("%s open %d\n", eventsource_url(source),
           eventsource_response_status(response));
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)user_data;
    printf("%s %s %s\n", eventsource_url(source), event->type, event->data);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *user_data)
{
    (void)user_data;
    printf("%s error %s\n", eventsource_url(source), failure->message);
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *user_data)
{
    (void)user_data;
    printf("%s close %s\n", eventsource_url(source),
           eventsource_strerror(reason));
    open_sources--;
}

/* Makes a source that `loop` drives. */
static eventsource_error add(eventsource_loop *loop, const char *url,
                             eventsource **source)
{
    eventsource_error error = eventsource_new(url, source);

    if (error)
        return error;
    eventsource_on_open(*source, on_open, NULL);
    eventsource_on_event(*source, on_event, NULL);
    eventsource_on_error(*source, on_error, NULL);
    eventsource_on_close(*source, on_close, NULL);
    eventsource_set_loop(*source, loop);
    error = eventsource_connect(*source);
    open_sources += !error;
    return error;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    eventsource_loop *loop;
    int i;

    count = argc - 1;
    if (count == 0) {
        fprintf(stderr, "usage: %s URL...\n", argv[0]);
        return 2;
    }
    sources = calloc((size_t)count, sizeof *sources);
    if (sources == NULL || eventsource_loop_new(&loop) != EVENTSOURCE_ERROR_NONE
        || setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        perror(argv[0]);
        return 2;
    }

    for (i = 0; i < count && !error; i++)
        error = add(loop, argv[i + 1], &sources[i]);
    if (error)
        fprintf(stderr, "%s: %s: %s\n", argv[0], argv[i],
                eventsource_strerror(error));

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    while (!error && open_sources > 0)
        error = eventsource_loop_dispatch(loop, -1);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);

    for (i = 0; i < count; i++)
        eventsource_free(sources[i]);
    eventsource_loop_free(loop);
    free(sources);
    return error ? 2 : told ? 0 : 1;
}
