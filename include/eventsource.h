// SPDX-License-Identifier: MIT OR Apache-2.0
// Written by cbindgen from src/ffi; not to be edited here.

// EventSource for native programs.
//
// A *source* follows an event stream: it connects to a URL, calls the
// program with each event, and comes back after every lost connection,
// where it stopped. It behaves as `new EventSource(url)` does in a browser
// (WHATWG HTML, § 9.2, "Server-sent events"; the R-numbers below are those
// of STANDARD.md, which lists what it demands); what a native program needs
// beyond that is one call away.
//
//     #include <eventsource.h>
//     #include <stdio.h>
//
//     static void on_event(eventsource *source,
//                          const eventsource_event *event,
//                          void *user_data)
//     {
//         (void)source, (void)user_data;
//         printf("%s: %s\n", event->type, event->data);
//     }
//
//     int main(void)
//     {
//         eventsource *source;
//         eventsource_error error =
//             eventsource_new("http://localhost:8080/", &source);
//         if (!error)
//             error = eventsource_on_event(source, on_event, NULL);
//         if (!error)
//             error = eventsource_connect(source);
//         if (!error)
//             error = eventsource_wait(source, -1);
//         if (error)
//             fprintf(stderr, "%s\n", eventsource_strerror(error));
//         eventsource_free(source);
//         return error != EVENTSOURCE_ERROR_NONE;
//     }
//
// Threads
// -------
// Each source has one thread, from eventsource_connect() until it is
// CLOSED. Callbacks run on it, one at a time, in the order of the stream;
// while one runs, nothing more is read: the server is slowed down, memory
// is not filled, nothing is dropped. A function that takes
// `const eventsource *` may be called from any thread at any time,
// callbacks included; so may eventsource_close(), eventsource_reconnect(),
// eventsource_add_listener() and eventsource_remove_listener(). A callback
// must return; it must not throw, nor leave by longjmp().
// It has as much stack as any thread of the program, see
// eventsource_set_stack_size().
//
// Pull mode
// ---------
// A program with a loop of its own, or in a language to which callbacks are
// dear, gives the source a queue, eventsource_set_queue(), and takes from it
// what callbacks would have been told, eventsource_next(), on whichever
// thread it likes. eventsource_fd() is a descriptor for the loop. While the
// queue is full, nothing more is read.
//
// Arguments
// ---------
// A pointer to an object is NULL, or the object exists: it was made, or is
// lent to the callback that runs, and has not been given back. A text is NULL
// or ends with a NUL. A pointer beside a length has that many bytes behind it.
// NULL where something is needed is refused, EVENTSOURCE_ERROR_NULL.
//
// Memory
// ------
// What a function is given is copied. What a callback is given is borrowed
// until it returns, and an item until the next is asked for. A `user_data`
// is never looked at; it must live until eventsource_free() has returned. No
// callback begins after that.
//
// Text
// ----
// Text is UTF-8 and ends with a NUL; paths are bytes, as the system has them.
// Where the stream may put a NUL in the middle, a length stands beside it,
// which does not count the last NUL.
//
// Errors
// ------
// Every function that can be misused returns an `eventsource_error`:
// zero, or why it did nothing. On error nothing has changed, and what
// would have been stored through a pointer is NULL or zero. What goes
// wrong on the network is told to the callback `on_error`.
//
// The process
// -----------
// The library installs no signal handlers, raises no SIGPIPE, prints
// nothing, and has no threads but those of connected sources, and of
// look-ups of host names that a close has left behind: the system cannot
// cancel them, and they end by themselves. All signals are blocked on these
// threads, those excepted that a fault raises (SIGSEGV, SIGBUS, SIGFPE,
// SIGILL, SIGTRAP, SIGSYS): handlers run on the program's own threads. A
// process that a callback starts inherits the blocked signals. After fork(),
// the child may free its copies of the parent's sources; the parent's go on.
//
// ABI
// ---
// The program never allocates a structure of the library, but one that goes
// with its size. Structures may grow at their end. Numbers of enumerators are
// never reused.

#ifndef EVENTSOURCE_H
#define EVENTSOURCE_H

#include <stddef.h>
#include <stdint.h>

// The version that the program is compiled with.
#define EVENTSOURCE_VERSION "0.1.0"
#define EVENTSOURCE_VERSION_MAJOR 0
#define EVENTSOURCE_VERSION_MINOR 1
#define EVENTSOURCE_VERSION_PATCH 0

// What went wrong, as a number that programs can compare.
//
// The first group comes from calls, the second from connections, the third
// from either. Numbers are never reused.
typedef enum eventsource_error {
    // Nothing went wrong. As the reason of a close: the program closed the
    // source.
    EVENTSOURCE_ERROR_NONE = 0,
    // An argument that is needed is NULL.
    EVENTSOURCE_ERROR_NULL = 1,
    // A text is not UTF-8.
    EVENTSOURCE_ERROR_UTF8 = 2,
    // Not an absolute URL.
    EVENTSOURCE_ERROR_URL = 3,
    // The URL's scheme is neither http nor https; of a proxy, none that is
    // known.
    EVENTSOURCE_ERROR_SCHEME = 4,
    // A header that HTTP cannot carry, or that belongs to the library.
    EVENTSOURCE_ERROR_HEADER = 5,
    // A number or a text that the call cannot take.
    EVENTSOURCE_ERROR_VALUE = 6,
    // The source has been connected: its settings stand.
    EVENTSOURCE_ERROR_ALREADY_CONNECTED = 7,
    // The source has not been connected.
    EVENTSOURCE_ERROR_NOT_CONNECTED = 8,
    // The source is closed.
    EVENTSOURCE_ERROR_CLOSED = 9,
    // The call cannot be made inside a callback of the same object.
    EVENTSOURCE_ERROR_CALLBACK = 10,
    // The time is over: of a wait, for connecting, for the response's
    // headers, or between two bytes of the stream.
    EVENTSOURCE_ERROR_TIMEOUT = 11,
    // The system has no thread, descriptor or memory to give.
    EVENTSOURCE_ERROR_SYSTEM = 12,
    // The host name was not found.
    EVENTSOURCE_ERROR_RESOLVE = 13,
    // No connection to any of the host's addresses.
    EVENTSOURCE_ERROR_CONNECT = 14,
    // No secure connection: the certificate was refused, or the handshake
    // broke.
    EVENTSOURCE_ERROR_TLS = 15,
    // The response is not HTTP, or its head is too large.
    EVENTSOURCE_ERROR_HTTP = 16,
    // A redirect that cannot be followed, or too many of them.
    EVENTSOURCE_ERROR_REDIRECT = 17,
    // The response's status is not 200. 204 is the server's way to say
    // that the source is to stop.
    EVENTSOURCE_ERROR_STATUS = 18,
    // The response is not an event stream.
    EVENTSOURCE_ERROR_CONTENT_TYPE = 19,
    // The connection was lost before the response came, or the stream broke
    // off, or it ended inside an event, which was dropped.
    EVENTSOURCE_ERROR_LOST = 20,
    // The stream has ended in good order. If it is not asked for again, that
    // is no failure: only `on_close` is called.
    EVENTSOURCE_ERROR_ENDED = 21,
    // An event over the size limit was dropped. The stream goes on.
    EVENTSOURCE_ERROR_TOO_LARGE = 22,
    // A defect of the library.
    EVENTSOURCE_ERROR_INTERNAL = 23,
    // A file cannot be read.
    EVENTSOURCE_ERROR_FILE = 24,
    // A file holds no certificate in PEM, or a broken one.
    EVENTSOURCE_ERROR_CERTIFICATE = 25,
    // A file holds no private key in PEM that is not encrypted, or one that
    // does not match the certificate.
    EVENTSOURCE_ERROR_PRIVATE_KEY = 26,
    // A proxy refuses, or does not answer as a proxy does.
    EVENTSOURCE_ERROR_PROXY = 27,
    // The call is for sources with a queue, or for those without.
    EVENTSOURCE_ERROR_QUEUE = 28,
    // Another thread is inside this call.
    EVENTSOURCE_ERROR_BUSY = 29,
} eventsource_error;

// The ready state of a source (R5).
typedef enum eventsource_state {
    // Not connected yet, connecting, or waiting to reconnect.
    EVENTSOURCE_STATE_CONNECTING = 0,
    // The response was accepted; events are dispatched as they come.
    EVENTSOURCE_STATE_OPEN = 1,
    // Closed by the program, or the connection was failed. It stays so.
    EVENTSOURCE_STATE_CLOSED = 2,
} eventsource_state;

// What an item tells.
typedef enum eventsource_item_type {
    // A connection is announced: the source is OPEN.
    EVENTSOURCE_ITEM_TYPE_OPEN = 1,
    // An event is dispatched.
    EVENTSOURCE_ITEM_TYPE_EVENT = 2,
    // A comment has come.
    EVENTSOURCE_ITEM_TYPE_COMMENT = 3,
    // A connection was refused, lost or given up, or an event was dropped.
    EVENTSOURCE_ITEM_TYPE_ERROR = 4,
    // The source is CLOSED for good. The last item.
    EVENTSOURCE_ITEM_TYPE_CLOSE = 5,
} eventsource_item_type;

// How much eventsource_set_log() reports: a level and those above it.
typedef enum eventsource_log_level {
    // Nothing.
    EVENTSOURCE_LOG_LEVEL_OFF = 0,
    // Defects of the library.
    EVENTSOURCE_LOG_LEVEL_ERROR = 1,
    // Sources that gave up.
    EVENTSOURCE_LOG_LEVEL_WARN = 2,
    // Connections opened and lost.
    EVENTSOURCE_LOG_LEVEL_INFO = 3,
    // Every attempt.
    EVENTSOURCE_LOG_LEVEL_DEBUG = 4,
} eventsource_log_level;

// After which failures a source comes back.
typedef enum eventsource_retry {
    // As the standard has it: after everything that the network does. A
    // status other than 200, or another content type, ends the source.
    EVENTSOURCE_RETRY_STANDARD = 0,
    // After the statuses 408, 425, 429 and 500 to 599, too.
    EVENTSOURCE_RETRY_PERSISTENT = 1,
    // After nothing: one attempt, one stream.
    EVENTSOURCE_RETRY_NEVER = 2,
} eventsource_retry;

// The event stream parser alone, for programs with an HTTP stack of their
// own. It belongs to one thread at a time.
typedef struct eventsource_parser eventsource_parser;

// A request that is about to be made, as `on_request` is given it. Borrowed
// until the callback returns.
typedef struct eventsource_request eventsource_request;

// The head of a response, looked at with eventsource_response_status(),
// eventsource_response_url() and eventsource_response_header(). Borrowed
// until the callback returns, or as its item is.
typedef struct eventsource_response eventsource_response;

// A source of events. Made by eventsource_new(), given back with
// eventsource_free().
typedef struct eventsource eventsource;

// A connection is announced: the response was accepted, and the source is
// OPEN (R16, R25). No byte of the stream need have come yet.
typedef void (*eventsource_open_callback)(
    eventsource *source,
    const eventsource_response *response,
    void *user_data);

// An event. All of it is borrowed until the callback returns, or as its item
// is.
typedef struct eventsource_event {
    // The event type: what the stream's `event` field said, or `message`.
    const char *type;
    // Its length in bytes.
    size_t type_len;
    // The data: the stream's `data` lines, joined by line feeds.
    const char *data;
    // Its length in bytes.
    size_t data_len;
    // The last event ID string, also if this event had no `id` field (R58);
    // empty if there was none yet. It has no NUL in the middle.
    const char *last_event_id;
    // Its length in bytes.
    size_t last_event_id_len;
    // Scheme, host, and port unless it is the scheme's own, of the URL that
    // the event came from, after redirects (R56). Empty in an event from a
    // parser.
    const char *origin;
} eventsource_event;

// An event is dispatched.
typedef void (*eventsource_event_callback)(
    eventsource *source,
    const eventsource_event *event,
    void *user_data);

// Why a connection was refused, lost or given up, and what comes next. All
// of it is borrowed until the callback returns, or as its item is.
typedef struct eventsource_failure {
    // What it was.
    eventsource_error error;
    // The same in one line for a person, with the cause. Holds nothing
    // secret: no header of the request, no data.
    const char *message;
    // The status of the response, 200 if it was accepted; 0 if none came.
    int http_status;
    // The head of the response; NULL if none came, or if it was accepted.
    const eventsource_response *response;
    // How many attempts in a row have brought no event, this one included;
    // 0 if the lost connection had brought one.
    uint32_t attempt;
    // 1 if the source is CONNECTING and tries again after `delay_ms`. 0 if
    // it is CLOSED; or, after EVENTSOURCE_ERROR_TOO_LARGE, still OPEN.
    int will_retry;
    // Milliseconds until the next attempt begins.
    uint64_t delay_ms;
    // The beginning of the body of a response that was refused, up to 4096
    // bytes of it, with a NUL after them; empty if none came within a second.
    const char *body;
    // Its length in bytes.
    size_t body_len;
} eventsource_failure;

// A connection was refused, lost or given up, once for each; or an event
// was dropped for its size. The source's state is already what `failure`
// says (R26, R28).
typedef void (*eventsource_error_callback)(
    eventsource *source,
    const eventsource_failure *failure,
    void *user_data);

// The source is CLOSED for good. `reason` is EVENTSOURCE_ERROR_NONE if the
// program closed it, EVENTSOURCE_ERROR_ENDED if its stream has ended and is
// not asked for again, else what the last `on_error` said.
typedef void (*eventsource_close_callback)(
    eventsource *source,
    eventsource_error reason,
    void *user_data);

// A comment has come: a line that begins with a colon, often sent only to
// keep the connection alive. `comment` is what stands after the colon,
// unchanged, `len` bytes of it.
typedef void (*eventsource_comment_callback)(
    eventsource *source,
    const char *comment,
    size_t len,
    void *user_data);

// An attempt begins: `request` may be changed, for this attempt.
typedef void (*eventsource_request_callback)(
    eventsource *source,
    eventsource_request *request,
    void *user_data);

// A connection was refused or lost, and the program decides what follows:
// it returns how many milliseconds the next attempt waits, or a negative
// number for none.
//
// What follows otherwise stands in `failure`: return `delay_ms` for another
// attempt and -1 for none, whatever `will_retry` says, or
// `will_retry ? delay_ms : -1` for no change. The source's state is the one
// before the failure.
typedef int64_t (*eventsource_retry_callback)(
    eventsource *source,
    const eventsource_failure *failure,
    void *user_data);

// What a source has counted since eventsource_connect().
//
// The numbers are read one after the other while the source goes on: of two
// that belong together one may be newer.
typedef struct eventsource_stats {
    // Bytes of streams, as they came: with framing, before decompression,
    // without heads.
    uint64_t bytes;
    // Events dispatched.
    uint64_t events;
    // Comments, if `on_comment` is set; without it nobody counts them.
    uint64_t comments;
    // Connections announced with `on_open`.
    uint64_t connects;
    // Attempts to come back, all but the first, successful or not.
    uint64_t reconnects;
    // Events dropped for their size.
    uint64_t dropped;
    // When the last byte of a stream came, in milliseconds since 1970 by
    // the system's clock; 0 if none has.
    uint64_t last_byte_at_ms;
    // Milliseconds from the request to the head of the response that was
    // accepted last, redirects included.
    uint64_t time_to_headers_ms;
} eventsource_stats;

// What has happened to a source: what a callback would have been given. All
// of it is borrowed until the next call of eventsource_next() or
// eventsource_next_batch() for the source.
typedef struct eventsource_item {
    // What it tells, and so which of the members below is set; the others
    // are NULL or zero.
    eventsource_item_type type;
    // EVENTSOURCE_ITEM_TYPE_CLOSE: why, as `on_close` would have been told.
    eventsource_error reason;
    // EVENTSOURCE_ITEM_TYPE_OPEN.
    const eventsource_response *response;
    // EVENTSOURCE_ITEM_TYPE_EVENT.
    const eventsource_event *event;
    // EVENTSOURCE_ITEM_TYPE_COMMENT: what stands after the colon.
    const char *comment;
    // Its length in bytes.
    size_t comment_len;
    // EVENTSOURCE_ITEM_TYPE_ERROR.
    const eventsource_failure *failure;
} eventsource_item;

// An event is dispatched. Its `origin` is empty.
typedef void (*eventsource_parser_event_callback)(
    eventsource_parser *parser,
    const eventsource_event *event,
    void *user_data);

// A line for the program's log. `message` is borrowed until the callback
// returns.
typedef void (*eventsource_log_callback)(
    eventsource_log_level level,
    const char *message,
    void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes a source for `url`, and stores it in `*source`.
//
// `url` is absolute, http or https; user name and password in it are sent
// as Basic authentication. Nothing is sent until eventsource_connect(); the
// source is CONNECTING (R5). It is the caller's, given back with
// eventsource_free(). On error `*source` is NULL: EVENTSOURCE_ERROR_URL
// (R1), EVENTSOURCE_ERROR_SCHEME, EVENTSOURCE_ERROR_UTF8 or
// EVENTSOURCE_ERROR_NULL.
eventsource_error eventsource_new(const char *url, eventsource **source);

// Closes the source, waits until its last callback has returned, and
// releases it.
//
// Inside a callback of the same source there is no waiting: `on_close` is
// called before this function returns, no callback begins after that, and
// the release happens when the callback has returned. NULL is ignored.
//
// No other thread may be using the source, unless it is still inside
// eventsource_connect(), eventsource_close(), eventsource_reconnect() or
// eventsource_wait(): a callback that these lead to, or wait for, may free it.
void eventsource_free(eventsource *source);

// Sets what is called when a connection is announced.
//
// To be set before eventsource_connect(), else
// EVENTSOURCE_ERROR_ALREADY_CONNECTED; NULL takes it away. This holds for
// the other functions that set a callback, too.
eventsource_error eventsource_on_open(
    eventsource *source,
    eventsource_open_callback on_open,
    void *user_data);

// Sets what is called with every event, whatever its type. It is called
// before the listeners of the event's type.
eventsource_error eventsource_on_event(
    eventsource *source,
    eventsource_event_callback on_event,
    void *user_data);

// Sets what is called when a connection was refused, lost or given up, or
// an event was dropped for its size.
eventsource_error eventsource_on_error(
    eventsource *source,
    eventsource_error_callback on_error,
    void *user_data);

// Sets what is called last of all, exactly once: when a source that was
// connected has become CLOSED, by the program or by itself.
//
// It is called on the source's thread, also for a close that came from
// another. A source that was never connected calls nothing.
eventsource_error eventsource_on_close(
    eventsource *source,
    eventsource_close_callback on_close,
    void *user_data);

// Sets what is called with every comment. Without it comments are skipped,
// and cost next to nothing.
eventsource_error eventsource_on_comment(
    eventsource *source,
    eventsource_comment_callback on_comment,
    void *user_data);

// Adds a listener for the events of one type, and stores its number, never
// zero, in `*id`.
//
// May be called at any time, from any thread, in callbacks. Listeners of a
// type are called in the order in which they were added; one that is added
// while an event is dispatched is called from the next event on. `message`
// is the type of events that the stream gives none (R57). `id` may be NULL,
// for a listener that is to stay. EVENTSOURCE_ERROR_QUEUE if the source has
// a queue.
eventsource_error eventsource_add_listener(
    eventsource *source,
    const char *type,
    eventsource_event_callback on_event,
    void *user_data,
    uint64_t *id);

// Removes the listener with the number `id`.
//
// May be called at any time, from any thread, in callbacks. The listener
// is not called from here on; if it is running on another thread, it runs
// to its end. EVENTSOURCE_ERROR_VALUE if there is none with this number.
eventsource_error eventsource_remove_listener(eventsource *source, uint64_t id);

// Sets a header of the request, or takes it away if `value` is NULL.
//
// It replaces a header that was set before, and a default: `Accept:
// text/event-stream`, `Accept-Encoding: identity`, `Cache-Control:
// no-cache`, `Pragma: no-cache`, `User-Agent: libeventsource/VERSION`. The
// headers set here are not sent to another origin than that of the
// source's URL, if a redirect leads there (see
// eventsource_set_with_credentials()), but `Content-Type` goes where the
// body goes.
//
// EVENTSOURCE_ERROR_HEADER if HTTP cannot carry the name or the value (a
// line break, for one; in `Authorization` and `Host` also what is not
// ASCII), if `Accept-Encoding` asks for a coding that is not decoded (only
// `identity`, `gzip` and `x-gzip` are; any other may be excluded with
// `q=0`), if the source has 10,000 headers, or if the header is the library's
// own:
// `Connection`, `Content-Length`, `Expect`, `Last-Event-ID` (see
// eventsource_set_last_event_id()), `Proxy-Authorization` (see
// eventsource_set_proxy()), `TE`, `Trailer`, `Transfer-Encoding`,
// `Upgrade`. To be set before eventsource_connect().
eventsource_error eventsource_set_header(
    eventsource *source,
    const char *name,
    const char *value);

// Presets the last event ID string, for a program that resumes where an
// earlier run stopped. It is sent as `Last-Event-ID` with the first request
// (R35); an empty `id` sends none.
//
// EVENTSOURCE_ERROR_VALUE if `id` has a line break. To be set before
// eventsource_connect().
eventsource_error eventsource_set_last_event_id(
    eventsource *source,
    const char *id);

// Sets the method of the request, `GET` by default, or `POST` if there is a
// body.
//
// A GET sends no body. A redirect with status 303 makes a GET of another
// method, and 301 and 302 of a POST. EVENTSOURCE_ERROR_VALUE for `HEAD`,
// `CONNECT`, `TRACE`, and what is no method. To be set before
// eventsource_connect().
eventsource_error eventsource_set_method(
    eventsource *source,
    const char *method);

// Sets the body of the request, `len` bytes, or takes it away if `bytes` is
// NULL and `len` is 0.
//
// It is sent with every attempt, and again where a redirect with status 307
// or 308 leads, to whatever origin. Its type is `text/plain` unless the
// header `Content-Type` is set; `Content-Length` is written by the library.
// A source with a body, or with another method than GET, asks once only:
// see eventsource_set_retry(). To be set before eventsource_connect().
eventsource_error eventsource_set_body(
    eventsource *source,
    const void *bytes,
    size_t len);

// Sets how many redirects one attempt follows, 20 by default (R12); 0 for
// none. One more is EVENTSOURCE_ERROR_REDIRECT. To be set before
// eventsource_connect().
eventsource_error eventsource_set_max_redirects(
    eventsource *source,
    uint32_t n);

// Sets whether credentials go to other origins than that of the source's
// URL, if redirects lead there (R4): 1 for yes, 0, the default, for no.
//
// Credentials are the headers that the program has set, `Host` excepted,
// user and password of the URL, and cookies: what servers set is kept in
// memory, and sent back to those it is for, as long as the source lives,
// unless the program sets the header `Cookie` or takes it away. Which
// domains are shared by strangers the source does not know: with
// credentials it is the program that trusts where it is sent.
// EVENTSOURCE_ERROR_VALUE for another number. To be set before
// eventsource_connect().
eventsource_error eventsource_set_with_credentials(
    eventsource *source,
    int with_credentials);

// Sets what is called before every attempt, the first included: to send a
// fresh token, or to ask in another way when coming back.
//
// It is called on the source's thread, once for an attempt, not again for
// its redirects. Each attempt begins with what was set on the source;
// what is changed then does not stay.
eventsource_error eventsource_on_request(
    eventsource *source,
    eventsource_request_callback on_request,
    void *user_data);

// Returns which attempt of the source this is, from 1 on; 0 if `request` is
// NULL.
uint64_t eventsource_request_attempt(const eventsource_request *request);

// Returns why there is another attempt: what the last `on_error` was told.
// Borrowed as `request` is; NULL for the first attempt, after
// eventsource_reconnect(), and if `request` is NULL.
const eventsource_failure *eventsource_request_failure(
    const eventsource_request *request);

// Sets a header of this attempt, or takes it away if `value` is NULL.
// Errors are those of eventsource_set_header().
eventsource_error eventsource_request_set_header(
    eventsource_request *request,
    const char *name,
    const char *value);

// Sets the method of this attempt. With `GET` the body stays behind, and
// the headers that describe it: so a stream that was asked for by POST can
// be resumed. Errors are those of eventsource_set_method().
eventsource_error eventsource_request_set_method(
    eventsource_request *request,
    const char *method);

// Sets the reconnection time in milliseconds, 3000 by default. A `retry`
// field of the stream changes it later on (R52).
//
// It is the wait after a connection that had brought an event, with up to a
// fifth more at random. Attempts that bring no event are followed by waits
// that double, from twice this time, or half a second if that is longer, up
// to 30 seconds, or this time if that is longer. A time under 10
// milliseconds becomes 10 when a server has ended its stream, after events,
// fifty times in a row. To be set before eventsource_connect().
eventsource_error eventsource_set_reconnection_time(
    eventsource *source,
    uint64_t ms);

// Sets the longest wait between two attempts in milliseconds, with up to a
// fifth more at random. By default it is 30 seconds, or the reconnection
// time if that is longer.
//
// A limit set here holds for the server's `retry` and `Retry-After`, too.
// One below half a second does not hurry what follows fruitless attempts.
// EVENTSOURCE_ERROR_VALUE if `ms` is 0. To be set before
// eventsource_connect().
eventsource_error eventsource_set_max_reconnection_time(
    eventsource *source,
    uint64_t ms);

// Sets after how many attempts in a row that brought no event the source
// gives up; 0, the default, for never. Its last failure is told to
// `on_error`. To be set before eventsource_connect().
eventsource_error eventsource_set_max_attempts(eventsource *source, uint32_t n);

// Sets after which failures the source comes back: `retry` is an
// `eventsource_retry`.
//
// By default it is EVENTSOURCE_RETRY_STANDARD for a GET and
// EVENTSOURCE_RETRY_NEVER for everything else, so that what is paid for is
// not asked for twice by accident. A stream that has ended in good order,
// EVENTSOURCE_ERROR_ENDED, and is not asked for again is no failure: no
// `on_error` comes, and `on_close` says so. A stream that ends inside an
// event, or breaks off, is lost: EVENTSOURCE_ERROR_LOST. `Retry-After` of a
// response makes a wait longer, up to an hour. EVENTSOURCE_ERROR_VALUE for
// another number. To be set before eventsource_connect().
eventsource_error eventsource_set_retry(eventsource *source, int retry);

// Sets what decides whether and when the source comes back.
//
// It is called on the source's thread after every attempt that has failed
// and every stream that was lost or has ended, before `on_error`. A wait of
// 0 is at once: it is for the program to see that it does not turn in
// circles.
eventsource_error eventsource_on_retry(
    eventsource *source,
    eventsource_retry_callback on_retry,
    void *user_data);

// Sets how long an attempt may take to be connected, in milliseconds: the
// look-up of the name, TCP and TLS together. 30000 by default, 0 for ever.
//
// It is EVENTSOURCE_ERROR_TIMEOUT then, and comes anew with each redirect.
// None of these times limits how long a stream lasts. To be set before
// eventsource_connect(), as the others.
eventsource_error eventsource_set_connect_timeout(
    eventsource *source,
    uint64_t ms);

// Sets how long a server may take for the head of its response, in
// milliseconds, from the last byte of the request that it has taken. 60000
// by default, 0 for ever.
eventsource_error eventsource_set_response_timeout(
    eventsource *source,
    uint64_t ms);

// Sets how long an open stream may be silent, in milliseconds; 0, the
// default, for ever.
//
// Any byte counts, comments too; the time that callbacks take does not. A
// stream that is silent for longer is lost: EVENTSOURCE_ERROR_TIMEOUT.
// Without it TCP notices a dead peer all the same, within minutes.
eventsource_error eventsource_set_idle_timeout(
    eventsource *source,
    uint64_t ms);

// Sets the largest event in bytes of data, 64 MiB by default; 0 is no
// limit.
//
// A larger one is dropped as it comes, its id is kept, `on_error` is called
// with EVENTSOURCE_ERROR_TOO_LARGE, and the stream goes on. To be set
// before eventsource_connect().
eventsource_error eventsource_set_max_event_size(
    eventsource *source,
    size_t bytes);

// Sets how many bytes of stack callbacks have; 0, the default, for as many as
// pthread_create() gives by default, commonly 8 MiB.
//
// A stack is address space: memory is taken for what is used of it, and given
// back before a long wait. Less is for programs that lock their memory, by
// mlockall(), or limit their addresses. Look-ups of host names have a stack of
// the same size. The program's static thread-local data are not taken out of
// it. The default is at least 256 KiB, and at most 1 MiB where addresses have
// 32 bits.
//
// EVENTSOURCE_ERROR_VALUE if it is less than 131072, 128 KiB. To be set before
// eventsource_connect(), which says EVENTSOURCE_ERROR_SYSTEM if the system has
// not as much to give.
eventsource_error eventsource_set_stack_size(eventsource *source, size_t bytes);

// Sets the proxy to go through, `scheme://user:password@host:port`; NULL or
// an empty text for none.
//
// The scheme is `http`, also if there is none, `https` (HTTP over TLS),
// `socks4`, `socks4a`, `socks5` or `socks5h`; those with a letter behind
// their number leave the look-up of the server's name to the proxy. User,
// password and port may be left out; the port is then 80, 443 or 1080. An
// HTTP proxy is asked in the place of an http server, and for a tunnel
// (CONNECT) to an https one. User and password go to the proxy and to
// nobody else, and are in no message.
//
// Without this call, eventsource_connect() looks at the environment:
// `http_proxy` for http URLs, `https_proxy` for https URLs, `all_proxy` for
// those that have none of these; `no_proxy` lists, with commas, the hosts
// to connect to directly: names, which stand for the names below them, too,
// IP addresses, networks such as `10.0.0.0/8`, each but the last also with
// a port, or `*` for all. The names of these variables may be in capitals,
// but for `HTTP_PROXY` in a CGI program, where a client can set it.
//
// EVENTSOURCE_ERROR_URL if it is no URL of a proxy,
// EVENTSOURCE_ERROR_SCHEME if the scheme is another one. To be set before
// eventsource_connect().
eventsource_error eventsource_set_proxy(eventsource *source, const char *url);

// Sets a Unix socket to connect to, whatever the host of the URL is; NULL
// for none, the default.
//
// No name is looked up then and no proxy asked; the host still goes into
// the request, and an https server's certificate is to be for it. Redirects
// lead to the same socket. On Linux `@name` is the socket of that name in
// the abstract namespace, which has no file; `./@name` is a file.
// EVENTSOURCE_ERROR_VALUE if the path is empty or too long for the system
// (107 bytes on Linux, the `@` not counted). To be set before
// eventsource_connect().
eventsource_error eventsource_set_unix_socket(
    eventsource *source,
    const char *path);

// Sets the file with the certificates of the authorities to trust, in PEM,
// in the place of the system's.
//
// This call reads the file. If the file has changed before a later attempt,
// it is read again; if the new content is of no use, the log says so, and
// the old content stays in force. A server's certificate that is itself in
// the file, such as a self-signed one, is trusted too, for the names in it.
//
// NULL, the default, brings the system's trust store back, which is read
// again likewise. When the process first needs the store, the environment's
// `SSL_CERT_FILE` and `SSL_CERT_DIR` say where it is; without these it is
// looked for in the usual places.
//
// EVENTSOURCE_ERROR_FILE if the file cannot be read, or is a directory;
// EVENTSOURCE_ERROR_CERTIFICATE if there is no certificate in it, or text
// that is broken. To be set before eventsource_connect().
eventsource_error eventsource_set_ca_file(
    eventsource *source,
    const char *path);

// Sets the certificate that the program shows to a server, or to a proxy,
// that asks for one, and the private key of it.
//
// Both files are in PEM, and may be the same; they are read by this call,
// and again when they have changed, as with eventsource_set_ca_file(). The
// first certificate is the program's, others lead from it to an authority.
// The key is not encrypted. NULL twice takes the certificate
// away; there is none by default.
//
// EVENTSOURCE_ERROR_FILE if a file cannot be read,
// EVENTSOURCE_ERROR_CERTIFICATE if there is no certificate in the one, or a
// broken one, EVENTSOURCE_ERROR_PRIVATE_KEY if there is no key in the
// other, or one that does not match the certificate; EVENTSOURCE_ERROR_NULL
// if only one is NULL. To be set before eventsource_connect().
eventsource_error eventsource_set_client_certificate(
    eventsource *source,
    const char *cert_path,
    const char *key_path);

// Sets whether the certificate of an https server is checked: 1, the
// default, or 0.
//
// With 0 every certificate is taken, whatever its version, names, dates and
// issuer; that the server has the private key of it is still checked, unless
// the key is of a kind or size that this library does not know. Whoever sits
// between the program and the server can read and change everything;
// eventsource_set_ca_file() is what a server with a certificate of its own
// needs. It holds for https proxies, too.
// EVENTSOURCE_ERROR_VALUE for another number. To be set before
// eventsource_connect().
eventsource_error eventsource_set_verify_peer(eventsource *source, int verify);

// Starts the source's thread, which connects. Returns at once.
//
// A server that vanishes without a word is noticed within two minutes: when
// nothing has come for one, the system begins to probe it (TCP keepalive).
//
// EVENTSOURCE_ERROR_ALREADY_CONNECTED the second time,
// EVENTSOURCE_ERROR_CLOSED after eventsource_close(),
// EVENTSOURCE_ERROR_SYSTEM if the system has no thread or descriptor to
// give: then it may be tried again.
eventsource_error eventsource_connect(eventsource *source);

// Drops the connection, or ends the wait for one, and connects again at
// once: the program knows better, the network has changed.
//
// May be called from any thread, in callbacks. The source is CONNECTING
// from here on; no `on_error` comes, and `on_open` follows. Events that
// came but were not dispatched yet are dropped; the server is asked for
// them by Last-Event-ID. What waits in a queue stays there.
// EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
// EVENTSOURCE_ERROR_CLOSED if the source is CLOSED.
eventsource_error eventsource_reconnect(eventsource *source);

// Closes the source, for good.
//
// May be called from any thread, in callbacks, and again. It does not wait:
// when it returns the source is CLOSED, and no callback begins any more,
// `on_close` excepted, which follows within milliseconds, whatever the
// source was doing. One that has begun on another thread runs to its end;
// eventsource_wait() waits for it. NULL is ignored.
void eventsource_close(eventsource *source);

// Waits until the source is CLOSED and its last callback has returned, for
// at most `timeout_ms` milliseconds; a negative number is no limit.
//
// A source whose queue is full is not CLOSED by itself before the program
// takes what waits. EVENTSOURCE_ERROR_TIMEOUT if the time is over,
// EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
// EVENTSOURCE_ERROR_CALLBACK in a callback of the same source, which would
// wait for itself.
eventsource_error eventsource_wait(
    const eventsource *source,
    int64_t timeout_ms);

// Returns the ready state; CLOSED for NULL.
eventsource_state eventsource_ready_state(const eventsource *source);

// Returns the URL of the source as the URL Standard serializes it;
// redirects do not change it (R3). Borrowed until eventsource_free(); NULL
// for NULL.
const char *eventsource_url(const eventsource *source);

// Stores the last event ID string, with its NUL, in `buffer`, and returns
// its length without the NUL.
//
// It is that of the last event dispatched, of whatever connection; inside
// a callback with an event, that event's. If it does not fit into `size`
// bytes, an empty text is stored in its place: half an id is none. `buffer`
// may be NULL if `size` is 0.
size_t eventsource_last_event_id(
    const eventsource *source,
    char *buffer,
    size_t size);

// Returns 1 if credentials go to other origins (R4), else 0; 0 for NULL.
int eventsource_with_credentials(const eventsource *source);

// Stores what the source has counted in `*stats`, which has `size` bytes:
// `sizeof *stats`, so that programs and libraries of different versions
// understand each other.
//
// May be called from any thread at any time; it does not wait, and costs
// the source nothing. EVENTSOURCE_ERROR_NULL if an argument is NULL.
eventsource_error eventsource_get_stats(
    const eventsource *source,
    eventsource_stats *stats,
    size_t size);

// Pull mode: lets what happens to the source wait in a queue, until the
// program takes it by eventsource_next(), on a thread of its own choice.
//
// With a queue there are no callbacks but `on_request` and `on_retry`, which
// are asked on the source's thread. The queue is full with `capacity` items,
// or when their text is as long as that of one event may be
// (eventsource_set_max_event_size()). While it is full nothing is read: the
// server is slowed down, nothing is lost. A few hundred items let both sides
// work at once; they cross in batches.
//
// The ready state and the last event ID string are those of the item that
// was taken last. EVENTSOURCE_ERROR_VALUE if `capacity` is 0,
// EVENTSOURCE_ERROR_SYSTEM if the system has no descriptor to give. To be
// set before eventsource_connect(), which says EVENTSOURCE_ERROR_QUEUE if
// there is a queue and another callback or a listener.
eventsource_error eventsource_set_queue(eventsource *source, size_t capacity);

// Sets whether comments wait in the queue, too: 1, or 0, the default.
//
// Of no effect without a queue. EVENTSOURCE_ERROR_VALUE for another number.
// To be set before eventsource_connect().
eventsource_error eventsource_set_comments(eventsource *source, int wanted);

// Takes the next item from the queue, and stores it in `*item`; waits for
// one for at most `timeout_ms` milliseconds. A negative number is no limit,
// 0 is no wait.
//
// The item is borrowed until the next call of this or
// eventsource_next_batch(). After eventsource_close() the next item is the
// close: what was waiting is dropped. On error `*item` is NULL:
// EVENTSOURCE_ERROR_TIMEOUT if none has come, EVENTSOURCE_ERROR_CLOSED if
// the close has been taken, EVENTSOURCE_ERROR_NOT_CONNECTED before
// eventsource_connect(), EVENTSOURCE_ERROR_QUEUE if the source has no queue.
// One thread at a time may call it, EVENTSOURCE_ERROR_BUSY for another; in
// `on_request` and `on_retry` there is no waiting for what follows,
// EVENTSOURCE_ERROR_CALLBACK.
eventsource_error eventsource_next(
    eventsource *source,
    int64_t timeout_ms,
    const eventsource_item **item);

// Takes as many items as are at hand, up to `max`, and stores them in
// `items`, an array with room for that many, and their number in `*count`:
// for programs to which each call is dear. Waits for the first as
// eventsource_next() does.
//
// The items are borrowed until the next call of this or eventsource_next().
// The ready state and the last event ID string are those of the last of
// them. On error `*count` is 0: as eventsource_next(), and
// EVENTSOURCE_ERROR_VALUE if `max` is 0.
eventsource_error eventsource_next_batch(
    eventsource *source,
    int64_t timeout_ms,
    const eventsource_item **items,
    size_t max,
    size_t *count);

// Returns a descriptor that is readable exactly while an item waits, for
// poll(2) and event loops; -1 if the source has no queue.
//
// It is the source's, there from eventsource_set_queue() to
// eventsource_free(), and only to be waited for: to read it takes a wake-up
// away. After eventsource_close() it is readable until the close has been
// taken. May be called from any thread.
int eventsource_fd(const eventsource *source);

// Returns the status of `response`; 0 if `response` is NULL.
int eventsource_response_status(const eventsource_response *response);

// Returns the URL that `response` came from, after redirects. Borrowed as
// `response` is; NULL if `response` is NULL.
const char *eventsource_response_url(const eventsource_response *response);

// Returns the value of a header of `response`, or NULL if it has none. The
// case of `name` does not matter; several values are joined by `, `.
// Borrowed as `response` is; NULL if an argument is NULL.
const char *eventsource_response_header(
    const eventsource_response *response,
    const char *name);

// Returns the name of a header of `response`, in lower case, or NULL if it
// has no more than `index` of them: numbers from 0 on go through all. A
// header with several values counts once. Borrowed as `response` is; NULL
// if `response` is NULL.
const char *eventsource_response_header_name(
    const eventsource_response *response,
    size_t index);

// Makes a parser that calls `on_event` with each event, and stores it in
// `*parser`.
//
// It is the caller's, given back with eventsource_parser_free(). On error
// `*parser` is NULL.
eventsource_error eventsource_parser_new(
    eventsource_parser_event_callback on_event,
    void *user_data,
    eventsource_parser **parser);

// Interprets the next `len` bytes of the stream, wherever it is cut.
// Callbacks are made before it returns.
//
// EVENTSOURCE_ERROR_TOO_LARGE if an event over 64 MiB was dropped; all else
// was dispatched. EVENTSOURCE_ERROR_CALLBACK inside the parser's own
// callback. `bytes` may be NULL if `len` is 0.
eventsource_error eventsource_parser_feed(
    eventsource_parser *parser,
    const char *bytes,
    size_t len);

// Prepares the parser for a new connection: what was unfinished is
// forgotten (R60), the last event ID string is kept (R59).
//
// EVENTSOURCE_ERROR_CALLBACK inside the parser's own callback.
eventsource_error eventsource_parser_reset(eventsource_parser *parser);

// Releases the parser. Inside its own callback no other follows, and the
// release happens when eventsource_parser_feed() returns. NULL is ignored.
void eventsource_parser_free(eventsource_parser *parser);

// Returns the version of the library that is running, such as `0.1.0`. The
// one that the program was compiled with is EVENTSOURCE_VERSION.
const char *eventsource_version(void);

// Returns what `error` means, in a few words; for a number that is none, it
// says so. The text is never released.
const char *eventsource_strerror(int error);

// Sets what is called with lines for the program's log, of all sources, up
// to `level`, an `eventsource_log_level`; NULL takes it away, and is how it
// begins.
//
// It is called from any thread, from several at a time. Lines name URLs
// without user, password and query, and hold no headers and no data. A call
// under way may end after this function has returned: `user_data` must live
// as long as the program.
void eventsource_set_log(
    int level,
    eventsource_log_callback on_log,
    void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EVENTSOURCE_H */
