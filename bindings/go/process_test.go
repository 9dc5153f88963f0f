//go:build cgo && linux

package eventsource

import (
	"context"
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

func TestGoroutinesThatWaitHoldNoThread(t *testing.T) {
	const many = 500
	url, _ := idle(t)
	ctx, cancel := context.WithCancel(context.Background())
	var waiting, over sync.WaitGroup
	waiting.Add(many)
	over.Add(many)
	before := use(t)
	sources := make([]*Source, many)
	for i := range sources {
		sources[i] = connect(t, url)
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
	// One of the library's for each source; of Go's a few that the connects
	// of the sources kept busy.
	if after := use(t); after.threads > before.threads+many+50 {
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
	if after := use(t); after.threads > before.threads+50 {
		t.Errorf("%+v, and then %+v", before, after)
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
