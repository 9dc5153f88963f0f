// Measures what idle sources take of a program, each with a goroutine that
// ranges: threads, descriptors, and what they keep resident. As the program in
// the directory above:
//
//	go run ./idle [SOURCES]
//
// A server in a process of its own sends each source one event, and then
// nothing more.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/libeventsource/libeventsource/bindings/go"
)

// How many sources connect at a time.
const group = 100

func main() {
	if os.Getenv("SERVE") != "" {
		log.Fatal(serve())
	}
	sources := 1000
	if len(os.Args) > 1 {
		number, err := strconv.Atoi(os.Args[1])
		if err != nil {
			log.Fatal(err)
		}
		sources = number
	}
	if err := measure(sources); err != nil {
		log.Fatal(err)
	}
}

func measure(sources int) error {
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
	// What the first source makes for all is not of the others.
	if err := follow(url, 1); err != nil {
		return err
	}
	before, err := now()
	if err != nil {
		return err
	}
	begin := time.Now()
	// Those that connect have a third descriptor, and so are not too many.
	for left := sources; left > 0; left -= group {
		if err := follow(url, min(left, group)); err != nil {
			return err
		}
	}
	opened := time.Since(begin)
	// The threads that have connected end, and Go gives back what it can.
	time.Sleep(3 * time.Second)
	debug.FreeOSMemory()
	after, err := now()
	if err != nil {
		return err
	}
	each := func(before, after int) float64 {
		return float64(after-before) / float64(sources)
	}
	fmt.Printf("%d idle sources, open after %.2f s: %d threads, "+
		"%.1f KiB resident and %.2f descriptors each\n", sources,
		opened.Seconds(), after.threads, each(before.resident, after.resident),
		each(before.descriptors, after.descriptors))
	return nil
}

// follow has sources opened, and a goroutine wait for each.
func follow(url string, sources int) error {
	var waiting sync.WaitGroup
	waiting.Add(sources)
	failed := make(chan error, sources)
	for range sources {
		source, err := eventsource.Connect(url)
		if err != nil {
			return err
		}
		go func() {
			waits := true
			for _, err := range source.Events(context.Background()) {
				// The end of the server is not of interest.
				if waits {
					failed <- err
					waiting.Done()
					waits = false
				}
			}
		}()
	}
	waiting.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// used is what this process takes; resident is in KiB.
type used struct{ threads, resident, descriptors int }

func now() (used used, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return used, err
	}
	for _, line := range bytes.Split(status, []byte("\n")) {
		fmt.Sscanf(string(line), "Threads: %d", &used.threads)
		fmt.Sscanf(string(line), "VmRSS: %d", &used.resident)
	}
	descriptors, err := os.ReadDir("/proc/self/fd")
	used.descriptors = len(descriptors)
	return used, err
}

// serve sends each client an event, and keeps it.
func serve() error {
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
			buffer := make([]byte, 512)
			if _, err := conn.Read(buffer); err != nil {
				return
			}
			conn.Write([]byte("HTTP/1.1 200 OK\r\n" +
				"Content-Type: text/event-stream\r\n\r\ndata: 1\n\n"))
			// Until the client goes.
			conn.Read(buffer)
		}()
	}
}
