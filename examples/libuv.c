/*
 * Follows any number of event streams in a loop of libuv, on one thread:
 *
 *     libuv URL...
 *
 * It runs until SIGINT or SIGTERM, or until every source has closed. The exit
 * status is 0 after a signal, 1 when all sources gave up, 2 when the program
 * could not begin.
 */
#define _POSIX_C_SOURCE 200809L

#include <eventsource.h>
#include <uv.h>

#include <stdio.h>
#include <stdlib.h>

/* Callbacks come on the thread of libuv's loop: no lock is needed. */
static eventsource **sources;
static int count, open_sources, told;

/* libuv's loop ends when it has nothing left to wait for. */
static uv_poll_t ready;
static uv_signal_t interrupt, terminate;

static void end(void)
{
    uv_close((uv_handle_t *)&ready, NULL);
    uv_close((uv_handle_t *)&interrupt, NULL);
    uv_close((uv_handle_t *)&terminate, NULL);
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
    if (--open_sources == 0)
        end();
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

/* The library's loop has something to do. */
static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status, (void)events;
    eventsource_loop_dispatch(handle->data, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    int i;

    (void)number;
    uv_signal_stop(handle);
    told = 1;
    for (i = 0; i < count; i++)
        eventsource_close(sources[i]);
}

int main(int argc, char **argv)
{
    eventsource_error error = EVENTSOURCE_ERROR_NONE;
    uv_loop_t *uv = uv_default_loop();
    eventsource_loop *loop;
    int i;

    count = argc - 1;
    if (count == 0) {
        fprintf(stderr, "usage: %s URL...\n", argv[0]);
        return 2;
    }
    sources = calloc((size_t)count, sizeof *sources);
    if (sources == NULL || eventsource_loop_new(&loop) != EVENTSOURCE_ERROR_NONE
        || uv_poll_init(uv, &ready, eventsource_loop_fd(loop)) != 0
        || uv_signal_init(uv, &interrupt) != 0
        || uv_signal_init(uv, &terminate) != 0
        || setvbuf(stdout, NULL, _IOLBF, BUFSIZ) != 0) {
        perror(argv[0]);
        return 2;
    }
    ready.data = loop;
    uv_poll_start(&ready, UV_READABLE, on_ready);
    uv_signal_start(&interrupt, on_signal, SIGINT);
    uv_signal_start(&terminate, on_signal, SIGTERM);

    for (i = 0; i < count && !error; i++)
        error = add(loop, argv[i + 1], &sources[i]);
    if (error) {
        fprintf(stderr, "%s: %s: %s\n", argv[0], argv[i],
                eventsource_strerror(error));
        end();
    }
    uv_run(uv, UV_RUN_DEFAULT);
    uv_loop_close(uv);

    /* The last callbacks of sources that are still connected do not count. */
    open_sources = 0;
    for (i = 0; i < count; i++)
        eventsource_free(sources[i]);
    eventsource_loop_free(loop);
    free(sources);
    return error ? 2 : told ? 0 : 1;
}
