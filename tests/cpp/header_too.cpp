// Another unit of the same program: what the header defines is defined once.
#include <eventsource.hpp>

std::size_t header_too();

std::size_t header_too()
{
    sse::set_log(sse::LogLevel::off, [](sse::LogLevel, std::string_view) {});
    sse::Parser parser([](const sse::Event &) {});
    parser.feed("data: x\n\n");
    return sse::EventSource("http://localhost/").url().size();
}
