// Follows any number of event streams in an event loop of Qt, on one thread:
//
//     qt URL...
//
// It runs until SIGINT or SIGTERM, or until every source has closed. The exit
// status is 0 after a signal, 1 when all sources gave up, 2 when the program
// could not begin. For Qt 5 and 6.

#include <QCoreApplication>
#include <QSocketNotifier>

#include <eventsource.hpp>

#include <csignal>
#include <iostream>
#include <vector>

#include <pthread.h>
#include <sys/signalfd.h>

namespace {

// Handlers of sources run inside dispatch(), on Qt's thread: a slot may be
// called, a widget be changed, and no lock is needed.
int open_sources;

sse::EventSource follow(const sse::Loop &loop, const char *url)
{
    sse::EventSource source(url);
    source.on_open([url](const sse::Response &response) {
        std::cout << url << " open " << response.status() << std::endl;
    });
    source.on_event([url](const sse::Event &event) {
        std::cout << url << ' ' << event.type() << ' ' << event.data()
                  << std::endl;
    });
    source.on_error([url](const sse::Failure &failure) {
        std::cout << url << " error " << failure.message() << std::endl;
    });
    source.on_close([url](sse::Errc reason) {
        std::cout << url << " close " << sse::message(reason) << std::endl;
        if (--open_sources == 0)
            QCoreApplication::exit(1);
    });
    source.set_loop(loop);
    source.connect();
    open_sources++;
    return source;
}

} // namespace

int main(int argc, char **argv)
{
    QCoreApplication application(argc, argv);
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " URL...\n";
        return 2;
    }
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &mask, nullptr);
    QSocketNotifier signal(signalfd(-1, &mask, SFD_CLOEXEC),
                           QSocketNotifier::Read);
    QObject::connect(&signal, &QSocketNotifier::activated,
                     [] { QCoreApplication::exit(0); });

    try {
        sse::Loop loop;
        QSocketNotifier ready(loop.fd(), QSocketNotifier::Read);
        QObject::connect(&ready, &QSocketNotifier::activated, [&loop] {
            loop.dispatch(std::chrono::milliseconds(0));
        });
        std::vector<sse::EventSource> sources;
        for (int i = 1; i < argc; i++)
            sources.push_back(follow(loop, argv[i]));
        // What is left when it ends is closed by the destructors.
        return application.exec();
    } catch (const sse::Error &error) {
        std::cerr << argv[0] << ": " << error.what() << '\n';
        return 2;
    }
}
