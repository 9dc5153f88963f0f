/*
 * own_http URL: follows an event stream with an HTTP stack of its own. libcurl
 * brings the bytes, the library's parser makes events of them.
 *
 * A lost connection is made again as the standard has it: after the stream's
 * reconnection time, with the last event ID. A response that is no event stream
 * ends the program, with status 0 if it is 204, by which servers say "stop".
 */
#define _POSIX_C_SOURCE 200809L
#include <curl/curl.h>
#include <eventsource.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct stream {
    CURL *curl;
    eventsource_parser *parser;
    uint64_t retry_ms; /* the reconnection time */
    int failures;      /* attempts in a row that brought no event */
    long status;       /* of a response that is no event stream */
};

static void on_event(eventsource_parser *parser, const eventsource_event *event,
                     void *user_data)
{
    (void)parser;
    ((struct stream *)user_data)->failures = 0;
    printf("%s: %s\n", event->type, event->data);
    fflush(stdout);
}

static void on_retry(eventsource_parser *parser, uint64_t ms, void *user_data)
{
    (void)parser;
    ((struct stream *)user_data)->retry_ms = ms;
}

/* Whether the response is an event stream. If not, its status is kept. */
static int is_accepted(struct stream *stream)
{
    const char *type = NULL;

    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &stream->status);
    curl_easy_getinfo(stream->curl, CURLINFO_CONTENT_TYPE, &type);
    if (stream->status == 200 && type != NULL
        && strncasecmp(type, "text/event-stream", 17) == 0
        && strchr("; \t", type[17]) != NULL)
        stream->status = 0;
    return stream->status == 0;
}

/* Bytes of a body. If they are not taken, libcurl ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t count, void *user_data)
{
    struct stream *stream = user_data;

    if (!is_accepted(stream))
        return 0;
    if (eventsource_parser_feed(stream->parser, bytes, size * count) != 0)
        fputs("an event was too large\n", stderr);
    return size * count;
}

/* Makes one connection, and returns whether another is to follow. */
static int follow(struct stream *stream)
{
    const char *id = eventsource_parser_last_event_id(stream->parser);
    struct curl_slist *headers = NULL;
    char line[8192];
    CURLcode code;

    headers = curl_slist_append(headers, "Accept: text/event-stream");
    if (*id != '\0' && strlen(id) < sizeof line - 16) {
        sprintf(line, "Last-Event-ID: %s", id);
        headers = curl_slist_append(headers, line);
    }
    curl_easy_setopt(stream->curl, CURLOPT_HTTPHEADER, headers);
    stream->failures++;
    code = curl_easy_perform(stream->curl);
    curl_slist_free_all(headers);
    if (eventsource_parser_end(stream->parser) == EVENTSOURCE_ERROR_LOST)
        fputs("an event was cut off\n", stderr);
    fprintf(stderr, "%s\n", curl_easy_strerror(code));
    if (code == CURLE_OK)
        return is_accepted(stream);
    return stream->status == 0 && code != CURLE_URL_MALFORMAT;
}

/* Waits for the reconnection time, doubled by each failure up to 30 s. */
static void wait_for_the_next(const struct stream *stream)
{
    uint64_t ms = stream->retry_ms;
    for (int i = 1; i < stream->failures && ms < 30000; i++)
        ms = ms < 15000 ? 2 * ms + 100 : 30000;
    poll(NULL, 0, ms < INT_MAX ? (int)ms : INT_MAX);
}

int main(int argc, char **argv)
{
    struct stream stream = {curl_easy_init(), NULL, 3000, 0, 0};

    if (argc != 2 || stream.curl == NULL
        || eventsource_parser_new(on_event, &stream, &stream.parser) != 0)
        return 2;
    eventsource_parser_on_retry(stream.parser, on_retry, &stream);
    curl_easy_setopt(stream.curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(stream.curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(stream.curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEDATA, &stream);
    while (follow(&stream))
        wait_for_the_next(&stream);
    eventsource_parser_free(stream.parser);
    curl_easy_cleanup(stream.curl);
    return stream.status == 204 ? 0 : 1;
}
