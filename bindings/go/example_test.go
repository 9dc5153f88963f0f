//go:build cgo && linux

package eventsource_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/libeventsource/libeventsource/bindings/go"
)

// serve counts on from the last event ID, and then has no more to say.
func serve() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
			if last == 4 {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "retry: 10\n\n")
			for id := last + 1; id <= last+2; id++ {
				fmt.Fprintf(w, "id: %d\ndata: number %d\n\n", id, id)
			}
		}))
}

func Example() {
	server := serve()
	defer server.Close()
	ctx, url := context.Background(), server.URL

	source, err := eventsource.Connect(url)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	for event, err := range source.Events(ctx) {
		if err != nil {
			fmt.Println(err) // after the last one the range ends
			continue
		}
		fmt.Println(event.Type, event.Data)
	}

	// Output:
	// message number 1
	// message number 2
	// eventsource: the server has ended the stream
	// message number 3
	// message number 4
	// eventsource: the server has ended the stream
	// eventsource: status 204: the server wants no more
}

func ExampleFailure() {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()

	source, err := eventsource.Connect(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	for _, err := range source.Events(context.Background()) {
		var failure *eventsource.Failure
		if errors.As(err, &failure) && !failure.WillRetry {
			fmt.Println(failure.HTTPStatus, strings.TrimSpace(failure.Body))
		}
	}
	fmt.Println(source.ReadyState())
	// Output:
	// 404 404 page not found
	// CLOSED
}

func ExampleOnRequest() {
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprintf(w, "retry: 10\ndata: %s\n\n",
				r.Header.Get("Authorization"))
		}))
	defer server.Close()
	newToken := func(number uint64) (string, error) {
		return fmt.Sprintf("token %d", number), nil
	}

	source, err := eventsource.Connect(server.URL,
		eventsource.OnRequest(func(request *eventsource.Request) error {
			token, err := newToken(request.Attempt())
			if err != nil {
				return err // ends the source, and its range
			}
			return request.SetHeader("Authorization", "Bearer "+token)
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	for event, err := range source.Events(context.Background()) {
		if err != nil {
			continue
		}
		fmt.Println(event.Data)
		if event.Data == "Bearer token 2" {
			break
		}
	}
	// Output:
	// Bearer token 1
	// Bearer token 2
}

// A range ends without an error when the source is closed.
func ExampleSource_Close() {
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: one\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	source, err := eventsource.Connect(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { source.Close() })
	defer stop()
	for event, err := range source.Events(context.Background()) {
		if err != nil {
			log.Fatal(err) // none comes
		}
		fmt.Println(event.Data)
		cancel() // from anywhere
	}
	fmt.Println(source.ReadyState())
	// Output:
	// one
	// CLOSED
}

func ExampleWithBody() {
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: Hel\n\ndata: lo.\n\n")
		}))
	defer server.Close()

	source, err := eventsource.Connect(server.URL,
		eventsource.WithBody([]byte(`{"stream": true}`)),
		eventsource.WithHeader("Content-Type", "application/json"))
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	for event, err := range source.Events(context.Background()) {
		if err != nil {
			log.Fatal(err) // what is paid for is asked for once
		}
		fmt.Print(event.Data)
	}
	// Output:
	// Hello.
}

// A program with an HTTP client of its own reads the bodies of its responses.
func ExampleParser() {
	server := serve()
	defer server.Close()

	parser := eventsource.Parser{ReconnectionTime: 3 * time.Second}
	for {
		request, err := http.NewRequest("GET", server.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		if parser.LastEventID != "" {
			request.Header.Set("Last-Event-ID", parser.LastEventID)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		if response.StatusCode != http.StatusOK {
			fmt.Println(response.Status)
			return
		}
		for event, err := range parser.Read(response.Body) {
			if err != nil {
				fmt.Println(err)
				continue
			}
			fmt.Println(event.Type, event.Data)
		}
		response.Body.Close()
		time.Sleep(parser.ReconnectionTime)
	}
	// Output:
	// message number 1
	// message number 2
	// message number 3
	// message number 4
	// 204 No Content
}
