// Follows any number of event streams in an io_context of Asio, on one thread:
//
//     asio URL...
//
// It runs until SIGINT or SIGTERM, or until every source has closed. The exit
// status is 0 after a signal, 1 when all sources gave up, 2 when the program
// could not begin. Boost.Asio is the same but for its namespace.

#include <asio.hpp>
#include <eventsource.hpp>

#include <iostream>
#include <vector>

#include <unistd.h>

namespace {

class Follower {
public:
    // Asio closes the descriptor that it is given, so it is given a copy.
    explicit Follower(asio::io_context &io)
        : ready_(io, dup(loop_.fd())), signals_(io, SIGINT, SIGTERM)
    {
        signals_.async_wait([this](std::error_code error, int) {
            if (error)
                return;
            told_ = true;
            for (sse::EventSource &source : sources_)
                source.close();
        });
        drive();
    }

    void follow(const char *url)
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
        source.on_close([this, url](sse::Errc reason) {
            std::cout << url << " close " << sse::message(reason) << std::endl;
            open_--;
        });
        source.set_loop(loop_);
        source.connect();
        sources_.push_back(std::move(source));
        open_++;
    }

    bool was_told() const { return told_; }

private:
    // Lets the library's loop do its work whenever there is some. Handlers of
    // sources run inside dispatch(): no lock is needed.
    void drive()
    {
        ready_.async_wait(ready_.wait_read, [this](std::error_code error) {
            if (error)
                return;
            loop_.dispatch(std::chrono::milliseconds(0));
            if (open_ > 0)
                drive();
            else
                signals_.cancel();
        });
    }

    int open_ = 0;
    bool told_ = false;
    sse::Loop loop_;
    std::vector<sse::EventSource> sources_;
    asio::posix::stream_descriptor ready_;
    asio::signal_set signals_;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " URL...\n";
        return 2;
    }
    try {
        asio::io_context io;
        Follower follower(io);
        for (int i = 1; i < argc; i++)
            follower.follow(argv[i]);
        io.run();
        return follower.was_told() ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << argv[0] << ": " << error.what() << '\n';
        return 2;
    }
}
