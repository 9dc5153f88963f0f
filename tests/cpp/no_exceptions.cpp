// With -fno-exceptions: follows a stream to its end. A URL that is none is
// seen by way of C, or else ends the program.
#include <eventsource.hpp>

#include <cstdio>

int main(int, char **argv)
{
    eventsource *made;
    if (eventsource_new("nowhere", &made) != EVENTSOURCE_ERROR_URL
        || eventsource_new(argv[1], &made) != EVENTSOURCE_ERROR_NONE)
        return 2;
    sse::EventSource source(made);
    source.on_event([](const sse::Event &event) {
        std::printf("%s\n", event.data().data());
    });
    source.connect();
    source.wait();
    std::fflush(stdout);
    const sse::EventSource none("nowhere");
    std::puts("lived on");
}
