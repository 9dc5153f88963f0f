//go:build cgo && linux

package eventsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stream serves a connection, the first of which has number 1, with a function
// that sends text at once. An error breaks the connection off.
type stream func(number int, r *http.Request, send func(string)) error

// serve returns the URL of a server that is there until the test's end.
func serve(t testing.TB, s stream) string {
	var connections atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			// Once it answers, the server reads no more of the request.
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			send := func(text string) {
				fmt.Fprint(w, text)
				w.(http.Flusher).Flush()
			}
			if s(int(connections.Add(1)), r, send) != nil {
				panic(http.ErrAbortHandler)
			}
		}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// says serves one text, and nothing more until the client goes.
func says(text string) stream {
	return func(_ int, r *http.Request, send func(string)) error {
		send(text)
		<-r.Context().Done()
		return nil
	}
}

func connect(t testing.TB, url string, options ...Option) *Source {
	t.Helper()
	// The proxy of this machine is not of the test.
	options = append([]Option{WithProxy("")}, options...)
	source, err := Connect(url, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

// patience is a context for what comes if all is well.
func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeoutCause(context.Background(),
		time.Minute, errors.New("it does not come"))
	t.Cleanup(cancel)
	return ctx
}

// take ranges over n items, and writes them down.
func take(t testing.TB, source *Source, n int) []string {
	t.Helper()
	var seen []string
	for event, err := range source.Events(patience(t)) {
		if err != nil {
			seen = append(seen, "error "+reason(err))
		} else {
			seen = append(seen, event.Type+" "+event.Data)
		}
		if len(seen) == n {
			break
		}
	}
	return seen
}

// all ranges to the end.
func all(t testing.TB, source *Source) []string {
	t.Helper()
	return take(t, source, -1)
}

// reason is what an error unwraps to.
func reason(err error) string {
	var reason Error
	if errors.As(err, &reason) {
		return reason.Error()
	}
	return err.Error()
}

func expect(t testing.TB, seen []string, wanted ...string) {
	t.Helper()
	if fmt.Sprintf("%q", seen) != fmt.Sprintf("%q", wanted) {
		t.Fatalf("%q in the place of %q", seen, wanted)
	}
}

func TestEventsComeAsTheStreamHasThem(t *testing.T) {
	url := serve(t, says("id: 1\nevent: ping\ndata: a\n\n"+
		"data: b\ndata: c\x00\n\nid\ndata: é\n\nevent: e\ndata\n\n"))
	source := connect(t, url)
	var events []Event
	for event, err := range source.Events(patience(t)) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
		if source.LastEventID() != event.LastEventID {
			t.Errorf("%q, and not %q", source.LastEventID(), event.LastEventID)
		}
		if source.ReadyState() != Open {
			t.Error(source.ReadyState())
		}
		if len(events) == 4 {
			break
		}
	}
	origin := strings.TrimSuffix(url, "/")
	wanted := []Event{
		{"ping", "a", "1", origin},
		{"message", "b\nc\x00", "1", origin},
		{"message", "é", "", origin},
		{"e", "", "", origin},
	}
	for i, event := range events {
		if event != wanted[i] {
			t.Errorf("%q in the place of %q", event, wanted[i])
		}
	}
	if source.URL() != url || source.WithCredentials() {
		t.Error(source.URL(), source.WithCredentials())
	}
	if stats := source.Stats(); stats.Events != 4 || stats.Connects != 1 ||
		stats.LastByteAt.IsZero() {
		t.Error(stats)
	}
}

func TestALostConnectionIsAnErrorAndTheRangeGoesOn(t *testing.T) {
	var opened []string
	url := serve(t, func(connection int, r *http.Request, send func(string)) error {
		id := r.Header.Get("Last-Event-ID")
		if connection == 1 {
			send("retry: 10\nid: 7\ndata: asked for " + id + "\n\n")
			return errors.New("lost")
		}
		send("data: asked for " + id + "\n\n")
		<-r.Context().Done()
		return nil
	})
	source := connect(t, url, OnOpen(func(response *Response) {
		if response.HTTPVersion != 11 {
			t.Error(response.HTTPVersion)
		}
		opened = append(opened, fmt.Sprint(response.Status, " ", response.URL,
			" ", response.Header.Get("CONTENT-type"), response.Header.Get("X-No")))
	}))
	var seen []string
	for event, err := range source.Events(patience(t)) {
		var failure *Failure
		if errors.As(err, &failure) {
			if !failure.WillRetry || failure.Reason != ErrLost ||
				failure.Delay < 10*time.Millisecond || failure.Attempt != 0 {
				t.Errorf("%+v", failure)
			}
			if source.ReadyState() != Connecting || source.LastEventID() != "7" {
				t.Error(source.ReadyState(), source.LastEventID())
			}
			seen = append(seen, "lost")
			continue
		}
		seen = append(seen, event.Data)
		if len(seen) == 3 {
			break
		}
	}
	expect(t, seen, "asked for ", "lost", "asked for 7")
	open := "200 " + url + " text/event-stream"
	expect(t, opened, open, open)
}

func TestAFailureEndsTheRange(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("X-Why", "it is")
			w.Header().Add("X-Why", "so")
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}))
	t.Cleanup(server.Close)
	source := connect(t, server.URL)
	var seen []error
	for _, err := range source.Events(patience(t)) {
		seen = append(seen, err)
		if source.ReadyState() != Closed {
			t.Error(source.ReadyState())
		}
	}
	if len(seen) != 1 {
		t.Fatal(seen)
	}
	var failure *Failure
	if !errors.As(fmt.Errorf("wrapped: %w", seen[0]), &failure) {
		t.Fatal(seen[0])
	}
	if failure.HTTPStatus != 401 || failure.WillRetry ||
		failure.Body != "who are you?\n" || failure.Attempt != 1 ||
		failure.Response.Status != 401 ||
		failure.Response.Header.Get("x-why") != "it is" ||
		!slices.Equal(failure.Response.Header.Values("X-WHY"),
			[]string{"it is", "so"}) ||
		failure.Response.Header.Values("X-No") != nil {
		t.Errorf("%+v", failure)
	}
	if !errors.Is(seen[0], ErrStatus) || !strings.Contains(seen[0].Error(), "401") {
		t.Error(seen[0])
	}
	expect(t, all(t, source))
	if err := source.Reconnect(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestAStreamThatIsNotAskedForAgainEndsTheRangeWithoutAnError(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		body, _ := io.ReadAll(r.Body)
		send(fmt.Sprintf("data: %s %s %s\n\n", r.Method, body,
			r.Header.Get("Content-Type")))
		return nil
	})
	source := connect(t, url, WithBody([]byte("question")),
		WithHeader("Content-Type", "text/html"))
	expect(t, all(t, source), "message POST question text/html")
	if source.ReadyState() != Closed {
		t.Error(source.ReadyState())
	}
}

func TestARangeThatIsLeftGoesOnInTheNext(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\ndata: 2\n\ndata: 3\n\n")))
	expect(t, take(t, source, 1), "message 1")
	expect(t, take(t, source, 1), "message 2")
	func() {
		defer func() { recover() }()
		for range source.Events(patience(t)) {
			panic("in the range")
		}
	}()
	source.Close()
	expect(t, all(t, source))
}

func TestWhatTheProgramHasSeenIsWhatTheSourceSays(t *testing.T) {
	sent := make(chan struct{})
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		send("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n")
		close(sent)
		<-r.Context().Done()
		return nil
	})
	source := connect(t, url, WithLastEventID("0"))
	<-sent
	if source.ReadyState() != Connecting || source.LastEventID() != "0" {
		t.Error(source.ReadyState(), source.LastEventID())
	}
	take(t, source, 1)
	if source.ReadyState() != Open || source.LastEventID() != "1" {
		t.Error(source.ReadyState(), source.LastEventID())
	}
	source.Close()
	if source.ReadyState() != Closed || source.LastEventID() != "1" {
		t.Error(source.ReadyState(), source.LastEventID())
	}
	if stats := source.Stats(); stats.Connects != 1 {
		t.Error(stats)
	}
	if source.URL() != url {
		t.Error(source.URL())
	}
}

func TestAnIDWithoutAnEventIsSeenWithTheNextItem(t *testing.T) {
	url := serve(t, func(connection int, r *http.Request, send func(string)) error {
		if connection == 1 {
			send("retry: 1\nid: 1\ndata: a\n\nid: 2\n\n")
			return nil
		}
		send("id: 1\ndata: b\n\n")
		<-r.Context().Done()
		return nil
	})
	source := connect(t, url)
	var ids []string
	for range source.Events(patience(t)) {
		ids = append(ids, source.LastEventID())
		if len(ids) == 3 {
			break
		}
	}
	expect(t, ids, "1", "2", "1")
}

func TestTheContextEndsTheRangeAndTheSourceStaysOpen(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\ndata: 2\n\n")))
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var seen []string
	for event, err := range source.Events(ctx) {
		if err != nil {
			if err != cause {
				t.Error(err)
			}
			seen = append(seen, "end")
			continue
		}
		seen = append(seen, event.Data)
		cancel(cause)
	}
	expect(t, seen, "1", "end")
	if source.ReadyState() != Open {
		t.Error(source.ReadyState())
	}
	// A context that is done already, and one that ends while nothing comes.
	for range source.Events(ctx) {
		seen = append(seen, "end")
	}
	expect(t, seen, "1", "end", "end")
	expect(t, take(t, source, 1), "message 2")
	waiting, stop := context.WithTimeout(context.Background(), time.Millisecond)
	defer stop()
	for _, err := range source.Events(waiting) {
		seen = append(seen, err.Error())
	}
	expect(t, seen[3:], context.DeadlineExceeded.Error())
	if source.Reconnect() != nil {
		t.Error("the source is not open")
	}
	expect(t, take(t, source, 1), "message 1")
}

func TestOnlyOneGoroutineRanges(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\ndata: 2\n\n")))
	for range source.Events(patience(t)) {
		expect(t, all(t, source), "error "+ErrBusy.Error())
		break
	}
	expect(t, take(t, source, 1), "message 2")
}

func TestReconnectBringsNoErrorAndStaleItemsChangeNothing(t *testing.T) {
	url := serve(t, func(connection int, r *http.Request, send func(string)) error {
		send(fmt.Sprintf("data: %d\n\n", connection))
		<-r.Context().Done()
		return nil
	})
	source := connect(t, url)
	expect(t, take(t, source, 1), "message 1")
	if err := source.Reconnect(); err != nil || source.ReadyState() != Connecting {
		t.Error(err, source.ReadyState())
	}
	expect(t, take(t, source, 1), "message 2")
	if source.ReadyState() != Open {
		t.Error(source.ReadyState())
	}
}

func TestCommentsComeIfTheyAreWanted(t *testing.T) {
	url := serve(t, says(": first\n:\ndata: 1\n\n"))
	var seen []string
	source := connect(t, url, OnComment(func(comment string) {
		seen = append(seen, comment)
	}))
	expect(t, take(t, source, 1), "message 1")
	expect(t, seen, " first", "")
	expect(t, take(t, connect(t, url), 1), "message 1")
}

func TestAnEventOverTheLimitIsToldAndTheStreamGoesOn(t *testing.T) {
	url := serve(t, says("id: 5\ndata: "+strings.Repeat("x", 100)+"\n\ndata: 1\n\n"))
	source := connect(t, url, WithMaxEventSize(50))
	expect(t, take(t, source, 2), "error "+ErrTooLarge.Error(), "message 1")
	if source.ReadyState() != Open || source.LastEventID() != "5" {
		t.Error(source.ReadyState(), source.LastEventID())
	}
}

// Closing

func TestCloseEndsARangeThatWaits(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\n")))
	came, ended := make(chan struct{}), make(chan []string)
	go func() {
		var seen []string
		for event, err := range source.Events(context.Background()) {
			seen = append(seen, fmt.Sprint(event.Data, err))
			close(came)
		}
		ended <- seen
	}()
	<-came
	if source.Close() != nil || source.Close() != nil {
		t.Error("an error")
	}
	expect(t, <-ended, "1<nil>")
	if source.Reconnect() != ErrClosed {
		t.Error("reconnects")
	}
}

func TestCloseInARangeDropsWhatWaits(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\ndata: 2\n\ndata: 3\n\n")))
	var seen []string
	for event := range source.Events(patience(t)) {
		seen = append(seen, event.Data)
		source.Close()
		if source.ReadyState() != Closed {
			t.Error(source.ReadyState())
		}
	}
	expect(t, seen, "1")
}

func TestEverythingMayBeCalledFromEverywhere(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		send("retry: 1\n\n")
		for i := range 100 {
			send(fmt.Sprintf("id: %d\ndata: %d\n\n", i, i))
		}
		return nil
	})
	for range 20 {
		source := connect(t, url, OnOpen(func(*Response) {}))
		var group sync.WaitGroup
		do := func(what func()) {
			group.Add(1)
			go func() {
				defer group.Done()
				what()
			}()
		}
		events := 0
		for range 2 {
			do(func() {
				for _, err := range source.Events(context.Background()) {
					if err == ErrBusy {
						continue
					}
					if events++; events == 150 {
						source.Close()
					}
				}
			})
		}
		for range 2 {
			do(func() {
				for source.ReadyState() != Closed {
					_ = source.LastEventID() + source.URL()
					_ = source.Stats()
				}
				source.Close()
			})
		}
		do(func() { source.Reconnect() })
		group.Wait()
	}
}

// Functions that are asked

func TestEachAttemptMayCarryAFreshToken(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		send(fmt.Sprintf("retry: 1\ndata: %s %s%s\n\n", r.Method,
			r.Header.Get("Authorization"), r.Header.Get("X-Old")))
		return errors.New("lost")
	})
	var kept *Request
	source := connect(t, url, WithMethod("REPORT"), WithRetry(RetryStandard),
		WithHeader("X-Old", "old"), OnRequest(func(request *Request) error {
			kept = request
			token := fmt.Sprintf("token-%d", request.Attempt())
			if err := request.SetHeader("Authorization", token); err != nil {
				t.Error(err)
			}
			if err := request.SetHeader("X", "a\nb"); err != ErrHeader {
				t.Error(err)
			}
			if err := request.SetURL("/relative"); err != ErrURL {
				t.Error(err)
			}
			if failure := request.Failure(); failure != nil {
				if failure.Reason != ErrLost || failure.HTTPStatus != 200 {
					t.Errorf("%+v", failure)
				}
				request.DelHeader("X-Old")
				request.SetMethod("GET")
			}
			return nil
		}))
	lost := "error " + ErrLost.Error()
	expect(t, take(t, source, 3),
		"message REPORT token-1old", lost, "message GET token-2")
	source.Close()
	if kept.SetHeader("A", "b") != ErrNull || kept.Attempt() != 0 {
		t.Error("a request outlives its function")
	}
}

func TestAnAttemptMayGoToAnotherURL(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		send("retry: 1\ndata: " + r.RequestURI + "\n\n")
		return errors.New("lost")
	})
	source := connect(t, url, OnRequest(func(request *Request) error {
		if request.Attempt() > 1 {
			return nil
		}
		return request.SetURL(url + "?since=1")
	}))
	lost := "error " + ErrLost.Error()
	expect(t, take(t, source, 3), "message /?since=1", lost, "message /")
	if source.URL() != url {
		t.Error(source.URL())
	}
}

func TestTheLastEventIDIsTheProgramsToSet(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		id := r.Header.Get("Last-Event-ID")
		send("retry: 1\nid: " + id + "+\ndata: 1\n\ndata\n\n")
		return errors.New("lost")
	})
	source := connect(t, url, OnRequest(func(request *Request) error {
		id := request.LastEventID()
		if failure := request.Failure(); failure != nil &&
			failure.LastEventID != id {
			t.Errorf("%q and %q", failure.LastEventID, id)
		}
		if err := request.SetLastEventID("a\nb"); err != ErrValue {
			t.Error(err)
		}
		switch request.Attempt() {
		case 1:
			return request.SetLastEventID("a")
		case 3:
			if id != "a++" {
				t.Error(id)
			}
			return request.SetLastEventID("")
		}
		return nil
	}))
	var ids []string
	for event, err := range source.Events(patience(t)) {
		var failure *Failure
		switch {
		case errors.As(err, &failure):
			ids = append(ids, "lost after "+failure.LastEventID)
		case event.Data == "":
			ids = append(ids, event.LastEventID)
		}
		if len(ids) == 6 {
			break
		}
	}
	expect(t, ids, "a+", "lost after a+", "a++", "lost after a++", "+",
		"lost after +")
}

func TestTheProgramDecidesAboutResponses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/":
				http.Redirect(w, r, "plain", http.StatusFound)
			default:
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http.StatusAccepted)
				io.WriteString(w, "data: 1\n\n")
			}
		}))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		verdict Verdict
		wanted  []string
	}{
		{VerdictStandard, []string{"302 /plain", "202 ", "error unexpected status"}},
		{VerdictAccept, []string{"302 /plain", "202 ", "message 1"}},
		{VerdictRefuse, []string{"302 /plain", "error response refused by the program"}},
	} {
		told := make(chan string, 10)
		source := connect(t, server.URL, WithRetry(RetryNever),
			OnResponse(func(response *Response) Verdict {
				told <- fmt.Sprintf("%d %s", response.Status,
					strings.TrimPrefix(response.Location, server.URL))
				return test.verdict
			}))
		seen := all(t, source)
		close(told)
		var asked []string
		for text := range told {
			asked = append(asked, text)
		}
		expect(t, append(asked, seen...), test.wanted...)
	}
}

func TestABodyIsAsLargeAsTheProgramWants(t *testing.T) {
	body := strings.Repeat("{}\n", 1<<20)
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, body)
		}))
	t.Cleanup(server.Close)
	for _, size := range []int{1000, len(body)} {
		source := connect(t, server.URL, WithMaxBodySize(uint(size)))
		for _, err := range source.Events(patience(t)) {
			var failure *Failure
			if !errors.As(err, &failure) || failure.Reason != ErrContentType ||
				failure.Body != body[:size] ||
				failure.BodyComplete != (size == len(body)) {
				t.Errorf("%d: %v", size, err)
			}
		}
	}
}

func TestTheProgramDecidesWhetherToComeBack(t *testing.T) {
	var attempts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			attempts.Add(1)
			w.WriteHeader(http.StatusNotFound)
		}))
	t.Cleanup(server.Close)
	source := connect(t, server.URL, OnRetry(func(failure *Failure) (time.Duration, bool) {
		if failure.WillRetry || failure.HTTPStatus != 404 {
			t.Errorf("%+v", failure)
		}
		return time.Microsecond, failure.Attempt < 3
	}))
	var delays []string
	for _, err := range source.Events(patience(t)) {
		failure := err.(*Failure)
		delays = append(delays, fmt.Sprint(failure.Delay, failure.WillRetry))
	}
	expect(t, delays, "1ms true", "1ms true", "0s false")
	if attempts.Load() != 3 {
		t.Error(attempts.Load())
	}
}

func TestCloseDoesNotWaitForAFunctionThatIsAsked(t *testing.T) {
	asked, answer, returned := make(chan bool), make(chan bool), make(chan bool)
	source := connect(t, serve(t, says("")), OnRequest(func(*Request) error {
		asked <- true
		<-answer
		close(returned)
		return errors.New("too late: the source is closed")
	}))
	<-asked
	source.Close()
	close(answer)
	<-returned
}

func TestASourceMayBeClosedInAFunctionThatIsAsked(t *testing.T) {
	for range 20 {
		give := make(chan *Source, 1)
		closed := make(chan bool)
		source := connect(t, serve(t, says("")), OnRequest(func(*Request) error {
			(<-give).Close()
			close(closed)
			return nil
		}))
		give <- source
		expect(t, all(t, source))
		<-closed
	}
}

func TestAnErrorOfOnRequestAbortsTheAttempt(t *testing.T) {
	var connections atomic.Int32
	url := serve(t, func(_ int, _ *http.Request, send func(string)) error {
		connections.Add(1)
		send("retry: 1\ndata: 1\n\n")
		return errors.New("lost")
	})
	noToken := errors.New("no token\x00 could\nbe \xff had")
	var asked, told atomic.Int32
	source := connect(t, url, OnRequest(func(request *Request) error {
		if failure := request.Failure(); failure != nil &&
			errors.Is(failure, noToken) {
			asked.Add(1)
		}
		if request.Attempt()%2 == 0 {
			return nil
		}
		return fmt.Errorf("attempt %d: %w", request.Attempt(), noToken)
	}), OnRetry(func(failure *Failure) (time.Duration, bool) {
		if errors.Is(failure, noToken) {
			told.Add(1)
		}
		return 0, failure.WillRetry
	}))
	lost := "error " + ErrLost.Error()
	aborted := "error " + ErrAborted.Error()
	expect(t, take(t, source, 5), aborted, "message 1", lost, aborted, "message 1")
	if connections.Load() != 2 || asked.Load() != 2 || told.Load() != 2 {
		t.Error(connections.Load(), asked.Load(), told.Load())
	}
}

func TestTheErrorOfOnRequestIsFoundAgain(t *testing.T) {
	noToken := errors.New("no token\x00 could\nbe \xff had")
	source := connect(t, "http://127.0.0.1:1/", WithMaxAttempts(3),
		OnRequest(func(request *Request) error {
			return fmt.Errorf("attempt %d: %w", request.Attempt(), noToken)
		}), OnRetry(func(failure *Failure) (time.Duration, bool) {
			return 0, failure.WillRetry
		}))
	n := 0
	for _, err := range source.Events(patience(t)) {
		n++
		wanted := fmt.Sprintf("eventsource: OnRequest: attempt %d: "+
			"no token  could be \uFFFD had", n)
		if !errors.Is(err, noToken) || !errors.Is(err, ErrAborted) ||
			err.Error() != wanted {
			t.Errorf("%v in the place of %s", err, wanted)
		}
	}
	if n != 3 || source.ReadyState() != Closed {
		t.Error(n, source.ReadyState())
	}
}

// Errors

func TestAFailureUnwrapsToTheErrorOfTheSystem(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	listener.Close()
	reset := func(_ int, _ *http.Request, send func(string)) error {
		send("data: 1\n\n")
		return errors.New("reset")
	}
	for _, test := range []struct {
		source *Source
		wanted syscall.Errno
		reason Error
	}{
		{connect(t, url, WithRetry(RetryNever)), syscall.ECONNREFUSED, ErrConnect},
		{connect(t, url, WithRetry(RetryNever), WithUnixSocket("/nowhere")),
			syscall.ENOENT, ErrConnect},
		{connect(t, serveReset(t)), syscall.ECONNRESET, ErrLost},
		{connect(t, serve(t, reset), WithRetry(RetryNever)), 0, ErrLost},
	} {
		var last error
		for _, err := range test.source.Events(patience(t)) {
			if err != nil {
				last = err
				test.source.Close()
			}
		}
		last = fmt.Errorf("wrapped: %w", last)
		var number syscall.Errno
		if !errors.Is(last, test.reason) ||
			errors.As(last, &number) != (test.wanted != 0) ||
			number != test.wanted {
			t.Errorf("%v: %d, not %d", last, number, test.wanted)
		}
		if test.wanted == syscall.ENOENT && !errors.Is(last, fs.ErrNotExist) {
			t.Error(last)
		}
		var of net.Error
		if !errors.As(last, &of) || of.Timeout() {
			t.Errorf("%v is a timeout", last)
		}
	}
}

// serveReset returns the URL of a server that sends an event, and resets.
func serveReset(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestATimeoutIsANetErrorThatSaysSo(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\n")),
		WithIdleTimeout(time.Millisecond))
	for _, err := range source.Events(patience(t)) {
		if err == nil {
			continue
		}
		var of net.Error
		if !errors.As(fmt.Errorf("wrapped: %w", err), &of) || !of.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		break
	}
	var of net.Error = ErrTimeout
	if !of.Timeout() || ErrLost.Timeout() {
		t.Error("what is a timeout?")
	}
	if !(&Failure{Reason: ErrConnect, SystemError: syscall.ETIMEDOUT}).Timeout() {
		t.Error("the system's is none")
	}
}

// Options

func TestAnOptionThatIsZeroDoesNothing(t *testing.T) {
	url := serve(t, says("data: 1\n\n"))
	source := connect(t, url, Option{}, OnOpen(nil), OnComment(nil),
		OnRequest(nil), OnResponse(nil), OnRetry(nil), WithBody(nil), WithMethod("GET"), Option{})
	expect(t, take(t, source, 1), "message 1")
}

func TestASourceThatIsZeroIsClosed(t *testing.T) {
	var source Source
	expect(t, all(t, &source))
	if source.Reconnect() != ErrClosed || source.Stats() != (Stats{}) ||
		source.URL() != "" || source.LastEventID() != "" ||
		source.ReadyState() != Closed || source.WithCredentials() {
		t.Error("it is not")
	}
	if source.Close() != nil || source.Close() != nil {
		t.Error("an error")
	}
	expect(t, all(t, &source))
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for _, test := range []struct {
		url    string
		option Option
		wanted error
		text   string
	}{
		{"nowhere", WithRetry(RetryNever), ErrURL, "eventsource: URL: not an"},
		{"ftp://127.0.0.1/", WithRetry(RetryNever), ErrScheme, "URL"},
		{"http://127.0.0.1/\x00", WithRetry(RetryNever), ErrValue, "URL"},
		{"http://127.0.0.1/\xff", WithRetry(RetryNever), ErrUTF8, "URL"},
		{"", WithHeader("X-Name", "secret\n"), ErrHeader, "WithHeader X-Name"},
		{"", WithHeader("X-Name", "secret\x00"), ErrValue, "WithHeader X-Name"},
		{"", WithoutHeader("Connection"), ErrHeader, "WithoutHeader"},
		{"", WithLastEventID("1\n2"), ErrValue, "WithLastEventID"},
		{"", WithReconnectionTime(-1), ErrValue, "WithReconnectionTime"},
		{"", WithMaxReconnectionTime(0), ErrValue, "WithMaxReconnectionTime"},
		{"", WithMethod("HEAD"), ErrValue, "WithMethod"},
		{"", WithMaxBodySize(1 << 30), ErrValue, "WithMaxBodySize"},
		{"", WithRetry(99), ErrValue, "WithRetry"},
		{"", WithHTTPVersion(3), ErrValue, "WithHTTPVersion"},
		{"", WithCAFile("/nowhere"), ErrFile, "WithCAFile"},
		{"", WithCAPEM("none"), ErrCertificate, "WithCAPEM"},
		{"", WithClientCertificate("/nowhere", "/nowhere"), ErrFile, "With"},
		{"", WithProxy("ftp://secret@127.0.0.1"), ErrScheme, "WithProxy"},
		{"", WithUnixSocket(""), ErrValue, "WithUnixSocket"},
		{"", WithInterface("a b"), ErrValue, "WithInterface"},
		{"", WithServerName("a b"), ErrValue, "WithServerName"},
		{"", WithPinnedKey("sha256//", "key"), ErrValue, "WithPinnedKey"},
		{"", WithQueue(0), ErrValue, "WithQueue"},
		{"", WithStackSize(1), ErrValue, "WithStackSize"},
	} {
		if test.url == "" {
			test.url = "http://127.0.0.1/"
		}
		source, err := Connect(test.url, test.option)
		if source != nil || !errors.Is(err, test.wanted) {
			t.Errorf("%q, not %q", err, test.wanted)
		}
		if text := fmt.Sprint(err); !strings.Contains(text, test.text) ||
			strings.Contains(text, "secret") {
			t.Errorf("%q", text)
		}
	}
}

func TestOptionsThatAreSent(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		send(fmt.Sprintf("data: %s %s %q %s\n\n", r.Method,
			r.Header.Get("X-Name"), r.Header.Values("Accept"),
			r.Header.Get("Last-Event-ID")))
		return nil
	})
	source := connect(t, url, WithMethod("PUT"), WithHeader("X-Name", "value"),
		WithoutHeader("Accept"), WithLastEventID("41"), WithQueue(1),
		WithConnectTimeout(time.Minute), WithResponseTimeout(time.Minute),
		WithIdleTimeout(time.Minute), WithMaxAttempts(3), WithMaxRedirects(0),
		WithReconnectionTime(time.Millisecond), WithCredentials(true),
		WithMaxReconnectionTime(time.Second), WithVerifyPeer(true),
		WithServerName("server.test"), WithInterface("lo"),
		WithStackSize(256<<10), WithTrustRedirects(true))
	if !source.WithCredentials() {
		t.Error("no credentials")
	}
	expect(t, all(t, source), "message PUT value [] 41")
}

func TestATimeThatIsShorterThanAMillisecondIsNotForEver(t *testing.T) {
	source := connect(t, serve(t, says("data: 1\n\n")),
		WithIdleTimeout(time.Nanosecond))
	expect(t, take(t, source, 2), "message 1", "error "+ErrTimeout.Error())
}

func TestErrorsAreTheStandardLibrarysToo(t *testing.T) {
	failure := &Failure{Reason: ErrTimeout, SystemError: syscall.ETIMEDOUT}
	var code Error
	if err := fmt.Errorf("wrapped: %w", failure); !errors.As(err, &code) ||
		code != ErrTimeout || !errors.Is(err, os.ErrDeadlineExceeded) ||
		!errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, net.ErrClosed) {
		t.Error(err, code)
	}
	if !errors.Is(ErrClosed, net.ErrClosed) || errors.Is(ErrLost, net.ErrClosed) ||
		errors.Is(ErrLost, os.ErrDeadlineExceeded) {
		t.Error("an Error is another one")
	}
	source := connect(t, serve(t, says("")))
	source.Close()
	if err := source.Reconnect(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_, err := Connect("http://127.0.0.1/", WithCAFile("/nowhere"))
	if !errors.As(err, &code) || code != ErrFile {
		t.Error(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	for _, err := range connect(t, serve(t, says(""))).Events(ctx) {
		if !errors.Is(err, cause) {
			t.Error(err)
		}
	}
}

func TestALoggerIsToldWhatBecomesOfASource(t *testing.T) {
	var lines strings.Builder
	logger := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "delay" {
				return slog.Attr{}
			}
			return a
		},
	}))
	var connections atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if connections.Add(1) == 2 {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "retry: 10\ndata: large\n\ndata: 1\n\n")
		}))
	t.Cleanup(server.Close)
	url := strings.Replace(server.URL, "//", "//user:secret@", 1) + "/path?secret"
	for _, retry := range []Retry{RetryStandard, RetryNever} {
		source := connect(t, url, WithLogger(logger), WithRetry(retry),
			WithMaxEventSize(1))
		for range source.Events(patience(t)) {
		}
	}
	at := " url=" + server.URL + "/path"
	error := func(text string) string {
		return at + ` error="eventsource: ` + text + `"`
	}
	expect(t, strings.Split(strings.TrimSpace(lines.String()), "\n"),
		`level=INFO msg="event stream opened"`+at+" status=200",
		`level=WARN msg="event dropped"`+error("event over the size limit"),
		`level=INFO msg="event stream lost"`+
			error("the server has ended the stream")+" attempt=0",
		`level=WARN msg="event stream given up"`+
			error("status 204: the server wants no more")+" attempt=1",
		`level=INFO msg="event stream opened"`+at+" status=200",
		`level=WARN msg="event dropped"`+error("event over the size limit"),
		`level=INFO msg="event stream ended"`+at)
}

func TestTheLogIsOfAllSources(t *testing.T) {
	lines := make(chan string, 100)
	SetLog(LogDebug, func(level LogLevel, message string) {
		select {
		case lines <- fmt.Sprint(level, message):
		default:
		}
	})
	defer SetLog(LogOff, nil)
	take(t, connect(t, serve(t, says("data: 1\n\n"))), 1)
	if line := <-lines; len(line) < 2 {
		t.Error(line)
	}
}

func TestVersion(t *testing.T) {
	if strings.Count(Version(), ".") != 2 {
		t.Error(Version())
	}
	if ErrURL.Error() == "" || Open.String() != "OPEN" {
		t.Error(ErrURL, Open)
	}
}
