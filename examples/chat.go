// Sends a question to a language model, and prints the answer as it comes:
//
//	chat https://api.openai.com/v1/chat/completions '{"model": "gpt-4o",
//	    "stream": true, "messages": [{"role": "user", "content": "Hi!"}]}'
//
// The key is in the environment variable OPENAI_API_KEY. SIGINT stops the
// answer. The exit status is 0 when the answer is complete, 1 when it is not, 2
// when the program could not begin.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/libeventsource/libeventsource/bindings/go"
)

// refusal is what the model's service says when it refuses.
type refusal struct {
	Error struct{ Message string }
}

// chunk is a piece of the answer, or says what went wrong.
type chunk struct {
	refusal
	Choices []struct {
		Delta struct{ Content string }
	}
}

func main() {
	key := os.Getenv("OPENAI_API_KEY")
	if len(os.Args) != 3 || key == "" {
		fmt.Fprintf(os.Stderr, "usage: OPENAI_API_KEY=KEY %s URL JSON\n", os.Args[0])
		os.Exit(2)
	}
	// Asks until the model begins to answer, and never after that: whoever has
	// an answer has paid for it.
	source, err := eventsource.Connect(os.Args[1],
		eventsource.WithHeader("Authorization", "Bearer "+key),
		eventsource.WithHeader("Content-Type", "application/json"),
		eventsource.WithBody([]byte(os.Args[2])),
		eventsource.WithRetry(eventsource.RetryUntilOpen),
		eventsource.WithMaxAttempts(5))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	defer source.Close()
	if !answer(source) {
		source.Close()
		os.Exit(1)
	}
}

// answer prints the answer, and returns whether it is complete.
func answer(source *eventsource.Source) (complete bool) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for event, err := range source.Events(ctx) {
		var failure *eventsource.Failure
		if errors.As(err, &failure) {
			explain(failure)
			complete = false
			continue
		}
		if err != nil {
			return false
		}
		if event.Data == "[DONE]" {
			return true
		}
		var chunk chunk
		json.Unmarshal([]byte(event.Data), &chunk)
		if chunk.Error.Message != "" {
			fmt.Fprintln(os.Stderr, chunk.Error.Message)
			return false
		}
		if len(chunk.Choices) > 0 {
			fmt.Print(chunk.Choices[0].Delta.Content)
		}
		// Some servers end the stream without [DONE].
		complete = true
	}
	return complete
}

// explain says why a server refuses, and maybe when to come back.
func explain(failure *eventsource.Failure) {
	why := failure.Body
	var body refusal
	if json.Unmarshal([]byte(why), &body) == nil && body.Error.Message != "" {
		why = body.Error.Message
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", failure.Message, why)
	if failure.WillRetry {
		fmt.Fprintf(os.Stderr, "again in %v\n", failure.Delay)
	}
}
