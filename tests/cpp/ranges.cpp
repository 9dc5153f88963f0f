// C++20 knows a source as a range: prints two pings of all its events.
#include <eventsource.hpp>

#include <cstdio>
#include <ranges>

static_assert(std::ranges::input_range<sse::EventSource>);
static_assert(!std::ranges::forward_range<sse::EventSource>);
static_assert(
    std::sentinel_for<sse::EventSource::Sentinel, sse::EventSource::Iterator>);

int main(int, char **argv)
{
    sse::EventSource source(argv[1]);
    source.set_queue(16);
    source.connect();
    const auto is_ping = [](const sse::Event &event) {
        return event.type() == "ping";
    };
    for (const auto &event :
         source | std::views::filter(is_ping) | std::views::take(2))
        std::printf("%s\n", event.data().data());
}
