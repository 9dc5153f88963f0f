//go:build cgo && linux

package eventsource

// #include "eventsource.h"
import "C"

import (
	"net/http"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Event is an event that a stream has dispatched.
type Event struct {
	// Type is what the stream's `event` field said, or "message".
	Type string
	// Data is the stream's `data` lines, joined by line feeds. It may share
	// memory with that of other events: see Memory above.
	Data string
	// LastEventID is the last event ID string, also if this event had no `id`
	// field; empty if there was none yet.
	LastEventID string
	// Origin is scheme, host, and port unless it is the scheme's own, of the
	// URL that the event came from, after redirects.
	Origin string
}

// Response is the head of a response.
type Response struct {
	Status int
	// HTTPVersion is 10, 11 or 20, for HTTP/1.0, HTTP/1.1 and HTTP/2.
	HTTPVersion int
	// URL is where the response came from, after redirects.
	URL string
	// Location is the URL that the response redirects to, absolute; empty if it
	// is no redirect, or leads nowhere that the source would follow.
	Location string
	// Header holds the response's headers. A header that came several times has
	// several values, in their order. A value that is not UTF-8 was read as
	// Latin-1.
	Header http.Header
}

func newResponse(response *C.eventsource_response) *Response {
	if response == nil {
		return nil
	}
	header := http.Header{}
	for i := C.size_t(0); ; i++ {
		name := C.eventsource_response_header_name(response, i)
		if name == nil {
			break
		}
		value := C.eventsource_response_header_value(response, i)
		header.Add(C.GoString(name), C.GoString(value))
	}
	return &Response{
		Status:      int(C.eventsource_response_status(response)),
		HTTPVersion: int(C.eventsource_response_http_version(response)),
		URL:         C.GoString(C.eventsource_response_url(response)),
		Location:    C.GoString(C.eventsource_response_location(response)),
		Header:      header,
	}
}

// Failure tells why a connection was refused, lost or given up, or that an
// event was dropped for its size, and what comes next. It is an error that
// unwraps to its Reason, to its SystemError and to the error that the function
// of [OnRequest] has returned, and a [net.Error].
type Failure struct {
	Reason Error
	// Message is the same in one line for a person, with the cause. It holds
	// nothing secret: no header of the request, no data.
	Message string
	// SystemError is the error of the system, such as [syscall.ECONNREFUSED]; 0
	// if the failure has another cause.
	SystemError syscall.Errno
	// HTTPStatus is the status of the response, also if it was accepted, mostly
	// 200; 0 if none came.
	HTTPStatus int
	// Response is nil if none came, or if it was accepted.
	Response *Response
	// Body is the beginning of the body of a response that was refused: see
	// [WithMaxBodySize].
	Body string
	// BodyComplete is true if Body is all of it.
	BodyComplete bool
	// Attempt is how many attempts in a row have failed, this one included; 0
	// if the lost connection had worked (see [WithReconnectionTime]).
	Attempt int
	// WillRetry is true if the source tries again after Delay. If it is false
	// the source is closed, but for ErrTooLarge: then the stream goes on.
	WillRetry bool
	Delay     time.Duration
	// LastEventID is the last event ID string, after which another attempt
	// asks; empty if there was none yet.
	LastEventID string
	// What OnRequest has returned.
	cause error
}

func (f *Failure) Error() string {
	return "eventsource: " + f.Message
}

// Unwrap returns the Reason, and the SystemError or the error of [OnRequest] if
// there is one.
func (f *Failure) Unwrap() []error {
	errs := []error{f.Reason}
	if f.SystemError != 0 {
		errs = append(errs, f.SystemError)
	}
	if f.cause != nil {
		errs = append(errs, f.cause)
	}
	return errs
}

// Timeout returns whether a time limit has passed: of the source, or of the
// system.
func (f *Failure) Timeout() bool {
	return f.Reason.Timeout() || f.SystemError.Timeout()
}

// Temporary returns WillRetry.
//
// Deprecated: it makes a Failure a [net.Error]; WillRetry says the same.
func (f *Failure) Temporary() bool {
	return f.WillRetry
}

func newFailure(failure *C.eventsource_failure) *Failure {
	if failure == nil {
		return nil
	}
	return &Failure{
		Reason:       Error(failure.error),
		Message:      C.GoString(failure.message),
		SystemError:  syscall.Errno(failure.system_error),
		HTTPStatus:   int(failure.http_status),
		Response:     newResponse(failure.response),
		Body:         text(failure.body, failure.body_len),
		Attempt:      int(failure.attempt),
		WillRetry:    failure.will_retry != 0,
		Delay:        duration(failure.delay_ms),
		LastEventID:  C.GoString(failure.last_event_id),
		BodyComplete: failure.body_complete != 0,
	}
}

// Stats is what a source has counted since it was made.
type Stats struct {
	// Bytes of streams, as they came: with framing, before decompression,
	// without heads.
	Bytes uint64
	// Events dispatched by the stream, also those not yet ranged over.
	Events uint64
	// Comments, if OnComment is given; without it nobody counts them.
	Comments uint64
	// Connects is how many connections were announced.
	Connects uint64
	// Reconnects is how many attempts there were to come back, successful or
	// not.
	Reconnects uint64
	// Dropped events, for their size.
	Dropped uint64
	// LastByteAt is when the last byte of a stream came; zero if none has.
	LastByteAt time.Time
	// TimeToHeaders is from the request to the head of the response that was
	// accepted last, redirects included.
	TimeToHeaders time.Duration
}

// Stats returns what the source has counted; after Close, until then.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.source != nil:
		return statsOf(s.source)
	case s.stats != nil:
		return *s.stats
	}
	return Stats{}
}

func statsOf(source *C.eventsource) Stats {
	var counted C.eventsource_stats
	C.eventsource_get_stats(source, &counted, C.sizeof_eventsource_stats)
	stats := Stats{
		Bytes:         uint64(counted.bytes),
		Events:        uint64(counted.events),
		Comments:      uint64(counted.comments),
		Connects:      uint64(counted.connects),
		Reconnects:    uint64(counted.reconnects),
		Dropped:       uint64(counted.dropped),
		TimeToHeaders: duration(counted.time_to_headers_ms),
	}
	if counted.last_byte_at_ms != 0 {
		stats.LastByteAt = time.UnixMilli(int64(counted.last_byte_at_ms))
	}
	return stats
}

// borrowed is C text as it lies there.
func borrowed(start *C.char, length C.size_t) string {
	return unsafe.String((*byte)(unsafe.Pointer(start)), length)
}

// text copies C text.
func text(start *C.char, length C.size_t) string {
	return strings.Clone(borrowed(start, length))
}

// again copies C text, unless it is known.
func again(known string, start *C.char, length C.size_t) string {
	if known == borrowed(start, length) {
		return known
	}
	return text(start, length)
}

// duration is that of so many milliseconds, or the longest there is.
func duration(ms C.uint64_t) time.Duration {
	const most = 1<<63 - 1
	if ms > most/C.uint64_t(time.Millisecond) {
		return most
	}
	return time.Duration(ms) * time.Millisecond
}

// milliseconds rounds up: a time that is shorter than one is not none.
func milliseconds(wait time.Duration) C.uint64_t {
	ms := C.uint64_t(wait / time.Millisecond)
	if wait%time.Millisecond > 0 {
		ms++
	}
	return ms
}
