//go:build cgo && linux

package eventsource

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What a range tells is the program's to keep.

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
