/* Follows the URL it is given to its first event, and prints its data. */
#include <eventsource.h>

#include <stdio.h>
#include <string.h>

static void on_event(eventsource *source, const eventsource_event *event,
                     void *user_data)
{
    (void)user_data;
    puts(event->data);
    eventsource_close(source);
}

int main(int argc, char **argv)
{
    eventsource *source;

    if (argc != 2 || strcmp(eventsource_version(), EVENTSOURCE_VERSION) != 0
        || eventsource_new(argv[1], &source) != EVENTSOURCE_ERROR_NONE)
        return 2;
    eventsource_on_event(source, on_event, NULL);
    eventsource_connect(source);
    eventsource_wait(source, -1);
    eventsource_free(source);
    return 0;
}
