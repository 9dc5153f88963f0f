// Includes the header twice, as two other headers would.
#include <eventsource.hpp>
#include <eventsource.hpp>

#include <vector>

std::size_t header_too();

// What is a template, or lies in one.
std::size_t kept(sse::EventSource &source);
std::size_t kept(sse::EventSource &source)
{
    source.on_event([own = std::make_unique<int>(1)](const sse::Event &) {});
    source.set_header("X", nullptr);
    source.set_header("X", std::string("y"));
    std::vector<sse::OwnedEvent> events;
    for (const sse::Event &event : source)
        events.push_back(event);
    std::error_code code = sse::Errc::ended;
    while (const auto item = source.next())
        if (const auto *failure = std::get_if<sse::Failure>(&*item))
            code = failure->code();
    return code ? 0 : events.size();
}

int main()
{
    sse::set_log(sse::LogLevel::debug, [](sse::LogLevel, std::string_view) {});
    sse::EventSource source("http://localhost/");
    return sse::version().size() + header_too() > 0 ? 0 : 1;
}
