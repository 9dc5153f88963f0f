//go:build cgo && linux

package eventsource

/*
#include <stdint.h>
#include <stdlib.h>
#include "eventsource.h"

// These are Go's, in this file.
extern void eventsource_go_parsed(eventsource_event *, uintptr_t);
extern void eventsource_go_parsed_retry(uint64_t, uintptr_t);
extern void eventsource_go_parsed_comment(char *, size_t, uintptr_t);

static void eventsource_go_on_parsed(
	eventsource_parser *parser,
	const eventsource_event *event,
	void *user_data)
{
	(void)parser;
	eventsource_go_parsed((eventsource_event *)event, (uintptr_t)user_data);
}

static void eventsource_go_on_parsed_retry(
	eventsource_parser *parser,
	uint64_t time_ms,
	void *user_data)
{
	(void)parser;
	eventsource_go_parsed_retry(time_ms, (uintptr_t)user_data);
}

static void eventsource_go_on_parsed_comment(
	eventsource_parser *parser,
	const char *comment,
	size_t len,
	void *user_data)
{
	(void)parser;
	eventsource_go_parsed_comment((char *)comment, len, (uintptr_t)user_data);
}

static eventsource_error eventsource_go_parser_new(
	uintptr_t handle,
	eventsource_parser **parser)
{
	return eventsource_parser_new(
		eventsource_go_on_parsed, (void *)handle, parser);
}

static eventsource_error eventsource_go_parser_on_retry(
	eventsource_parser *parser,
	uintptr_t handle)
{
	return eventsource_parser_on_retry(
		parser, eventsource_go_on_parsed_retry, (void *)handle);
}

static eventsource_error eventsource_go_parser_on_comment(
	eventsource_parser *parser,
	uintptr_t handle)
{
	return eventsource_parser_on_comment(
		parser, eventsource_go_on_parsed_comment, (void *)handle);
}
*/
import "C"

import (
	"io"
	"iter"
	"runtime/cgo"
	"time"
	"unsafe"
)

// Read returns the events of the stream that reader brings, for a program that
// has an HTTP client of its own: reader is the body of a response. It is short
// for [Parser.Read] with a Parser of its own.
func Read(reader io.Reader) iter.Seq2[Event, error] {
	return new(Parser).Read(reader)
}

// Parser reads event streams that come by other means than a [Source], one
// after the other. It has what a program needs to connect again as the
// standard has it: how long to wait, and what to send in Last-Event-ID.
//
// A zero Parser is ready for use, and needs no Close. Its fields are for the
// goroutine that ranges.
type Parser struct {
	// LastEventID is the last event ID string as of the event that the range
	// has told last, over all streams. The program may set it before the first
	// stream, to resume where an earlier run stopped.
	LastEventID string
	// ReconnectionTime is what the stream's `retry` fields say. They change
	// what the program has set.
	ReconnectionTime time.Duration
	// MaxEventSize is the limit of an event in bytes of data: 64 MiB if it is
	// 0, none if it is negative.
	MaxEventSize int
	// OnComment, if it is not nil, is called with each comment, in the order
	// of the stream, by the goroutine that ranges.
	OnComment func(comment string)

	parser *C.eventsource_parser
	// What the bytes at hand have said, and the program was not told yet.
	parsed []parsed
	// What is likely to come again.
	known Event
}

// parsed is an event, or a comment.
type parsed struct {
	event     Event
	comment   string
	isComment bool
}

// Read returns the events of the stream that reader brings, as they come.
//
// The range ends with the stream: without an error at [io.EOF], with [ErrLost]
// if that came inside an event, which was dropped, and otherwise with the
// error of reader. [ErrTooLarge] tells that something over MaxEventSize, or
// several, were dropped; the range goes on after it, unless the program leaves
// it. An event's Origin is empty.
//
// A range that is left drops what was read and not told; another begins a new
// stream. Reader is the program's to close.
func (p *Parser) Read(reader io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if p.parser != nil {
			yield(Event{}, ErrBusy)
			return
		}
		handle := cgo.NewHandle(p)
		defer handle.Delete()
		defer p.free()
		if err := p.begin(C.uintptr_t(handle)); err != nil {
			yield(Event{}, err)
			return
		}
		p.read(reader, yield)
	}
}

// begin makes the library's parser.
func (p *Parser) begin(handle C.uintptr_t) error {
	if err := errorOf(C.eventsource_go_parser_new(handle, &p.parser)); err != nil {
		return err
	}
	if err := errorOf(C.eventsource_go_parser_on_retry(p.parser, handle)); err != nil {
		return err
	}
	if p.OnComment != nil {
		err := errorOf(C.eventsource_go_parser_on_comment(p.parser, handle))
		if err != nil {
			return err
		}
	}
	if p.MaxEventSize != 0 {
		size := C.size_t(max(p.MaxEventSize, 0))
		err := errorOf(C.eventsource_parser_set_max_event_size(p.parser, size))
		if err != nil {
			return err
		}
	}
	return withText(p.LastEventID, func(id *C.char) C.eventsource_error {
		return C.eventsource_parser_set_last_event_id(p.parser, id)
	})
}

// free gives the library's parser back.
func (p *Parser) free() {
	C.eventsource_parser_free(p.parser)
	p.parser, p.parsed, p.known = nil, nil, Event{}
}

func (p *Parser) read(reader io.Reader, yield func(Event, error) bool) {
	buffer := make([]byte, 32<<10)
	for empty := 0; empty < 100; empty++ {
		n, err := reader.Read(buffer)
		if n > 0 {
			empty = 0
			if !p.feed(buffer[:n], yield) {
				return
			}
		}
		if err == io.EOF {
			err = errorOf(C.eventsource_parser_end(p.parser))
			if err != nil {
				yield(Event{}, err)
			}
			return
		}
		if err != nil {
			yield(Event{}, err)
			return
		}
	}
	yield(Event{}, io.ErrNoProgress)
}

// feed interprets bytes, and tells the program what they say. It reports
// whether the program wants more.
func (p *Parser) feed(bytes []byte, yield func(Event, error) bool) bool {
	start := (*C.char)(unsafe.Pointer(&bytes[0]))
	code := C.eventsource_parser_feed(p.parser, start, C.size_t(len(bytes)))
	for i := range p.parsed {
		if !p.tell(p.parsed[i], yield) {
			return false
		}
	}
	clear(p.parsed)
	p.parsed = p.parsed[:0]
	p.LastEventID = C.GoString(C.eventsource_parser_last_event_id(p.parser))
	err := errorOf(code)
	return err == nil || yield(Event{}, err)
}

func (p *Parser) tell(told parsed, yield func(Event, error) bool) bool {
	if told.isComment {
		if p.OnComment != nil {
			p.OnComment(told.comment)
		}
		return true
	}
	p.LastEventID = told.event.LastEventID
	return yield(told.event, nil)
}

// The callbacks only note down what they are told: the program's code must not
// run, and perhaps panic, below a call of C.

//export eventsource_go_parsed
func eventsource_go_parsed(event *C.eventsource_event, handle C.uintptr_t) {
	p := cgo.Handle(handle).Value().(*Parser)
	p.known = Event{
		Type:        again(p.known.Type, event._type, event.type_len),
		Data:        text(event.data, event.data_len),
		LastEventID: again(p.known.LastEventID, event.last_event_id, event.last_event_id_len),
	}
	p.parsed = append(p.parsed, parsed{event: p.known})
}

//export eventsource_go_parsed_retry
func eventsource_go_parsed_retry(time C.uint64_t, handle C.uintptr_t) {
	cgo.Handle(handle).Value().(*Parser).ReconnectionTime = duration(time)
}

//export eventsource_go_parsed_comment
func eventsource_go_parsed_comment(comment *C.char, length C.size_t, handle C.uintptr_t) {
	p := cgo.Handle(handle).Value().(*Parser)
	p.parsed = append(p.parsed, parsed{comment: text(comment, length), isComment: true})
}
