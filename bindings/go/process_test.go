//go:build cgo && linux

package eventsource

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a source takes of the process, and gives back.

// used is how many goroutines, threads and descriptors there are.
type used struct{ goroutines, threads, descriptors int }

func use(t testing.TB) used {
	count := func(directory string) int {
		entries, err := os.ReadDir(directory)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	return used{runtime.NumGoroutine(), count("/proc/self/task"),
		count("/proc/self/fd")}
}

// idle serves streams that say nothing but one event, and takes next to
// nothing of the process for each. It returns the URL, and the connections as
// they end.
func idle(t testing.TB) (url string, ended <-chan struct{}) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ends := make(chan struct{}, 10000)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { ends <- struct{}{} }()
				defer conn.Close()
				buffer := make([]byte, 4096)
				conn.Read(buffer)
				conn.Write([]byte("HTTP/1.1 200 OK\r\n" +
					"Content-Type: text/event-stream\r\n\r\ndata: 1\n\n"))
				for {
					if _, err := conn.Read(buffer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/", ends
}

func TestAThousandSourcesLeaveNothingBehind(t *testing.T) {
	url, ended := idle(t)
	open := func(n int) {
		for range n {
			source := connect(t, url, OnRequest(func(*Request) error { return nil }))
			for _, err := range source.Events(patience(t)) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			source.Close()
			<-ended
		}
	}
	open(10)
	before := use(t)
	open(1000)
	// What the runtime does by itself may take a thread or a moment more.
	after := use(t)
	if after.goroutines > before.goroutines+5 ||
		after.threads > before.threads+5 ||
		after.descriptors > before.descriptors+2 {
		t.Errorf("%+v, and then %+v", before, after)
	}
}

func TestAThousandSourcesHoldAHandfulOfThreads(t *testing.T) {
	const many = 1000
	url, _ := idle(t)
	ctx, cancel := context.WithCancel(context.Background())
	var waiting, over sync.WaitGroup
	waiting.Add(many)
	over.Add(many)
	before := use(t)
	sources := make([]*Source, many)
	for i := range sources {
		// A function that is none needs no thread.
		sources[i] = connect(t, url, OnRequest(nil))
		go func() {
			defer over.Done()
			for _, err := range sources[i].Events(ctx) {
				if err == nil {
					waiting.Done()
				}
			}
		}()
	}
	waiting.Wait()
	// The loop's, those that connect, and some of Go's: more where the machine is
	// busy. A descriptor of each connection is the server's.
	after := use(t)
	if after.threads > before.threads+many/10 ||
		after.descriptors > before.descriptors+3*many+32 {
		t.Errorf("%+v, and then %+v", before, after)
	}
	begin := time.Now()
	cancel()
	over.Wait()
	t.Logf("%d cancelled in %v", many, time.Since(begin))
	begin = time.Now()
	for _, source := range sources {
		over.Add(1)
		go func() {
			defer over.Done()
			source.Close()
		}()
	}
	over.Wait()
	t.Logf("and closed in %v", time.Since(begin))
	if after := use(t); after.threads > before.threads+many/2 ||
		after.goroutines > before.goroutines+many+5 {
		t.Errorf("%+v, and then %+v", before, after)
	}
	poll.mu.Lock()
	defer poll.mu.Unlock()
	if left := len(poll.sources); left > 50 {
		t.Errorf("%d sources are waited for", left)
	}
}

func TestCloseEndsAllThatWait(t *testing.T) {
	const many = 100
	url, _ := idle(t)
	var waiting, over sync.WaitGroup
	waiting.Add(many)
	over.Add(many)
	sources := make([]*Source, many)
	for i := range sources {
		sources[i] = connect(t, url)
		go func() {
			defer over.Done()
			for range sources[i].Events(context.Background()) {
				waiting.Done()
			}
		}()
	}
	waiting.Wait()
	// One of them waits for all, whichever that is.
	for _, source := range sources {
		source.Close()
	}
	over.Wait()
}

// endless serves a stream that has always more.
func endless(t testing.TB) string {
	event := "data: " + strings.Repeat("x", 100) + "\n\n"
	return serve(t, func(_ int, r *http.Request, send func(string)) error {
		for r.Context().Err() == nil {
			send(strings.Repeat(event, 100))
		}
		return nil
	})
}

func TestASourceThatIsNotReadDelaysNoOther(t *testing.T) {
	busy := endless(t)
	for range 5 {
		// Full from here on, whether or not it was ever read.
		full := connect(t, busy, WithQueue(1))
		take(t, full, 2000)
		connect(t, busy)
	}
	answers := make(chan string)
	defer close(answers)
	other := connect(t, serve(t, func(_ int, r *http.Request, send func(string)) error {
		for answer := range answers {
			send("event: " + answer + "\nid: " + answer + "\ndata: " + answer + "\n\n")
		}
		return nil
	}))
	// One after the other, so that each of them wakes the range.
	seen, begin := 0, time.Now()
	answers <- "0"
	for event, err := range other.Events(patience(t)) {
		text := fmt.Sprint(seen)
		if err != nil || event.Data != text || event.Type != text ||
			event.LastEventID != text {
			t.Fatal(event, err)
		}
		if seen++; seen == 100 {
			break
		}
		answers <- fmt.Sprint(seen)
	}
	t.Logf("%d events in %v", seen, time.Since(begin))
}

func TestAFunctionThatTakesItsTimeDelaysNoOtherSource(t *testing.T) {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		if r.URL.Path == "/lost" {
			return nil
		}
		send("data: 1\n\n")
		<-r.Context().Done()
		return nil
	})
	for _, test := range []struct {
		path   string
		option func(block func()) Option
	}{
		{"", func(block func()) Option {
			return OnRequest(func(*Request) error { block(); return nil })
		}},
		{"", func(block func()) Option {
			return OnResponse(func(*Response) Verdict {
				block()
				return VerdictStandard
			})
		}},
		{"lost", func(block func()) Option {
			return OnRetry(func(*Failure) (time.Duration, bool) {
				block()
				return 0, false
			})
		}},
	} {
		asked, other := make(chan bool), make(chan bool)
		connect(t, url+test.path, test.option(func() {
			close(asked)
			<-other
		}))
		<-asked
		// As a token that comes by another stream.
		expect(t, take(t, connect(t, url), 1), "message 1")
		close(other)
	}
}

func TestAPanicInAFunctionThatIsAskedEndsTheProgram(t *testing.T) {
	if url := os.Getenv("PANIC"); url != "" {
		source := connect(t, url, OnRequest(func(*Request) error {
			panic("of the program")
		}))
		for range source.Events(context.Background()) {
		}
		return
	}
	url := serve(t, func(int, *http.Request, func(string)) error {
		t.Error("an attempt was made")
		return nil
	})
	program := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	program.Env = append(os.Environ(), "PANIC="+url)
	output, err := program.CombinedOutput()
	if err == nil || program.ProcessState.ExitCode() != 2 ||
		!strings.Contains(string(output), "panic: of the program") {
		t.Errorf("%v\n%s", err, output)
	}
}
