// The same program in C++, by the wrapper.
#include <eventsource.hpp>

#include <iostream>

int main(int argc, char **argv)
{
    if (argc != 2 || sse::version() != EVENTSOURCE_VERSION)
        return 2;
    sse::EventSource source(argv[1]);
    source.on_event([&source](const sse::Event &event) {
        std::cout << event.data() << std::endl;
        source.close();
    });
    source.connect();
    source.wait();
    return 0;
}
