// Reads vectors from standard input, as tests/support/vectors.rs has them, and
// prints what the parser of Go tells.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/libeventsource/libeventsource/bindings/go"
)

func decode(word string) []byte {
	if word == "-" {
		return nil
	}
	decoded, err := hex.DecodeString(word)
	if err != nil {
		log.Fatal(err)
	}
	return decoded
}

func encode(text string) string {
	if text == "" {
		return "-"
	}
	return hex.EncodeToString([]byte(text))
}

// pieces is a stream, so many bytes at a time.
type pieces struct {
	*bytes.Reader
	size int
}

func (p pieces) Read(buffer []byte) (int, error) {
	return p.Reader.Read(buffer[:min(p.size, len(buffer))])
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		var comments, size, max int
		var id, stream string
		_, err := fmt.Fscan(in, &comments, &max, &id, &size, &stream)
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		tell(out, comments == 1, max, string(decode(id)), pieces{bytes.NewReader(decode(stream)), size})
	}
}

func tell(out io.Writer, comments bool, max int, id string, stream io.Reader) {
	// No stream says that: what is left of it was not changed.
	const none = -time.Millisecond
	parser := eventsource.Parser{LastEventID: id, MaxEventSize: max, ReconnectionTime: none}
	if max == 0 {
		parser.MaxEventSize = -1
	}
	if comments {
		parser.OnComment = func(comment string) {
			fmt.Fprintln(out, "comment", encode(comment))
		}
	}
	tooLarge, unfinished := 0, 0
	for event, err := range parser.Read(stream) {
		switch {
		case errors.Is(err, eventsource.ErrTooLarge):
			tooLarge = 1
		case errors.Is(err, eventsource.ErrLost):
			unfinished = 1
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Fprintln(out, "event", encode(event.Type), encode(event.Data), encode(event.LastEventID))
		}
	}
	if parser.ReconnectionTime != none {
		fmt.Fprintln(out, "retry", parser.ReconnectionTime.Milliseconds())
	}
	fmt.Fprintln(out, "end", tooLarge, unfinished, encode(parser.LastEventID))
}
