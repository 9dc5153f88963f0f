/*
 * Follows URL for COUNT events, over HTTP/2 with a third argument. Prints their
 * number and the bytes of data.
 */
#include <eventsource.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long wanted, events, bytes;

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)user_data;
    bytes += event->data_len;
    if (++events == wanted)
        eventsource_close(source);
}

int main(int argc, char **argv)
{
    eventsource *source;

    if (argc < 3 || eventsource_new(argv[1], &source))
        return 2;
    wanted = strtoul(argv[2], NULL, 10);
    if (argc > 3 && eventsource_set_http_version(source, EVENTSOURCE_HTTP_2))
        return 1;
    if (eventsource_on_event(source, on_event, NULL)
        || eventsource_connect(source) || eventsource_wait(source, -1))
        return 1;
    eventsource_free(source);
    printf("%lu %lu\n", events, bytes);
    return 0;
}
