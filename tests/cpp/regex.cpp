// A handler that needs a deep stack: std::regex calls itself for each
// character.

#include <eventsource.hpp>
#include <cstdio>
#include <regex>
#include <string>

int main(int argc, char **argv)
{
    bool matched = false;
    sse::EventSource source(argc > 1 ? argv[1] : "");

    source.on_event([&](const sse::Event &event) {
        const std::string data(event.data());
        matched = std::regex_match(data, std::regex("\\{(.|\\n)*\\}"));
        source.close();
    });
    source.connect();
    source.wait();
    std::puts(matched ? "well" : "no match");
    return matched ? 0 : 1;
}
