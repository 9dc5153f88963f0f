// Follows an event stream, and prints what happens to it:
//
//     listen [-v] URL [LAST_EVENT_ID]
//
// It runs until SIGINT or SIGTERM, or until the source gives up. -v prints
// comments, too, and the library's log to standard error. The exit status is
// 0 after a signal, 1 when the source gave up, 2 when the program could not
// begin.

#include <eventsource.hpp>

#include <csignal>
#include <iostream>
#include <string_view>
#include <vector>

#include <pthread.h>
#include <unistd.h>

namespace {

// Prints text that may have several lines, the later ones indented.
void print(std::string_view text)
{
    for (const char c : text) {
        std::cout << c;
        if (c == '\n')
            std::cout << "       ";
    }
    std::cout << std::endl;
}

void listen(sse::EventSource &source, bool verbose)
{
    source.on_open([](const sse::Response &response) {
        std::cout << "open   " << response.status() << ' ' << response.url()
                  << std::endl;
    });
    source.on_event([](const sse::Event &event) {
        std::cout << "event  " << event.type() << " [" << event.last_event_id()
                  << "] ";
        print(event.data());
    });
    source.on_error([](const sse::Failure &failure) {
        if (failure.will_retry())
            std::cout << "lost   " << failure.message() << "; again in "
                      << failure.delay().count() << " ms" << std::endl;
        else
            std::cout << "error  " << failure.message() << std::endl;
    });
    source.on_close([](sse::Errc reason) {
        const bool told = reason == sse::Errc::none;
        std::cout << "close  " << (told ? "told to end" : sse::message(reason))
                  << std::endl;
        // main() waits for a signal alone, so a close sends one.
        kill(getpid(), SIGTERM);
    });
    if (verbose)
        source.on_comment([](std::string_view comment) {
            std::cout << "comment";
            print(comment);
        });
    source.connect();
}

} // namespace

int main(int argc, char **argv)
{
    std::vector<std::string_view> arguments(argv + 1, argv + argc);
    const bool verbose = !arguments.empty() && arguments[0] == "-v";
    if (verbose)
        arguments.erase(arguments.begin());
    if (arguments.empty() || arguments.size() > 2) {
        std::cerr << "usage: " << argv[0] << " [-v] URL [LAST_EVENT_ID]\n";
        return 2;
    }

    // Blocked here, and so in all threads, these signals wait for main().
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    if (verbose)
        sse::set_log(sse::LogLevel::debug,
                     [](sse::LogLevel, std::string_view line) {
                         std::cerr << line << std::endl;
                     });

    try {
        sse::EventSource source(arguments[0]);
        if (arguments.size() == 2)
            source.set_last_event_id(arguments[1]);
        listen(source, verbose);

        int number;
        sigwait(&signals, &number);
        source.close();
        source.wait();
        if (!std::cout)
            return 2;
        return source.close_reason() == sse::Errc::none ? 0 : 1;
    } catch (const sse::Error &error) {
        std::cerr << argv[0] << ": " << arguments[0] << ": " << error.what()
                  << '\n';
        return 2;
    }
}
