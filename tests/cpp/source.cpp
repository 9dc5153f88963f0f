// What eventsource.hpp promises, one function for each:
//
//     source CASE URL
//
// asks the server of tests/cpp.rs, and prints `passed`.

#include <eventsource.hpp>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <map>
#include <thread>
#include <vector>

#include <poll.h>

using namespace std::chrono_literals;
using sse::Errc;

#define CHECK(condition) check((condition), #condition, __LINE__)

namespace {

std::string server;

void check(bool holds, const char *condition, int line)
{
    if (holds)
        return;
    std::printf("line %d: not so: %s\n", line, condition);
    std::fflush(stdout);
    std::_Exit(1);
}

// Something that a handler holds, to be seen when it is used and destroyed.
using Held = std::shared_ptr<std::string>;

Held hold(const char *text)
{
    return std::make_shared<std::string>(text);
}

// What one thread waits for, and another does.
class Signal {
public:
    void send()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        sent_ = true;
        changed_.notify_all();
    }

    void wait()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return sent_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool sent_ = false;
};

template <class Call> Errc thrown_by(Call call)
{
    try {
        call();
    } catch (const sse::Error &error) {
        CHECK(error.what() == error.code().message());
        CHECK(error.code().category() == sse::error_category());
        return static_cast<Errc>(error.code().value());
    }
    return Errc::none;
}

// Handlers

void tells_handlers_all_that_happens()
{
    std::vector<std::string> told;
    sse::EventSource source(server + "/twice");
    const auto tell = [&told](std::string line) { told.push_back(line); };
    source.on_open([&](const sse::Response &response) {
        CHECK(response.status() == 200);
        CHECK(response.http_version() == 11);
        CHECK(response.url() == server + "/twice");
        CHECK(response.header("content-type") == "text/event-stream");
        CHECK(!response.header("X-Absent"));
        std::size_t index = 0;
        while (response.header_name(index) != "content-type")
            CHECK(response.header_name(index++).has_value());
        CHECK(response.header_value(index) == "text/event-stream");
        CHECK(!response.header_name(1000));
        CHECK(!response.header_value(1000));
        CHECK(source.ready_state() == sse::ReadyState::open);
        tell("open");
    });
    source.on_event([&](const sse::Event &event) {
        CHECK(event.origin() == server);
        CHECK(event.last_event_id() == source.last_event_id());
        tell("event " + std::string(event.type()) + " "
             + std::string(event.data()) + " "
             + std::string(event.last_event_id()));
    });
    source.on_comment([&](std::string_view comment) {
        tell("comment" + std::string(comment));
    });
    source.on_error([&](const sse::Failure &failure) {
        CHECK(!failure.message().empty());
        if (failure.code() == Errc::ended) {
            CHECK(failure.http_status() == 200);
            CHECK(!failure.response());
            CHECK(failure.will_retry());
            CHECK(failure.delay() < 1s);
            CHECK(failure.attempt() == 0);
            CHECK(failure.body().empty());
            tell("lost");
        } else {
            CHECK(failure.code() == Errc::status);
            CHECK(failure.http_status() == 404);
            CHECK(failure.last_event_id() == source.last_event_id());
            CHECK(failure.response()->header("X-Why") == "because");
            CHECK(!failure.will_retry());
            CHECK(failure.body() == "nothing here");
            CHECK(failure.body_complete());
            tell("error");
        }
    });
    source.on_close([&](Errc reason) {
        CHECK(reason == Errc::status);
        tell("close");
    });
    source.add_event_listener("ping", [&](const sse::Event &event) {
        tell("listener " + std::string(event.data()));
    });
    CHECK(!source.close_reason());
    source.connect();
    source.wait();
    CHECK(source.close_reason() == Errc::status);
    CHECK((told
           == std::vector<std::string>{
               "open", "comment a comment", "event message one 1",
               "event ping two\nlines 2", "listener two\nlines", "lost",
               "error", "close"}));
    const auto stats = source.stats();
    CHECK(stats.bytes > 0 && stats.events == 2 && stats.comments == 1);
    CHECK(stats.connects == 1 && stats.reconnects == 1 && stats.dropped == 0);
    const auto age = std::chrono::system_clock::now() - *stats.last_byte_at;
    CHECK(age > -1min && age < 10min);
    CHECK(stats.time_to_headers >= 0ms && stats.time_to_headers < 1min);
}

void asks_as_it_was_told_to()
{
    sse::EventSource source(server + "/silent");
    source.set_queue(1);
    source.set_header("X-Kept", "kept");
    source.set_header("X-Dropped", std::string("dropped"));
    source.set_header("X-Dropped", std::nullopt);
    source.set_method("PUT");
    source.set_body("a body");
    source.set_last_event_id("40");
    CHECK(source.last_event_id() == "40");
    source.on_request([](sse::Request &request) {
        CHECK(request.attempt() == 1);
        CHECK(!request.failure());
        request.set_header("X-Fresh", "fresh");
        request.set_header("User-Agent", std::nullopt);
        CHECK(request.last_event_id() == "40");
        CHECK(thrown_by([&] { request.set_last_event_id("a\nb"); })
              == Errc::value);
        request.set_last_event_id("41");
        CHECK(request.last_event_id() == "41");
        request.set_url(server + "/echo");
        CHECK(thrown_by([&] { request.set_url("/echo"); }) == Errc::url);
    });
    source.connect();
    std::string asked;
    for (const sse::Event &event : source)
        asked = event.data();
    CHECK(source.close_reason() == Errc::ended);
    const auto has = [&asked](const char *text) {
        return asked.find(text) != std::string::npos;
    };
    CHECK(has("PUT /echo HTTP/1.1"));
    CHECK(has("x-kept: kept") || has("X-Kept: kept"));
    CHECK(has("x-fresh: fresh") || has("X-Fresh: fresh"));
    CHECK(!has("ropped") && !has("libeventsource"));
    CHECK(has("41") && has("a body"));
}

void takes_bodies_that_are_empty_and_none()
{
    const auto method = [](std::optional<std::string_view> body) {
        sse::EventSource source(server + "/echo");
        source.set_queue(1);
        source.set_body("to be replaced");
        source.set_body(body);
        source.set_retry(sse::Retry::never);
        source.connect();
        for (const sse::Event &event : source)
            return std::string(event.data().substr(0, 4));
        return std::string();
    };
    CHECK(method(std::nullopt) == "GET ");
    CHECK(method("") == "POST");
    CHECK(method(std::string_view()) == "POST");
}

void takes_nothing_for_what_c_takes_null()
{
    const auto ask = [](auto nothing) {
        sse::EventSource source(server + "/echo");
        source.set_queue(1);
        source.set_header("Accept", nothing);
        source.set_body("to be taken away");
        source.set_body(nothing);
        source.set_retry(sse::Retry::never);
        source.set_proxy(nothing);
        source.set_ca_file(nothing);
        source.set_client_certificate(nothing, nothing);
        source.set_unix_socket(nothing);
        source.on_request([nothing](sse::Request &request) {
            request.set_header("User-Agent", nothing);
            request.set_last_event_id(nothing);
            CHECK(request.last_event_id().empty());
            CHECK(thrown_by([&] { request.set_header(nothing, "x"); })
                  == Errc::null);
            CHECK(thrown_by([&] { request.set_method(nothing); })
                  == Errc::null);
            CHECK(thrown_by([&] { request.set_url(nothing); }) == Errc::null);
        });
        const auto is_null = [](auto call) {
            CHECK(thrown_by(call) == Errc::null);
        };
        is_null([&] { sse::EventSource none(nothing); });
        sse::EventSource refused(server + "/echo");
        is_null([&] { refused.set_header(nothing, "x"); });
        is_null([&] { refused.set_header(nothing, nothing); });
        is_null([&] { refused.set_method(nothing); });
        is_null([&] { refused.set_last_event_id(nothing); });
        is_null([&] { refused.set_client_certificate("x", nothing); });
        is_null([&] { refused.set_client_certificate(nothing, "x"); });
        is_null([&] {
            refused.add_event_listener(nothing, [](const sse::Event &) {});
        });
        is_null([&] { refused.connect(); });
        source.connect();
        const auto open = source.next();
        CHECK(!std::get<sse::Response>(*open).header(nothing));
        std::string asked;
        for (const sse::Event &event : source)
            asked = event.data();
        CHECK(asked.substr(0, 4) == "GET ");
        CHECK(asked.find("text/event-stream") == std::string::npos);
        CHECK(asked.find("libeventsource") == std::string::npos);

        sse::Parser parser([](const sse::Event &) { CHECK(false); });
        parser.feed(nothing);
    };
    ask(nullptr);
    // What a program has looked up, and there is none.
    const char *const nothing = std::getenv("THERE_IS_NO_SUCH_VARIABLE");
    CHECK(!nothing);
    ask(nothing);

    sse::EventSource source(server);
    source.set_proxy(NULL);
    source.set_proxy({});
    source.set_proxy(std::optional<std::string>());
}

void takes_text_as_the_program_has_it()
{
    const struct {
        operator std::string_view() const { return "by a conversion"; }
    } converted;
    const std::filesystem::path path("/nowhere");
    char array[] = "an array";
    const auto sent = [](const auto &text) {
        sse::EventSource source(server + "/echo");
        source.set_queue(1);
        source.set_header("X-Sent", text);
        source.connect();
        for (const sse::Event &event : source)
            return std::string(event.data());
        return std::string();
    };
    const auto has = [](const std::string &asked, const char *text) {
        CHECK(asked.find(text) != std::string::npos);
    };
    has(sent("a literal"), "a literal");
    has(sent(array), "an array");
    has(sent(std::string("a string")), "a string");
    has(sent(std::string_view("a view, cut off", 6)), "a view\n");
    has(sent(std::optional<std::string>("an optional")), "an optional");
    has(sent(converted), "by a conversion");
    has(sent(path), "/nowhere");
    sse::EventSource source(server);
    CHECK(thrown_by([&] { source.set_ca_file(path); }) == Errc::file);
    CHECK(thrown_by([&] {
              source.set_last_event_id({"1\0", 2});
          })
          == Errc::value);
}

void takes_every_setting()
{
    sse::EventSource source("https://example.org/");
    CHECK(!source.with_credentials());
    source.set_with_credentials(true);
    CHECK(source.with_credentials());
    source.set_trust_redirects(true);
    source.set_max_redirects(0);
    source.set_connect_timeout(1s);
    source.set_response_timeout(2min);
    source.set_idle_timeout(0ms);
    source.set_retry(sse::Retry::persistent);
    source.set_reconnection_time(1s);
    source.set_max_reconnection_time(1h);
    source.set_max_attempts(7);
    source.set_max_event_size(1 << 20);
    source.set_max_body_size(1 << 20);
    CHECK(thrown_by([&] { source.set_max_body_size(1 << 30); }) == Errc::value);
    source.set_stack_size(1 << 20);
    source.set_ca_file(std::nullopt);
    source.set_ca_pem(std::nullopt);
    source.set_client_certificate(std::nullopt, std::nullopt);
    source.set_verify_peer(false);
    source.set_verify_peer(true);
    source.set_http_version(sse::HttpVersion::http_2);
    source.set_http_version(sse::HttpVersion::http_1_1);
    source.set_http_version(sse::HttpVersion::automatic);
    source.set_server_name("bridge.example.org");
    source.set_server_name(std::nullopt);
    source.set_pinned_key(
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    source.set_pinned_key(std::nullopt);
    source.set_proxy("socks5h://localhost");
    source.set_proxy("");
    source.set_proxy(std::nullopt);
    source.set_unix_socket("/run/some.socket");
    source.set_unix_socket(std::nullopt);
    source.set_interface("lo");
    source.set_interface(std::nullopt);
    source.set_comments(true);
    CHECK(source.url() == "https://example.org/");
    CHECK(sse::version() == EVENTSOURCE_VERSION);
}

void decides_whether_to_come_back()
{
    int retries = 0;
    sse::EventSource source(server + "/lost");
    source.on_retry([&](const sse::Failure &failure) {
        CHECK(failure.code() == Errc::ended);
        return ++retries < 3 ? std::optional(0ms) : std::nullopt;
    });
    std::vector<bool> again;
    source.on_request([&](sse::Request &request) {
        again.push_back(request.failure().has_value());
        if (request.attempt() > 1)
            CHECK(request.failure()->code() == Errc::ended);
        request.set_method("GET");
    });
    source.connect();
    source.wait();
    CHECK(retries == 3);
    CHECK((again == std::vector<bool>{false, true, true}));
    // A stream that ends, and is not asked for again, has not failed.
    CHECK(source.close_reason() == Errc::ended);
}

void aborts_an_attempt()
{
    sse::EventSource source(server + "/silent");
    source.set_max_attempts(2);
    source.on_request([](sse::Request &request) {
        if (request.attempt() == 1)
            request.abort("no token");
        else
            request.abort(nullptr);
    });
    source.on_retry([](const sse::Failure &failure) {
        return failure.will_retry() ? std::optional(0ms) : std::nullopt;
    });
    std::vector<std::string> told;
    source.on_error([&](const sse::Failure &failure) {
        CHECK(failure.code() == Errc::aborted);
        told.emplace_back(failure.message());
    });
    source.connect();
    source.wait();
    CHECK((told
           == std::vector<std::string>{"no token", "aborted by the program"}));
    CHECK(source.close_reason() == Errc::aborted);
}

void decides_about_responses()
{
    const auto ask = [](const char *path, bool pulls, sse::Verdict verdict) {
        sse::EventSource source(server + path);
        std::vector<std::string> told;
        source.set_retry(sse::Retry::never);
        source.on_response([&](const sse::Response &response) {
            told.push_back(std::to_string(response.status()) + " "
                           + std::string(response.location().value_or("-")));
            return verdict;
        });
        if (pulls)
            source.set_queue(1);
        source.connect();
        for (bool more = pulls; more;)
            more = source.next().has_value();
        source.wait();
        told.push_back(
            std::string(sse::message(source.close_reason().value())));
        return told;
    };
    using Told = std::vector<std::string>;
    for (const bool pulls : {false, true}) {
        CHECK((ask("/gone", pulls, sse::Verdict::standard)
               == Told{"404 -", "unexpected status"}));
        CHECK((ask("/gone", pulls, sse::Verdict::accept)
               == Told{"404 -", "connection lost"}));
        CHECK((ask("/gone", pulls, sse::Verdict::refuse)
               == Told{"404 -", "response refused by the program"}));
        CHECK((ask("/moved", pulls, sse::Verdict::accept)
               == Told{"302 " + server + "/gone", "404 -", "connection lost"}));
        CHECK((ask("/moved", pulls, sse::Verdict::refuse)
               == Told{"302 " + server + "/gone",
                       "response refused by the program"}));
    }
}

void waits_no_longer_than_it_is_told_to()
{
    sse::EventSource source(server + "/silent");
    Signal open;
    source.on_open([&](const sse::Response &) { open.send(); });
    CHECK(thrown_by([&] { (void)source.wait(0ms); }) == Errc::not_connected);
    source.connect();
    open.wait();
    CHECK(!source.wait(0ms));
    CHECK(!source.wait(-1s));
    source.close();
    CHECK(source.ready_state() == sse::ReadyState::closed);
    CHECK(source.wait(1h));
    CHECK(source.close_reason() == Errc::none);
    CHECK(source.wait(0ms));
}

void comes_back_at_once_when_told_to()
{
    sse::EventSource source(server + "/silent");
    int opened = 0;
    source.on_open([&](const sse::Response &) {
        if (++opened == 1)
            source.reconnect();
        else
            source.close();
    });
    source.connect();
    source.wait();
    CHECK(opened == 2);
}

void handlers_own_what_cannot_be_copied()
{
    const auto own = [](const char *text) {
        return std::make_unique<std::string>(text);
    };
    std::vector<std::string> told;
    sse::EventSource source(server + "/twice");
    source.on_open([&, it = own("open")](const sse::Response &) {
        told.push_back(std::move(*it));
    });
    source.on_event([&, it = own("event")](const sse::Event &) mutable {
        if (it)
            told.push_back(*std::exchange(it, nullptr));
    });
    source.on_error([&, it = own("error")](const sse::Failure &failure) {
        if (!failure.will_retry())
            told.push_back(std::move(*it));
    });
    source.on_close(
        [&, it = own("close")](Errc) { told.push_back(std::move(*it)); });
    source.on_comment([&, it = own("comment")](std::string_view) {
        told.push_back(std::move(*it));
    });
    source.on_request([&, it = own("request")](sse::Request &request) {
        if (request.attempt() == 1)
            told.push_back(std::move(*it));
    });
    source.on_retry([&, it = own("retry")](const sse::Failure &failure) {
        if (!failure.will_retry())
            told.push_back(std::move(*it));
        return failure.will_retry() ? std::optional(failure.delay())
                                    : std::nullopt;
    });
    source.add_event_listener("ping",
                              [&, it = own("listener")](const sse::Event &) {
                                  told.push_back(std::move(*it));
                              });
    source.connect();
    source.wait();
    CHECK((told
           == std::vector<std::string>{"request", "open", "comment", "event",
                                       "listener", "retry", "error", "close"}));
    sse::Parser parser([it = own("parser")](const sse::Event &event) {
        CHECK(event.data() == *it);
    });
    parser.feed("data: parser\n\n");
    sse::set_log(sse::LogLevel::error,
                 [it = own("log")](sse::LogLevel, std::string_view) {});
    sse::set_log(sse::LogLevel::off, nullptr);
}

int events_seen = 0;

void see_an_event(const sse::Event &)
{
    events_seen++;
}

void an_empty_function_is_no_handler()
{
    sse::EventSource source(server + "/twice");
    source.set_queue(8);
    const auto take_away = [&](auto nobody) {
        source.on_event(see_an_event);
        source.on_event(std::move(nobody));
    };
    take_away(nullptr);
    take_away(sse::EventHandler());
    take_away(std::function<void(const sse::Event &)>());
    take_away(static_cast<void (*)(const sse::Event &)>(nullptr));
    CHECK(
        thrown_by([&] { source.add_event_listener("x", sse::EventHandler()); })
        == Errc::null);
    // With a queue none could be left.
    source.connect();
    source.close();

    sse::EventSource other(server + "/twice");
    other.on_event(see_an_event);
    const std::function<void(const sse::Event &)> copied = see_an_event;
    other.add_event_listener("ping", copied);
    other.add_event_listener("ping", std::ref(copied));
    other.connect();
    other.wait();
    CHECK(events_seen == 4);
}

// Listeners

void listeners_come_and_go_inside_handlers()
{
    sse::EventSource source(server + "/flood");
    auto held = hold("still here");
    const std::weak_ptr<std::string> watched = held;
    std::uint64_t first = 0;
    int calls = 0;
    first = source.add_event_listener("ping", [&, held](const sse::Event &) {
        calls++;
        source.remove_event_listener(first);
        // Removed, and yet whole until it returns.
        CHECK(*held == "still here");
        CHECK(thrown_by([&] { source.remove_event_listener(first); })
              == Errc::value);
        std::uint64_t second =
            source.add_event_listener("message", [&](const sse::Event &event) {
                CHECK(event.type() == "message");
                // What it held has gone with it.
                CHECK(watched.expired());
                source.close();
            });
        CHECK(second != 0 && second != first);
    });
    held.reset();
    CHECK(first != 0);
    source.connect();
    source.wait();
    CHECK(calls == 1);
}

void listeners_come_and_go_from_other_threads()
{
    sse::EventSource source(server + "/flood");
    std::atomic<int> calls{0};
    source.connect();
    const auto churn = [&] {
        for (int round = 0; round < 200; round++) {
            const auto held = hold("still here");
            const auto id = source.add_event_listener(
                round % 2 ? "ping" : "message", [&, held](const sse::Event &) {
                    CHECK(*held == "still here");
                    calls++;
                });
            if (round % 20 == 0)
                for (const int seen = calls; calls == seen;)
                    std::this_thread::yield();
            source.remove_event_listener(id);
        }
    };
    std::thread one(churn), two(churn);
    one.join();
    two.join();
    CHECK(calls >= 20);
}

void a_listener_is_refused_whole()
{
    auto held = hold("");
    const std::weak_ptr<std::string> watched = held;
    sse::EventSource source(server);
    source.set_queue(1);
    CHECK(thrown_by([&] {
              source.add_event_listener("x", [held](const sse::Event &) {});
          })
          == Errc::queue);
    held.reset();
    CHECK(watched.expired());
    CHECK(thrown_by([&] { source.add_event_listener("x", nullptr); })
          == Errc::null);
}

// Moving, and the end

void is_moved_while_handlers_run()
{
    static_assert(!std::is_copy_constructible_v<sse::EventSource>);
    static_assert(!std::is_copy_assignable_v<sse::EventSource>);
    static_assert(std::is_nothrow_move_constructible_v<sse::EventSource>);
    static_assert(std::is_nothrow_move_assignable_v<sse::EventSource>);

    Signal flowing;
    std::atomic<int> calls{0};
    sse::EventSource source(server + "/flood");
    source.on_event([&, held = hold("still here")](const sse::Event &) {
        CHECK(*held == "still here");
        if (++calls == 10)
            flowing.send();
    });
    source.connect();
    flowing.wait();
    sse::EventSource moved(std::move(source));
    std::vector<sse::EventSource> several;
    several.push_back(std::move(moved));
    several.emplace_back(server + "/silent");
    several.emplace_back(server + "/silent");
    auto &last = several.front();
    // Through a reference, as a compiler would warn of the plain thing.
    auto &itself = last;
    last = std::move(itself);
    CHECK(last.ready_state() == sse::ReadyState::open);
    const int seen = calls;
    while (calls == seen)
        std::this_thread::yield();
    CHECK(last.stats().events > 0);
    // Its handlers run until it is closed, and the new source has others.
    last = sse::EventSource(server + "/silent");
    CHECK(last.url() == server + "/silent");
    const int all = calls;
    Signal open;
    last.on_open([&](const sse::Response &) { open.send(); });
    last.connect();
    open.wait();
    CHECK(calls == all);
}

void is_empty_when_moved_away()
{
    sse::EventSource source(server);
    sse::EventSource other(std::move(source));
    CHECK(source.native_handle() == nullptr);
    CHECK(other.native_handle() != nullptr);
    CHECK(source.ready_state() == sse::ReadyState::closed);
    CHECK(source.url().empty() && source.last_event_id().empty());
    CHECK(!source.close_reason() && source.fd() == -1);
    CHECK(!source.with_credentials());
    source.close();
    const auto is_null = [](auto call) {
        CHECK(thrown_by(call) == Errc::null);
    };
    is_null([&] { source.connect(); });
    is_null([&] { source.on_event([](const sse::Event &) {}); });
    is_null([&] { source.set_queue(1); });
    is_null([&] { (void)source.next(); });
    is_null([&] { (void)source.begin(); });
    is_null([&] { source.stats(); });
    is_null([&] { source.wait(); });
    is_null(
        [&] { source.add_event_listener("ping", [](const sse::Event &) {}); });
    is_null([&] { source.remove_event_listener(1); });
    source = std::move(other);
    CHECK(source.url() == server + "/");
}

// A source that is destroyed in the handler that `choose` sets.
template <class Choose> void destroy_in(const char *path, Choose choose)
{
    auto source = std::make_unique<sse::EventSource>(server + path);
    const auto closed = std::make_shared<std::vector<Errc>>();
    Signal destroyed;
    auto held = hold("the handler");
    const std::weak_ptr<std::string> watched = held;
    source->set_reconnection_time(1ms);
    source->on_close([closed, held = hold("on_close")](Errc reason) {
        CHECK(*held == "on_close");
        closed->push_back(reason);
    });
    choose(*source, [&, closed, held] {
        source.reset();
        CHECK(closed->size() == 1);
        // The handler is whole until it returns.
        CHECK(*held == "the handler");
        destroyed.send();
    });
    held.reset();
    source->connect();
    destroyed.wait();
    CHECK(*closed == std::vector<Errc>{Errc::none});
    // And gone when it has.
    while (!watched.expired())
        std::this_thread::yield();
}

void is_destroyed_in_any_handler()
{
    destroy_in("/twice", [](auto &source, auto end) {
        source.on_open([end](const sse::Response &) { end(); });
    });
    destroy_in("/twice", [](auto &source, auto end) {
        source.on_event([end](const sse::Event &) { end(); });
    });
    destroy_in("/twice", [](auto &source, auto end) {
        source.on_comment([end](std::string_view) { end(); });
    });
    destroy_in("/lost", [](auto &source, auto end) {
        source.on_error([end](const sse::Failure &) { end(); });
    });
    destroy_in("/twice", [](auto &source, auto end) {
        source.on_request([end](sse::Request &) { end(); });
    });
    destroy_in("/lost", [](auto &source, auto end) {
        source.on_retry([end](const sse::Failure &) {
            end();
            return std::optional(0ms);
        });
    });
    destroy_in("/twice", [](auto &source, auto end) {
        source.add_event_listener("message",
                                  [end](const sse::Event &) { end(); });
    });
    // It has removed itself before.
    destroy_in("/twice", [](auto &source, auto end) {
        const auto id = std::make_shared<std::uint64_t>();
        *id = source.add_event_listener("message",
                                        [id, end, &source](const sse::Event &) {
                                            source.remove_event_listener(*id);
                                            end();
                                        });
    });
}

void is_destroyed_in_on_close()
{
    auto source = std::make_unique<sse::EventSource>(server + "/silent");
    Signal destroyed;
    source->on_open([&](const sse::Response &) { source->close(); });
    source->on_close([&, held = hold("on_close")](Errc) {
        source.reset();
        CHECK(*held == "on_close");
        destroyed.send();
    });
    source->connect();
    destroyed.wait();
}

void is_destroyed_in_pull_mode_by_a_handler()
{
    auto source = std::make_unique<sse::EventSource>(server + "/silent");
    Signal destroyed;
    source->set_queue(1);
    source->on_request([&, held = hold("on_request")](sse::Request &) {
        source.reset();
        CHECK(*held == "on_request");
        destroyed.send();
    });
    source->connect();
    destroyed.wait();
}

void is_replaced_in_its_handler()
{
    Signal open;
    auto held = hold("the old");
    const std::weak_ptr<std::string> watched = held;
    sse::EventSource source(server + "/flood");
    source.on_event([&, held](const sse::Event &) {
        source = sse::EventSource(server + "/silent");
        source.on_open([&](const sse::Response &) { open.send(); });
        source.connect();
        CHECK(*held == "the old");
    });
    held.reset();
    source.connect();
    open.wait();
    while (!watched.expired())
        std::this_thread::yield();
}

void waits_for_its_handlers_when_destroyed()
{
    Signal flowing;
    auto held = hold("still here");
    {
        sse::EventSource source(server + "/flood");
        source.on_event([&](const sse::Event &) {
            flowing.send();
            CHECK(*held == "still here");
        });
        source.connect();
        flowing.wait();
    }
    held.reset();
}

void calls_no_handler_after_close()
{
    sse::EventSource source(server + "/flood");
    int events = 0, closes = 0;
    source.on_event([&](const sse::Event &) {
        events++;
        source.close();
        CHECK(thrown_by([&] { source.wait(); }) == Errc::callback);
    });
    source.add_event_listener("message", [&](const sse::Event &) { events++; });
    source.on_close([&](Errc reason) {
        CHECK(reason == Errc::none);
        closes++;
    });
    source.connect();
    source.wait();
    source.close();
    CHECK(events == 1 && closes == 1);
}

void an_exception_in_a_handler_ends_the_program()
{
    sse::EventSource source(server + "/twice");
    source.on_event([](const sse::Event &) {
        throw std::runtime_error("out of a handler");
    });
    source.on_close([](Errc) { CHECK(false); });
    source.connect();
    source.wait();
}

// Pull mode

void tells_items_all_that_happens()
{
    sse::EventSource source(server + "/twice");
    source.set_queue(8);
    source.set_comments(true);
    CHECK(thrown_by([&] { (void)source.next(0ms); }) == Errc::not_connected);
    source.connect();
    std::vector<std::string> told;
    while (const auto item = source.next()) {
        struct {
            std::string operator()(const sse::Response &response) const
            {
                return "open " + std::to_string(response.status());
            }
            std::string operator()(const sse::Event &event) const
            {
                return "event " + std::string(event.data());
            }
            std::string operator()(const sse::Comment &comment) const
            {
                return "comment" + std::string(comment.text);
            }
            std::string operator()(const sse::Failure &failure) const
            {
                return failure.will_retry() ? "lost" : "error";
            }
            std::string operator()(const sse::Close &close) const
            {
                CHECK(close.reason == Errc::status);
                return "close";
            }
        } tell;
        told.push_back(std::visit(tell, *item));
        CHECK(source.close_reason().has_value() == (told.back() == "close"));
    }
    CHECK((told
           == std::vector<std::string>{"open 200", "comment a comment",
                                       "event one", "event two\nlines", "lost",
                                       "error", "close"}));
    CHECK(!source.next() && !source.next(1h));
    CHECK(source.ready_state() == sse::ReadyState::closed);
}

void is_a_range_of_events()
{
    sse::EventSource source(server + "/twice");
    source.set_queue(1);
    source.connect();
    std::vector<std::string> data;
    for (const sse::Event &event : source)
        data.emplace_back(event.data());
    CHECK((data == std::vector<std::string>{"one", "two\nlines"}));
    CHECK(source.close_reason() == Errc::status);
    // It has ended, and ends again.
    CHECK(source.begin() == source.end());
    CHECK(!(source.end() != source.begin()));
}

// A view cannot be kept by accident, in any way.
template <class View>
constexpr bool stays =
    !std::is_copy_constructible_v<
        View> && !std::is_move_constructible_v<View> && !std::is_copy_assignable_v<View> && !std::is_move_assignable_v<View>;
static_assert(stays<sse::Event> && stays<sse::Response> && stays<sse::Failure>);
static_assert(stays<sse::Request> && stays<sse::Comment> && stays<sse::Item>);
static_assert(std::is_nothrow_move_constructible_v<sse::OwnedEvent>);
static_assert(std::is_nothrow_move_assignable_v<sse::OwnedEvent>);

void an_owned_event_is_kept()
{
    std::vector<sse::OwnedEvent> kept;
    {
        sse::EventSource source(server + "/twice");
        source.set_queue(1);
        source.connect();
        for (const sse::Event &event : source)
            kept.push_back(event);
    }
    const auto is = [](const sse::Event &event, std::string_view type,
                       std::string_view data, std::string_view id) {
        CHECK(event.type() == type && event.data() == data);
        CHECK(event.last_event_id() == id && event.origin() == server);
        CHECK(event.data().data()[event.data().size()] == '\0');
    };
    const auto is_one = [&](const auto &event) {
        is(event, "message", "one", "1");
    };
    const auto is_two = [&](const auto &event) {
        is(event, "ping", "two\nlines", "2");
    };
    CHECK(kept.size() == 2);
    is_one(kept[0]);
    is_two(kept[1]);
    sse::OwnedEvent copy = kept[0];
    sse::OwnedEvent moved = std::move(kept[1]);
    is_one(copy);
    is_two(moved);
    std::swap(copy, moved);
    is_two(copy);
    is_one(moved);
    copy = moved;
    is_one(copy);
    auto &itself = copy;
    copy = itself;
    copy = std::move(itself);
    is_one(copy);
    kept.clear();
    is_one(copy);
    sse::Parser parser([&](const sse::Event &event) { copy = event; });
    parser.feed({"data: a\0b\n\n", 11});
    CHECK(copy.data() == std::string_view("a\0b", 3));
    CHECK(copy.origin().empty() && copy.last_event_id().empty());
}

void a_range_is_left_and_taken_up_again()
{
    sse::EventSource source(server + "/flood");
    source.set_queue(16);
    source.connect();
    int next = 1;
    const auto take_some = [&](sse::EventSource &from) {
        for (const sse::Event &event : from) {
            CHECK(event.last_event_id() == std::to_string(next++));
            if (next % 10 == 0)
                break;
        }
    };
    take_some(source);
    CHECK(next == 10);
    // An iterator stays where it is when the source is moved.
    auto it = source.begin();
    CHECK(it->last_event_id() == "10");
    sse::EventSource moved(std::move(source));
    ++it;
    CHECK(it != moved.end());
    CHECK((*it).last_event_id() == "11");
    next = 12;
    take_some(moved);
    CHECK(next == 20);
    moved.close();
    CHECK(++it == moved.end());
    CHECK(moved.close_reason() == Errc::none);
}

void a_loop_waits_for_the_descriptor()
{
    sse::EventSource source(server + "/twice");
    CHECK(source.fd() == -1);
    source.set_queue(8);
    CHECK(source.fd() >= 0);
    source.connect();
    int items = 0;
    while (!source.close_reason()) {
        pollfd waiting = {source.fd(), POLLIN, 0};
        CHECK(poll(&waiting, 1, -1) == 1);
        while (source.next(0ms))
            items++;
        // No wait either. An item may have come since.
        if (source.next(-1h))
            items++;
    }
    CHECK(items == 6);
}

void a_queue_and_handlers_do_not_go_together()
{
    sse::EventSource source(server);
    CHECK(thrown_by([&] { (void)source.next(); }) == Errc::queue);
    source.on_event([](const sse::Event &) {});
    source.set_queue(1);
    CHECK(thrown_by([&] { source.connect(); }) == Errc::queue);
    source.on_event(nullptr);
    source.on_close([](Errc) {});
    CHECK(thrown_by([&] { source.connect(); }) == Errc::queue);
    source.on_close(nullptr);
    source.connect();
}

// Errors

void errors_are_thrown()
{
    const auto is_no_url = [](std::string_view url) {
        return thrown_by([&] { sse::EventSource source(url); });
    };
    CHECK(is_no_url("nowhere") == Errc::url);
    CHECK(is_no_url("ftp://localhost/") == Errc::scheme);
    CHECK(is_no_url("http://\xff/") == Errc::utf8);
    CHECK(is_no_url({"http://localhost/\0", 18}) == Errc::value);
    CHECK(thrown_by([] { sse::EventSource source(nullptr); }) == Errc::null);
    CHECK(sse::message(Errc::timeout) != sse::message(Errc::lost));

    auto held = hold("kept");
    const std::weak_ptr<std::string> watched = held;
    sse::EventSource source(server + "/silent");
    source.on_close([held](Errc) {});
    held.reset();
    CHECK(thrown_by([&] { source.set_header("X", "y\n"); }) == Errc::header);
    CHECK(thrown_by([&] { source.set_header("X", std::string("y\0", 2)); })
          == Errc::value);
    CHECK(thrown_by([&] { source.set_idle_timeout(-1ms); }) == Errc::value);
    CHECK(thrown_by([&] { source.set_stack_size(1); }) == Errc::value);
    CHECK(thrown_by([&] { source.set_ca_file("/nowhere"); }) == Errc::file);
    CHECK(thrown_by([&] { source.set_client_certificate("x", std::nullopt); })
          == Errc::null);
    CHECK(thrown_by([&] { source.reconnect(); }) == Errc::not_connected);
    // What has thrown is not forgotten, until it is set again.
    CHECK(thrown_by([&] { source.connect(); }) == Errc::header);
    source.set_header("X", "y");
    CHECK(thrown_by([&] { source.connect(); }) == Errc::value);
    source.set_stack_size(0);
    source.set_ca_file(std::nullopt);
    source.set_client_certificate(std::nullopt, std::nullopt);
    source.connect();
    CHECK(thrown_by([&] { source.connect(); }) == Errc::already_connected);
    CHECK(thrown_by([&] { source.set_max_attempts(1); })
          == Errc::already_connected);
    // What is refused changes nothing.
    CHECK(thrown_by([&] { source.on_close(nullptr); })
          == Errc::already_connected);
    CHECK(!watched.expired());
}

void errors_are_error_codes()
{
    const std::error_code code = Errc::url;
    CHECK(code == Errc::url && code != Errc::scheme);
    CHECK(std::string_view(code.category().name()) == "eventsource");
    CHECK(code.message() == sse::message(Errc::url));
    CHECK(code && !std::error_code(Errc::none));
    CHECK(make_error_code(Errc::timeout) == std::errc::timed_out);
    CHECK(code != std::errc::timed_out);
    try {
        sse::EventSource source("nowhere");
        CHECK(false);
    } catch (const std::system_error &error) {
        CHECK(error.code() == Errc::url);
    }
    sse::EventSource nowhere(server);
    nowhere.set_unix_socket("/nowhere");
    nowhere.set_retry(sse::Retry::never);
    nowhere.on_error([&](const sse::Failure &failure) {
        CHECK(failure.system_error() == std::errc::no_such_file_or_directory);
    });
    nowhere.connect();
    nowhere.wait();
    CHECK(nowhere.close_reason() == Errc::connect);

    sse::EventSource source(server + "/none");
    std::error_code told, reason;
    source.on_error([&](const sse::Failure &failure) {
        told = failure.code();
        CHECK(!failure.system_error());
    });
    source.on_close([&](Errc why) { reason = why; });
    source.connect();
    source.wait();
    CHECK(told == Errc::status && reason == told);
}

void takes_a_source_over_from_c()
{
    eventsource *made;
    CHECK(eventsource_new((server + "/twice").c_str(), &made) == 0);
    sse::EventSource source(made);
    CHECK(source.native_handle() == made);
    int events = 0;
    source.on_event([&](const sse::Event &) { events++; });
    source.connect();
    source.wait();
    CHECK(events == 2);
}

// The library

void logs()
{
    std::mutex mutex;
    static std::vector<std::string> lines;
    const auto keep = [&](sse::LogLevel level, std::string_view line) {
        CHECK(level != sse::LogLevel::off);
        const std::lock_guard<std::mutex> lock(mutex);
        lines.emplace_back(line);
    };
    sse::set_log(sse::LogLevel::debug, keep);
    sse::set_log(sse::LogLevel::debug, keep);
    const auto follow = [] {
        sse::EventSource source(server + "/twice");
        source.connect();
        source.wait();
    };
    follow();
    sse::set_log(sse::LogLevel::off, nullptr);
    const auto count = lines.size();
    CHECK(count > 0);
    follow();
    CHECK(lines.size() == count);
}

// The parser

void a_parser_dispatches_events()
{
    std::vector<std::string> told;
    sse::Parser parser([&](const sse::Event &event) {
        CHECK(event.origin().empty());
        told.push_back(std::string(event.type()) + " "
                       + std::string(event.data()) + " "
                       + std::string(event.last_event_id()));
        CHECK(thrown_by([&] { parser.feed("data: x\n\n"); }) == Errc::callback);
        CHECK(thrown_by([&] { parser.reset(); }) == Errc::callback);
    });
    CHECK(parser.feed(""));
    CHECK(parser.feed({}));
    parser.feed("id: 1\nevent: pi");
    parser.feed("ng\ndata: one\n\ndata: unfini");
    parser.reset();
    parser.feed({"data: \0\n\n", 9});
    CHECK(
        (told == std::vector<std::string>{"ping one 1", {"message \0 1", 11}}));
    sse::Parser moved(std::move(parser));
    CHECK(thrown_by([&] { parser.feed("data: x\n\n"); }) == Errc::null);
    CHECK(thrown_by([&] { parser.end(); }) == Errc::null);
    CHECK(parser.last_event_id().empty());
    parser = std::move(moved);
    CHECK(thrown_by([] { sse::Parser none(nullptr); }) == Errc::null);
}

void a_parser_has_what_reconnecting_takes()
{
    std::vector<std::string> told;
    sse::Parser parser([&](const sse::Event &event) {
        told.push_back("event " + std::string(event.data()));
        CHECK(parser.last_event_id().empty());
        CHECK(thrown_by([&] { parser.end(); }) == Errc::callback);
    });
    parser.on_retry([&](std::chrono::milliseconds time) {
        told.push_back("retry " + std::to_string(time.count()));
        CHECK(thrown_by([&] { parser.on_retry(nullptr); }) == Errc::callback);
    });
    parser.on_comment([&](std::string_view comment) {
        told.push_back("comment" + std::string(comment));
        CHECK(thrown_by([&] { parser.on_comment({}); }) == Errc::callback);
    });
    parser.set_max_event_size(4);
    CHECK(thrown_by([&] { parser.set_last_event_id("a\nb"); }) == Errc::value);
    parser.set_last_event_id("41");
    CHECK(parser.last_event_id() == "41");
    CHECK(!parser.feed("retry: 5\ndata: large\n\n: c\ndata: a\n\n"));
    CHECK(parser.feed("id: 42\n\ndata"));
    CHECK(parser.last_event_id() == "42");
    CHECK(!parser.end());
    CHECK(parser.end());
    CHECK(parser.last_event_id() == "42");
    CHECK(
        (told == std::vector<std::string>{"retry 5", "comment c", "event a"}));
    parser.on_retry(nullptr);
    parser.on_comment(nullptr);
    CHECK(parser.feed("retry: 6\n: d\n"));
    CHECK(told.size() == 3);
}

void a_parser_reads_what_a_callable_brings()
{
    std::vector<std::string> told;
    sse::Parser parser(
        [&](const sse::Event &event) { told.emplace_back(event.data()); });
    std::vector<std::string> pieces = {"data: a\n\nda", "ta: b\n", "\ndata"};
    auto piece = pieces.begin();
    const auto next = [&]() -> std::string_view {
        return piece == pieces.end() ? std::string_view() : *piece++;
    };
    CHECK(!parser.read(next));
    CHECK(parser.read(next));
    // A string that nobody else holds.
    int left = 2;
    CHECK(parser.read(
        [&] { return std::string(left-- > 0 ? "data: c\n\n" : ""); }));
    CHECK((told == std::vector<std::string>{"a", "b", "c", "c"}));
    try {
        parser.read([]() -> std::string_view { throw 7; });
        CHECK(false);
    } catch (int seven) {
        CHECK(seven == 7);
    }
    CHECK(parser.end());
}

void a_parser_is_destroyed_in_its_handler()
{
    int calls = 0;
    std::unique_ptr<sse::Parser> parser;
    parser = std::make_unique<sse::Parser>(
        [&, held = hold("the handler")](const sse::Event &) {
            calls++;
            parser.reset();
            CHECK(*held == "the handler");
        });
    parser->feed("data: one\n\ndata: two\n\n");
    CHECK(calls == 1);
    CHECK(!parser);

    parser = std::make_unique<sse::Parser>([](const sse::Event &) {});
    parser->on_retry([&](std::chrono::milliseconds) { parser.reset(); });
    CHECK(parser->read([] { return "retry: 1\nretry: 2\n"; }));
    CHECK(!parser);
}

// Loops

void a_loop_drives_many_sources()
{
    const auto here = std::this_thread::get_id();
    sse::Loop loop;
    std::list<sse::EventSource> sources;
    int events = 0;
    for (int i = 0; i < 3; i++) {
        auto &source = sources.emplace_back(server + "/twice");
        source.set_loop(loop);
        source.set_reconnection_time(1ms);
        source.on_event([&](const sse::Event &) {
            CHECK(std::this_thread::get_id() == here);
            try {
                loop.dispatch();
                CHECK(false);
            } catch (const sse::Error &error) {
                CHECK(error.code() == Errc::callback);
            }
            events++;
        });
        source.connect();
    }
    CHECK(loop.fd() >= 0);
    pollfd ready = {loop.fd(), POLLIN, 0};
    while (events < 6) {
        CHECK(poll(&ready, 1, 10000) == 1);
        loop.dispatch(0ms);
    }
    // What nobody drives, wait() does.
    for (auto &source : sources)
        source.wait();
    CHECK(!loop.dispatch(0ms));

    sse::Loop started;
    started.start();
    CHECK(started.fd() == -1);
    try {
        started.dispatch();
        CHECK(false);
    } catch (const sse::Error &error) {
        CHECK(error.code() == Errc::busy);
    }
    sse::EventSource source(server + "/twice");
    source.set_loop(started);
    source.set_queue(4);
    source.connect();
    CHECK(source.begin()->data() == "one");
}

// In any order, and in handlers.
void loops_and_sources_are_destroyed()
{
    for (const bool loop_first : {true, false}) {
        auto loop = std::make_unique<sse::Loop>();
        loop->start();
        const auto held = hold("a handler's");
        bool closed = false;
        auto source = std::make_unique<sse::EventSource>(server + "/silent");
        source->set_loop(*loop);
        source->on_close([&closed, held](Errc reason) {
            CHECK(reason == Errc::none);
            closed = true;
        });
        source->connect();
        if (loop_first)
            loop.reset();
        CHECK(closed == loop_first);
        source.reset();
        CHECK(closed && held.use_count() == 1);
    }

    // One source in a handler of another, and the loop in its own.
    const auto held = hold("a handler's");
    auto loop = std::make_unique<sse::Loop>();
    auto other = std::make_unique<sse::EventSource>(server + "/silent");
    auto source = std::make_unique<sse::EventSource>(server + "/twice");
    bool closed = false, called = false;
    other->set_loop(*loop);
    other->on_close([&closed, held](Errc) { closed = true; });
    other->connect();
    source->set_loop(*loop);
    source->on_event([&, held](const sse::Event &) {
        other.reset();
        CHECK(closed);
        source.reset();
        loop.reset();
        called = true;
    });
    source->connect();
    while (!called)
        loop->dispatch();
    CHECK(!loop && !source && held.use_count() == 1);
}

// By names

#define CASE(name) std::make_pair(#name, name)
const std::map<std::string, void (*)()> cases = {
    CASE(tells_handlers_all_that_happens),
    CASE(asks_as_it_was_told_to),
    CASE(takes_bodies_that_are_empty_and_none),
    CASE(takes_nothing_for_what_c_takes_null),
    CASE(takes_text_as_the_program_has_it),
    CASE(takes_every_setting),
    CASE(decides_whether_to_come_back),
    CASE(aborts_an_attempt),
    CASE(decides_about_responses),
    CASE(waits_no_longer_than_it_is_told_to),
    CASE(comes_back_at_once_when_told_to),
    CASE(handlers_own_what_cannot_be_copied),
    CASE(an_empty_function_is_no_handler),
    CASE(listeners_come_and_go_inside_handlers),
    CASE(listeners_come_and_go_from_other_threads),
    CASE(a_listener_is_refused_whole),
    CASE(is_moved_while_handlers_run),
    CASE(is_empty_when_moved_away),
    CASE(is_destroyed_in_any_handler),
    CASE(is_destroyed_in_on_close),
    CASE(is_destroyed_in_pull_mode_by_a_handler),
    CASE(is_replaced_in_its_handler),
    CASE(waits_for_its_handlers_when_destroyed),
    CASE(calls_no_handler_after_close),
    CASE(an_exception_in_a_handler_ends_the_program),
    CASE(tells_items_all_that_happens),
    CASE(is_a_range_of_events),
    CASE(an_owned_event_is_kept),
    CASE(a_range_is_left_and_taken_up_again),
    CASE(a_loop_waits_for_the_descriptor),
    CASE(a_queue_and_handlers_do_not_go_together),
    CASE(errors_are_thrown),
    CASE(errors_are_error_codes),
    CASE(takes_a_source_over_from_c),
    CASE(logs),
    CASE(a_loop_drives_many_sources),
    CASE(loops_and_sources_are_destroyed),
    CASE(a_parser_dispatches_events),
    CASE(a_parser_has_what_reconnecting_takes),
    CASE(a_parser_reads_what_a_callable_brings),
    CASE(a_parser_is_destroyed_in_its_handler),
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    server = argv[2];
    cases.at(argv[1])();
    std::puts("passed");
    return 0;
}
