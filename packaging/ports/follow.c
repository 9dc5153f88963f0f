/*
 * Follows a stream to its event `bye`, from a queue and then in a loop that
 * this thread drives, and prints what came, which is the same on every
 * processor:
 *
 *     follow URL [AUTHORITIES]
 *
 * The second argument is a file of certificates.
 */
#define _GNU_SOURCE

#include <eventsource.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a. */
static uint32_t hash(const char *bytes, size_t len)
{
    uint32_t hash = 2166136261u;

    while (len-- > 0)
        hash = (hash ^ (unsigned char)*bytes++) * 16777619u;
    return hash;
}

static void tell_event(const eventsource_event *event)
{
    printf("%s %s %zu %08" PRIx32 "\n", event->type, event->last_event_id,
           event->data_len, hash(event->data, event->data_len));
}

static int is_last(const eventsource_event *event)
{
    return strcmp(event->type, "bye") == 0;
}

static void tell_failure(const eventsource_failure *failure)
{
    printf("%s: %s\n", eventsource_strerror(failure->error), failure->message);
}

static void wait_for(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    poll(&ready, 1, -1);
}

/* Takes items until the source has closed. */
static void take(eventsource *source)
{
    const eventsource_item *item;

    for (;;) {
        wait_for(eventsource_fd(source));
        if (eventsource_next(source, 0, &item) != EVENTSOURCE_ERROR_NONE)
            continue;
        if (item->event != NULL) {
            tell_event(item->event);
            if (is_last(item->event))
                eventsource_close(source);
        } else if (item->failure != NULL) {
            tell_failure(item->failure);
        } else if (item->type == EVENTSOURCE_ITEM_TYPE_CLOSE) {
            return;
        }
    }
}

static void on_event(eventsource *source, const eventsource_event *event,
                     void *closed)
{
    (void)closed;
    tell_event(event);
    if (is_last(event))
        eventsource_close(source);
}

static void on_error(eventsource *source, const eventsource_failure *failure,
                     void *closed)
{
    (void)source, (void)closed;
    tell_failure(failure);
}

static void on_close(eventsource *source, eventsource_error reason,
                     void *closed)
{
    (void)source, (void)reason;
    *(int *)closed = 1;
}

/* Prints what the source has counted, or why it could not begin. Returns
 * whether it could. */
static int end(eventsource *source, eventsource_error error)
{
    eventsource_stats stats;

    if (!error)
        error = eventsource_get_stats(source, &stats, sizeof stats);
    if (error)
        puts(eventsource_strerror(error));
    else
        printf("%" PRIu64 " events, %" PRIu64 " connections\n", stats.events,
               stats.connects);
    eventsource_free(source);
    return !error;
}

static int from_a_queue(const char *url, const char *authorities)
{
    eventsource *source;
    eventsource_error error = eventsource_new(url, &source);

    eventsource_set_ca_file(source, authorities);
    eventsource_set_queue(source, 4);
    if (!error)
        error = eventsource_connect(source);
    if (!error)
        take(source);
    return end(source, error);
}

static int in_a_loop(const char *url, const char *authorities)
{
    eventsource *source;
    eventsource_loop *loop;
    eventsource_error error = eventsource_new(url, &source);
    int closed = 0, began;

    if (!error)
        error = eventsource_loop_new(&loop);
    if (error)
        return end(source, error);
    eventsource_set_ca_file(source, authorities);
    eventsource_on_event(source, on_event, NULL);
    eventsource_on_error(source, on_error, NULL);
    eventsource_on_close(source, on_close, &closed);
    error = eventsource_set_loop(source, loop);
    if (!error)
        error = eventsource_connect(source);
    while (!error && !closed) {
        wait_for(eventsource_loop_fd(loop));
        eventsource_loop_dispatch(loop, 0);
    }
    began = end(source, error);
    eventsource_loop_free(loop);
    return began;
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "";
    const char *authorities = argc > 2 ? argv[2] : NULL;

    return from_a_queue(url, authorities) && in_a_loop(url, authorities) ? 0
                                                                         : 1;
}
