// SPDX-License-Identifier: MIT OR Apache-2.0
// Written by cbindgen from src/ffi; not to be edited here.

// EventSource for native programs.
//
// A *source* follows an event stream: it connects to a URL, calls the
// program with each event, and reconnects after every lost connection, so
// that the stream goes on where it stopped. A source behaves as
// `new EventSource(url)` does in a browser (WHATWG HTML, § 9.2, "Server-sent
// events"; the R-numbers below are those of STANDARD.md, which lists what the
// standard demands). What a native program needs beyond that is one call
// away.
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
//         eventsource_on_event(source, on_event, NULL);
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
// Settings
// --------
// The functions eventsource_set_...() and eventsource_on_...() change a
// source before eventsource_connect(); later they return
// EVENTSOURCE_ERROR_ALREADY_CONNECTED, and change nothing. NULL removes a
// callback.
//
// A program need not look at what each of them returns: as long as a call of
// eventsource_set_...() is refused, eventsource_connect() returns that error,
// the first one if there are several, and the log names the function. A later
// call of the same function that succeeds cancels the refusal; for
// eventsource_set_header() that call must be for the same name. Every function
// refuses a NULL source, so that a program has to keep the error of
// eventsource_new() only.
//
// Parameters for yes or no, or for one of an enumeration's numbers,
// are of type `int`, so that the library can refuse every other number with
// EVENTSOURCE_ERROR_VALUE: an `enum` with such a number would be undefined
// behaviour.
//
// Threads
// -------
// Each source has one thread, from eventsource_connect() until the source is
// CLOSED. Callbacks run on that thread, one at a time, in the order of the
// stream. While a callback runs, the source reads nothing more: the server is
// slowed down, memory is not filled, and nothing is dropped.
//
// A function that takes `const eventsource *` may be called from any thread at
// any time, callbacks included. So may eventsource_close(),
// eventsource_reconnect(), eventsource_add_listener() and
// eventsource_remove_listener(). eventsource_close() may also be called in a
// signal handler, and no other function may. A callback must return; it must
// not throw, nor leave by longjmp(). It has as much stack as any thread of the
// program: see eventsource_set_stack_size().
//
// A program with thousands of sources gives them to a loop with
// eventsource_set_loop(): one thread then drives them all, and calls their
// callbacks. That thread is one of the library's, or the program's own. Where
// eventsource_set_loop() does not say otherwise, "the source's thread" is that
// of the loop.
//
// Pull mode
// ---------
// A program with a loop of its own, or in a language where callbacks are
// expensive, gives the source a queue with eventsource_set_queue(). It takes
// from the queue, with eventsource_next() and on any thread, what callbacks
// would have reported. eventsource_fd() is a descriptor for the loop. While
// the queue is full, the source reads nothing more.
//
// Arguments
// ---------
// A pointer to an object is NULL, or the object exists: it was made and not
// given back, or it is lent to the callback that runs. A text is NULL or ends
// with a NUL. A pointer beside a length has that many bytes behind it. NULL
// for a required argument is refused with EVENTSOURCE_ERROR_NULL.
//
// Memory
// ------
// Arguments of functions are copied. Arguments of callbacks are borrowed until
// the callback returns, and an item until the next item is asked for. The
// library never looks at what `user_data` points to, which must live until
// eventsource_free() has returned: no callback begins after that. A listener
// can learn earlier that it is called no more: see `on_removed` of
// eventsource_add_listener().
//
// A server or the program chooses how large events, ids, comments, URLs,
// headers and bodies are. If the system has no memory for one of them, the
// program goes on: the event is dropped with EVENTSOURCE_ERROR_TOO_LARGE, the
// setting is refused with EVENTSOURCE_ERROR_SYSTEM, or the attempt fails with
// EVENTSOURCE_ERROR_SYSTEM and is made again. If the system has no memory for
// anything else, the process is aborted. That is for the objects of the
// library and their threads, for paths, messages and TLS, for the head of a
// response, which has 256 KiB at most, and for receive buffers, half a MiB
// each, which sources share.
//
// Lifetime
// --------
// A program calls eventsource_free() once for each source. What the call does
// depends on where it is made:
//
// - On a thread that runs no callback of the source: the call waits for the
//   callback that runs, and for `on_close`. The thread must not hold a lock
//   that a callback of the source wants: both would wait for ever.
// - In a callback of the source: the call does not wait. `on_close` is called
//   at once, and the source is released when the callback returns. Until then,
//   and in the rest of that callback, nothing may be called on the source.
// - In a callback of another source: as on any other thread. Two sources whose
//   callbacks free each other would wait for each other for ever.
// - In pull mode: on the thread that has taken the close, or on any thread
//   while none is inside eventsource_next() or eventsource_next_batch(). Take
//   the descriptor out of the event loop first.
// - After fork(), in the child: the call releases memory, and calls nothing.
// - Never in a signal handler.
//
// From the moment that eventsource_free() may be called, no other thread may
// begin a call with the source. So if a callback frees the source, no other
// thread can call eventsource_wait(): that thread cannot know whether the
// source still exists. Let the callback wake that thread, and free the source
// there.
//
// A thread must not be cancelled (pthread_cancel(3)) inside a call of the
// library or inside a callback.
//
// Text
// ----
// Text is UTF-8 and ends with a NUL; other text is refused with
// EVENTSOURCE_ERROR_UTF8. Paths are bytes, as the system has them. Where the
// stream can put a NUL in the middle, a length stands beside the text; it does
// not count the last NUL.
//
// Errors
// ------
// Every function that can be misused returns an `eventsource_error`: zero, or
// why the function did nothing. On error nothing has changed, and a result
// that would have been stored through a pointer is NULL or zero. Errors of
// the network are reported to the callback `on_error`.
//
// The process
// -----------
// The library installs no signal handlers, raises no SIGPIPE, and prints
// nothing. It has no threads but those of connected sources and of loops, as
// eventsource_loop_new() says, and those of look-ups of host names, 32 at
// most. More look-ups wait, within the connect timeout, until a thread is
// free; two of the same name share one. The system cannot cancel a look-up:
// one that was under way when its source was closed ends by itself, and holds
// no descriptor of the library. On these threads all signals are blocked,
// except for those that a fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL,
// SIGTRAP, SIGSYS), so that handlers run on the program's own threads. A
// process that a callback starts inherits the blocked signals.
//
// After fork(), the parent's sources go on in the parent. In the child,
// eventsource_close() and eventsource_free() release memory and do nothing
// else: no callback is called, and nothing is written to a descriptor.
// eventsource_next(), eventsource_wait() and eventsource_reconnect() return
// EVENTSOURCE_ERROR_SYSTEM, and eventsource_fd() -1. The same holds for loops.
// The child calls no other function for a source or loop of its parent, and
// does not return from the callback in which it was made. It may make sources
// and loops of its own.
//
// valgrind has nothing to report; for https URLs it needs the installed
// suppressions, share/eventsource/valgrind.supp. When all sources have been
// freed, the library keeps a few KiB for the next source, and with https the
// certificates and sessions of TLS.
//
// ABI
// ---
// Structures are allocated by the library, except `eventsource_stats`, which
// is passed with its size. Structures may grow at their end. Numbers of
// enumerators are never reused.

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
// Numbers 1 to 12 come mostly from calls, 13 to 23 mostly from connections.
// Numbers are never reused.
typedef enum eventsource_error {
    // No error. As the reason of a close: the program closed the source.
    EVENTSOURCE_ERROR_NONE = 0,
    // A required argument is NULL.
    EVENTSOURCE_ERROR_NULL = 1,
    // A text is not UTF-8.
    EVENTSOURCE_ERROR_UTF8 = 2,
    // A text is not an absolute URL, or not the URL of a proxy.
    EVENTSOURCE_ERROR_URL = 3,
    // The scheme of a URL is neither http nor https; for a proxy, it is
    // unknown.
    EVENTSOURCE_ERROR_SCHEME = 4,
    // HTTP cannot carry the header, or the header belongs to the library.
    EVENTSOURCE_ERROR_HEADER = 5,
    // The function does not accept this number or text.
    EVENTSOURCE_ERROR_VALUE = 6,
    // The source has been connected, so that its settings are final.
    EVENTSOURCE_ERROR_ALREADY_CONNECTED = 7,
    // The source has not been connected.
    EVENTSOURCE_ERROR_NOT_CONNECTED = 8,
    // The source is CLOSED.
    EVENTSOURCE_ERROR_CLOSED = 9,
    // The function cannot be called inside a callback of the same object.
    EVENTSOURCE_ERROR_CALLBACK = 10,
    // A time limit has passed: for a wait, for connecting, for the response's
    // headers, or between two bytes of the stream.
    EVENTSOURCE_ERROR_TIMEOUT = 11,
    // The system is out of threads, descriptors or memory.
    EVENTSOURCE_ERROR_SYSTEM = 12,
    // The host name was not found.
    EVENTSOURCE_ERROR_RESOLVE = 13,
    // No connection could be made to any of the host's addresses.
    EVENTSOURCE_ERROR_CONNECT = 14,
    // No secure connection could be made: the certificate was refused, or the
    // handshake broke off.
    EVENTSOURCE_ERROR_TLS = 15,
    // The response is not HTTP, or its head is too large.
    EVENTSOURCE_ERROR_HTTP = 16,
    // A redirect cannot be followed, or there were too many redirects.
    EVENTSOURCE_ERROR_REDIRECT = 17,
    // The response's status is not 200. With 204 the server tells the source
    // to stop.
    EVENTSOURCE_ERROR_STATUS = 18,
    // The response is not an event stream.
    EVENTSOURCE_ERROR_CONTENT_TYPE = 19,
    // The connection was lost before the response came, or the stream broke
    // off, or the stream ended inside an event, which was dropped.
    EVENTSOURCE_ERROR_LOST = 20,
    // The stream ended in good order. If the source does not ask for it
    // again, that is no failure: only `on_close` is called.
    EVENTSOURCE_ERROR_ENDED = 21,
    // An event over the size limit, or over what memory there was, was
    // dropped. The stream goes on.
    EVENTSOURCE_ERROR_TOO_LARGE = 22,
    // The library has a defect.
    EVENTSOURCE_ERROR_INTERNAL = 23,
    // A file cannot be read.
    EVENTSOURCE_ERROR_FILE = 24,
    // A file holds no certificate in PEM, or a broken one.
    EVENTSOURCE_ERROR_CERTIFICATE = 25,
    // A file holds no unencrypted private key in PEM, or one that does not
    // match the certificate.
    EVENTSOURCE_ERROR_PRIVATE_KEY = 26,
    // The proxy refuses, or does not answer as a proxy does.
    EVENTSOURCE_ERROR_PROXY = 27,
    // The call is for sources with a queue, and this source has none, or the
    // other way round.
    EVENTSOURCE_ERROR_QUEUE = 28,
    // Another thread is inside this call.
    EVENTSOURCE_ERROR_BUSY = 29,
    // The program has aborted the attempt before it was made.
    EVENTSOURCE_ERROR_ABORTED = 30,
    // The program has refused the response.
    EVENTSOURCE_ERROR_REFUSED = 31,
} eventsource_error;

// The ready state of a source (R5).
typedef enum eventsource_state {
    // The source is not connected yet, is connecting, or waits to reconnect.
    EVENTSOURCE_STATE_CONNECTING = 0,
    // The response was accepted; events are dispatched as they come.
    EVENTSOURCE_STATE_OPEN = 1,
    // The program closed the source, or the connection was failed. This is
    // final.
    EVENTSOURCE_STATE_CLOSED = 2,
} eventsource_state;

// What an item reports.
typedef enum eventsource_item_type {
    // A connection is announced: the source is OPEN.
    EVENTSOURCE_ITEM_TYPE_OPEN = 1,
    // An event is dispatched.
    EVENTSOURCE_ITEM_TYPE_EVENT = 2,
    // A comment has come.
    EVENTSOURCE_ITEM_TYPE_COMMENT = 3,
    // A connection was refused, lost or given up, or an event was dropped.
    EVENTSOURCE_ITEM_TYPE_ERROR = 4,
    // The source is CLOSED for good. This is the last item.
    EVENTSOURCE_ITEM_TYPE_CLOSE = 5,
} eventsource_item_type;

// How much eventsource_set_log() reports: messages of this level, and all that
// are more severe.
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

// After which failures a source reconnects.
typedef enum eventsource_retry {
    // As the standard demands: after every failure of the network. A status
    // other than 200, or another content type, ends the source.
    EVENTSOURCE_RETRY_STANDARD = 0,
    // Also after the statuses 408, 425, 429 and 500 to 599.
    EVENTSOURCE_RETRY_PERSISTENT = 1,
    // After none: one attempt, one stream.
    EVENTSOURCE_RETRY_NEVER = 2,
    // As EVENTSOURCE_RETRY_PERSISTENT until a response is accepted, and never
    // after that: a request that costs money is made once, and no more.
    EVENTSOURCE_RETRY_UNTIL_OPEN = 3,
} eventsource_retry;

// What becomes of a response, as the program decides.
typedef enum eventsource_verdict {
    // What the standard says: redirects are followed, an event stream with
    // status 200 is read, and everything else is a failure.
    EVENTSOURCE_VERDICT_STANDARD = 0,
    // The body is read as an event stream, whatever the status and the content
    // type are. For a redirect that is followed, and for the statuses 101, 204
    // and 304, which have no body, the same as EVENTSOURCE_VERDICT_STANDARD.
    EVENTSOURCE_VERDICT_ACCEPT = 1,
    // The response is a failure, EVENTSOURCE_ERROR_REFUSED; a redirect is not
    // followed. No policy asks again.
    EVENTSOURCE_VERDICT_REFUSE = 2,
} eventsource_verdict;

// The version of HTTP that a source speaks.
typedef enum eventsource_http {
    // HTTP/1.1, which costs less where each source has a connection of its
    // own; HTTP/2 with a server that speaks nothing else over TLS. On a loop,
    // where sources share connections, whichever the server prefers over TLS.
    EVENTSOURCE_HTTP_AUTO = 0,
    // HTTP/1.1 and nothing else.
    EVENTSOURCE_HTTP_1_1 = 1,
    // HTTP/2 and nothing else: with https URLs as TLS agrees on it, with
    // http URLs from the first byte.
    EVENTSOURCE_HTTP_2 = 2,
} eventsource_http;

// A loop that drives any number of sources on one thread.
// eventsource_loop_new() makes it, eventsource_loop_free() releases it.
typedef struct eventsource_loop eventsource_loop;

// The event stream parser alone, for programs with an HTTP client of their
// own. Only one thread at a time may use a parser.
typedef struct eventsource_parser eventsource_parser;

// A request that is about to be made, as `on_request` gets it. Borrowed until
// the callback returns.
typedef struct eventsource_request eventsource_request;

// The head of a response, to be read with eventsource_response_status() and
// the functions beside it. Borrowed until the callback returns; an item's, as
// long as the item.
typedef struct eventsource_response eventsource_response;

// A source of events. eventsource_new() makes it, eventsource_free() releases
// it.
typedef struct eventsource eventsource;

// Called when a connection is announced: the response was accepted, and the
// source is OPEN (R16, R25). No byte of the stream need have come yet.
typedef void (*eventsource_open_callback)(
    eventsource *source,
    const eventsource_response *response,
    void *user_data);

// An event. All of it is borrowed until the callback returns; an item's, as
// long as the item.
typedef struct eventsource_event {
    // The event type: the stream's `event` field, or `message`.
    const char *type;
    // The length of `type` in bytes.
    size_t type_len;
    // The data: the stream's `data` fields, joined by line feeds.
    const char *data;
    // The length of `data` in bytes.
    size_t data_len;
    // The last event ID string, even if this event had no `id` field (R58);
    // empty if there was none yet. It has no NUL in the middle.
    const char *last_event_id;
    // The length of `last_event_id` in bytes.
    size_t last_event_id_len;
    // The origin of the URL that the event came from, after redirects (R56):
    // the scheme, the host, and the port unless it is the scheme's default.
    // Empty in an event from a parser.
    const char *origin;
} eventsource_event;

// Called with each event that is dispatched.
typedef void (*eventsource_event_callback)(
    eventsource *source,
    const eventsource_event *event,
    void *user_data);

// Why a connection was refused, lost or given up, and what comes next. All of
// it is borrowed until the callback returns; an item's, as long as the item.
typedef struct eventsource_failure {
    // What went wrong.
    eventsource_error error;
    // The same in one line for people, with the cause. The message holds
    // nothing secret: no header of the request, no data.
    const char *message;
    // The status of the response, also if it was accepted, mostly 200; 0 if no
    // response came.
    int http_status;
    // The head of the response; NULL if no response came, or if it was
    // accepted.
    const eventsource_response *response;
    // How many attempts in a row have failed, this one included; 0 if the
    // lost connection had worked: it brought an event or an id, or was open
    // for a second.
    uint32_t attempt;
    // 1 if the source is CONNECTING and tries again after `delay_ms`. 0 if the
    // source is CLOSED; or, after EVENTSOURCE_ERROR_TOO_LARGE, still OPEN.
    int will_retry;
    // The delay before the next attempt, in milliseconds.
    uint64_t delay_ms;
    // The beginning of a refused response's body, and a NUL after it; empty if
    // no body came. Up to 4096 bytes that come within one second, unless
    // eventsource_set_max_body_size() says otherwise.
    const char *body;
    // The length of `body` in bytes.
    size_t body_len;
    // The system's error, an `errno` such as ECONNREFUSED; 0 if the system
    // reported none.
    int system_error;
    // The last event ID string, after which another attempt asks; empty if
    // there was none yet. It has no NUL in the middle.
    const char *last_event_id;
    // 1 if `body` is the whole body of the response, empty ones included; 0 if
    // there is more, if the body broke off, or if no response came.
    int body_complete;
} eventsource_failure;

// Called once for each connection that was refused, lost or given up, and for
// each event that was dropped because of its size. The source's ready state is
// already the one that `failure` implies (R26, R28).
typedef void (*eventsource_error_callback)(
    eventsource *source,
    const eventsource_failure *failure,
    void *user_data);

// Called when the source has become CLOSED for good. `reason` is
// EVENTSOURCE_ERROR_NONE if the program closed the source,
// EVENTSOURCE_ERROR_ENDED if the stream ended and the source does not ask for
// it again, and otherwise the error of the last `on_error`.
typedef void (*eventsource_close_callback)(
    eventsource *source,
    eventsource_error reason,
    void *user_data);

// Called with each comment: a line that begins with a colon, often sent only
// so that the connection stays alive. `comment` is the text after the colon,
// unchanged and `len` bytes long.
typedef void (*eventsource_comment_callback)(
    eventsource *source,
    const char *comment,
    size_t len,
    void *user_data);

// Called once for a listener that was added, when it is called no more: what
// `user_data` points to can be released.
typedef void (*eventsource_removed_callback)(void *user_data);

// Called before each attempt. What is changed in `request` holds for this
// attempt only.
typedef void (*eventsource_request_callback)(
    eventsource *source,
    eventsource_request *request,
    void *user_data);

// Called with each response before the source looks at it, redirects included.
// Returns an `eventsource_verdict`; every other number counts as
// EVENTSOURCE_VERDICT_STANDARD.
typedef int (*eventsource_response_callback)(
    eventsource *source,
    const eventsource_response *response,
    void *user_data);

// Called after a connection was refused or lost, to decide what follows.
// Returns the delay before the next attempt in milliseconds, or a negative
// number for no further attempt.
//
// `failure` says what follows by default; `delay_ms` is the delay of another
// attempt also where `will_retry` is 0. To keep the default, return
// `will_retry ? delay_ms : -1`; to decide otherwise, return `delay_ms` for
// another attempt and -1 for none. The answer overrules the policy,
// eventsource_set_max_attempts(), and a server that wants no more (status
// 204). The source's
// ready state is still the one before the failure.
typedef int64_t (*eventsource_retry_callback)(
    eventsource *source,
    const eventsource_failure *failure,
    void *user_data);

// What a source has counted since eventsource_connect().
//
// The numbers are read one after the other while the source goes on, so that
// of two that belong together one may be newer.
typedef struct eventsource_stats {
    // Bytes of streams as they came: with HTTP's framing, before
    // decompression, without the heads of responses.
    uint64_t bytes;
    // Events dispatched.
    uint64_t events;
    // Comments; counted only if the program has asked for them, with
    // `on_comment` or eventsource_set_comments().
    uint64_t comments;
    // Connections announced with `on_open`.
    uint64_t connects;
    // Attempts after the first, successful or not.
    uint64_t reconnects;
    // Events dropped because of their size.
    uint64_t dropped;
    // When the last byte of a stream came, in milliseconds since 1970 by the
    // system's clock; 0 if no byte has come.
    uint64_t last_byte_at_ms;
    // Milliseconds from the request to the head of the response that was last
    // accepted, redirects included.
    uint64_t time_to_headers_ms;
} eventsource_stats;

// What has happened to a source, as a callback would have reported it. All of
// it is borrowed until the next call of eventsource_next() or
// eventsource_next_batch() for the source.
typedef struct eventsource_item {
    // What the item reports, and so which of the members below is set; the
    // others are NULL or zero.
    eventsource_item_type type;
    // EVENTSOURCE_ITEM_TYPE_CLOSE: the reason, as for `on_close`.
    eventsource_error reason;
    // EVENTSOURCE_ITEM_TYPE_OPEN: the head of the response.
    const eventsource_response *response;
    // EVENTSOURCE_ITEM_TYPE_EVENT: the event.
    const eventsource_event *event;
    // EVENTSOURCE_ITEM_TYPE_COMMENT: the text after the colon.
    const char *comment;
    // The length of `comment` in bytes.
    size_t comment_len;
    // EVENTSOURCE_ITEM_TYPE_ERROR: the failure.
    const eventsource_failure *failure;
} eventsource_item;

// Called with each event that is dispatched. The event's `origin` is empty.
typedef void (*eventsource_parser_event_callback)(
    eventsource_parser *parser,
    const eventsource_event *event,
    void *user_data);

// Called with each reconnection time that the stream sets by a `retry` field,
// in milliseconds, as soon as its line has ended (R52).
typedef void (*eventsource_parser_retry_callback)(
    eventsource_parser *parser,
    uint64_t time_ms,
    void *user_data);

// Called with each comment. `comment` is the text after the colon, unchanged
// and `len` bytes long; it is borrowed until the callback returns.
typedef void (*eventsource_parser_comment_callback)(
    eventsource_parser *parser,
    const char *comment,
    size_t len,
    void *user_data);

// Called with a line for the program's log. `message` is borrowed until the
// callback returns.
typedef void (*eventsource_log_callback)(
    eventsource_log_level level,
    const char *message,
    void *user_data);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Making and freeing a source
// ---------------------------
// eventsource_new(3)

// Makes a source for `url`, and stores it in `*source`.
//
// `url` is an absolute URL, http or https; a user name and password in it are
// sent as Basic authentication. Nothing is sent before eventsource_connect().
// The new source is CONNECTING (R5), and is the caller's, to be given back
// with eventsource_free(). On error `*source` is NULL: EVENTSOURCE_ERROR_URL
// (R1), EVENTSOURCE_ERROR_SCHEME, EVENTSOURCE_ERROR_UTF8,
// EVENTSOURCE_ERROR_NULL, or EVENTSOURCE_ERROR_SYSTEM without memory for it.
eventsource_error eventsource_new(const char *url, eventsource **source);

// Closes the source, waits until its last callback has returned, and releases
// the source.
//
// Inside a callback of the same source this function does not wait: it calls
// `on_close` before it returns, no callback begins after that, and the source
// is released when the running callback has returned. Nothing may be called on
// the source any more, not even in the rest of that callback. NULL is ignored.
//
// Once this function may be called, no other thread may begin a call with the
// source; see Lifetime, above. A thread that is already inside
// eventsource_connect(), eventsource_close(), eventsource_reconnect() or
// eventsource_wait() when a callback frees the source returns safely.
void eventsource_free(eventsource *source);

// Callbacks and listeners
// -----------------------
// eventsource_on_event(3)

// Sets the callback that is called when a connection is announced.
eventsource_error eventsource_on_open(
    eventsource *source,
    eventsource_open_callback on_open,
    void *user_data);

// Sets the callback for events of every type. It is called before the
// listeners of the event's type.
eventsource_error eventsource_on_event(
    eventsource *source,
    eventsource_event_callback on_event,
    void *user_data);

// Sets the callback that is called when a connection was refused, lost or
// given up, or an event was dropped because of its size.
eventsource_error eventsource_on_error(
    eventsource *source,
    eventsource_error_callback on_error,
    void *user_data);

// Sets the callback that is called last of all, exactly once: when a source
// that was connected has become CLOSED, by the program or by itself.
//
// The callback runs on the source's thread, even if another thread has closed
// the source. A source that was never connected calls nothing.
eventsource_error eventsource_on_close(
    eventsource *source,
    eventsource_close_callback on_close,
    void *user_data);

// Sets the callback for comments. Without it comments are skipped, at next to
// no cost.
eventsource_error eventsource_on_comment(
    eventsource *source,
    eventsource_comment_callback on_comment,
    void *user_data);

// Adds a listener for the events of one type, and stores its number, which is
// never 0, in `*id`.
//
// May be called at any time, from any thread, in callbacks. Listeners of a
// type are called in the order in which they were added, and a listener that
// was added twice is called twice; a listener that is added while an event is
// dispatched is first called for the next event. `message` is the type of
// events to which the stream gives none (R57). `id` may be NULL if the
// listener will not be removed.
//
// `on_removed`, unless it is NULL, is called exactly once, when the listener
// is called no more, so that `user_data` can be released. It is called on the
// thread that calls eventsource_remove_listener(), before that returns; or, if
// the listener runs at that moment, on the source's thread, as soon as the
// listener has returned. For a listener that was not removed it is called when
// the source has ended, on the source's thread, after `on_close`; or by
// eventsource_free(), if the source was not connected, or if the listener was
// added after its end. No lock is held meanwhile. In `on_removed` nothing may
// be called on the source. It is not called on error, nor in a child process
// for a source that the parent has connected.
//
// EVENTSOURCE_ERROR_QUEUE if the source has a queue.
eventsource_error eventsource_add_listener(
    eventsource *source,
    const char *type,
    eventsource_event_callback on_event,
    void *user_data,
    eventsource_removed_callback on_removed,
    uint64_t *id);

// Removes the listener with the number `id`.
//
// May be called at any time, from any thread, in callbacks. On the source's
// own thread, so in callbacks, the listener is not called from here on. On
// another thread this function does not wait: a listener that is running runs
// to its end. A listener with `on_removed` does not begin to run after this
// call, and `on_removed` tells when `user_data` can be released. A listener
// without `on_removed` may still begin, if it was about to; its `user_data`
// must live until another callback of the source has begun after this call, or
// until eventsource_wait() or eventsource_free() has returned.
// EVENTSOURCE_ERROR_VALUE if no listener has this number.
eventsource_error eventsource_remove_listener(eventsource *source, uint64_t id);

// What a source asks for
// ----------------------
// eventsource_set_header(3)

// Sets a header of the request, or removes it if `value` is NULL.
//
// The header replaces one that was set before, and a default:
// `Accept: text/event-stream`, `Accept-Encoding: identity`,
// `Cache-Control: no-cache`, `Pragma: no-cache`,
// `User-Agent: libeventsource/VERSION`. If a redirect leads to another origin
// than that of the source's URL, the headers set here are not sent there (see
// eventsource_set_trust_redirects()), except for `Accept`, `Accept-Language`,
// `Cache-Control`, `Content-Type`, `Origin`, `Pragma` and `User-Agent`, and
// for what describes a body that is sent there.
//
// EVENTSOURCE_ERROR_HEADER if HTTP cannot carry the name or the value (because
// of a line break, for example; in `Authorization` and `Host` also because of
// text that is not ASCII), if `Accept-Encoding` asks for a coding that the
// library does not decode (only `identity`, `gzip` and `x-gzip` are decoded;
// any other may be excluded with `q=0`), if the source has 10,000 headers, or
// if the header belongs to the library:
// `Connection`, `Content-Length`, `Expect`, `Last-Event-ID` (see
// eventsource_set_last_event_id()), `Proxy-Authorization` (see
// eventsource_set_proxy()), `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`.
eventsource_error eventsource_set_header(
    eventsource *source,
    const char *name,
    const char *value);

// Presets the last event ID string, so that a program can resume where an
// earlier run stopped. The first request sends it as `Last-Event-ID` (R35); if
// `id` is empty, or longer than 16 KiB (R37), the header is not sent.
//
// EVENTSOURCE_ERROR_VALUE if `id` has a line break.
eventsource_error eventsource_set_last_event_id(
    eventsource *source,
    const char *id);

// Sets the method of the request. The default is `GET`, or `POST` if there is
// a body.
//
// A GET sends no body. A redirect with status 303 turns every other method
// into GET; redirects with 301 and 302 turn POST into GET.
// EVENTSOURCE_ERROR_VALUE for `HEAD`, `CONNECT`, `TRACE`, and for a text that
// is no method.
eventsource_error eventsource_set_method(
    eventsource *source,
    const char *method);

// Sets the body of the request, `len` bytes, or removes it if `bytes` is NULL
// and `len` is 0.
//
// Every attempt sends the body, and a redirect with status 307 or 308 sends it
// again, to whatever origin. Its type is `text/plain` unless the header
// `Content-Type` is set; the library writes `Content-Length`. By default a
// source with a body, or with another method than GET, asks only once: see
// eventsource_set_retry().
eventsource_error eventsource_set_body(
    eventsource *source,
    const void *bytes,
    size_t len);

// Sets how many redirects one attempt follows, 20 by default (R12); 0 for
// none. One more redirect is EVENTSOURCE_ERROR_REDIRECT.
eventsource_error eventsource_set_max_redirects(
    eventsource *source,
    uint32_t n);

// Sets whether other origins than that of the source's URL, if redirects lead
// there, get the credentials that are their own (R4): 1 for yes, 0, the
// default, for no.
//
// These are the cookies that they have set, and the client certificate that
// they ask for. Headers that the program has set are not sent to them: see
// eventsource_set_trust_redirects(). Cookies are kept in memory as long as the
// source lives, and sent back to the servers they are for, at most 16 KiB of
// them in a request, unless the program sets or removes the header `Cookie`.
// The source has no list of public suffixes: with credentials, any site under
// co.uk can set a cookie for all of co.uk.
//
// Once a redirect has led to another origin, all that follows counts as
// another origin, also if a redirect leads back to the first: the other server
// may have chosen the URL. That holds for reconnections, too, until one fails
// and the source begins at its own URL again. EVENTSOURCE_ERROR_VALUE for
// another number.
eventsource_error eventsource_set_with_credentials(
    eventsource *source,
    int with_credentials);

// Sets whether redirects may take the program's secrets to other origins than
// that of the source's URL: 1 for yes, 0, the default, for no.
//
// Secrets are all headers that the program has set, but for those that
// eventsource_set_header() names, and the URL's user name and password. `Host`
// stays behind in any case. A user name and password in a redirect to another
// origin are never sent. Trust redirects only if every server that is asked
// may learn the secrets, and may send them on. EVENTSOURCE_ERROR_VALUE for
// another number.
eventsource_error eventsource_set_trust_redirects(
    eventsource *source,
    int trust);

// The request before an attempt
// -----------------------------
// eventsource_on_request(3)

// Sets the callback that is called before every attempt, the first included,
// so that the program can send a fresh token, or ask in another way when it
// reconnects.
//
// The callback runs on the source's thread, once for each attempt, and not
// again for the attempt's redirects. Each attempt begins with the settings of
// the source; what the callback has changed for an earlier attempt is gone.
eventsource_error eventsource_on_request(
    eventsource *source,
    eventsource_request_callback on_request,
    void *user_data);

// Returns the number of this attempt of the source, from 1 on; 0 if `request`
// is NULL.
uint64_t eventsource_request_attempt(const eventsource_request *request);

// Returns the failure that this attempt follows, as `on_error` got it last.
// Borrowed as `request` is; NULL for the first attempt, after
// eventsource_reconnect(), and if `request` is NULL.
const eventsource_failure *eventsource_request_failure(
    const eventsource_request *request);

// Returns the last event ID string as this attempt sends it (R35), also in
// pull mode, where eventsource_last_event_id() is as of the item last taken.
// Borrowed as `request` is, and no longer than until the string is set; empty
// if there was none yet, NULL if `request` is NULL.
const char *eventsource_request_last_event_id(
    const eventsource_request *request);

// Sets a header of this attempt, or removes it if `value` is NULL. Errors are
// those of eventsource_set_header().
eventsource_error eventsource_request_set_header(
    eventsource_request *request,
    const char *name,
    const char *value);

// Sets the method of this attempt. With `GET` the body is left out, and the
// headers that describe it, so that a stream that was asked for by POST can be
// resumed. Errors are those of eventsource_set_method().
eventsource_error eventsource_request_set_method(
    eventsource_request *request,
    const char *method);

// Sets the URL of this attempt, absolute, http or https: for services that
// want in the query where to resume, or a token, and for a second server where
// the first is down.
//
// For this attempt `url` stands in the place of the source's URL: the headers
// that the program has set, cookies and the client certificate go to the
// origin of `url`, user name and password are those in `url`, and a redirect
// to any other origin leads to another origin. Where a redirect led before
// does not count any more, nor does what the redirect made of the request
// (R13). The next attempt begins at the source's URL, unless the callback sets
// another. eventsource_url() does not change; the response tells the URL that
// it came from. EVENTSOURCE_ERROR_URL or EVENTSOURCE_ERROR_SCHEME as for
// eventsource_new().
eventsource_error eventsource_request_set_url(
    eventsource_request *request,
    const char *url);

// Sets the last event ID string, or clears it if `id` is NULL or empty: for a
// server that has forgotten the id, and would refuse it for ever.
//
// Unlike the other changes this one lasts, as if the stream had set the id: it
// is sent as `Last-Event-ID` from this attempt on (R35), events without an id
// have it (R58), and eventsource_last_event_id() returns it, in pull mode from
// the next item on. It is set also if the attempt is not made.
// EVENTSOURCE_ERROR_VALUE if `id` has a line break.
eventsource_error eventsource_request_set_last_event_id(
    eventsource_request *request,
    const char *id);

// Aborts this attempt, for a program that cannot ask: no token could be had,
// for example. Nothing is sent; the attempt has failed, with
// EVENTSOURCE_ERROR_ABORTED and with `message`, a line for people. If
// `message` is NULL or empty, the library says that the program has aborted.
//
// What follows is what follows any failure: `on_retry`, `on_error`, a delay
// that grows, and another attempt, unless the policy has none or
// eventsource_set_max_attempts() is reached. To end the source instead, call
// eventsource_close().
eventsource_error eventsource_request_abort(
    eventsource_request *request,
    const char *message);

// What becomes of a response
// --------------------------
// eventsource_on_response(3)

// Sets the callback that decides what becomes of a response: for servers that
// send their stream without a content type, as `text/plain`, or with the status
// 201 or 202; for redirects that are not to be followed everywhere; and for
// headers that count whatever the response is.
//
// The callback runs on the source's thread, in pull mode too, once for each
// response of an attempt, and before `on_open`. The ready state is CONNECTING.
// eventsource_response_location() tells where a redirect leads. After
// EVENTSOURCE_VERDICT_REFUSE, `on_retry` and `on_error` get the response in a
// failure, with its body, as eventsource_set_max_body_size() says. Responses of
// proxies are not the server's: the callback does not see them.
eventsource_error eventsource_on_response(
    eventsource *source,
    eventsource_response_callback on_response,
    void *user_data);

// How a source comes back
// -----------------------
// eventsource_set_reconnection_time(3)

// Sets the reconnection time in milliseconds, 3000 by default. A `retry` field
// of the stream changes it later (R52).
//
// After a connection that worked, the source waits for the reconnection time,
// and up to a fifth more at random. A connection has worked if it brought an
// event or an id, or was open for a second. After failed attempts half of the
// delay is random. The first delay is between the reconnection time and twice
// that time; the delay doubles each time, from at least 500 ms up to 30
// seconds, or up to the reconnection time if that is longer. After fifty
// connections in a row that worked, a reconnection time below 10 ms is raised
// to 10 ms.
//
// After a stream that ended in good order, a GET is sent over the same
// connection if the server keeps it open and the wait is shorter than 5
// seconds (RFC 9112, 9.3).
eventsource_error eventsource_set_reconnection_time(
    eventsource *source,
    uint64_t ms);

// Sets the longest delay between two attempts, in milliseconds; up to a fifth
// more is added at random. The default is 30000, or the reconnection time if
// that is longer.
//
// The limit also holds for the server's `retry` and `Retry-After`. Even with a
// limit below 500 ms, delays after two failed attempts in a row are never
// below 500 ms. EVENTSOURCE_ERROR_VALUE if `ms` is 0.
eventsource_error eventsource_set_max_reconnection_time(
    eventsource *source,
    uint64_t ms);

// Sets after how many failed attempts in a row the source gives up; 0, the
// default, is no limit. An attempt whose connection worked begins the count
// anew. `on_error` gets the last failure.
eventsource_error eventsource_set_max_attempts(eventsource *source, uint32_t n);

// Sets after which failures the source reconnects. `retry` is an
// `eventsource_retry`.
//
// The default is EVENTSOURCE_RETRY_STANDARD for a GET and
// EVENTSOURCE_RETRY_NEVER for everything else, so that a request that costs
// money is not repeated by accident. If a stream ends in good order and the
// source does not ask for it again, that is no failure: `on_error` is not
// called, and `on_close` gets EVENTSOURCE_ERROR_ENDED. A stream that ends
// inside an event, or breaks off, is lost with EVENTSOURCE_ERROR_LOST. No
// policy repeats a request other than GET whose stream has come to its end, or
// one that was redirected from https to http or to no http or https URL.
// `Retry-After` of a response makes the delay longer, up to an hour.
// EVENTSOURCE_ERROR_VALUE for another number.
eventsource_error eventsource_set_retry(eventsource *source, int retry);

// Sets the callback that decides whether and when the source reconnects.
//
// The callback runs on the source's thread after every attempt that has failed
// and every stream that was lost or has ended, before `on_error`. With a delay
// of 0 the next attempt begins at once: the program must make sure that it
// does not reconnect in a tight loop.
eventsource_error eventsource_on_retry(
    eventsource *source,
    eventsource_retry_callback on_retry,
    void *user_data);

// How long the network may take
// -----------------------------
// eventsource_set_connect_timeout(3)

// Sets how long connecting may take, in milliseconds: the look-up of the host
// name, TCP and TLS together. The default is 30000; 0 is no limit.
//
// An attempt that takes longer fails with EVENTSOURCE_ERROR_TIMEOUT. The time
// starts again for each redirect. None of the three time limits is a limit for
// how long a stream lasts.
eventsource_error eventsource_set_connect_timeout(
    eventsource *source,
    uint64_t ms);

// Sets how long a server may take for the head of its response, in
// milliseconds, from the last byte of the request that the server has taken.
// The default is 300000, as many servers send the head with the first event; 0
// is no limit.
eventsource_error eventsource_set_response_timeout(
    eventsource *source,
    uint64_t ms);

// Sets how long an open stream may be silent, in milliseconds. The default, 0,
// is no limit.
//
// Any byte counts, those of comments too; the time that callbacks take does
// not. A stream that is silent for longer is lost with
// EVENTSOURCE_ERROR_TIMEOUT. Without this limit TCP still notices a dead peer:
// see eventsource_connect().
eventsource_error eventsource_set_idle_timeout(
    eventsource *source,
    uint64_t ms);

// How much memory events, bodies and callbacks may take
// -----------------------------------------------------
// eventsource_set_max_event_size(3)

// Sets the size limit of an event in bytes of data, 64 MiB by default; 0 is no
// limit.
//
// A larger event is dropped as it comes, its id is kept, `on_error` is called
// with EVENTSOURCE_ERROR_TOO_LARGE, and the stream goes on. Type, id and data
// together may have 64 KiB more than the limit. While an event comes, the
// source takes 2.2 times the limit at most, a last event ID string of that
// length included. In pull mode it takes what waits in the queue besides, and
// the item that the program has taken. An event for which there is no memory
// is dropped in the same way.
eventsource_error eventsource_set_max_event_size(
    eventsource *source,
    size_t bytes);

// Sets how many bytes are kept of the body of a response that is no event
// stream, up to 64 MiB; 0 for none. They are in the failure that `on_error`
// and `on_retry` get, decoded if the body is compressed; `body_complete` tells
// whether they are all.
//
// By default 4096 bytes are kept of what comes within one second: enough for
// people to see what is wrong. A program that sets a size wants the whole
// body, for example from a service that answers with JSON or with a stream, as
// it likes. The source then waits for the body: from the end of the head on as
// long as eventsource_set_response_timeout() says, 5 minutes by default, and
// for each byte as long as eventsource_set_idle_timeout() says. It keeps what
// has come by then. If the system has no memory for all of the body, its
// beginning is kept. EVENTSOURCE_ERROR_VALUE for more than 64 MiB.
eventsource_error eventsource_set_max_body_size(
    eventsource *source,
    size_t bytes);

// Sets the size of the stack that callbacks have, in bytes. The default, 0, is
// the size that pthread_create() gives by default, commonly 8 MiB.
//
// A stack is address space: it takes memory only where it is used, and the
// library returns that memory to the system before a long wait. A smaller
// stack is for programs that lock their memory with mlockall(), or limit their
// address space. Look-ups of host names have a stack of the same size. The
// program's static thread-local data are not taken out of it. The default is
// at least 256 KiB, and at most 1 MiB where addresses have 32 bits.
//
// EVENTSOURCE_ERROR_VALUE if the size is neither 0 nor at least 131072 (128
// KiB). eventsource_connect() returns EVENTSOURCE_ERROR_SYSTEM if the system
// cannot give as much.
eventsource_error eventsource_set_stack_size(eventsource *source, size_t bytes);

// How a source reaches its server, and whom it trusts
// ---------------------------------------------------
// eventsource_set_proxy(3)

// Sets the proxy to go through, `scheme://user:password@host:port`; an empty
// text for no proxy; NULL, the default, for the environment's.
//
// The scheme is `http`, which is the default, `https` (HTTP over TLS),
// `socks4`, `socks4a`, `socks5` or `socks5h`. With `socks4a` and `socks5h` the
// proxy looks up the server's name. User name, password and port may be left
// out; the port is then 80, 443 or 1080. An HTTP proxy is sent the request
// itself if the server is http, and is asked for a tunnel (CONNECT) if it is
// https. User name and password go to the proxy and to nobody else, and are in
// no message.
//
// The environment's variables, which eventsource_connect() reads, are
// `http_proxy` for http URLs, `https_proxy` for https URLs, and `all_proxy`
// where the one for the scheme is missing. `no_proxy` lists, with commas, the
// hosts to connect to directly: names, which stand for the names below them,
// too, IP addresses, both also with a port, networks such as `10.0.0.0/8`, or
// `*` for all hosts. The names of these variables may be in capitals, except
// for `HTTP_PROXY` in a CGI program, where a client can set it. In these
// variables `socks://` is SOCKS4. They do not hold for loopback hosts:
// `localhost`, names below it, 127.0.0.0/8 and ::1.
//
// EVENTSOURCE_ERROR_URL if `url` is not the URL of a proxy,
// EVENTSOURCE_ERROR_SCHEME if its scheme is another one.
eventsource_error eventsource_set_proxy(eventsource *source, const char *url);

// Sets a Unix socket to connect to, whatever the host of the URL is; NULL, the
// default, for none.
//
// With it the source looks up no name and asks no proxy. The host still goes
// into the request, and an https server's certificate must be for that host.
// Redirects lead to the same socket. On Linux `@name` is the socket of that
// name in the abstract namespace, which has no file; `./@name` is a file.
// EVENTSOURCE_ERROR_VALUE if the path is empty or too long for the system
// (over 107 bytes on Linux, the `@` not counted).
eventsource_error eventsource_set_unix_socket(
    eventsource *source,
    const char *path);

// Sets the network interface that connections go out over: its name, such as
// `eth0`, or an address of this machine, such as `192.0.2.7`; NULL, the
// default, lets the system choose.
//
// It is for the connections to servers and to proxies, and has no effect on
// look-ups of names, nor on a Unix socket. If `interface` is a name, sockets
// are bound to that interface (SO_BINDTODEVICE); if it is an address, to the
// address. Linux before 5.7 lets only root bind a socket to an interface:
// other users' sockets are then bound to an address of the interface. With an
// address, the system's routes decide which way packets go.
//
// A link-local address, as in `http://[fe80::1]/`, is the address of a machine
// on one link, and a URL cannot say which. The source uses the link of this
// interface; without an interface it cannot connect.
//
// An interface or address that this machine does not have, or an interface
// without an address of the server's kind, fails the attempt with
// EVENTSOURCE_ERROR_CONNECT: it may come up later. EVENTSOURCE_ERROR_VALUE if
// `interface` can be neither a name nor an address.
eventsource_error eventsource_set_interface(
    eventsource *source,
    const char *interface);

// Sets the file with the certificates of the authorities to trust, in PEM, in
// the place of the system's trust store.
//
// This call reads the file. If the file has changed before a later attempt,
// the source reads the file again; if the new content is of no use, the log
// says so, and the old content stays in force. A server's certificate that is
// itself in the file is trusted for the names in it, so that a self-signed
// certificate can be used.
//
// NULL, the default, restores the system's trust store, which is read again
// likewise. When the process first needs the store, the environment's
// `SSL_CERT_FILE` and `SSL_CERT_DIR` say where the store is; without them the
// library looks in the usual places.
//
// EVENTSOURCE_ERROR_FILE if the file cannot be read, or is a directory;
// EVENTSOURCE_ERROR_CERTIFICATE if the file holds no certificate, or broken
// text.
eventsource_error eventsource_set_ca_file(
    eventsource *source,
    const char *path);

// Sets the certificates of the authorities to trust as a text in PEM, in the
// place of the system's trust store: for a program that holds them in itself,
// or has them from elsewhere than a file.
//
// The certificates count as those of eventsource_set_ca_file() do, and of the
// two calls the later one holds. NULL, the default, restores the system's trust
// store. (A descriptor of memory, `/proc/self/fd/N`, is no good path for that
// call: it is looked at again before each attempt, and N may be another file by
// then.)
//
// EVENTSOURCE_ERROR_CERTIFICATE if the text holds no certificate, or a broken
// one.
eventsource_error eventsource_set_ca_pem(eventsource *source, const char *pem);

// Sets the certificate that the program shows to a server, or to a proxy, that
// asks for one, and the certificate's private key.
//
// Both files are in PEM, and may be the same. This call reads them, and the
// source reads them again when they have changed, as with
// eventsource_set_ca_file(). The first certificate is the program's, others
// lead from it to an authority. The key must not be encrypted. NULL for both,
// the default, removes the certificate.
//
// EVENTSOURCE_ERROR_FILE if a file cannot be read;
// EVENTSOURCE_ERROR_CERTIFICATE if the first file holds no certificate, or a
// broken one; EVENTSOURCE_ERROR_PRIVATE_KEY if the second file holds no key,
// or one that does not match the certificate; EVENTSOURCE_ERROR_NULL if only
// one is NULL.
eventsource_error eventsource_set_client_certificate(
    eventsource *source,
    const char *cert_path,
    const char *key_path);

// Sets whether the certificates of https servers, and of https proxies, are
// checked: 1, the default, for yes, 0 for no.
//
// With 0 every certificate is accepted, whatever its version, names, dates
// and issuer. The library still checks that the server has the certificate's
// private key, unless the key is of a kind or size that the library does not
// know. Without the check, whoever sits between the program and the server can
// read and change everything. For a server with a certificate of its own, use
// eventsource_set_ca_file() instead, or eventsource_set_pinned_key() besides.
// EVENTSOURCE_ERROR_VALUE for another number.
eventsource_error eventsource_set_verify_peer(eventsource *source, int verify);

// Sets the name that the certificate of the source's server must be for,
// whatever the host of the URL is; NULL, the default, for the host itself.
//
// For a server that is reached by another name than its own: by its address,
// through a tunnel, or in a test. `name` is a DNS name or an IP address. A DNS
// name is also sent to the server while TLS is set up (SNI, RFC 6066, 3), so
// that a server with several certificates shows the right one. The source
// still connects to the host of the URL, and the header `Host` still names
// that host.
//
// The name is for the origin of the source's URL, and for that of a URL which
// eventsource_request_set_url() has set. Where a redirect leads to another
// origin, the certificate must be for that origin's host; where it leads back,
// the name holds again. An https proxy's certificate must be for the proxy's
// host. With eventsource_set_verify_peer() 0 the name is sent, and not
// checked.
//
// EVENTSOURCE_ERROR_VALUE if `name` is neither a DNS name nor an IP address.
eventsource_error eventsource_set_server_name(
    eventsource *source,
    const char *name);

// Sets the public keys of which the source's server must have one; NULL, the
// default, for any key.
//
// `keys` has the form that curl knows (CURLOPT_PINNEDPUBLICKEY): `sha256//` and
// the Base64 of the SHA-256 of the certificate's SubjectPublicKeyInfo (RFC
// 5280, 4.1.2.7); several keys are separated by `;`. A server with another key
// fails the attempt with EVENTSOURCE_ERROR_TLS, and the message names the
// server's key in the same form.
//
// The certificate must be valid besides. With eventsource_set_verify_peer() 0
// the key is all that counts: a server whose certificate is self-signed, or for
// another name or none, can be followed securely. The server then always proves
// that it has the key, and a key of a kind or size that the library does not
// know is refused.
//
// The keys are for the servers that eventsource_set_server_name() is for, and
// these must be https: an attempt for an http URL fails likewise, and is not
// made again. Other origins, if redirects lead there, and https proxies need
// none of the keys. Once a key is pinned, their certificates must be valid,
// whatever eventsource_set_verify_peer() says.
//
// EVENTSOURCE_ERROR_VALUE if `keys` has another form.
eventsource_error eventsource_set_pinned_key(
    eventsource *source,
    const char *keys);

// Sets the version of HTTP that the source speaks. `version` is an
// `eventsource_http`, EVENTSOURCE_HTTP_AUTO by default.
//
// Over https the server is asked while TLS is set up (ALPN, RFC 7301). With
// EVENTSOURCE_HTTP_AUTO a source with a thread of its own asks for HTTP/1.1,
// connects once more for HTTP/2 if the server refuses that, and remembers so; a
// source of a loop offers HTTP/2 and HTTP/1.1, and the server chooses. With
// EVENTSOURCE_HTTP_1_1 and EVENTSOURCE_HTTP_2, a server without that version
// fails the attempt with EVENTSOURCE_ERROR_TLS.
//
// For http URLs EVENTSOURCE_HTTP_2 means that the server is known to speak it
// (RFC 9113, 3.3): a server that answers in HTTP/1.1 fails the attempt with
// EVENTSOURCE_ERROR_HTTP. A proxy for http URLs has no HTTP/2, and fails it
// with EVENTSOURCE_ERROR_PROXY. Through the tunnels of other proxies, HTTP/2
// goes as HTTP/1.1 does; proxies themselves are spoken to in HTTP/1.1.
//
// Whatever the version, the callbacks are the same. A request over HTTP/2 that
// the server has not looked at, and says so (RFC 9113, 8.7), is made once more
// at once, whatever its method is. Sources of a loop share their connections
// over HTTP/2, see eventsource_set_loop(); every other source has one of its
// own.
//
// EVENTSOURCE_ERROR_VALUE for another number, and for EVENTSOURCE_HTTP_2 if the
// library was built without it.
eventsource_error eventsource_set_http_version(
    eventsource *source,
    int version);

// Starting and ending a source
// ----------------------------
// eventsource_connect(3)

// Starts the source, which connects: on a thread of its own, or on that of its
// loop. Returns at once.
//
// A server that vanishes without closing the connection is noticed within two
// minutes: after one minute of silence the system begins to probe the
// connection (TCP keepalive).
//
// If a setting was refused, and no later call has cancelled the refusal, this
// function returns the error of the first such refusal (see Settings, above),
// and starts nothing. EVENTSOURCE_ERROR_ALREADY_CONNECTED the second time,
// EVENTSOURCE_ERROR_CLOSED after eventsource_close(), EVENTSOURCE_ERROR_QUEUE
// as eventsource_set_queue() says, EVENTSOURCE_ERROR_SYSTEM if the system is
// out of threads or descriptors: the program may then call again.
eventsource_error eventsource_connect(eventsource *source);

// Drops the connection, or ends the wait for the next attempt, and connects
// again at once: for a program that knows, for example, that the network has
// changed.
//
// May be called from any thread, in callbacks. The source is CONNECTING from
// here on; no `on_error` comes, and `on_open` follows. Events that came but
// were not dispatched yet are dropped; Last-Event-ID asks the server for them.
// Items that wait in a queue stay there. EVENTSOURCE_ERROR_NOT_CONNECTED
// before eventsource_connect(), EVENTSOURCE_ERROR_CLOSED if the source is
// CLOSED.
eventsource_error eventsource_reconnect(eventsource *source);

// Closes the source, for good.
//
// May be called from any thread, in callbacks, in signal handlers, and again.
// This function takes no lock, allocates nothing, leaves `errno` as it is, and
// does not wait: when it returns the source is CLOSED, and `on_close` follows
// within milliseconds, whatever the source was doing. A callback that runs on
// another thread runs to its end, and one that was about to begin there may
// still run; no other does. Inside a callback of the source that callback is
// the last, but for `on_close`. To be sure from another thread that no
// callback runs any more, call eventsource_wait() or eventsource_free(). NULL
// is ignored.
void eventsource_close(eventsource *source);

// Waits until the source is CLOSED and its last callback has returned, for at
// most `timeout_ms` milliseconds; a negative number is no limit.
//
// A source whose queue is full does not become CLOSED by itself before the
// program takes the items. EVENTSOURCE_ERROR_TIMEOUT if the time limit has
// passed, EVENTSOURCE_ERROR_NOT_CONNECTED before eventsource_connect(),
// EVENTSOURCE_ERROR_CALLBACK in a callback of the same source, which would
// wait for itself.
eventsource_error eventsource_wait(
    const eventsource *source,
    int64_t timeout_ms);

// The state of a source
// ---------------------
// eventsource_ready_state(3)

// Returns the ready state of `source`; CLOSED if `source` is NULL.
eventsource_state eventsource_ready_state(const eventsource *source);

// Returns the URL of `source` as the URL Standard serializes it; redirects do
// not change it (R3). Borrowed until eventsource_free(); NULL if `source` is
// NULL.
const char *eventsource_url(const eventsource *source);

// Stores the last event ID string, with its NUL, in `buffer`, and returns its
// length without the NUL.
//
// The string is that of the last event dispatched, over all connections;
// inside a callback with an event, that event's. If it does not fit into
// `size` bytes, an empty text is stored in its place, so that nobody resumes
// with half an ID. `buffer` may be NULL if `size` is 0.
size_t eventsource_last_event_id(
    const eventsource *source,
    char *buffer,
    size_t size);

// Returns 1 if other origins get their own credentials (R4), else 0; 0 if
// `source` is NULL.
int eventsource_with_credentials(const eventsource *source);

// Stores what the source has counted in `*stats`, which has `size` bytes: pass
// `sizeof *stats`, so that programs and libraries of different versions
// understand each other.
//
// May be called from any thread at any time. This function does not wait, and
// costs the source nothing. EVENTSOURCE_ERROR_NULL if an argument is NULL.
eventsource_error eventsource_get_stats(
    const eventsource *source,
    eventsource_stats *stats,
    size_t size);

// Many sources on one thread
// --------------------------
// eventsource_loop_new(3)

// Makes a loop, and stores it in `*loop`: one thread for any number of sources
// in the place of a thread for each.
//
// A source is given to the loop with eventsource_set_loop(). The thread is
// either one of the library's, after eventsource_loop_start(), or the
// program's own, which calls eventsource_loop_dispatch(). On it all callbacks
// of the loop's sources are called, `on_request` and `on_retry` included, one
// at a time: a callback that takes long delays all the other sources. So does
// no source by what its server sends: each reads at most 64 KiB, and then the
// others have their turns.
//
// The library connects on threads of its own, which call nothing back: up to
// four, and more while servers do not answer, 1024 at most. Each ends when it
// has had no work for a second.
//
// The loop is the caller's, to be given back with eventsource_loop_free(). On
// error `*loop` is NULL: EVENTSOURCE_ERROR_SYSTEM if the system is out of
// descriptors.
eventsource_error eventsource_loop_new(eventsource_loop **loop);

// Starts a thread of the library's that drives the loop, until
// eventsource_loop_free().
//
// Its stack is as large as pthread_create() makes it by default, whatever
// eventsource_set_stack_size() says of a source. EVENTSOURCE_ERROR_BUSY if the
// loop has been started, or a thread is inside eventsource_loop_dispatch();
// EVENTSOURCE_ERROR_CALLBACK in a callback of one of the loop's sources;
// EVENTSOURCE_ERROR_SYSTEM if the system is out of threads.
eventsource_error eventsource_loop_start(eventsource_loop *loop);

// Returns a descriptor that is readable when eventsource_loop_dispatch() has
// something to do, for poll(2) and event loops; -1 if the loop has been
// started.
//
// Times that come, such as the next attempt or an idle timeout, make it
// readable, too: a program that waits for it needs no time limit of its own.
// It may be readable though there is nothing to do. The descriptor belongs to
// the loop, and exists until eventsource_loop_free(); before that the program
// takes it out of its own event loop. The program may only wait for it; it is
// one of epoll(7), and may be waited for in another. -1 in a child of the
// process.
int eventsource_loop_fd(const eventsource_loop *loop);

// Does what there is to do, once for each source, on this thread: callbacks
// are called before this function returns. Waits for something to do for at
// most `timeout_ms` milliseconds; a negative number is no limit, 0 is no wait.
//
// A program calls it again and again, or whenever eventsource_loop_fd() is
// readable. Calls from several threads are fine, one at a time. While nobody
// calls it, nothing happens to the loop's sources: what closes one has its
// `on_close` called here. EVENTSOURCE_ERROR_TIMEOUT if there was nothing to
// do, EVENTSOURCE_ERROR_BUSY if another thread is inside this function, or the
// loop has been started; EVENTSOURCE_ERROR_CALLBACK in a callback of one of
// the loop's sources; EVENTSOURCE_ERROR_SYSTEM in a child of the process.
eventsource_error eventsource_loop_dispatch(
    eventsource_loop *loop,
    int64_t timeout_ms);

// Releases the loop. Sources that are left in it are closed as by
// eventsource_close(), and `on_close` is called, before this function returns;
// they are to be freed all the same, before or after.
//
// Where the loop has been started, this function waits for its thread. Inside
// a callback of one of the loop's sources it does not wait: the sources are
// closed, and the thread ends, when the callback has returned; in a program's
// own thread, eventsource_loop_dispatch() returns then, and is not to be called
// again. No other thread may begin a call with the loop once this one may
// begin. NULL is ignored. In a child of the process it does nothing.
void eventsource_loop_free(eventsource_loop *loop);

// Has a loop drive the source from eventsource_connect() on; with NULL, the
// default, the source has a thread of its own.
//
// All that the header says of a source holds, but for this:
//
// - Callbacks are called on the thread that drives the loop. If
//   eventsource_free() is called on another thread, or in a callback of
//   another source, `on_close` is called there, before it returns.
// - eventsource_free() waits for a callback of the source that runs, and for
//   those of no other source.
// - eventsource_wait() drives a loop that has not been started while nobody
//   else does, unless `timeout_ms` is 0. In a callback of any source of the
//   loop it returns EVENTSOURCE_ERROR_CALLBACK, unless `timeout_ms` is 0, and
//   so does eventsource_next() if there is nothing to take.
// - A queue takes beyond its capacity what is left of a read, 64 KiB of the
//   stream at most, before the source reads nothing more. A source that ends
//   while its queue is full does not wait for room either: its last items are
//   put behind those that wait.
//
// Sources of a loop that use HTTP/2 share connections, if their URLs have the
// same scheme, host and port, and if the same was set for the version of HTTP,
// the proxy, the Unix socket, the interface and TLS. Each source has a stream
// of its own on the connection, which opens, ends and is reestablished by
// itself. A connection carries 100 streams, or as many as the server allows. A
// source whose queue is full holds up its own stream only. When a connection
// breaks, each of its sources has lost its stream. A connection is closed when
// the last of its sources is closed; a source that waits to reconnect keeps it
// open. `bytes` of eventsource_stats counts what the source's stream brought,
// without the frames' heads.
//
// eventsource_connect() returns EVENTSOURCE_ERROR_QUEUE if the source has a
// queue and the loop has not been started, and EVENTSOURCE_ERROR_CLOSED if the
// loop has been freed.
eventsource_error eventsource_set_loop(
    eventsource *source,
    eventsource_loop *loop);

// Pull mode
// ---------
// eventsource_next(3)

// Turns on pull mode: what happens to the source waits in a queue, until the
// program takes it with eventsource_next(), on a thread of its own choice.
//
// With a queue the source calls only `on_request`, `on_response` and
// `on_retry`, on its own thread. The queue is full with `capacity` items, or
// when their text is as long as that of one event may be
// (eventsource_set_max_event_size()). While the queue is full the source reads
// nothing: the server is slowed down, nothing is lost. With a few hundred items
// both sides can work at once, as items cross in batches. After a failure the
// next attempt begins when the program has taken the failure, and its delay has
// passed (R26).
//
// The ready state and the last event ID string are those of the last item
// taken. EVENTSOURCE_ERROR_VALUE if `capacity` is 0, EVENTSOURCE_ERROR_SYSTEM
// if the system is out of descriptors. eventsource_connect() returns
// EVENTSOURCE_ERROR_QUEUE if a source with a queue has another callback or a
// listener.
eventsource_error eventsource_set_queue(eventsource *source, size_t capacity);

// Sets whether comments go into the queue, too: 1 for yes, 0, the default, for
// no.
//
// Without a queue this has no effect. EVENTSOURCE_ERROR_VALUE for another
// number.
eventsource_error eventsource_set_comments(eventsource *source, int wanted);

// Takes the next item from the queue, and stores it in `*item`. Waits for an
// item for at most `timeout_ms` milliseconds; a negative number is no limit, 0
// is no wait.
//
// The item is borrowed until the next call of this function or
// eventsource_next_batch(). After eventsource_close() the next item is the
// close: items that waited are dropped. On error `*item` is NULL:
// EVENTSOURCE_ERROR_TIMEOUT if no item has come, EVENTSOURCE_ERROR_CLOSED if
// the close has been taken, EVENTSOURCE_ERROR_NOT_CONNECTED before
// eventsource_connect(), EVENTSOURCE_ERROR_QUEUE if the source has no queue,
// EVENTSOURCE_ERROR_BUSY if another thread is inside this call,
// EVENTSOURCE_ERROR_CALLBACK in `on_request`, `on_response` and `on_retry`,
// where the next item would never come.
eventsource_error eventsource_next(
    eventsource *source,
    int64_t timeout_ms,
    const eventsource_item **item);

// Takes as many items as are waiting, up to `max`, and stores them in `items`,
// an array with room for that many, and their number in `*count`: for programs
// where each call is expensive. Waits for the first item as eventsource_next()
// does.
//
// The items are borrowed until the next call of this function or
// eventsource_next(). The ready state and the last event ID string are those
// of the last of them. On error `*count` is 0. Errors are those of
// eventsource_next(), and EVENTSOURCE_ERROR_VALUE if `max` is 0.
eventsource_error eventsource_next_batch(
    eventsource *source,
    int64_t timeout_ms,
    const eventsource_item **items,
    size_t max,
    size_t *count);

// Returns a descriptor that is readable exactly while an item waits, for
// poll(2) and event loops; -1 if the source has no queue.
//
// The descriptor belongs to the source, and exists from
// eventsource_set_queue() to eventsource_free(). The program may only wait for
// it: to read from it takes a wake-up away. After eventsource_close() it is
// readable until the close has been taken. A loop that reports it only when it
// becomes readable (EPOLLET), or once (EPOLLONESHOT), has to take items until
// EVENTSOURCE_ERROR_TIMEOUT before it waits again. The program takes the
// descriptor out of its loop before eventsource_free(). May be called from any
// thread. -1 in a child of the process, too: the child shares the descriptor,
// and must not read it.
int eventsource_fd(const eventsource *source);

// The head of a response
// ----------------------
// eventsource_response_status(3)

// Returns the status of `response`; 0 if `response` is NULL.
int eventsource_response_status(const eventsource_response *response);

// Returns the version of HTTP that `response` came over: 10, 11 or 20 for
// HTTP/1.0, HTTP/1.1 and HTTP/2; 0 if `response` is NULL.
int eventsource_response_http_version(const eventsource_response *response);

// Returns the URL that `response` came from, after redirects. Borrowed as
// `response` is; NULL if `response` is NULL.
const char *eventsource_response_url(const eventsource_response *response);

// Returns the URL that `response` redirects to, absolute, whatever its header
// `Location` looks like; NULL if it is no redirect, or leads nowhere that the
// source would follow: from https to http, for example. Borrowed as `response`
// is; NULL if `response` is NULL.
const char *eventsource_response_location(const eventsource_response *response);

// Returns the value of the header `name` of `response`; NULL if `response` has
// no such header. The case of `name` does not matter; several values are
// joined by `, `. A value that is not UTF-8 is read as Latin-1. Borrowed as
// `response` is; NULL if an argument is NULL.
const char *eventsource_response_header(
    const eventsource_response *response,
    const char *name);

// Returns the name of the header number `index` of `response`, in lower case;
// NULL if `response` has not that many headers. Numbers begin at 0; a header
// with several values has as many numbers, one after the other. Borrowed as
// `response` is; NULL if `response` is NULL.
const char *eventsource_response_header_name(
    const eventsource_response *response,
    size_t index);

// Returns the value of the header number `index` of `response`, as
// eventsource_response_header_name() counts: each value by itself, so that
// `Set-Cookie`, whose values cannot be told apart once they are joined, can
// be read. Borrowed as `response` is; NULL if `response` has not that many
// headers, or is NULL.
const char *eventsource_response_header_value(
    const eventsource_response *response,
    size_t index);

// The parser alone
// ----------------
// eventsource_parser_new(3)

// Makes a parser that calls `on_event` with each event, and stores it in
// `*parser`.
//
// A program with an HTTP stack of its own feeds the parser with the bodies of
// its responses. What it needs to reconnect as the standard demands is here,
// too: eventsource_parser_on_retry() has the reconnection time,
// eventsource_parser_last_event_id() what to send as `Last-Event-ID`, and
// eventsource_parser_end() is called between two connections.
// examples/own_http.c is such a program.
//
// The parser is the caller's, to be given back with eventsource_parser_free().
// On error `*parser` is NULL.
eventsource_error eventsource_parser_new(
    eventsource_parser_event_callback on_event,
    void *user_data,
    eventsource_parser **parser);

// Sets the callback for the stream's reconnection times: how long to wait
// before the program connects again. NULL, the default, removes the callback.
//
// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
eventsource_error eventsource_parser_on_retry(
    eventsource_parser *parser,
    eventsource_parser_retry_callback on_retry,
    void *user_data);

// Sets the callback for comments. NULL, the default, removes the callback:
// comments are then skipped, at next to no cost.
//
// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
eventsource_error eventsource_parser_on_comment(
    eventsource_parser *parser,
    eventsource_parser_comment_callback on_comment,
    void *user_data);

// Presets the last event ID string, so that a program can resume where an
// earlier run stopped. Events have it until the stream sets another. NULL is
// taken for an empty text.
//
// To be called before the stream begins. EVENTSOURCE_ERROR_VALUE if `id` has a
// line break, EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
eventsource_error eventsource_parser_set_last_event_id(
    eventsource_parser *parser,
    const char *id);

// Sets the size limit of an event in bytes of data, 64 MiB by default; 0 is no
// limit.
//
// An event over the limit is dropped as it comes, its id is kept, and
// eventsource_parser_feed() returns EVENTSOURCE_ERROR_TOO_LARGE. A comment
// over the limit is dropped in the same way. What the parser stores at most is
// what a source does: see eventsource_set_max_event_size().
// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
eventsource_error eventsource_parser_set_max_event_size(
    eventsource_parser *parser,
    size_t bytes);

// Interprets the next `len` bytes of the stream, wherever the stream is cut.
// Callbacks are called before this function returns.
//
// EVENTSOURCE_ERROR_TOO_LARGE if one event or more over the size limit, or
// over what memory there was, was dropped. That does not end the stream: all
// else in `bytes` was dispatched, and the next bytes can be fed.
// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser. `bytes` may be
// NULL if `len` is 0.
eventsource_error eventsource_parser_feed(
    eventsource_parser *parser,
    const char *bytes,
    size_t len);

// Ends the stream, because its connection has ended or was lost, and prepares
// the parser for the next one: what was unfinished is dropped (R60), the last
// event ID string is kept (R59), and so are settings and callbacks.
//
// EVENTSOURCE_ERROR_LOST if the stream has ended inside an event, which was
// dropped: the server, or something on the way, has cut it off.
// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
eventsource_error eventsource_parser_end(eventsource_parser *parser);

// Prepares the parser for a new connection, as eventsource_parser_end() does,
// when nobody wants to know whether something was unfinished.
//
// EVENTSOURCE_ERROR_CALLBACK inside a callback of the parser.
eventsource_error eventsource_parser_reset(eventsource_parser *parser);

// Returns the last event ID string: that of the last event, over all
// connections. A request that resumes the stream sends it as `Last-Event-ID`,
// unless it is empty.
//
// The text has no NUL in the middle. It is borrowed until the next call of
// another function with the parser. NULL if `parser` is NULL, and inside a
// callback of the parser, where the event has the string.
const char *eventsource_parser_last_event_id(const eventsource_parser *parser);

// Releases the parser. Inside its own callback, no further callback follows,
// and the parser is released when eventsource_parser_feed() returns. NULL is
// ignored.
void eventsource_parser_free(eventsource_parser *parser);

// Error texts, version and log
// ----------------------------
// eventsource_strerror(3)

// Returns the version of the running library, such as `0.1.0`. The version
// that the program was compiled with is EVENTSOURCE_VERSION.
const char *eventsource_version(void);

// Returns what `error` means, in a few words; for an unknown number it returns
// `no such error`. The text is never released.
const char *eventsource_strerror(int error);

// Sets the callback for lines of the program's log, from all sources, up to
// `level`, an `eventsource_log_level`. NULL, the default, removes it.
//
// The callback is called from any thread, from several at a time. Lines name
// URLs without user name, password and query, and hold no headers and no data.
// A call that has begun may end after this function has returned, so that
// `user_data` must live as long as the program.
void eventsource_set_log(
    int level,
    eventsource_log_callback on_log,
    void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EVENTSOURCE_H */
