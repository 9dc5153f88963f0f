// Includes the header twice, as two other headers would.
#include <eventsource.hpp>
#include <eventsource.hpp>

std::size_t header_too();

int main()
{
    sse::set_log(sse::LogLevel::debug, [](sse::LogLevel, std::string_view) {});
    sse::EventSource source("http://localhost/");
    return sse::version().size() + header_too() > 0 ? 0 : 1;
}
