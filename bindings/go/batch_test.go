//go:build cgo && linux

package eventsource

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What a range tells is the program's to keep, though events that come together
// share memory.

func TestWhatWasToldStaysAsItWas(t *testing.T) {
	var stream strings.Builder
	var sent, kept []Event
	for i := range 3000 {
		data := strings.Repeat(fmt.Sprintf("%d ", i), i%97)
		if i%500 == 499 {
			data = strings.Repeat(data, 2000)
		}
		event := Event{Type: "message", Data: data}
		if i%3 == 0 {
			event.Type = fmt.Sprint("type", i%7)
			fmt.Fprintf(&stream, "event: %s\n", event.Type)
		}
		if i > 0 {
			event.LastEventID = fmt.Sprint(i / 2)
			fmt.Fprintf(&stream, "id: %s\n", event.LastEventID)
		}
		fmt.Fprintf(&stream, "data: %s\n\n", data)
		sent = append(sent, event)
	}
	source := connect(t, serve(t, says(stream.String())))
	for event, err := range source.Events(patience(t)) {
		if err != nil {
			t.Fatal(err)
		}
		event.Origin = ""
		if kept = append(kept, event); len(kept) == len(sent) {
			break
		}
	}
	if !slices.Equal(kept, sent) {
		t.Error("something has changed")
	}
}

// heap is how much memory of Go's is in use.
func heap() int {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// keep ranges over n events, keeps of each part of them one, and tells how
// much memory that takes.
func keep(t *testing.T, stream string, n, part int) int {
	url := serve(t, func(_ int, r *http.Request, send func(string)) error {
		for range n {
			send(stream)
		}
		<-r.Context().Done()
		return nil
	})
	source := connect(t, url)
	var kept []string
	before, i := heap(), 0
	for event, err := range source.Events(patience(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if i%part == 0 {
			kept = append(kept, event.Data)
		}
		if i++; i == n*strings.Count(stream, "\n\n") {
			break
		}
	}
	used := heap() - before
	runtime.KeepAlive(kept)
	return used
}

func TestATextThatIsKeptKeepsFewOthers(t *testing.T) {
	small := strings.Repeat("data: "+strings.Repeat("x", 100)+"\n\n", 1000)
	// 2 KiB with each, and 5 MB came.
	if used := keep(t, small, 50, 250); used > 200*2<<10+512<<10 {
		t.Errorf("200 texts keep %d bytes", used)
	}
	// Nor do they keep what is longer.
	mixed := "data: small\n\ndata: " + strings.Repeat("x", 20_000) + "\n\n"
	if used := keep(t, mixed, 200, 2); used > 200*2<<10+512<<10 {
		t.Errorf("200 small texts keep %d bytes", used)
	}
}
