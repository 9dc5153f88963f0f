// Reads vectors from standard input, as tests/support/vectors.rs has them, and
// prints what the parser of C++ tells.

#include <eventsource.hpp>

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>

static std::string bytes(const std::string &hex)
{
    std::string bytes;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    return bytes;
}

static std::string hex(std::string_view bytes)
{
    static const char digits[] = "0123456789abcdef";
    std::string hex(bytes.empty() ? "-" : "");
    for (const char byte : bytes) {
        const auto number = static_cast<unsigned char>(byte);
        hex += digits[number >> 4];
        hex += digits[number & 15];
    }
    return hex;
}

// The stream, a piece at a time.
class Pieces {
public:
    Pieces(std::string_view stream, std::size_t size)
        : rest_(stream), size_(size)
    {
    }

    std::string_view next()
    {
        const auto piece = rest_.substr(0, size_);
        rest_.remove_prefix(piece.size());
        return piece;
    }

private:
    std::string_view rest_;
    std::size_t size_;
};

int main()
{
    bool comments;
    std::size_t max_event_size, size;
    std::string id, stream;
    while (std::cin >> comments >> max_event_size >> id >> size >> stream) {
        sse::Parser parser([](const sse::Event &event) {
            std::cout << "event " << hex(event.type()) << ' '
                      << hex(event.data()) << ' ' << hex(event.last_event_id())
                      << '\n';
        });
        parser.on_retry([](std::chrono::milliseconds time) {
            std::cout << "retry " << time.count() << '\n';
        });
        if (comments)
            parser.on_comment([](std::string_view comment) {
                std::cout << "comment " << hex(comment) << '\n';
            });
        parser.set_max_event_size(max_event_size);
        parser.set_last_event_id(bytes(id));
        const std::string own = bytes(stream);
        bool fits = true;
        Pieces pieces(own, size);
        for (auto piece = pieces.next(); !piece.empty(); piece = pieces.next())
            fits &= parser.feed(piece);
        const bool finished = parser.end();
        std::cout << "end " << !fits << ' ' << !finished << ' '
                  << hex(parser.last_event_id()) << std::endl;
    }
}
