// SPDX-License-Identifier: MIT OR Apache-2.0

// EventSource for C++17 and newer: libeventsource's C API, <eventsource.h>,
// as classes. A program links with the C library alone.
//
// A *source* follows an event stream: it connects to a URL, calls the program
// with each event, and reconnects after every lost connection, where the
// stream stopped. A source behaves as `new EventSource(url)` does in a browser.
//
//     #include <eventsource.hpp>
//     #include <iostream>
//
//     int main()
//     {
//         sse::EventSource source("http://localhost:8080/");
//         source.on_event([](const sse::Event &event) {
//             std::cout << event.type() << ": " << event.data() << '\n';
//         });
//         source.connect();
//         source.wait(); // until it is closed for good
//     }
//
// Handlers
// --------
// Each source has one thread, from connect() until it is closed. Handlers run
// on it, one at a time, in the order of the stream. While a handler runs,
// nothing more is read: the server is slowed down, nothing is dropped. An
// exception that leaves a handler ends the program by std::terminate(), as an
// exception that leaves the function of a std::thread does.
//
// A handler may call any function of its source except wait(). It may also
// destroy the source: the handler object then lives until it has returned. The
// destructor closes the source, and waits until its last handler has returned:
// declare objects that handlers refer to before the source. A source may be
// moved at any time, also while its handlers run; they do not notice, unless
// they refer to the object that is moved from.
//
// Pull mode
// ---------
// A source with a queue, set_queue(), calls no handlers but those of
// on_request(), on_response() and on_retry(). The program takes items from the
// queue, on any thread it likes: the events alone, by a range,
//
//     source.set_queue(256);
//     source.connect();
//     for (const sse::Event &event : source)
//         std::cout << event.data() << '\n';
//
// or every item, by next(). fd() is for event loops.
//
// Threads
// -------
// Const functions may be called from any thread at any time, also in handlers;
// so may close(), reconnect(), add_event_listener() and
// remove_event_listener().
//
// Loops
// -----
// A Loop drives any number of sources on one thread, its own or the program's:
//
//     sse::Loop loop;
//     source.set_loop(loop);
//     source.connect();
//     while (source.ready_state() != sse::ReadyState::closed)
//         loop.dispatch();
//
// Handlers of all its sources run on that thread, one at a time. A source that
// is destroyed on another thread, or in a handler of another source, has its
// on_close() handler called there. Loop and sources may be destroyed in any
// order, also in handlers.
//
// Views
// -----
// Event, Response, Failure, Request and Comment are views: they, and every
// string_view that they return, are borrowed until the handler returns, or
// until the next item is asked for. They cannot be copied. An OwnedEvent is a
// copy of an event that the program may keep:
//
//     std::vector<sse::OwnedEvent> events;
//     for (const sse::Event &event : source)
//         events.push_back(event);
//
// A NUL stands behind the last character of each string_view. Arguments of
// functions are copied; text must be UTF-8, and is Errc::value if it has a NUL
// in the middle.
//
// Errors
// ------
// A call that is misused throws sse::Error, and has then changed nothing. An
// Errc is also a std::error_code. Failures on the network are reported to
// on_error(). With -fno-exceptions errors call std::terminate(). A program that
// is to see such an error makes the call in C, by native_handle(), or by
// eventsource_new() and the constructor that takes a source over.
//
// What differs from C
// -------------------
// - Errors are thrown, not returned. Where C returns NULL, 0 or -1 for "none",
//   functions here return std::nullopt; only fd() returns -1.
// - A text that is nullptr, std::nullopt, or a `const char *` that is NULL, is
//   C's NULL: it removes a setting, or is Errc::null.
// - Callbacks have no `user_data`: a handler owns what it needs, and the source
//   owns the handler. A handler need not be copyable.
// - The destructor frees a source, also in one of its handlers.
// - eventsource_add_listener() is add_event_listener(), and returns the number;
//   eventsource_get_stats() is stats().
// - wait() and next() without a time are those of C with -1; a time below 0 is
//   taken for 0.
// - There is no eventsource_next_batch().
// - Parser::feed() and Parser::end() return false for what is an error in C:
//   an event was too large, or cut off. A server brings that about, and must
//   not end a program that has no exceptions.

#ifndef EVENTSOURCE_HPP
#define EVENTSOURCE_HPP

#include <eventsource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <forward_list>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace sse {

// What went wrong. The first group comes from calls, the second, from
// `timeout` on, from connections, too.
enum class Errc {
    // No error. As the reason of a close: the program closed the source.
    none = EVENTSOURCE_ERROR_NONE,
    // A required argument is NULL.
    null = EVENTSOURCE_ERROR_NULL,
    // A text is not UTF-8.
    utf8 = EVENTSOURCE_ERROR_UTF8,
    // A text is not an absolute URL, or not the URL of a proxy.
    url = EVENTSOURCE_ERROR_URL,
    // The scheme of a URL is neither http nor https; for a proxy, it is
    // unknown.
    scheme = EVENTSOURCE_ERROR_SCHEME,
    // HTTP cannot carry the header, or the header belongs to the library.
    header = EVENTSOURCE_ERROR_HEADER,
    // The function does not accept this number or text.
    value = EVENTSOURCE_ERROR_VALUE,
    // The source has been connected, so that its settings are final.
    already_connected = EVENTSOURCE_ERROR_ALREADY_CONNECTED,
    // The source has not been connected.
    not_connected = EVENTSOURCE_ERROR_NOT_CONNECTED,
    // The source is CLOSED.
    closed = EVENTSOURCE_ERROR_CLOSED,
    // The function cannot be called inside a callback of the same object.
    callback = EVENTSOURCE_ERROR_CALLBACK,
    // A time limit has passed: for a wait, for connecting, for the response's
    // headers, or between two bytes of the stream.
    timeout = EVENTSOURCE_ERROR_TIMEOUT,
    // The system is out of threads, descriptors or memory.
    system = EVENTSOURCE_ERROR_SYSTEM,
    // The host name was not found.
    resolve = EVENTSOURCE_ERROR_RESOLVE,
    // No connection could be made to any of the host's addresses.
    connect = EVENTSOURCE_ERROR_CONNECT,
    // No secure connection could be made: the certificate was refused, or the
    // handshake broke off.
    tls = EVENTSOURCE_ERROR_TLS,
    // The response is not HTTP, or its head is too large.
    http = EVENTSOURCE_ERROR_HTTP,
    // A redirect cannot be followed, or there were too many redirects.
    redirect = EVENTSOURCE_ERROR_REDIRECT,
    // The response's status is not 200. With 204 the server tells the source to
    // stop.
    status = EVENTSOURCE_ERROR_STATUS,
    // The response is not an event stream.
    content_type = EVENTSOURCE_ERROR_CONTENT_TYPE,
    // The connection was lost before the response came, or the stream broke
    // off, or the stream ended inside an event, which was dropped.
    lost = EVENTSOURCE_ERROR_LOST,
    // The stream ended in good order. If the source does not ask for it again,
    // that is no failure: only `on_close` is called.
    ended = EVENTSOURCE_ERROR_ENDED,
    // An event over the size limit was dropped. The stream goes on.
    too_large = EVENTSOURCE_ERROR_TOO_LARGE,
    // The library has a defect.
    internal = EVENTSOURCE_ERROR_INTERNAL,
    // A file cannot be read.
    file = EVENTSOURCE_ERROR_FILE,
    // A file holds no certificate in PEM, or a broken one.
    certificate = EVENTSOURCE_ERROR_CERTIFICATE,
    // A file holds no unencrypted private key in PEM, or one that does not
    // match the certificate.
    private_key = EVENTSOURCE_ERROR_PRIVATE_KEY,
    // The proxy refuses, or does not answer as a proxy does.
    proxy = EVENTSOURCE_ERROR_PROXY,
    // The call is for sources with a queue, and this source has none, or the
    // other way round.
    queue = EVENTSOURCE_ERROR_QUEUE,
    // Another thread is inside this call.
    busy = EVENTSOURCE_ERROR_BUSY,
    // The program has aborted the attempt before it was made.
    aborted = EVENTSOURCE_ERROR_ABORTED,
    // The program has refused the response.
    refused = EVENTSOURCE_ERROR_REFUSED,
};

enum class ReadyState {
    // Not connected yet, connecting, or waiting to reconnect.
    connecting = EVENTSOURCE_STATE_CONNECTING,
    // The response was accepted; events are dispatched as they come.
    open = EVENTSOURCE_STATE_OPEN,
    // Closed by the program, or the connection was failed. It stays so.
    closed = EVENTSOURCE_STATE_CLOSED,
};

// After which failures a source reconnects.
enum class Retry {
    // After every failure of the network. A status other than 200, or another
    // content type, ends the source.
    standard = EVENTSOURCE_RETRY_STANDARD,
    // After the statuses 408, 425, 429 and 500 to 599, too.
    persistent = EVENTSOURCE_RETRY_PERSISTENT,
    // As `persistent` until a response is accepted, and never after that.
    until_open = EVENTSOURCE_RETRY_UNTIL_OPEN,
    // Never: one attempt, one stream.
    never = EVENTSOURCE_RETRY_NEVER,
};

// What becomes of a response, as on_response() decides.
enum class Verdict {
    // What the standard says: redirects are followed, an event stream with
    // status 200 is read, and everything else is a failure.
    standard = EVENTSOURCE_VERDICT_STANDARD,
    // The body is read as an event stream, whatever the status and the content
    // type are. For a redirect that is followed, and for the statuses 101, 204
    // and 304, which have no body, the same as `standard`.
    accept = EVENTSOURCE_VERDICT_ACCEPT,
    // The response is a failure, Errc::refused; a redirect is not followed. No
    // policy asks again.
    refuse = EVENTSOURCE_VERDICT_REFUSE,
};

// The version of HTTP that a source speaks.
enum class HttpVersion {
    // HTTP/1.1; HTTP/2 with a server that speaks nothing else over TLS. On a
    // loop, where sources share connections, whichever the server prefers.
    automatic = EVENTSOURCE_HTTP_AUTO,
    // HTTP/1.1 and nothing else.
    http_1_1 = EVENTSOURCE_HTTP_1_1,
    // HTTP/2 and nothing else, also for http URLs.
    http_2 = EVENTSOURCE_HTTP_2,
};

// How much set_log() reports: a level and those above it.
enum class LogLevel {
    off = EVENTSOURCE_LOG_LEVEL_OFF,
    // Defects of the library.
    error = EVENTSOURCE_LOG_LEVEL_ERROR,
    // Sources that gave up.
    warn = EVENTSOURCE_LOG_LEVEL_WARN,
    // Connections opened and lost.
    info = EVENTSOURCE_LOG_LEVEL_INFO,
    // Every attempt.
    debug = EVENTSOURCE_LOG_LEVEL_DEBUG,
};

// The meaning of an error, in a few words.
inline std::string_view message(Errc code) noexcept
{
    return eventsource_strerror(static_cast<int>(code));
}

// The category of Errc's error codes. Errc::timeout is std::errc::timed_out.
inline const std::error_category &error_category() noexcept
{
    class Category : public std::error_category {
    public:
        const char *name() const noexcept override { return "eventsource"; }

        std::string message(int code) const override
        {
            return eventsource_strerror(code);
        }

        std::error_condition
        default_error_condition(int code) const noexcept override
        {
            if (code == EVENTSOURCE_ERROR_TIMEOUT)
                return std::errc::timed_out;
            return {code, *this};
        }
    };
    static const Category category;
    return category;
}

[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept
{
    return {static_cast<int>(code), error_category()};
}

} // namespace sse

template <> struct std::is_error_code_enum<sse::Errc> : std::true_type {
};

namespace sse {

// A call was misused, or the system is out of resources: code() is an Errc.
class Error : public std::system_error {
public:
    explicit Error(Errc code) : std::system_error(make_error_code(code)) {}
};

// A text argument: anything that converts to std::string_view or std::string.
// nullptr, a `const char *` that is NULL, std::nullopt and an empty optional
// are C's NULL; an empty text is not. Borrowed: for parameters only.
class Text {
    // How a T is converted.
    template <class T>
    static constexpr bool is_pointer = std::is_convertible_v<T, const char *>;
    template <class T>
    static constexpr bool is_view = std::is_convertible_v<T, std::string_view>;
    template <class T>
    static constexpr bool is_text =
        is_pointer<T> || is_view<T> || std::is_convertible_v<T, std::string>;

public:
    Text() noexcept = default;
    Text(std::nullopt_t) noexcept {}
    Text(const char *text) { assign(text); }
    Text(const char *text, std::size_t len) : view_({text, len}) {}

    template <class T, class = std::enable_if_t<is_text<const T &>>>
    Text(const T &text)
    {
        assign(text);
    }

    template <class T, class = std::enable_if_t<is_text<const T &>>>
    Text(const std::optional<T> &text)
    {
        if (text)
            assign(*text);
    }

    Text(const Text &) = delete;
    Text &operator=(const Text &) = delete;

    // Nothing for C's NULL.
    std::optional<std::string_view> view() const noexcept { return view_; }

private:
    template <class T> void assign(const T &text)
    {
        if constexpr (is_pointer<const T &>) {
            const char *pointer = text;
            if (pointer)
                view_ = pointer;
        } else if constexpr (is_view<const T &>) {
            view_ = text;
        } else {
            owned_ = text;
            view_ = owned_;
        }
    }

    std::optional<std::string_view> view_;
    // The text of a std::filesystem::path, for example.
    std::string owned_;
};

// A std::function that can be moved, but not copied, so that a handler may own
// objects that cannot be copied. Empty if made of nullptr or an empty function.
template <class Signature> class Function;

template <class Result, class... Arguments>
class Function<Result(Arguments...)> {
    template <class Callable>
    static constexpr bool is_other = std::conjunction_v<
        std::negation<std::is_same<Callable, Function>>,
        std::is_invocable_r<Result, Callable &, Arguments...>>;

    // Pointers, and functions such as std::function.
    template <class Callable>
    static constexpr bool may_be_empty =
        std::conjunction_v<std::is_constructible<Callable, std::nullptr_t>,
                           std::is_constructible<bool, Callable &>>;

public:
    Function() noexcept = default;
    Function(std::nullptr_t) noexcept {}

    template <class Callable, class Held = std::decay_t<Callable>,
              class = std::enable_if_t<is_other<Held>>>
    Function(Callable &&callable)
    {
        Held held(std::forward<Callable>(callable));
        if constexpr (may_be_empty<Held>) {
            if (!static_cast<bool>(held))
                return;
        }
        held_ = std::make_unique<Of<Held>>(std::move(held));
    }

    explicit operator bool() const noexcept { return held_ != nullptr; }

    // Not to be called if it is empty.
    Result operator()(Arguments... arguments) const
    {
        return held_->call(std::forward<Arguments>(arguments)...);
    }

private:
    struct Any {
        virtual ~Any() = default;
        virtual Result call(Arguments... arguments) = 0;
    };

    template <class Callable> struct Of final : Any {
        explicit Of(Callable &&held) : callable(std::move(held)) {}

        Result call(Arguments... arguments) override
        {
            if constexpr (std::is_void_v<Result>)
                std::invoke(callable, std::forward<Arguments>(arguments)...);
            else
                return std::invoke(callable,
                                   std::forward<Arguments>(arguments)...);
        }

        Callable callable;
    };

    std::unique_ptr<Any> held_;
};

namespace detail {

[[noreturn]] inline void fail(Errc code)
{
#if defined(__cpp_exceptions)
    throw Error(code);
#else
    (void)code;
    std::terminate();
#endif
}

inline void check(eventsource_error error)
{
    if (error != EVENTSOURCE_ERROR_NONE)
        fail(static_cast<Errc>(error));
}

// A text of C as a view; empty for NULL.
inline std::string_view view(const char *text) noexcept
{
    return text ? std::string_view(text) : std::string_view();
}

// A text for a call in C, with a NUL behind it; NULL if there is none.
class CText {
public:
    CText(const Text &text)
        : is_there_(text.view()), text_(text.view().value_or(""))
    {
        if (text_.find('\0') != std::string::npos)
            fail(Errc::value);
    }

    operator const char *() const noexcept
    {
        return is_there_ ? text_.c_str() : nullptr;
    }

private:
    bool is_there_;
    std::string text_;
};

inline std::uint64_t count(std::chrono::milliseconds time)
{
    if (time.count() < 0)
        fail(Errc::value);
    return static_cast<std::uint64_t>(time.count());
}

inline std::chrono::milliseconds milliseconds(std::uint64_t count) noexcept
{
    constexpr auto max = std::chrono::milliseconds::max().count();
    const auto most = std::min(count, static_cast<std::uint64_t>(max));
    return std::chrono::milliseconds(static_cast<std::int64_t>(most));
}

} // namespace detail

// An event.
class Event {
public:
    explicit Event(const eventsource_event *event) noexcept : event_(event) {}

    // A view, borrowed: OwnedEvent is a copy.
    Event(const Event &) = delete;
    Event &operator=(const Event &) = delete;

    // The event type: what the stream's `event` field said, or `message`.
    std::string_view type() const noexcept
    {
        return {event_->type, event_->type_len};
    }

    // The stream's `data` lines, joined by line feeds.
    std::string_view data() const noexcept
    {
        return {event_->data, event_->data_len};
    }

    // The last event ID string, also if this event had no `id` field; empty
    // if there was none yet.
    std::string_view last_event_id() const noexcept
    {
        return {event_->last_event_id, event_->last_event_id_len};
    }

    // Scheme, host and port of the URL that the event came from, after
    // redirects. Empty in an event from a Parser.
    std::string_view origin() const noexcept
    {
        return detail::view(event_->origin);
    }

private:
    const eventsource_event *event_;
};

// A copy of an event, for the program to keep.
class OwnedEvent : public Event {
public:
    OwnedEvent(const Event &event)
        : Event(&shown_), type_(event.type()), data_(event.data()),
          last_event_id_(event.last_event_id()), origin_(event.origin())
    {
        show();
    }

    OwnedEvent(const OwnedEvent &other)
        : OwnedEvent(static_cast<const Event &>(other))
    {
    }

    OwnedEvent(OwnedEvent &&other) noexcept : Event(&shown_) { swap(other); }

    OwnedEvent &operator=(OwnedEvent other) noexcept
    {
        swap(other);
        return *this;
    }

    ~OwnedEvent() = default;

private:
    void swap(OwnedEvent &other) noexcept
    {
        type_.swap(other.type_);
        data_.swap(other.data_);
        last_event_id_.swap(other.last_event_id_);
        origin_.swap(other.origin_);
        show();
        other.show();
    }

    void show() noexcept
    {
        shown_.type = type_.c_str();
        shown_.type_len = type_.size();
        shown_.data = data_.c_str();
        shown_.data_len = data_.size();
        shown_.last_event_id = last_event_id_.c_str();
        shown_.last_event_id_len = last_event_id_.size();
        shown_.origin = origin_.c_str();
    }

    eventsource_event shown_ = {};
    std::string type_;
    std::string data_;
    std::string last_event_id_;
    std::string origin_;
};

// The head of a response. As an item: the response was accepted, the source is
// open.
class Response {
public:
    explicit Response(const eventsource_response *response) noexcept
        : response_(response)
    {
    }

    // A view, borrowed.
    Response(const Response &) = delete;
    Response &operator=(const Response &) = delete;

    int status() const noexcept
    {
        return eventsource_response_status(response_);
    }

    // The version of HTTP: 10, 11 or 20.
    int http_version() const noexcept
    {
        return eventsource_response_http_version(response_);
    }

    // The URL that the response came from, after redirects.
    std::string_view url() const noexcept
    {
        return detail::view(eventsource_response_url(response_));
    }

    // The URL that the response redirects to, absolute; none if it is no
    // redirect, or leads nowhere that the source would follow.
    std::optional<std::string_view> location() const
    {
        const char *location = eventsource_response_location(response_);
        return location ? std::optional<std::string_view>(location)
                        : std::nullopt;
    }

    // The value of a header; several values are joined by `, `. The case of
    // `name` does not matter.
    std::optional<std::string_view> header(const Text &name) const
    {
        const char *value =
            eventsource_response_header(response_, detail::CText(name));
        return value ? std::optional<std::string_view>(value) : std::nullopt;
    }

    // The name of a header, in lower case; none if there are no more than
    // `index` values. A header with several values has as many numbers.
    std::optional<std::string_view> header_name(std::size_t index) const
    {
        const char *name = eventsource_response_header_name(response_, index);
        return name ? std::optional<std::string_view>(name) : std::nullopt;
    }

    // The value of the header with that number, by itself.
    std::optional<std::string_view> header_value(std::size_t index) const
    {
        const char *value = eventsource_response_header_value(response_, index);
        return value ? std::optional<std::string_view>(value) : std::nullopt;
    }

private:
    const eventsource_response *response_;
};

// Why a connection was refused, lost or given up, and what comes next; or
// that an event was dropped for its size.
class Failure {
public:
    explicit Failure(const eventsource_failure *failure) noexcept
        : failure_(failure)
    {
    }

    // A view, borrowed.
    Failure(const Failure &) = delete;
    Failure &operator=(const Failure &) = delete;

    Errc code() const noexcept { return static_cast<Errc>(failure_->error); }

    // One line for a person, with the cause. It holds no secrets.
    std::string_view message() const noexcept
    {
        return detail::view(failure_->message);
    }

    // The error of the system, such as std::errc::connection_refused; none if
    // the failure has another cause.
    std::error_code system_error() const noexcept
    {
        return {failure_->system_error, std::system_category()};
    }

    // The status of the response, if one came, also if it was accepted.
    std::optional<int> http_status() const noexcept
    {
        const int status = failure_->http_status;
        return status ? std::optional<int>(status) : std::nullopt;
    }

    // The head of the response, if one came that was refused.
    std::optional<Response> response() const noexcept
    {
        if (!failure_->response)
            return std::nullopt;
        return std::optional<Response>(std::in_place, failure_->response);
    }

    // How many attempts in a row have failed, this attempt included; 0 if the
    // lost connection had worked: it brought an event or an id, or was open
    // for a second.
    std::uint32_t attempt() const noexcept { return failure_->attempt; }

    // Whether the source tries again, after delay(). If not, the source is
    // closed; or, after Errc::too_large, still open.
    bool will_retry() const noexcept { return failure_->will_retry != 0; }

    // The time until the next attempt begins.
    std::chrono::milliseconds delay() const noexcept
    {
        return detail::milliseconds(failure_->delay_ms);
    }

    // The last event ID string, after which another attempt asks; empty if
    // there was none yet.
    std::string_view last_event_id() const noexcept
    {
        return detail::view(failure_->last_event_id);
    }

    // The beginning of the body of a response that was refused: see
    // set_max_body_size().
    std::string_view body() const noexcept
    {
        return {failure_->body, failure_->body_len};
    }

    // Whether body() is all of it.
    bool body_complete() const noexcept { return failure_->body_complete != 0; }

private:
    const eventsource_failure *failure_;
};

// An attempt that is about to be made. Changes are for this attempt alone, but
// for the last event ID string.
class Request {
public:
    explicit Request(eventsource_request *request) noexcept : request_(request)
    {
    }

    // A view, borrowed.
    Request(const Request &) = delete;
    Request &operator=(const Request &) = delete;

    // The number of this attempt of the source, from 1 on.
    std::uint64_t attempt() const noexcept
    {
        return eventsource_request_attempt(request_);
    }

    // The reason for another attempt: the failure that was reported to
    // on_error(). None for the first attempt, and after reconnect().
    std::optional<Failure> failure() const noexcept
    {
        const eventsource_failure *failure =
            eventsource_request_failure(request_);
        if (!failure)
            return std::nullopt;
        return std::optional<Failure>(std::in_place, failure);
    }

    // The last event ID string as this attempt sends it, also in pull mode,
    // where EventSource::last_event_id() is as of the item last taken. Borrowed
    // until it is set; empty if there was none yet.
    std::string_view last_event_id() const noexcept
    {
        return detail::view(eventsource_request_last_event_id(request_));
    }

    // Sets a header, or removes it.
    void set_header(const Text &name, const Text &value)
    {
        detail::check(eventsource_request_set_header(
            request_, detail::CText(name), detail::CText(value)));
    }

    // With GET the body is not sent, so that a stream that was asked for by
    // POST can be resumed.
    void set_method(const Text &method)
    {
        detail::check(
            eventsource_request_set_method(request_, detail::CText(method)));
    }

    // Sets the URL of this attempt, which stands in the place of the source's:
    // headers, cookies and client certificate go to its origin, and user name
    // and password are its own. Where a redirect led before does not count any
    // more. Errc::url, Errc::scheme.
    void set_url(const Text &url)
    {
        detail::check(
            eventsource_request_set_url(request_, detail::CText(url)));
    }

    // Sets the last event ID string, or clears it, for a server that has
    // forgotten the id. This lasts, as if the stream had set the id.
    // Errc::value if it has a line break.
    void set_last_event_id(const Text &id)
    {
        detail::check(
            eventsource_request_set_last_event_id(request_, detail::CText(id)));
    }

    // The attempt is not made: it fails with Errc::aborted and `message`, or
    // with a message of the library if there is none. What follows is what
    // follows any failure: on_retry(), on_error(), a delay, another attempt.
    void abort(const Text &message)
    {
        detail::check(
            eventsource_request_abort(request_, detail::CText(message)));
    }

private:
    eventsource_request *request_;
};

// A comment, as an item: the text after the colon, unchanged.
struct Comment {
    explicit Comment(std::string_view comment) noexcept : text(comment) {}

    // A view, borrowed.
    Comment(const Comment &) = delete;
    Comment &operator=(const Comment &) = delete;

    const std::string_view text;
};

// The source is closed for good, as an item: the last item.
struct Close {
    Errc reason;
};

// What the queue holds in pull mode. std::visit() handles every kind of item,
// std::get_if() a single kind. A view, borrowed until the next item.
using Item = std::variant<Response, Event, Comment, Failure, Close>;

// Counts since connect(). The numbers are read one after the other while the
// source goes on: of two numbers that belong together one may be newer.
struct Stats {
    // Bytes of streams as they were received.
    std::uint64_t bytes;
    // Events dispatched.
    std::uint64_t events;
    // Comments, if on_comment() is set or comments wait in the queue.
    std::uint64_t comments;
    // Connections announced.
    std::uint64_t connects;
    // Attempts to reconnect, successful or not.
    std::uint64_t reconnects;
    // Events dropped for their size.
    std::uint64_t dropped;
    // When the last byte of a stream came; none if no byte has come yet.
    std::optional<std::chrono::system_clock::time_point> last_byte_at;
    // From the request to the head of the response accepted last.
    std::chrono::milliseconds time_to_headers;
};

using EventHandler = Function<void(const Event &)>;
using ResponseHandler = Function<Verdict(const Response &)>;
using RetryHandler =
    Function<std::optional<std::chrono::milliseconds>(const Failure &)>;

namespace detail {

// The C source and its handlers, in one object that does not move: the
// `user_data` of every callback. It outlives the source's last callback.
struct Source {
    // The `user_data` of a listener in C, which deletes it.
    struct Listener {
        Source *source;
        EventHandler handler;
    };

    eventsource *handle = nullptr;
    // Whether the source was freed inside one of these handlers, which is still
    // running. Used by the source's thread alone.
    bool released = false;
    // An Errc, once the close was reported; -1 before that.
    std::atomic<int> close_reason{-1};

    Function<void(const Response &)> open;
    EventHandler event;
    Function<void(const Failure &)> error;
    Function<void(Errc)> close;
    Function<void(std::string_view)> comment;
    Function<void(Request &)> request;
    ResponseHandler response;
    RetryHandler retry;

    // The event that the range has reached.
    std::optional<Event> at;

    struct Release {
        void operator()(Source *source) const noexcept
        {
            const bool in_handler = eventsource_wait(source->handle, 0)
                                    == EVENTSOURCE_ERROR_CALLBACK;
            eventsource_free(source->handle);
            if (in_handler)
                source->released = true;
            else
                delete source;
        }
    };

    // Lives around each handler, and deletes the source if the handler has
    // freed it: nobody needs the source any more when the handler has returned.
    // Only on_close is called inside another handler, by eventsource_free(),
    // before `released` is set.
    class Running {
    public:
        explicit Running(void *source) noexcept
            : source_(static_cast<Source *>(source))
        {
        }
        Running(const Running &) = delete;
        Running &operator=(const Running &) = delete;
        ~Running()
        {
            if (source_->released)
                delete source_;
        }

        Source *operator->() const noexcept { return source_; }

    private:
        Source *source_;
    };

    // The callbacks. An exception must not reach C: noexcept ends the program.

    static void on_open(eventsource *, const eventsource_response *response,
                        void *user_data) noexcept
    {
        Running(user_data)->open(Response(response));
    }

    static void on_event(eventsource *, const eventsource_event *event,
                         void *user_data) noexcept
    {
        Running(user_data)->event(Event(event));
    }

    static void on_error(eventsource *, const eventsource_failure *failure,
                         void *user_data) noexcept
    {
        Running(user_data)->error(Failure(failure));
    }

    static void on_close(eventsource *, eventsource_error reason,
                         void *user_data) noexcept
    {
        Running source(user_data);
        source->close_reason = reason;
        if (source->close)
            source->close(static_cast<Errc>(reason));
    }

    static void on_comment(eventsource *, const char *comment, std::size_t len,
                           void *user_data) noexcept
    {
        Running(user_data)->comment(std::string_view(comment, len));
    }

    static void on_request(eventsource *, eventsource_request *request,
                           void *user_data) noexcept
    {
        Request view(request);
        Running(user_data)->request(view);
    }

    static int on_response(eventsource *, const eventsource_response *response,
                           void *user_data) noexcept
    {
        const Response view(response);
        return static_cast<int>(Running(user_data)->response(view));
    }

    static std::int64_t on_retry(eventsource *,
                                 const eventsource_failure *failure,
                                 void *user_data) noexcept
    {
        const auto wait = Running(user_data)->retry(Failure(failure));
        return wait ? std::max<std::int64_t>(wait->count(), 0) : -1;
    }

    static void on_listened_event(eventsource *, const eventsource_event *event,
                                  void *user_data) noexcept
    {
        const auto *listener = static_cast<Listener *>(user_data);
        const Running source(listener->source);
        listener->handler(Event(event));
    }

    // The source may be gone.
    static void on_removed(void *user_data) noexcept
    {
        delete static_cast<Listener *>(user_data);
    }

    // The next item in C; NULL if the time has passed or the close was taken.
    const eventsource_item *take(std::int64_t timeout_ms)
    {
        const eventsource_item *item;
        const auto result = eventsource_next(handle, timeout_ms, &item);
        if (result == EVENTSOURCE_ERROR_TIMEOUT
            || result == EVENTSOURCE_ERROR_CLOSED)
            return nullptr;
        check(result);
        if (item->type == EVENTSOURCE_ITEM_TYPE_CLOSE)
            close_reason = item->reason;
        return item;
    }

    // Goes on to the next event, if there is one.
    bool advance()
    {
        while (const auto *item = take(-1)) {
            if (item->type == EVENTSOURCE_ITEM_TYPE_EVENT) {
                at.emplace(item->event);
                return true;
            }
        }
        return false;
    }

    std::optional<Item> next(std::int64_t timeout_ms)
    {
        const auto *item = take(timeout_ms);
        if (!item)
            return std::nullopt;
        switch (item->type) {
        case EVENTSOURCE_ITEM_TYPE_OPEN:
            return made<Response>(item->response);
        case EVENTSOURCE_ITEM_TYPE_EVENT:
            return made<Event>(item->event);
        case EVENTSOURCE_ITEM_TYPE_COMMENT:
            return made<Comment>(
                std::string_view(item->comment, item->comment_len));
        case EVENTSOURCE_ITEM_TYPE_ERROR:
            return made<Failure>(item->failure);
        case EVENTSOURCE_ITEM_TYPE_CLOSE:
            break;
        }
        return made<Close>(Close{static_cast<Errc>(item->reason)});
    }

    // Makes an item in its place: views cannot be moved.
    template <class View, class From>
    static std::optional<Item> made(const From &from)
    {
        return std::optional<Item>(std::in_place, std::in_place_type<View>,
                                   from);
    }
};

} // namespace detail

// A loop, which drives any number of sources on one thread. It can be moved, but
// not copied. The destructor closes the sources that are left, and waits for
// the loop's thread, unless it is called in a handler of one of them.
class [[nodiscard]] Loop {
public:
    // Errc::system if the system has no descriptor left.
    Loop()
    {
        eventsource_loop *loop = nullptr;
        detail::check(eventsource_loop_new(&loop));
        loop_.reset(loop);
    }

    // Starts a thread that drives the loop. Errc::busy if it has been started,
    // or is inside dispatch().
    void start() { detail::check(eventsource_loop_start(native_handle())); }

    // Does once what there is to do, on this thread, for a loop that has not
    // been started; waits for it. Errc::busy if another thread is inside this
    // call, Errc::callback in a handler of one of the loop's sources.
    void dispatch() { dispatch_for(-1); }

    // The same, but waits no longer than `timeout`, and with 0 not at all.
    // Returns whether there was something to do.
    bool dispatch(std::chrono::milliseconds timeout)
    {
        return dispatch_for(std::max<std::int64_t>(timeout.count(), 0));
    }

    // A descriptor that is readable when dispatch() has something to do, also
    // because a time has come. Wait for it, for example with poll(2), then call
    // dispatch(0ms); do not read from it. -1 if the loop has been started.
    int fd() const noexcept { return eventsource_loop_fd(native_handle()); }

    // The C loop, which still belongs to this object. NULL if it was moved from.
    eventsource_loop *native_handle() const noexcept { return loop_.get(); }

private:
    bool dispatch_for(std::int64_t timeout_ms)
    {
        const auto error =
            eventsource_loop_dispatch(native_handle(), timeout_ms);
        if (error == EVENTSOURCE_ERROR_TIMEOUT)
            return false;
        detail::check(error);
        return true;
    }

    struct Free {
        void operator()(eventsource_loop *loop) const noexcept
        {
            eventsource_loop_free(loop);
        }
    };

    std::unique_ptr<eventsource_loop, Free> loop_;
};

// A source of events. It can be moved, but not copied.
class [[nodiscard]] EventSource {
public:
    // `url` is absolute, http or https. Nothing is sent until connect().
    // Errc::url, Errc::scheme, Errc::utf8.
    explicit EventSource(const Text &url) : source_(new detail::Source)
    {
        detail::check(eventsource_new(detail::CText(url), &source_->handle));
    }

    // Takes over a source that was made by eventsource_new() and is not
    // connected yet.
    explicit EventSource(eventsource *source) : source_(new detail::Source)
    {
        if (!source)
            detail::fail(Errc::null);
        source_->handle = source;
    }

    // Handlers. They are set before connect(), else Errc::already_connected; an
    // empty function removes a handler.

    // A connection is announced: the response was accepted.
    void on_open(Function<void(const Response &)> handler)
    {
        set(eventsource_on_open, detail::Source::on_open, &detail::Source::open,
            std::move(handler));
    }

    // An event, whatever its type. Called before the listeners of the type.
    void on_event(EventHandler handler)
    {
        set(eventsource_on_event, detail::Source::on_event,
            &detail::Source::event, std::move(handler));
    }

    // A connection was refused, lost or given up, once for each; or an event
    // was dropped for its size.
    void on_error(Function<void(const Failure &)> handler)
    {
        set(eventsource_on_error, detail::Source::on_error,
            &detail::Source::error, std::move(handler));
    }

    // The source is closed for good; called last of all, exactly once.
    // Errc::none if the program closed it, Errc::ended if its stream has ended
    // and the source does not reconnect, else the error of the last on_error().
    void on_close(Function<void(Errc)> handler)
    {
        set(eventsource_on_close, detail::Source::on_close,
            &detail::Source::close, std::move(handler));
    }

    // A comment: the text after the colon, unchanged.
    void on_comment(Function<void(std::string_view)> handler)
    {
        set(eventsource_on_comment, detail::Source::on_comment,
            &detail::Source::comment, std::move(handler));
    }

    // Called before every attempt, the first included, so that the program can
    // send a fresh token, or ask in another way when it reconnects. Called in
    // pull mode, too.
    void on_request(Function<void(Request &)> handler)
    {
        set(eventsource_on_request, detail::Source::on_request,
            &detail::Source::request, std::move(handler));
    }

    // Decides what becomes of a response, redirects included, before the source
    // looks at it: for streams without a content type, or with the status 201
    // or 202, for redirects that are not to be followed everywhere, and for
    // headers that count whatever the response is. Called in pull mode, too.
    void on_response(ResponseHandler handler)
    {
        set(eventsource_on_response, detail::Source::on_response,
            &detail::Source::response, std::move(handler));
    }

    // Decides what follows a failure, before on_error() is called: returns the
    // delay before the next attempt, or nothing to give up. The value
    // `failure.will_retry() ? std::optional(failure.delay()) : std::nullopt`
    // changes nothing. Called in pull mode, too.
    void on_retry(RetryHandler handler)
    {
        set(eventsource_on_retry, detail::Source::on_retry,
            &detail::Source::retry, std::move(handler));
    }

    // Calls `handler` with the events of one type, from the next event on;
    // `message` is the type of events to which the stream gives none. Returns a
    // number for remove_event_listener(), never zero. May be called at any
    // time, from any thread, also in handlers. Errc::queue in pull mode.
    std::uint64_t add_event_listener(const Text &type, EventHandler handler)
    {
        const detail::CText text(type);
        if (!handler || !source_)
            detail::fail(Errc::null);
        using Listener = detail::Source::Listener;
        std::unique_ptr<Listener> listener(
            new Listener{source_.get(), std::move(handler)});
        std::uint64_t id;
        detail::check(eventsource_add_listener(
            native_handle(), text, detail::Source::on_listened_event,
            listener.get(), detail::Source::on_removed, &id));
        // C's from here on, and perhaps deleted by now.
        static_cast<void>(listener.release());
        return id;
    }

    // The listener is not called from here on; if it is running on another
    // thread, it runs to its end. The handler is destroyed before this
    // function returns, or when it has returned itself; the handlers of
    // listeners that were not removed, when the source has ended, or with it.
    // May be called at any time, from any thread, also in handlers. Errc::value
    // if there is no listener with this number.
    void remove_event_listener(std::uint64_t id)
    {
        detail::check(eventsource_remove_listener(native_handle(), id));
    }

    // The request. All settings here and below are made before connect(), else
    // Errc::already_connected.

    // Sets a header of every request, or removes it; it replaces a default.
    // Headers are not sent to other origins that a redirect leads to.
    // Errc::header if HTTP cannot carry the header (for example, if it has a
    // line break; in `Authorization` and `Host`, if it is not ASCII), if
    // `Accept-Encoding` asks for more than `identity`, `gzip` and `x-gzip`, if
    // there are 10,000 headers, or if it is the library's own: `Connection`,
    // `Content-Length`, `Expect`, `Last-Event-ID`, `Proxy-Authorization`, `TE`,
    // `Trailer`, `Transfer-Encoding`, `Upgrade`.
    void set_header(const Text &name, const Text &value)
    {
        detail::check(eventsource_set_header(
            native_handle(), detail::CText(name), detail::CText(value)));
    }

    // GET by default, or POST if there is a body. Errc::value for HEAD,
    // CONNECT, TRACE, and a text that is no method.
    void set_method(const Text &method)
    {
        detail::check(
            eventsource_set_method(native_handle(), detail::CText(method)));
    }

    // Sets the body, or removes it. Its type is `text/plain` unless the header
    // `Content-Type` is set. A source with a body makes one attempt only,
    // unless set_retry() says otherwise.
    void set_body(const Text &bytes)
    {
        const auto body = bytes.view();
        // An empty body is a body: NULL would remove it.
        const char *data = body && body->data() ? body->data() : "";
        detail::check(eventsource_set_body(
            native_handle(), body ? data : nullptr, body ? body->size() : 0));
    }

    // Presets the last event ID string, so that a program resumes where an
    // earlier run stopped. If `id` is empty, or over 16 KiB, no Last-Event-ID is
    // sent. Errc::value if it has a line break.
    void set_last_event_id(const Text &id)
    {
        detail::check(
            eventsource_set_last_event_id(native_handle(), detail::CText(id)));
    }

    // How many redirects one attempt follows, 20 by default. A further redirect
    // is Errc::redirect.
    void set_max_redirects(std::uint32_t n)
    {
        detail::check(eventsource_set_max_redirects(native_handle(), n));
    }

    // Whether other origins, if redirects lead there, get the credentials that
    // are their own: the cookies that they have set, and the client certificate
    // that they ask for. Off by default. The source has no list of public
    // suffixes: with credentials, a cookie for example.co.uk can be set by any
    // site under co.uk.
    void set_with_credentials(bool with_credentials)
    {
        detail::check(eventsource_set_with_credentials(native_handle(),
                                                       with_credentials));
    }

    // Whether redirects may take the program's secrets to other origins: the
    // headers that it has set, but for those that only say how it asks, and the
    // URL's user name and password. Off by default. Trust redirects only if
    // every server that is asked may learn the secrets, and may send them on.
    void set_trust_redirects(bool trust)
    {
        detail::check(eventsource_set_trust_redirects(native_handle(), trust));
    }

    // Timeouts: when one has passed, the failure is Errc::timeout. 0 is no
    // limit. No timeout limits how long a stream lasts. Errc::value for a time
    // below 0, here and below.

    // For the look-up of the name, TCP and TLS together; 30 seconds by default.
    void set_connect_timeout(std::chrono::milliseconds time)
    {
        detail::check(eventsource_set_connect_timeout(native_handle(),
                                                      detail::count(time)));
    }

    // For the head of the response; 5 minutes by default.
    void set_response_timeout(std::chrono::milliseconds time)
    {
        detail::check(eventsource_set_response_timeout(native_handle(),
                                                       detail::count(time)));
    }

    // For the silence of an open stream, which any byte ends, also that of a
    // comment; no limit by default.
    void set_idle_timeout(std::chrono::milliseconds time)
    {
        detail::check(
            eventsource_set_idle_timeout(native_handle(), detail::count(time)));
    }

    // Reconnection.

    // Retry::standard by default for a GET, Retry::never for other methods, so
    // that a request that was paid for is not repeated by accident.
    void set_retry(Retry retry)
    {
        detail::check(
            eventsource_set_retry(native_handle(), static_cast<int>(retry)));
    }

    // The wait after a connection that worked, 3 seconds by default. A `retry`
    // field of the stream changes it later on. After failed attempts the waits
    // double, and half of each is random.
    void set_reconnection_time(std::chrono::milliseconds time)
    {
        detail::check(eventsource_set_reconnection_time(native_handle(),
                                                        detail::count(time)));
    }

    // The longest wait between two attempts, 30 seconds by default, or the
    // reconnection time if that is longer. A limit set here holds for the
    // server's `retry` and `Retry-After`, too. Errc::value for 0.
    void set_max_reconnection_time(std::chrono::milliseconds time)
    {
        detail::check(eventsource_set_max_reconnection_time(
            native_handle(), detail::count(time)));
    }

    // The number of failed attempts in a row after which the source gives up;
    // with 0, the default, it never does.
    void set_max_attempts(std::uint32_t n)
    {
        detail::check(eventsource_set_max_attempts(native_handle(), n));
    }

    // The largest event in bytes of data, 64 MiB by default; 0 is no limit. A
    // larger event is dropped, and reported to on_error().
    void set_max_event_size(std::size_t bytes)
    {
        detail::check(eventsource_set_max_event_size(native_handle(), bytes));
    }

    // How many bytes are kept of a body that is no event stream, up to 64 MiB;
    // 0 for none. By default 4096, of what comes within a second. If a size is
    // set, the source waits for the body: as long as set_response_timeout()
    // says, and for each byte as long as set_idle_timeout() says. Errc::value
    // for more than 64 MiB.
    void set_max_body_size(std::size_t bytes)
    {
        detail::check(eventsource_set_max_body_size(native_handle(), bytes));
    }

    // How many bytes of stack handlers have; 0, the default, for as many as a
    // thread of the program has. Errc::value for less than 128 KiB.
    void set_stack_size(std::size_t bytes)
    {
        detail::check(eventsource_set_stack_size(native_handle(), bytes));
    }

    // The way to the server. Files are in PEM, and are read by these calls.

    // The authorities to trust instead of the system's; without a path, the
    // system's again. Errc::file, Errc::certificate.
    void set_ca_file(const Text &path)
    {
        detail::check(
            eventsource_set_ca_file(native_handle(), detail::CText(path)));
    }

    // The same as a text in PEM; the later of the two calls holds.
    // Errc::certificate.
    void set_ca_pem(const Text &pem)
    {
        detail::check(
            eventsource_set_ca_pem(native_handle(), detail::CText(pem)));
    }

    // The certificate that the program shows to a server that asks for one, and
    // its private key; without both paths it is removed. Errc::file,
    // Errc::certificate, Errc::private_key.
    void set_client_certificate(const Text &cert_path, const Text &key_path)
    {
        detail::check(eventsource_set_client_certificate(
            native_handle(), detail::CText(cert_path),
            detail::CText(key_path)));
    }

    // Whether the certificate of an https server is checked. If not, whoever
    // sits in between can read and change everything.
    void set_verify_peer(bool verify)
    {
        detail::check(eventsource_set_verify_peer(native_handle(), verify));
    }

    // The name that the certificate of the URL's own origin must be for, and
    // that the server is told (SNI); none, the default, for the URL's host.
    // Errc::value if it is neither a DNS name nor an IP address.
    void set_server_name(const Text &name)
    {
        detail::check(
            eventsource_set_server_name(native_handle(), detail::CText(name)));
    }

    // The version of HTTP to speak. A server without it fails the attempt.
    // Errc::value for HTTP/2 if the library was built without it.
    void set_http_version(HttpVersion version)
    {
        detail::check(eventsource_set_http_version(native_handle(),
                                                   static_cast<int>(version)));
    }

    // The public keys of which the URL's own origin must have one, as curl has
    // them: `sha256//BASE64`, several with `;` between them; none, the default,
    // for any key. With set_verify_peer(false) the key is all that is checked of
    // that server. Errc::value if they have another form.
    void set_pinned_key(const Text &keys)
    {
        detail::check(
            eventsource_set_pinned_key(native_handle(), detail::CText(keys)));
    }

    // The proxy to go through, `scheme://user:password@host:port`; an empty text
    // for none. The schemes are http, https, socks4, socks4a, socks5 and
    // socks5h. Without a text, which is the default, it is the environment's:
    // `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`. Errc::url,
    // Errc::scheme.
    void set_proxy(const Text &url)
    {
        detail::check(
            eventsource_set_proxy(native_handle(), detail::CText(url)));
    }

    // A Unix socket to connect to, whatever the host of the URL is; none by
    // default. Errc::value if the path is empty or too long for the system.
    void set_unix_socket(const Text &path)
    {
        detail::check(
            eventsource_set_unix_socket(native_handle(), detail::CText(path)));
    }

    // The network interface that connections go out over: its name or an address
    // of this machine; none by default. It is also the link of link-local
    // addresses, as in `http://[fe80::1]/`. Errc::value if it can be neither.
    void set_interface(const Text &interface)
    {
        detail::check(eventsource_set_interface(native_handle(),
                                                detail::CText(interface)));
    }

    // Has a loop drive the source, in the place of a thread of its own. A source
    // with a queue needs a loop that has been started, else Errc::queue in
    // connect().
    void set_loop(const Loop &loop)
    {
        if (!loop.native_handle())
            detail::fail(Errc::null);
        detail::check(
            eventsource_set_loop(native_handle(), loop.native_handle()));
    }

    // Pull mode.

    // Lets up to `capacity` items wait for next(). While the queue is full
    // nothing is read: the server is slowed down, nothing is lost. A capacity
    // of a few hundred lets both threads work at the same time. Errc::value for
    // 0, Errc::system if the system has no descriptor left.
    void set_queue(std::size_t capacity)
    {
        detail::check(eventsource_set_queue(native_handle(), capacity));
    }

    // Whether comments wait in the queue, too. Off by default.
    void set_comments(bool wanted)
    {
        detail::check(eventsource_set_comments(native_handle(), wanted));
    }

    // Waits for the next item and takes it; none if the close has been taken.
    // An item is a view, borrowed until the next item is asked for. One thread
    // at a time may call this, else Errc::busy; Errc::queue without a queue,
    // Errc::not_connected before connect().
    [[nodiscard]] std::optional<Item> next() { return next_for(-1); }

    // The same, but waits no longer than `timeout`, and with 0 not at all; none
    // also if that time has passed.
    [[nodiscard]] std::optional<Item> next(std::chrono::milliseconds timeout)
    {
        return next_for(std::max<std::int64_t>(timeout.count(), 0));
    }

    // A descriptor that is readable exactly while an item waits. Wait for it,
    // for example with poll(2), then call next(0ms) until it returns none; do
    // not read from it. -1 without a queue.
    int fd() const noexcept { return eventsource_fd(native_handle()); }

    // The range of events of a source with a queue. It takes items as next()
    // does, passes over those that are no events, and ends when the source is
    // closed; close_reason() tells why. An input range: each event is a view,
    // borrowed until the next is asked for, by any iterator, and begin() waits
    // for the first event. The type of value is OwnedEvent.
    class Sentinel {};

    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = OwnedEvent;
        using difference_type = std::ptrdiff_t;
        using pointer = const Event *;
        using reference = const Event &;

        Iterator() = default;

        reference operator*() const noexcept { return *source_->at; }
        pointer operator->() const noexcept { return &*source_->at; }

        Iterator &operator++()
        {
            if (!source_->advance())
                source_ = nullptr;
            return *this;
        }

        void operator++(int) { ++*this; }

        friend bool operator==(const Iterator &it, Sentinel) noexcept
        {
            return !it.source_;
        }
        friend bool operator!=(const Iterator &it, Sentinel) noexcept
        {
            return it.source_;
        }
        friend bool operator==(Sentinel, const Iterator &it) noexcept
        {
            return !it.source_;
        }
        friend bool operator!=(Sentinel, const Iterator &it) noexcept
        {
            return it.source_;
        }

    private:
        friend class EventSource;
        explicit Iterator(detail::Source *source) : source_(source) { ++*this; }

        // NULL at the end.
        detail::Source *source_ = nullptr;
    };

    [[nodiscard]] Iterator begin()
    {
        if (!source_)
            detail::fail(Errc::null);
        return Iterator(source_.get());
    }
    Sentinel end() const noexcept { return {}; }

    // The life of a source.

    // Starts the source's thread, which connects. Returns at once. A setting
    // that has thrown keeps a source from connecting until the same method is
    // called again without an error (for a header, with the same name): this
    // call throws the first such error once more.
    // Errc::already_connected the second time, Errc::closed after close(),
    // Errc::system if the system has no thread left, Errc::queue if there are
    // both a queue and handlers that would never be called.
    void connect()
    {
        // For close_reason(). An error is ignored: connecting then fails, too.
        if (fd() < 0)
            eventsource_on_close(native_handle(), detail::Source::on_close,
                                 source_.get());
        detail::check(eventsource_connect(native_handle()));
    }

    // Drops the connection, or ends the wait for the next attempt, and connects
    // again at once, for example because the network has changed.
    // Errc::not_connected, Errc::closed.
    void reconnect() { detail::check(eventsource_reconnect(native_handle())); }

    // Closes the source, for good; a second call does nothing. It does not
    // wait: a handler that runs on another thread runs to its end, and one
    // that was about to begin there may still run; then on_close() follows.
    // It may be called in a signal handler.
    void close() noexcept { eventsource_close(native_handle()); }

    // Waits until the source is closed and its last handler has returned.
    // Errc::not_connected before connect(), Errc::callback in a handler.
    void wait() const { detail::check(eventsource_wait(native_handle(), -1)); }

    // The same, but waits no longer than `timeout`. Returns whether the source
    // is closed.
    [[nodiscard]] bool wait(std::chrono::milliseconds timeout) const
    {
        const auto error = eventsource_wait(
            native_handle(), std::max<std::int64_t>(timeout.count(), 0));
        if (error == EVENTSOURCE_ERROR_TIMEOUT)
            return false;
        detail::check(error);
        return true;
    }

    // The state of the source. In pull mode: as of the item taken last.

    // ReadyState::closed if the source was moved away.
    ReadyState ready_state() const noexcept
    {
        return static_cast<ReadyState>(
            eventsource_ready_state(native_handle()));
    }

    // Why the source is closed: the reason that on_close() gets. None before
    // that, and in pull mode until the close has been taken.
    std::optional<Errc> close_reason() const noexcept
    {
        const int reason = source_ ? source_->close_reason.load() : -1;
        return reason < 0 ? std::nullopt
                          : std::optional<Errc>(static_cast<Errc>(reason));
    }

    // The URL as the URL Standard serializes it; redirects do not change it.
    // Borrowed as long as the source lives.
    std::string_view url() const noexcept
    {
        return detail::view(eventsource_url(native_handle()));
    }

    // The last event ID string, for set_last_event_id() in another run.
    std::string last_event_id() const
    {
        // The string may grow between two calls, and C stores it only if all of
        // it fits.
        std::string id;
        for (;;) {
            const std::size_t len = eventsource_last_event_id(
                native_handle(), id.data(), id.size() + 1);
            const bool fits = len <= id.size();
            id.resize(len);
            if (fits)
                return id;
        }
    }

    bool with_credentials() const noexcept
    {
        return eventsource_with_credentials(native_handle()) != 0;
    }

    Stats stats() const
    {
        eventsource_stats stats = {};
        detail::check(
            eventsource_get_stats(native_handle(), &stats, sizeof stats));
        const auto at = detail::milliseconds(stats.last_byte_at_ms);
        return {
            stats.bytes,
            stats.events,
            stats.comments,
            stats.connects,
            stats.reconnects,
            stats.dropped,
            at.count() == 0
                ? std::nullopt
                : std::optional(std::chrono::system_clock::time_point(at)),
            detail::milliseconds(stats.time_to_headers_ms),
        };
    }

    // For calls in C. This object keeps owning the source, and callbacks must
    // be set by the functions above alone. NULL if the source was moved away.
    eventsource *native_handle() const noexcept
    {
        return source_ ? source_->handle : nullptr;
    }

private:
    // Stores the handler only if C accepts the call: after connect() the old
    // handler may be running.
    template <class Setter, class Callback, class Handler>
    void set(Setter setter, Callback callback, Handler detail::Source::*place,
             Handler handler)
    {
        detail::check(setter(native_handle(), handler ? callback : nullptr,
                             source_.get()));
        source_.get()->*place = std::move(handler);
    }

    std::optional<Item> next_for(std::int64_t timeout_ms)
    {
        if (!source_)
            detail::fail(Errc::null);
        return source_->next(timeout_ms);
    }

    // One owner, one pointer, so that handlers are destroyed after the source.
    std::unique_ptr<detail::Source, detail::Source::Release> source_;
};

// The event stream parser alone, for programs with an HTTP stack of their own.
//
//     sse::Parser parser([](const sse::Event &event) { ... });
//     parser.on_retry([&](std::chrono::milliseconds time) { wait = time; });
//     while (next_connection(parser.last_event_id()))
//         parser.read([&] { return next_bytes(); });
//
// A parser belongs to one thread at a time, can be moved, but not copied, and
// may be destroyed in a handler of its own. Inside a handler every other
// function is Errc::callback.
class [[nodiscard]] Parser {
public:
    explicit Parser(EventHandler handler) : state_(new State)
    {
        state_->event = std::move(handler);
        detail::check(
            eventsource_parser_new(state_->event ? State::on_event : nullptr,
                                   state_.get(), &state_->handle));
    }

    // The reconnection times that the stream sets, as soon as they are read:
    // how long to wait before the program connects again.
    void on_retry(Function<void(std::chrono::milliseconds)> handler)
    {
        detail::check(eventsource_parser_on_retry(
            handle(), handler ? State::on_retry : nullptr, state_.get()));
        state_->retry = std::move(handler);
    }

    // Comments: the text after the colon, unchanged.
    void on_comment(Function<void(std::string_view)> handler)
    {
        detail::check(eventsource_parser_on_comment(
            handle(), handler ? State::on_comment : nullptr, state_.get()));
        state_->comment = std::move(handler);
    }

    // Presets the last event ID string, before the stream begins. Errc::value
    // if it has a line break.
    void set_last_event_id(const Text &id)
    {
        detail::check(
            eventsource_parser_set_last_event_id(handle(), detail::CText(id)));
    }

    // The largest event in bytes of data, 64 MiB by default; 0 is no limit.
    void set_max_event_size(std::size_t bytes)
    {
        detail::check(eventsource_parser_set_max_event_size(handle(), bytes));
    }

    // Interprets the next bytes of the stream, wherever it is cut. Handlers
    // are called before this function returns. Returns false if an event over
    // the size limit, or several, were dropped; all else was dispatched, and
    // the stream goes on.
    bool feed(const Text &bytes)
    {
        const auto chunk = bytes.view().value_or(std::string_view());
        const auto error = feed_to(state_.get(), chunk).error;
        if (error == EVENTSOURCE_ERROR_TOO_LARGE)
            return false;
        detail::check(error);
        return true;
    }

    // Ends the stream, and prepares for the next connection: what was
    // unfinished is dropped, the last event ID string is kept. Returns whether
    // the stream has ended in good order; false if it has ended inside an
    // event, which was dropped.
    bool end()
    {
        const auto error = eventsource_parser_end(handle());
        if (error == EVENTSOURCE_ERROR_LOST)
            return false;
        detail::check(error);
        return true;
    }

    // Feeds the stream that `next` brings, which returns the next bytes as a
    // std::string_view, or something that converts to it, and nothing at the
    // end. Then ends the stream, and returns what end() does. Events over the
    // size limit are dropped. If a handler destroys the parser, this function
    // returns true at once. An exception of `next` leaves the stream as it is.
    template <class Next> bool read(Next &&next)
    {
        for (;;) {
            decltype(auto) bytes = next();
            const std::string_view chunk = bytes;
            if (chunk.empty())
                return end();
            const auto fed = feed_to(state_.get(), chunk);
            if (fed.released)
                return true;
            if (fed.error != EVENTSOURCE_ERROR_TOO_LARGE)
                detail::check(fed.error);
        }
    }

    // What end() does, where nobody wants to know how the stream has ended.
    void reset() { detail::check(eventsource_parser_reset(handle())); }

    // The last event ID string: what a request that resumes the stream sends as
    // `Last-Event-ID`, unless it is empty. Borrowed until another function is
    // called. Empty inside a handler, where the event has it.
    std::string_view last_event_id() const noexcept
    {
        return detail::view(eventsource_parser_last_event_id(handle()));
    }

private:
    struct State {
        eventsource_parser *handle = nullptr;
        EventHandler event;
        Function<void(std::chrono::milliseconds)> retry;
        Function<void(std::string_view)> comment;
        bool running = false;
        // Whether the parser was freed inside a handler.
        bool released = false;

        // The callbacks. An exception must not reach C: noexcept ends the
        // program.

        static void on_event(eventsource_parser *,
                             const eventsource_event *event,
                             void *user_data) noexcept
        {
            static_cast<State *>(user_data)->event(Event(event));
        }

        static void on_retry(eventsource_parser *, std::uint64_t time_ms,
                             void *user_data) noexcept
        {
            static_cast<State *>(user_data)->retry(
                detail::milliseconds(time_ms));
        }

        static void on_comment(eventsource_parser *, const char *comment,
                               std::size_t len, void *user_data) noexcept
        {
            static_cast<State *>(user_data)->comment({comment, len});
        }

        struct Release {
            void operator()(State *state) const noexcept
            {
                eventsource_parser_free(state->handle);
                if (state->running)
                    state->released = true;
                else
                    delete state;
            }
        };
    };

    struct Fed {
        eventsource_error error;
        // A handler has destroyed the parser.
        bool released;
    };

    // Static, as a handler may destroy the parser.
    static Fed feed_to(State *state, std::string_view bytes)
    {
        if (!state)
            return {EVENTSOURCE_ERROR_NULL, false};
        const bool outer = std::exchange(state->running, true);
        const auto error =
            eventsource_parser_feed(state->handle, bytes.data(), bytes.size());
        state->running = outer;
        const bool released = state->released && !outer;
        if (released)
            delete state;
        return {error, released};
    }

    eventsource_parser *handle() const noexcept
    {
        return state_ ? state_->handle : nullptr;
    }

    std::unique_ptr<State, State::Release> state_;
};

// The version of the library that is running. The version that the program was
// compiled with is EVENTSOURCE_VERSION.
inline std::string_view version() noexcept
{
    return eventsource_version();
}

using LogHandler = Function<void(LogLevel, std::string_view)>;

// Sets a handler that gets lines for the program's log, of all sources, up to
// `level`; an empty function, the default, removes it.
//
// The handler is called from any thread, from several at a time, and must not
// throw. It is kept as long as the program runs, as a thread may be calling it.
inline void set_log(LogLevel level, LogHandler handler)
{
    if (!handler)
        return eventsource_set_log(static_cast<int>(level), nullptr, nullptr);
    static std::mutex mutex;
    // Never destroyed: sources may outlive static objects.
    static auto &handlers = *new std::forward_list<LogHandler>;
    const std::lock_guard<std::mutex> lock(mutex);
    const auto on_log = [](eventsource_log_level level_of, const char *line,
                           void *user_data) noexcept {
        (*static_cast<LogHandler *>(user_data))(static_cast<LogLevel>(level_of),
                                                line);
    };
    handlers.push_front(std::move(handler));
    eventsource_set_log(static_cast<int>(level), on_log, &handlers.front());
}

} // namespace sse

#endif // EVENTSOURCE_HPP
