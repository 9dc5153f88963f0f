/*
 * Does with the library what the header says not to do:
 *
 *     misuse URL COUNT
 *
 * URL is a server with the paths /flood (events without end), /lost (one
 * event, then the end), /silent (a head and no event) and /refused (404).
 * COUNT says how often to repeat what is worth repeating. The last line
 * printed is "all misuse survived".
 */
#define _POSIX_C_SOURCE 200809L

#include <eventsource.h>

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            die(__LINE__, #condition, "is not so"); \
    } while (0)

/* EXPECT(URL, call): the call returns EVENTSOURCE_ERROR_URL. */
#define EXPECT(name, call) \
    do { \
        eventsource_error got = (call); \
        if (got != EVENTSOURCE_ERROR_##name) \
            die(__LINE__, #call, eventsource_strerror(got)); \
    } while (0)

static void die(int line, const char *what, const char *why)
{
    fprintf(stderr, "misuse.c:%d: %s: %s\n", line, what, why);
    exit(EXIT_FAILURE);
}

static const char *server;
static int count;

/* A source for a path of the server. */
static eventsource *source_for(const char *path)
{
    char url[256];
    eventsource *source;

    snprintf(url, sizeof url, "%s%s", server, path);
    EXPECT(NONE, eventsource_new(url, &source));
    CHECK(source != NULL);
    CHECK(strcmp(eventsource_url(source), url) == 0);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CONNECTING);
    return source;
}

/* What has come to a source's callbacks. */
struct witness {
    sem_t happened; /* posted at the first event */
    sem_t closed;
    atomic_int opens, events, errors, closes;
    eventsource_error reason;
};

static void witness_init(struct witness *witness)
{
    memset(witness, 0, sizeof *witness);
    CHECK(sem_init(&witness->happened, 0, 0) == 0);
    CHECK(sem_init(&witness->closed, 0, 0) == 0);
}

static void wait_for(sem_t *semaphore)
{
    struct timespec deadline;

    CHECK(clock_gettime(CLOCK_REALTIME, &deadline) == 0);
    deadline.tv_sec += 60;
    CHECK(sem_timedwait(semaphore, &deadline) == 0);
}

static void count_open(eventsource *source,
                       const eventsource_response *response, void *user_data)
{
    struct witness *witness = user_data;
    const char *name;
    size_t i;

    CHECK(source != NULL);
    CHECK(eventsource_response_status(response) == 200);
    CHECK(eventsource_response_url(response) != NULL);
    CHECK(eventsource_response_header(response, "content-TYPE") != NULL);
    CHECK(eventsource_response_header(response, "X-Absent") == NULL);
    CHECK(eventsource_response_header(response, "no header name") == NULL);
    CHECK(eventsource_response_header(response, "\xff") == NULL);
    CHECK(eventsource_response_header(response, "") == NULL);
    CHECK(eventsource_response_header(response, NULL) == NULL);
    for (i = 0; (name = eventsource_response_header_name(response, i)); i++) {
        CHECK(eventsource_response_header(response, name) != NULL);
        CHECK(eventsource_response_header_value(response, i) != NULL);
    }
    CHECK(i > 0);
    CHECK(eventsource_response_header_value(response, i) == NULL);
    CHECK(eventsource_response_header_value(response, SIZE_MAX) == NULL);
    CHECK(eventsource_response_header_name(response, i + 1) == NULL);
    CHECK(eventsource_response_header_name(response, SIZE_MAX) == NULL);
    atomic_fetch_add(&witness->opens, 1);
}

static void count_event(eventsource *source, const eventsource_event *event,
                        void *user_data)
{
    struct witness *witness = user_data;

    CHECK(source != NULL);
    CHECK(strlen(event->type) == event->type_len);
    CHECK(strlen(event->data) == event->data_len);
    CHECK(strlen(event->last_event_id) == event->last_event_id_len);
    CHECK(strncmp(event->origin, "http://127.0.0.1:", 17) == 0);
    if (atomic_fetch_add(&witness->events, 1) == 0)
        CHECK(sem_post(&witness->happened) == 0);
}

static void count_error(eventsource *source, const eventsource_failure *failure,
                        void *user_data)
{
    struct witness *witness = user_data;

    CHECK(source != NULL);
    CHECK(failure->error != EVENTSOURCE_ERROR_NONE);
    CHECK(failure->message[0] != '\0');
    atomic_fetch_add(&witness->errors, 1);
}

static void count_close(eventsource *source, eventsource_error reason,
                        void *user_data)
{
    struct witness *witness = user_data;

    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    witness->reason = reason;
    atomic_fetch_add(&witness->closes, 1);
    CHECK(sem_post(&witness->closed) == 0);
}

static void count_all(eventsource *source, struct witness *witness)
{
    EXPECT(NONE, eventsource_on_open(source, count_open, witness));
    EXPECT(NONE, eventsource_on_event(source, count_event, witness));
    EXPECT(NONE, eventsource_on_error(source, count_error, witness));
    EXPECT(NONE, eventsource_on_close(source, count_close, witness));
}

/* The threads of this process, as the kernel counts them. */
static int threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    struct dirent *entry;
    int n = 0;

    CHECK(directory != NULL);
    while ((entry = readdir(directory)) != NULL)
        n += entry->d_name[0] != '.';
    CHECK(closedir(directory) == 0);
    return n;
}

/* A thread that frees its own source ends unwatched, and one that is joined may
 * be counted for another moment: nothing tells, so look. */
static void wait_until_alone(void)
{
    const struct timespec moment = {0, 1000000};
    int looks = 0;

    while (threads() > 1) {
        CHECK(++looks < 60000);
        nanosleep(&moment, NULL);
    }
}

/* NULL */

static void null_everywhere(void)
{
    eventsource *source = source_for("/flood");
    eventsource *none = source;
    eventsource_parser *parser = (eventsource_parser *)&parser;
    char buffer[4] = "old";
    uint64_t id = 7;

    EXPECT(NULL, eventsource_new(NULL, &none));
    CHECK(none == NULL);
    EXPECT(NULL, eventsource_new("http://127.0.0.1/", NULL));
    EXPECT(NULL, eventsource_new(NULL, NULL));

    EXPECT(NULL, eventsource_on_open(NULL, count_open, NULL));
    EXPECT(NULL, eventsource_on_event(NULL, count_event, NULL));
    EXPECT(NULL, eventsource_on_error(NULL, count_error, NULL));
    EXPECT(NULL, eventsource_on_close(NULL, count_close, NULL));
    EXPECT(NULL, eventsource_on_comment(NULL, NULL, NULL));
    EXPECT(NULL, eventsource_add_listener(NULL, "ping", count_event, NULL, NULL,
                                          &id));
    EXPECT(NULL, eventsource_add_listener(source, NULL, count_event, NULL, NULL,
                                          &id));
    EXPECT(NULL,
           eventsource_add_listener(source, "ping", NULL, NULL, NULL, &id));
    EXPECT(NULL, eventsource_remove_listener(NULL, 1));
    EXPECT(NULL, eventsource_set_header(NULL, "X-A", "b"));
    EXPECT(NULL, eventsource_set_header(source, NULL, "b"));
    EXPECT(NULL, eventsource_set_last_event_id(NULL, "1"));
    EXPECT(NULL, eventsource_set_last_event_id(source, NULL));
    EXPECT(NULL, eventsource_set_reconnection_time(NULL, 1));
    EXPECT(NULL, eventsource_set_max_event_size(NULL, 1));
    EXPECT(NULL, eventsource_on_request(NULL, NULL, NULL));
    EXPECT(NULL, eventsource_on_retry(NULL, NULL, NULL));
    EXPECT(NULL, eventsource_set_method(NULL, "POST"));
    EXPECT(NULL, eventsource_set_method(source, NULL));
    EXPECT(UTF8, eventsource_set_method(source, "\xff"));
    EXPECT(NULL, eventsource_set_body(NULL, "x", 1));
    EXPECT(NULL, eventsource_set_body(source, NULL, 1));
    EXPECT(VALUE, eventsource_set_body(source, "x", SIZE_MAX));
    EXPECT(NULL, eventsource_set_max_redirects(NULL, 1));
    EXPECT(NULL, eventsource_set_with_credentials(NULL, 1));
    EXPECT(NULL, eventsource_set_trust_redirects(NULL, 1));
    EXPECT(VALUE, eventsource_set_trust_redirects(source, 2));
    EXPECT(NULL, eventsource_set_connect_timeout(NULL, 1));
    EXPECT(NULL, eventsource_set_response_timeout(NULL, 1));
    EXPECT(NULL, eventsource_set_idle_timeout(NULL, 1));
    EXPECT(NULL, eventsource_set_max_body_size(NULL, 1));
    EXPECT(NULL, eventsource_set_retry(NULL, EVENTSOURCE_RETRY_NEVER));
    EXPECT(NULL, eventsource_set_max_attempts(NULL, 1));
    EXPECT(NULL, eventsource_set_max_reconnection_time(NULL, 1));
    EXPECT(NULL, eventsource_get_stats(source, NULL, 8));
    EXPECT(NULL, eventsource_get_stats(NULL, NULL, 0));
    EXPECT(NULL, eventsource_request_set_header(NULL, "X-A", "b"));
    EXPECT(NULL, eventsource_request_set_method(NULL, "GET"));
    EXPECT(NULL, eventsource_request_set_url(NULL, "http://127.0.0.1/"));
    EXPECT(NULL, eventsource_request_set_last_event_id(NULL, "1"));
    EXPECT(NULL, eventsource_request_abort(NULL, "1"));
    CHECK(eventsource_request_last_event_id(NULL) == NULL);
    EXPECT(NULL, eventsource_on_response(NULL, NULL, NULL));
    CHECK(eventsource_response_location(NULL) == NULL);
    CHECK(eventsource_request_attempt(NULL) == 0);
    CHECK(eventsource_request_failure(NULL) == NULL);
    EXPECT(NULL, eventsource_set_ca_file(NULL, "/"));
    EXPECT(NULL, eventsource_set_ca_pem(NULL, ""));
    EXPECT(CERTIFICATE, eventsource_set_ca_pem(source, ""));
    EXPECT(NULL, eventsource_set_client_certificate(NULL, "/", "/"));
    EXPECT(NULL, eventsource_set_client_certificate(source, NULL, "/"));
    EXPECT(NULL, eventsource_set_client_certificate(source, "/", NULL));
    EXPECT(NULL, eventsource_set_verify_peer(NULL, 1));
    EXPECT(NULL, eventsource_set_http_version(NULL, 0));
    EXPECT(VALUE, eventsource_set_http_version(source, -1));
    EXPECT(VALUE, eventsource_set_http_version(source, 3));
    EXPECT(NULL, eventsource_set_server_name(NULL, "a"));
    EXPECT(VALUE, eventsource_set_server_name(source, ""));
    EXPECT(NULL, eventsource_set_pinned_key(NULL, "sha256//"));
    EXPECT(VALUE, eventsource_set_pinned_key(source, "sha256//"));
    EXPECT(NULL, eventsource_set_proxy(NULL, "http://proxy"));
    EXPECT(NULL, eventsource_set_unix_socket(NULL, "/"));
    EXPECT(NULL, eventsource_set_interface(NULL, "lo"));
    EXPECT(VALUE, eventsource_set_interface(source, ""));
    EXPECT(NULL, eventsource_connect(NULL));
    EXPECT(NULL, eventsource_reconnect(NULL));
    EXPECT(NULL, eventsource_wait(NULL, -1));
    eventsource_close(NULL);
    CHECK(eventsource_ready_state(NULL) == EVENTSOURCE_STATE_CLOSED);
    CHECK(eventsource_url(NULL) == NULL);
    CHECK(eventsource_last_event_id(NULL, buffer, sizeof buffer) == 0);
    CHECK(buffer[0] == '\0');
    CHECK(eventsource_last_event_id(NULL, NULL, 0) == 0);
    CHECK(eventsource_last_event_id(source, NULL, 0) == 0);
    CHECK(eventsource_last_event_id(source, NULL, 8) == 0);
    eventsource_free(NULL);

    CHECK(eventsource_response_status(NULL) == 0);
    CHECK(eventsource_response_http_version(NULL) == 0);
    CHECK(eventsource_response_url(NULL) == NULL);
    CHECK(eventsource_response_header(NULL, "Date") == NULL);
    CHECK(eventsource_response_header(NULL, NULL) == NULL);
    CHECK(eventsource_response_header_name(NULL, 0) == NULL);
    CHECK(eventsource_response_header_value(NULL, 0) == NULL);

    EXPECT(NULL, eventsource_parser_new(NULL, NULL, &parser));
    CHECK(parser == NULL);
    EXPECT(NULL, eventsource_parser_new(NULL, NULL, NULL));
    EXPECT(NULL, eventsource_parser_feed(NULL, "data\n\n", 6));
    EXPECT(NULL, eventsource_parser_reset(NULL));
    EXPECT(NULL, eventsource_parser_end(NULL));
    EXPECT(NULL, eventsource_parser_on_retry(NULL, NULL, NULL));
    EXPECT(NULL, eventsource_parser_on_comment(NULL, NULL, NULL));
    EXPECT(NULL, eventsource_parser_set_last_event_id(NULL, "1"));
    EXPECT(NULL, eventsource_parser_set_max_event_size(NULL, 1));
    CHECK(eventsource_parser_last_event_id(NULL) == NULL);
    eventsource_parser_free(NULL);

    eventsource_set_log(EVENTSOURCE_LOG_LEVEL_DEBUG, NULL, NULL);
    eventsource_set_log(EVENTSOURCE_LOG_LEVEL_OFF, NULL, NULL);

    /* What was refused is not forgotten. */
    EXPECT(NULL, eventsource_connect(source));
    eventsource_free(source);
    source = source_for("/flood");

    /* A callback is taken away by NULL; a header that was never set as well. */
    count_all(source, NULL);
    EXPECT(NONE, eventsource_on_open(source, NULL, NULL));
    EXPECT(NONE, eventsource_on_event(source, NULL, NULL));
    EXPECT(NONE, eventsource_on_error(source, NULL, NULL));
    EXPECT(NONE, eventsource_on_close(source, NULL, NULL));
    EXPECT(NONE, eventsource_on_comment(source, NULL, NULL));
    EXPECT(NONE, eventsource_set_header(source, "X-A", NULL));
    EXPECT(NONE, eventsource_connect(source));
    eventsource_free(source);
}

static void errors_outside_the_enumeration(void)
{
    int error;

    for (error = -2; error < 100; error++)
        CHECK(eventsource_strerror((eventsource_error)error)[0] != '\0');
    CHECK(strcmp(eventsource_version(), EVENTSOURCE_VERSION) == 0);
}

/* Text */

static void refuse(eventsource_error expected, const char *url)
{
    eventsource *source = (eventsource *)&source;
    eventsource_error error = eventsource_new(url, &source);

    if (error != expected)
        die(__LINE__, url, eventsource_strerror(error));
    CHECK(source == NULL);
}

static void urls_that_are_none(void)
{
    refuse(EVENTSOURCE_ERROR_URL, "");
    refuse(EVENTSOURCE_ERROR_URL, "events");
    refuse(EVENTSOURCE_ERROR_URL, "/events");
    refuse(EVENTSOURCE_ERROR_URL, "//127.0.0.1/events");
    refuse(EVENTSOURCE_ERROR_URL, "http://");
    refuse(EVENTSOURCE_ERROR_URL, "http://127.0.0.1:99999/");
    refuse(EVENTSOURCE_ERROR_URL, "http://[::1/");
    refuse(EVENTSOURCE_ERROR_URL, "http://a b/");
    refuse(EVENTSOURCE_ERROR_SCHEME, "ftp://127.0.0.1/");
    refuse(EVENTSOURCE_ERROR_SCHEME, "file:///etc/passwd");
    refuse(EVENTSOURCE_ERROR_SCHEME, "data:text/event-stream,data");
    refuse(EVENTSOURCE_ERROR_SCHEME, "httpss://127.0.0.1/");
    refuse(EVENTSOURCE_ERROR_UTF8, "http://127.0.0.1/\xff");
    refuse(EVENTSOURCE_ERROR_UTF8, "http://127.0.0.1/\xed\xa0\x80");
}

/* A URL has no greatest length: a megabyte is the server's to judge. */
static void a_huge_url(void)
{
    const size_t size = 1 << 20;
    char *url = malloc(size + 1);
    struct witness witness;
    eventsource *source;

    CHECK(url != NULL);
    memset(url, 'a', size);
    url[size] = '\0';
    refuse(EVENTSOURCE_ERROR_URL, url);
    memcpy(url, server, strlen(server));
    url[strlen(server)] = '/';
    witness_init(&witness);
    EXPECT(NONE, eventsource_new(url, &source));
    CHECK(strcmp(eventsource_url(source), url) == 0);
    count_all(source, &witness);
    EXPECT(NONE, eventsource_connect(source));
    wait_for(&witness.closed);
    CHECK(witness.reason == EVENTSOURCE_ERROR_STATUS);
    eventsource_free(source);
    free(url);
}

static void headers_http_cannot_carry(void)
{
    static const char *const names[] = {
        "",
        " ",
        "X A",
        "X:",
        "X\r\nY",
        "X\n",
        "X\r",
        "(X)",
        "X\xc3\xa9",
        "Content-Length",
        "transfer-encoding",
        "CONNECTION",
        "Upgrade",
        "TE",
        "Trailer",
        "Expect",
        "Last-Event-ID",
        "last-event-id",
    };
    static const char *const values[] = {
        "a\r\nX-Injected: b",
        "a\nb",
        "a\rb",
        "a\r\n\r\nGET / HTTP/1.1",
        "\r\n",
        "a\x01",
        "a\x7f",
    };
    eventsource *source = source_for("/refused");
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        EXPECT(HEADER, eventsource_set_header(source, names[i], "value"));
    for (i = 0; i < sizeof values / sizeof *values; i++)
        EXPECT(HEADER, eventsource_set_header(source, "X-A", values[i]));
    EXPECT(UTF8, eventsource_set_header(source, "X-\xff", "value"));
    EXPECT(UTF8, eventsource_set_header(source, "X-A", "\xff"));
    EXPECT(NONE, eventsource_set_header(source, "Host", "example.com"));
    EXPECT(NONE, eventsource_set_header(source, "X-A", ""));
    EXPECT(NONE, eventsource_set_header(source, "X-A", "a\tb"));
    eventsource_free(source);
}

static void ids_that_are_none(void)
{
    char buffer[8];
    eventsource *source = source_for("/refused");

    EXPECT(VALUE, eventsource_set_last_event_id(source, "a\nb"));
    EXPECT(VALUE, eventsource_set_last_event_id(source, "a\r"));
    EXPECT(UTF8, eventsource_set_last_event_id(source, "\xff"));
    CHECK(eventsource_last_event_id(source, buffer, sizeof buffer) == 0);
    EXPECT(NONE, eventsource_set_last_event_id(source, "seven 7"));
    CHECK(eventsource_last_event_id(source, buffer, sizeof buffer) == 7);
    CHECK(strcmp(buffer, "seven 7") == 0);
    CHECK(eventsource_last_event_id(source, buffer, 7) == 7);
    CHECK(buffer[0] == '\0');
    buffer[0] = 'x';
    CHECK(eventsource_last_event_id(source, buffer, 0) == 7);
    CHECK(buffer[0] == 'x');
    EXPECT(NONE, eventsource_set_last_event_id(source, ""));
    CHECK(eventsource_last_event_id(source, buffer, sizeof buffer) == 0);
    EXPECT(UTF8, eventsource_add_listener(source, "\xff", count_event, NULL,
                                          NULL, NULL));
    eventsource_free(source);
}

/* Order */

static void expect_setters(eventsource *source, eventsource_error expected)
{
    CHECK(eventsource_on_open(source, NULL, NULL) == expected);
    CHECK(eventsource_on_event(source, NULL, NULL) == expected);
    CHECK(eventsource_on_error(source, NULL, NULL) == expected);
    CHECK(eventsource_on_close(source, NULL, NULL) == expected);
    CHECK(eventsource_on_comment(source, NULL, NULL) == expected);
    CHECK(eventsource_set_header(source, "X-A", "b") == expected);
    CHECK(eventsource_set_last_event_id(source, "1") == expected);
    CHECK(eventsource_set_reconnection_time(source, 1) == expected);
    CHECK(eventsource_set_max_event_size(source, 1) == expected);
}

static void the_wrong_order(void)
{
    struct witness witness;
    eventsource *source = source_for("/silent");

    witness_init(&witness);
    count_all(source, &witness);
    EXPECT(NOT_CONNECTED, eventsource_reconnect(source));
    EXPECT(NOT_CONNECTED, eventsource_wait(source, 0));
    EXPECT(NONE, eventsource_connect(source));
    EXPECT(ALREADY_CONNECTED, eventsource_connect(source));
    expect_setters(source, EVENTSOURCE_ERROR_ALREADY_CONNECTED);
    EXPECT(TIMEOUT, eventsource_wait(source, 0));
    EXPECT(TIMEOUT, eventsource_wait(source, 1));
    eventsource_close(source);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    eventsource_close(source);
    EXPECT(NONE, eventsource_wait(source, -1));
    EXPECT(NONE, eventsource_wait(source, INT64_MAX));
    EXPECT(NONE, eventsource_wait(source, INT64_MIN));
    CHECK(witness.closes == 1);
    CHECK(witness.errors == 0);
    CHECK(witness.reason == EVENTSOURCE_ERROR_NONE);
    EXPECT(CLOSED, eventsource_connect(source));
    EXPECT(CLOSED, eventsource_reconnect(source));
    eventsource_close(source);
    eventsource_free(source);
    CHECK(witness.closes == 1);
}

static void closed_before_it_was_connected(void)
{
    struct witness witness;
    eventsource *source = source_for("/flood");

    witness_init(&witness);
    count_all(source, &witness);
    eventsource_close(source);
    eventsource_close(source);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    EXPECT(CLOSED, eventsource_connect(source));
    EXPECT(CLOSED, eventsource_reconnect(source));
    CHECK(threads() == 1);
    eventsource_free(source);
    CHECK(witness.opens + witness.events + witness.errors == 0);
    CHECK(witness.closes == 0);
}

static void listeners_that_are_not_there(void)
{
    eventsource *source = source_for("/flood");
    uint64_t id = 0, second = 0;

    EXPECT(VALUE, eventsource_remove_listener(source, 0));
    EXPECT(VALUE, eventsource_remove_listener(source, 1));
    EXPECT(NONE,
           eventsource_add_listener(source, "", count_event, NULL, NULL, &id));
    CHECK(id != 0);
    EXPECT(NONE, eventsource_add_listener(source, "", count_event, NULL, NULL,
                                          &second));
    CHECK(second != 0 && second != id);
    EXPECT(NONE, eventsource_add_listener(source, "ping", count_event, NULL,
                                          NULL, NULL));
    EXPECT(NONE, eventsource_remove_listener(source, id));
    EXPECT(VALUE, eventsource_remove_listener(source, id));
    EXPECT(VALUE, eventsource_remove_listener(source, UINT64_MAX));
    eventsource_free(source);
}

/* Callbacks */

/* Everything that is not for a callback to do, and much that is. */
static void misbehave(eventsource *source)
{
    char buffer[64];
    uint64_t id;

    EXPECT(CALLBACK, eventsource_wait(source, 0));
    EXPECT(CALLBACK, eventsource_wait(source, -1));
    CHECK(eventsource_connect(source) != EVENTSOURCE_ERROR_NONE);
    expect_setters(source, EVENTSOURCE_ERROR_ALREADY_CONNECTED);
    CHECK(eventsource_url(source) != NULL);
    CHECK(eventsource_last_event_id(source, buffer, sizeof buffer) < 64);
    EXPECT(NONE, eventsource_add_listener(source, "message", count_event, NULL,
                                          NULL, &id));
    EXPECT(NONE, eventsource_remove_listener(source, id));
    EXPECT(VALUE, eventsource_remove_listener(source, id));
}

static void misbehaving_open(eventsource *source,
                             const eventsource_response *response,
                             void *user_data)
{
    misbehave(source);
    count_open(source, response, user_data);
}

static void misbehaving_event(eventsource *source,
                              const eventsource_event *event, void *user_data)
{
    misbehave(source);
    count_event(source, event, user_data);
}

static void misbehaving_error(eventsource *source,
                              const eventsource_failure *failure,
                              void *user_data)
{
    misbehave(source);
    count_error(source, failure, user_data);
    eventsource_close(source);
    eventsource_close(source);
    EXPECT(CLOSED, eventsource_reconnect(source));
    misbehave(source);
}

static void misbehaving_close(eventsource *source, eventsource_error reason,
                              void *user_data)
{
    misbehave(source);
    EXPECT(CLOSED, eventsource_connect(source));
    EXPECT(CLOSED, eventsource_reconnect(source));
    eventsource_close(source);
    count_close(source, reason, user_data);
}

static void misuse_inside_callbacks(void)
{
    struct witness witness;
    eventsource *source = source_for("/lost");

    witness_init(&witness);
    EXPECT(NONE, eventsource_on_open(source, misbehaving_open, &witness));
    EXPECT(NONE, eventsource_on_event(source, misbehaving_event, &witness));
    EXPECT(NONE, eventsource_on_error(source, misbehaving_error, &witness));
    EXPECT(NONE, eventsource_on_close(source, misbehaving_close, &witness));
    EXPECT(NONE, eventsource_connect(source));
    wait_for(&witness.closed);
    EXPECT(NONE, eventsource_wait(source, -1));
    CHECK(witness.opens == 1);
    CHECK(witness.events == 1);
    CHECK(witness.errors == 1);
    CHECK(witness.closes == 1);
    CHECK(witness.reason == EVENTSOURCE_ERROR_NONE);
    eventsource_free(source);
}

/* Each of these frees its source; on_close comes inside, and nothing after. */

static void freeing_open(eventsource *source,
                         const eventsource_response *response, void *user_data)
{
    struct witness *witness = user_data;

    eventsource_free(source);
    CHECK(witness->closes == 1);
    CHECK(eventsource_response_status(response) == 200);
    CHECK(sem_post(&witness->happened) == 0);
}

static void freeing_event(eventsource *source, const eventsource_event *event,
                          void *user_data)
{
    struct witness *witness = user_data;

    eventsource_free(source);
    CHECK(witness->closes == 1);
    CHECK(strlen(event->data) == event->data_len);
    CHECK(sem_post(&witness->happened) == 0);
}

static void freeing_comment(eventsource *source, const char *comment,
                            size_t len, void *user_data)
{
    struct witness *witness = user_data;

    eventsource_free(source);
    CHECK(witness->closes == 1);
    CHECK(strlen(comment) == len);
    CHECK(sem_post(&witness->happened) == 0);
}

static void freeing_error(eventsource *source,
                          const eventsource_failure *failure, void *user_data)
{
    struct witness *witness = user_data;

    eventsource_free(source);
    CHECK(witness->closes == 1);
    CHECK(failure->message[0] != '\0');
    CHECK(sem_post(&witness->happened) == 0);
}

static void freeing_close(eventsource *source, eventsource_error reason,
                          void *user_data)
{
    struct witness *witness = user_data;

    count_close(source, reason, witness);
    eventsource_free(source);
    CHECK(sem_post(&witness->happened) == 0);
}

enum kind { OPEN, EVENT, LISTENER, COMMENT, FAILURE, REFUSAL, CLOSE, KINDS };

static void free_inside_a_callback(enum kind kind)
{
    const char *path = kind == FAILURE   ? "/lost"
                       : kind == REFUSAL ? "/refused"
                                         : "/flood";
    struct witness witness;
    eventsource *source = source_for(path);

    witness_init(&witness);
    EXPECT(NONE, eventsource_on_close(source, count_close, &witness));
    switch (kind) {
    case OPEN:
        EXPECT(NONE, eventsource_on_open(source, freeing_open, &witness));
        break;
    case EVENT:
        EXPECT(NONE, eventsource_on_event(source, freeing_event, &witness));
        break;
    case LISTENER:
        EXPECT(NONE, eventsource_add_listener(source, "ping", freeing_event,
                                              &witness, NULL, NULL));
        EXPECT(NONE, eventsource_add_listener(source, "ping", freeing_event,
                                              &witness, NULL, NULL));
        break;
    case COMMENT:
        EXPECT(NONE, eventsource_on_comment(source, freeing_comment, &witness));
        break;
    case FAILURE:
    case REFUSAL:
        EXPECT(NONE, eventsource_on_error(source, freeing_error, &witness));
        break;
    default:
        EXPECT(NONE, eventsource_on_close(source, freeing_close, &witness));
        break;
    }
    EXPECT(NONE, eventsource_connect(source));
    if (kind == CLOSE)
        eventsource_close(source);
    wait_for(&witness.happened);
    wait_until_alone();
    CHECK(witness.closes == 1);
    if (kind == REFUSAL)
        CHECK(witness.reason == EVENTSOURCE_ERROR_STATUS);
    else
        CHECK(witness.reason == EVENTSOURCE_ERROR_NONE);
}

static void free_inside_every_callback(void)
{
    int kind;

    for (kind = OPEN; kind < KINDS; kind++)
        free_inside_a_callback((enum kind)kind);
}

/* The parser */

static void count_parsed(eventsource_parser *parser,
                         const eventsource_event *event, void *user_data)
{
    CHECK(parser != NULL);
    CHECK(event->data != NULL);
    ++*(int *)user_data;
}

static void feeding_event(eventsource_parser *parser,
                          const eventsource_event *event, void *user_data)
{
    EXPECT(CALLBACK, eventsource_parser_feed(parser, "data\n\n", 6));
    EXPECT(CALLBACK, eventsource_parser_reset(parser));
    EXPECT(CALLBACK, eventsource_parser_end(parser));
    EXPECT(CALLBACK, eventsource_parser_on_retry(parser, NULL, NULL));
    EXPECT(CALLBACK, eventsource_parser_on_comment(parser, NULL, NULL));
    EXPECT(CALLBACK, eventsource_parser_set_last_event_id(parser, "1"));
    EXPECT(CALLBACK, eventsource_parser_set_max_event_size(parser, 1));
    CHECK(eventsource_parser_last_event_id(parser) == NULL);
    CHECK(strcmp(event->data, "a") == 0);
    ++*(int *)user_data;
}

static void freeing_parsed(eventsource_parser *parser,
                           const eventsource_event *event, void *user_data)
{
    eventsource_parser_free(parser);
    CHECK(strcmp(event->data, "a") == 0);
    ++*(int *)user_data;
}

static void freeing_at_retry(eventsource_parser *parser, uint64_t time_ms,
                             void *user_data)
{
    CHECK(time_ms == 7);
    eventsource_parser_free(parser);
    ++*(int *)user_data;
}

static void freeing_at_comment(eventsource_parser *parser, const char *comment,
                               size_t len, void *user_data)
{
    CHECK(len == 1 && strcmp(comment, "c") == 0);
    eventsource_parser_free(parser);
    ++*(int *)user_data;
}

static void misuse_of_the_parser(void)
{
    static const char lines[] = "retry: 7\nretry: 7\n:c\n:c\n";
    static const char two[] = "data: a\n\ndata: a\n\n";
    eventsource_parser *parser;
    int events = 0;

    EXPECT(NULL, eventsource_parser_new(count_parsed, &events, NULL));
    EXPECT(NONE, eventsource_parser_new(count_parsed, &events, &parser));
    EXPECT(NONE, eventsource_parser_feed(parser, NULL, 0));
    EXPECT(NULL, eventsource_parser_feed(parser, NULL, 1));
    EXPECT(NONE, eventsource_parser_feed(parser, "", 0));
    EXPECT(NONE, eventsource_parser_feed(parser, "data: \xff\n\n\0\n\n", 12));
    CHECK(events == 1);
    EXPECT(NONE, eventsource_parser_feed(parser, "data: a", 7));
    EXPECT(NONE, eventsource_parser_reset(parser));
    EXPECT(NONE, eventsource_parser_reset(parser));
    EXPECT(NONE, eventsource_parser_feed(parser, "\n\n", 2));
    CHECK(events == 1);
    eventsource_parser_free(parser);

    events = 0;
    EXPECT(NONE, eventsource_parser_new(feeding_event, &events, &parser));
    EXPECT(NONE, eventsource_parser_feed(parser, two, sizeof two - 1));
    CHECK(events == 2);
    eventsource_parser_free(parser);

    events = 0;
    EXPECT(NONE, eventsource_parser_new(freeing_parsed, &events, &parser));
    eventsource_parser_feed(parser, two, sizeof two - 1);
    CHECK(events == 1);

    EXPECT(NONE, eventsource_parser_new(count_parsed, &events, &parser));
    EXPECT(NONE,
           eventsource_parser_on_retry(parser, freeing_at_retry, &events));
    eventsource_parser_feed(parser, lines, sizeof lines - 1);
    CHECK(events == 2);
    EXPECT(NONE, eventsource_parser_new(count_parsed, &events, &parser));
    EXPECT(NONE,
           eventsource_parser_on_comment(parser, freeing_at_comment, &events));
    eventsource_parser_feed(parser, lines, sizeof lines - 1);
    CHECK(events == 3);

    EXPECT(NONE, eventsource_parser_new(count_parsed, &events, &parser));
    EXPECT(UTF8, eventsource_parser_set_last_event_id(parser, "\xff"));
    EXPECT(VALUE, eventsource_parser_set_last_event_id(parser, "1\r"));
    CHECK(strcmp(eventsource_parser_last_event_id(parser), "") == 0);
    EXPECT(NONE, eventsource_parser_set_last_event_id(parser, "1"));
    CHECK(strcmp(eventsource_parser_last_event_id(parser), "1") == 0);
    EXPECT(NONE, eventsource_parser_set_last_event_id(parser, NULL));
    CHECK(strcmp(eventsource_parser_last_event_id(parser), "") == 0);
    EXPECT(NONE, eventsource_parser_set_max_event_size(parser, 2));
    EXPECT(TOO_LARGE, eventsource_parser_feed(parser, "data: abc\n\n", 11));
    EXPECT(NONE, eventsource_parser_set_max_event_size(parser, 0));
    EXPECT(NONE, eventsource_parser_feed(parser, "data: abc\n\nid: 2\n", 18));
    CHECK(events == 4);
    EXPECT(LOST, eventsource_parser_end(parser));
    EXPECT(NONE, eventsource_parser_end(parser));
    CHECK(strcmp(eventsource_parser_last_event_id(parser), "") == 0);
    eventsource_parser_free(parser);
}

/* Numbers */

static void many_sources(void)
{
    eventsource **sources = calloc((size_t)count, sizeof *sources);
    int i;

    CHECK(sources != NULL);
    for (i = 0; i < count; i++) {
        sources[i] = source_for("/flood");
        EXPECT(NONE, eventsource_set_header(sources[i], "X-A", "b"));
        EXPECT(NONE, eventsource_add_listener(sources[i], "ping", count_event,
                                              NULL, NULL, NULL));
    }
    CHECK(threads() == 1);
    for (i = 0; i < count; i++)
        eventsource_free(sources[i]);
    free(sources);
}

static void many_sources_freed_while_they_connect(void)
{
    struct witness witness;
    eventsource *source;
    int i;

    for (i = 0; i < count / 20; i++) {
        source = source_for("/flood");
        witness_init(&witness);
        count_all(source, &witness);
        EXPECT(NONE, eventsource_connect(source));
        if (i % 2 == 1)
            wait_for(&witness.happened);
        eventsource_free(source);
        CHECK(witness.closes == 1);
        CHECK(witness.reason == EVENTSOURCE_ERROR_NONE);
        CHECK(witness.errors == 0);
    }
    wait_until_alone();
}

/* Threads */

enum { HAMMERS = 4 };

struct anvil {
    eventsource *source;
    struct witness witness;
    atomic_int number;
};

/* Calls whatever may be called from any thread; the first to come closes the
 * source when half is done. A listener that another thread removes may be in
 * the middle of a call: what it is given outlives the source. */
static void *hammer(void *argument)
{
    struct anvil *anvil = argument;
    eventsource *source = anvil->source;
    int first = atomic_fetch_add(&anvil->number, 1) == 0;
    char buffer[32], url[256];
    eventsource_error error;
    uint64_t id;
    int i;

    snprintf(url, sizeof url, "%s/flood", server);
    for (i = 0; i < count; i++) {
        CHECK(eventsource_ready_state(source) <= EVENTSOURCE_STATE_CLOSED);
        CHECK(strcmp(eventsource_url(source), url) == 0);
        CHECK(eventsource_last_event_id(source, NULL, 0) < sizeof buffer);
        CHECK(eventsource_last_event_id(source, buffer, sizeof buffer)
              == strlen(buffer));
        EXPECT(NONE, eventsource_add_listener(source, "ping", count_event,
                                              &anvil->witness, NULL, &id));
        EXPECT(NONE, eventsource_remove_listener(source, id));
        EXPECT(VALUE, eventsource_remove_listener(source, id));
        error = eventsource_wait(source, 0);
        CHECK(error == EVENTSOURCE_ERROR_TIMEOUT
              || error == EVENTSOURCE_ERROR_NONE);
        error = eventsource_connect(source);
        CHECK(error == EVENTSOURCE_ERROR_ALREADY_CONNECTED
              || error == EVENTSOURCE_ERROR_CLOSED);
        if (i % 32 == 0) {
            error = eventsource_reconnect(source);
            CHECK(error == EVENTSOURCE_ERROR_NONE
                  || error == EVENTSOURCE_ERROR_CLOSED);
        }
        if (first && i == count / 2)
            eventsource_close(source);
    }
    EXPECT(NONE, eventsource_wait(source, -1));
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    return NULL;
}

static void threads_on_one_source(void)
{
    pthread_t hammers[HAMMERS];
    struct anvil anvil;
    int i;

    anvil.source = source_for("/flood");
    anvil.number = 0;
    witness_init(&anvil.witness);
    count_all(anvil.source, &anvil.witness);
    EXPECT(NONE, eventsource_connect(anvil.source));
    wait_for(&anvil.witness.happened);
    for (i = 0; i < HAMMERS; i++)
        CHECK(pthread_create(&hammers[i], NULL, hammer, &anvil) == 0);
    for (i = 0; i < HAMMERS; i++)
        CHECK(pthread_join(hammers[i], NULL) == 0);
    CHECK(anvil.witness.errors == 0);
    CHECK(anvil.witness.closes == 1);
    CHECK(anvil.witness.reason == EVENTSOURCE_ERROR_NONE);
    eventsource_free(anvil.source);
    CHECK(anvil.witness.closes == 1);
}

static void *closer(void *argument)
{
    eventsource *source = argument;

    eventsource_close(source);
    CHECK(eventsource_ready_state(source) == EVENTSOURCE_STATE_CLOSED);
    EXPECT(NONE, eventsource_wait(source, -1));
    eventsource_close(source);
    EXPECT(CLOSED, eventsource_reconnect(source));
    return NULL;
}

static void threads_that_close_one_source(void)
{
    pthread_t closers[HAMMERS];
    struct witness witness;
    eventsource *source;
    int round, i;

    for (round = 0; round < count / 100; round++) {
        source = source_for("/flood");
        witness_init(&witness);
        count_all(source, &witness);
        EXPECT(NONE, eventsource_connect(source));
        wait_for(&witness.happened);
        for (i = 0; i < HAMMERS; i++)
            CHECK(pthread_create(&closers[i], NULL, closer, source) == 0);
        for (i = 0; i < HAMMERS; i++)
            CHECK(pthread_join(closers[i], NULL) == 0);
        CHECK(witness.closes == 1);
        CHECK(witness.reason == EVENTSOURCE_ERROR_NONE);
        eventsource_free(source);
    }
    wait_until_alone();
}

static void misuse(const char *what, void (*how)(void))
{
    puts(what);
    how();
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    server = argv[1];
    count = atoi(argv[2]);
    CHECK(setvbuf(stdout, NULL, _IOLBF, BUFSIZ) == 0);

    misuse("NULL everywhere", null_everywhere);
    misuse("errors outside the enumeration", errors_outside_the_enumeration);
    misuse("URLs that are none", urls_that_are_none);
    misuse("a huge URL", a_huge_url);
    misuse("headers HTTP cannot carry", headers_http_cannot_carry);
    misuse("ids that are none", ids_that_are_none);
    misuse("the wrong order", the_wrong_order);
    misuse("closed before connected", closed_before_it_was_connected);
    misuse("listeners that are not there", listeners_that_are_not_there);
    misuse("misuse inside callbacks", misuse_inside_callbacks);
    misuse("free inside every callback", free_inside_every_callback);
    misuse("the parser", misuse_of_the_parser);
    misuse("many sources", many_sources);
    misuse("many sources freed while they connect",
           many_sources_freed_while_they_connect);
    misuse("threads on one source", threads_on_one_source);
    misuse("threads that close one source", threads_that_close_one_source);
    puts("all misuse survived");
    return EXIT_SUCCESS;
}
