// Measures how many events a second a program ranges over, beside two clients
// in pure Go: from the root of the repository,
//
//	make && make install PREFIX=$PWD/target/installed
//	cd bindings/go/bench
//	export LD_LIBRARY_PATH=$PWD/../../../target/installed/lib
//	PKG_CONFIG_PATH=$LD_LIBRARY_PATH/pkgconfig go run . [EVENTS [ROUNDS]]
//
// A server in a process of its own sends events of 64 bytes, each as an HTTP
// chunk, as fast as they are read. The clients take turns. What is shown are
// the medians of the rounds: events in a second, and CPU time of this process
// for each event. What idle sources take is measured in idle.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	launchdarkly "github.com/launchdarkly/eventsource"
	"github.com/libeventsource/libeventsource/bindings/go"
	tmaxmax "github.com/tmaxmax/go-sse"
)

// data is what an event says: with its field and its line ends 64 bytes.
var data = strings.Repeat("event-source", 5)[:56]

// A client follows the stream for so many events, and returns how many bytes
// of data they had.
type client func(url string, events int) (int, error)

func main() {
	if os.Getenv("SERVE") != "" {
		log.Fatal(serve())
	}
	events, rounds := 1_000_000, 5
	for i, place := range []*int{&events, &rounds} {
		if len(os.Args) > i+1 {
			number, err := strconv.Atoi(os.Args[i+1])
			if err != nil {
				log.Fatal(err)
			}
			*place = number
		}
	}
	if err := measure(events, rounds); err != nil {
		log.Fatal(err)
	}
}

func measure(events, rounds int) error {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "SERVE=1")
	server.Stderr = os.Stderr
	output, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Process.Kill()
	var url string
	if _, err := fmt.Fscanln(output, &url); err != nil {
		return err
	}

	names := []string{"libeventsource", "launchdarkly", "tmaxmax"}
	clients := []client{ours, ofLaunchDarkly, ofTmaxmax}
	rates := make([][]float64, len(clients))
	costs := make([][]float64, len(clients))
	for range rounds {
		for i, client := range clients {
			begin, used := time.Now(), cpu()
			bytes, err := client(url, events)
			if err == nil && bytes != events*len(data) {
				err = fmt.Errorf("%d bytes came", bytes)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
			passed, used := time.Since(begin), cpu()-used
			rates[i] = append(rates[i], float64(events)/passed.Seconds())
			costs[i] = append(costs[i], float64(used)/float64(events))
		}
	}
	fmt.Printf("%14s  %9s  %8s\n", "", "events/s", "CPU ns")
	for i, name := range names {
		slices.Sort(rates[i])
		slices.Sort(costs[i])
		fmt.Printf("%14s  %9.0f  %8.0f\n", name, rates[i][rounds/2],
			costs[i][rounds/2])
	}
	return nil
}

// cpu is what this process has used of the processors.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func ours(url string, events int) (bytes int, err error) {
	source, err := eventsource.Connect(url)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	for event, err := range source.Events(context.Background()) {
		if err != nil {
			return 0, err
		}
		bytes += len(event.Data)
		if events--; events == 0 {
			break
		}
	}
	return bytes, nil
}

func ofLaunchDarkly(url string, events int) (bytes int, err error) {
	stream, err := launchdarkly.SubscribeWithURL(url)
	if err != nil {
		return 0, err
	}
	// It leaves goroutines behind that wait for ever, and cost nothing.
	defer stream.Close()
	for event := range stream.Events {
		bytes += len(event.Data())
		if events--; events == 0 {
			break
		}
	}
	return bytes, nil
}

func ofTmaxmax(url string, events int) (bytes int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	connection := tmaxmax.NewConnection(request)
	connection.SubscribeToAll(func(event tmaxmax.Event) {
		if events == 0 {
			return
		}
		bytes += len(event.Data)
		if events--; events == 0 {
			cancel()
		}
	})
	if err := connection.Connect(); ctx.Err() == nil {
		return 0, err
	}
	return bytes, nil
}

// serve sends the same to each client until it goes.
func serve() error {
	event := "data: " + data + "\n\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(event), event)
	cycle := []byte(strings.Repeat(chunk, 64<<10/len(chunk)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_, err := conn.Read(make([]byte, 4096))
			if err == nil {
				_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+
					"Content-Type: text/event-stream\r\n"+
					"Transfer-Encoding: chunked\r\n\r\n")
			}
			for err == nil {
				_, err = conn.Write(cycle)
			}
		}()
	}
}
