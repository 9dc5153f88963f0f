// Sends a question to a language model, and prints the answer as it comes:
//
//     chat https://api.openai.com/v1/chat/completions '{"model": "gpt-4o",
//         "stream": true, "messages": [{"role": "user", "content": "Hi!"}]}'
//
// The key is in the environment variable OPENAI_API_KEY. SIGINT stops the
// answer. The exit status is 0 when the answer is complete, 1 when it is not, 2
// when the program could not begin. JSON is nlohmann's.

#include <eventsource.hpp>
#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

namespace {

using Json = nlohmann::json;

eventsource *asked = nullptr;

void stop(int)
{
    eventsource_close(asked);
}

Json parse(std::string_view text)
{
    return Json::parse(text, nullptr, /* allow_exceptions */ false);
}

// The text at a place in JSON, or none.
std::string text(const Json &json, const char *place)
{
    const Json::json_pointer pointer(place);
    const bool is_there =
        json.contains(pointer) && json.at(pointer).is_string();
    return is_there ? json.at(pointer).get<std::string>() : "";
}

// Asks until the model begins to answer, and never after that: whoever has an
// answer has paid for it. Returns whether the answer is complete.
bool ask(const char *url, const char *key, const char *json)
{
    bool complete = false;
    sse::EventSource source(url);
    source.set_header("Authorization", std::string("Bearer ") + key);
    source.set_header("Content-Type", "application/json");
    source.set_body(json);
    source.set_retry(sse::Retry::until_open);
    source.set_max_attempts(5);

    // A chunk of the answer has the next token, or says what went wrong.
    source.on_event([&](const sse::Event &event) {
        const Json chunk = parse(event.data());
        const std::string error = text(chunk, "/error/message");
        std::cout << text(chunk, "/choices/0/delta/content") << std::flush;
        if (!error.empty())
            std::cerr << error << '\n';
        complete = event.data() == "[DONE]";
        if (complete || !error.empty())
            source.close();
    });
    // A server that refuses says why, and maybe when to come back.
    source.on_error([](const sse::Failure &failure) {
        const std::string why = text(parse(failure.body()), "/error/message");
        std::cerr << failure.message() << ": "
                  << (why.empty() ? failure.body() : why) << '\n';
        if (failure.will_retry())
            std::cerr << "again in " << failure.delay().count() << " ms\n";
    });
    // Some servers end the stream without [DONE]: the answer is complete, too.
    source.on_close([&](sse::Errc reason) {
        complete = complete || reason == sse::Errc::ended;
    });

    asked = source.native_handle();
    std::signal(SIGINT, stop);
    source.connect();
    source.wait();
    // Nobody is left whom the signal could close.
    std::signal(SIGINT, SIG_DFL);
    return complete;
}

} // namespace

int main(int argc, char **argv)
{
    const char *key = std::getenv("OPENAI_API_KEY");
    if (argc != 3 || !key) {
        std::cerr << "usage: OPENAI_API_KEY=KEY " << argv[0] << " URL JSON\n";
        return 2;
    }
    try {
        return ask(argv[1], key, argv[2]) ? 0 : 1;
    } catch (const sse::Error &error) {
        std::cerr << argv[0] << ": " << error.what() << '\n';
        return 2;
    }
}
