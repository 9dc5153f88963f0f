//go:build cgo && linux

package eventsource

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// told ranges over a stream, and writes down what it is told.
func told(p *Parser, reader io.Reader) (told []string) {
	for event, err := range p.Read(reader) {
		if err != nil {
			told = append(told, err.Error())
			continue
		}
		told = append(told, fmt.Sprintf("%s %q %s", event.Type, event.Data, event.LastEventID))
	}
	return told
}

func TestAReaderBringsEvents(t *testing.T) {
	stream := "id: 1\ndata: a\n\nevent: ping\ndata: b\ndata: c\n\ndata: \x00\n\n"
	for _, reader := range []io.Reader{
		strings.NewReader(stream),
		iotest.OneByteReader(strings.NewReader(stream)),
		iotest.DataErrReader(strings.NewReader(stream)),
	} {
		got := told(new(Parser), reader)
		want := []string{`message "a" 1`, `ping "b\nc" 1`, `message "\x00" 1`}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	}
	for event, err := range Read(strings.NewReader("data: x\n\n")) {
		if err != nil || event.Data != "x" || event.Origin != "" {
			t.Errorf("got %q, %v", event, err)
		}
	}
}

func TestAParserHasWhatReconnectingTakes(t *testing.T) {
	var comments []string
	p := &Parser{
		LastEventID:      "41",
		ReconnectionTime: 3 * time.Second,
		MaxEventSize:     4,
		OnComment:        func(comment string) { comments = append(comments, comment) },
	}
	got := told(p, strings.NewReader(
		": one\nretry: 20\ndata: a\n\nid: 42\ndata: large\n\n: two\ndata: b\n\nid: 43\n\ndata: un"))
	want := []string{`message "a" 41`, `message "b" 42`, ErrTooLarge.Error(), ErrLost.Error()}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if !slices.Equal(comments, []string{" one", " two"}) {
		t.Errorf("comments: %q", comments)
	}
	if p.LastEventID != "43" || p.ReconnectionTime != 20*time.Millisecond {
		t.Errorf("%q, %v", p.LastEventID, p.ReconnectionTime)
	}
	// On the next connection.
	got = told(p, strings.NewReader("finished\n\ndata: c\n\n"))
	if !slices.Equal(got, []string{`message "c" 43`}) {
		t.Errorf("then %q", got)
	}
	p.MaxEventSize = -1
	large := strings.Repeat("x", 65<<20)
	got = told(p, strings.NewReader("data: "+large+"\n\n"))
	if len(got) != 1 || len(got[0]) < len(large) {
		t.Errorf("%d", len(got))
	}
	p.LastEventID = "a\nb"
	if got := told(p, strings.NewReader("")); !slices.Equal(got, []string{ErrValue.Error()}) {
		t.Errorf("an id of two lines: %q", got)
	}
}

func TestARangeOverAReaderIsLeft(t *testing.T) {
	p := new(Parser)
	stream := "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: large\n\n"
	for event := range p.Read(strings.NewReader(stream)) {
		for _, err := range p.Read(strings.NewReader("")) {
			if err != ErrBusy {
				t.Errorf("inside a range: %v", err)
			}
		}
		if event.Data == "b" {
			break
		}
	}
	if p.LastEventID != "2" {
		t.Errorf("left at %q", p.LastEventID)
	}
	func() {
		defer func() { recover() }()
		for range p.Read(strings.NewReader(stream)) {
			panic("on purpose")
		}
	}()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range p.Read(strings.NewReader(stream)) {
			runtime.Goexit()
		}
	}()
	<-done
	if got := told(p, strings.NewReader("data\n\n")); !slices.Equal(got, []string{`message "" 1`}) {
		t.Errorf("afterwards %q", got)
	}
}

func TestAReaderFails(t *testing.T) {
	broken := errors.New("broken")
	reader := io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken))
	got := told(new(Parser), reader)
	if !slices.Equal(got, []string{`message "a" `, "broken"}) {
		t.Errorf("got %q", got)
	}
	got = told(new(Parser), silent{})
	if !slices.Equal(got, []string{io.ErrNoProgress.Error()}) {
		t.Errorf("got %q", got)
	}
}

// silent brings nothing, for ever.
type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }
