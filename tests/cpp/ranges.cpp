// C++20 knows a source as a range: prints two pings of all its events.
#include <eventsource.hpp>

#include <cstdio>
#include <ranges>
#include <vector>

static_assert(std::ranges::input_range<sse::EventSource>);
static_assert(!std::ranges::forward_range<sse::EventSource>);
static_assert(
    std::sentinel_for<sse::EventSource::Sentinel, sse::EventSource::Iterator>);
static_assert(std::is_same_v<std::ranges::range_value_t<sse::EventSource>,
                             sse::OwnedEvent>);

int main(int, char **argv)
{
    sse::EventSource source(argv[1]);
    source.set_queue(16);
    source.connect();
    const auto is_ping = [](const sse::Event &event) {
        return event.type() == "ping";
    };
    std::vector<sse::OwnedEvent> pings;
    std::ranges::copy(source | std::views::filter(is_ping)
                          | std::views::take(2),
                      std::back_inserter(pings));
    for (const auto &event : pings)
        std::printf("%s\n", event.data().data());
}
