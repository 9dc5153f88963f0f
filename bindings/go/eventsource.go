//go:build cgo && linux

// Package eventsource follows streams of server-sent events: it is
// `new EventSource(url)` for Go programs.
//
//	source, err := eventsource.Connect("https://example.com/events")
//	if err != nil {
//		return err
//	}
//	defer source.Close()
//	for event, err := range source.Events(ctx) {
//		if err != nil {
//			log.Print(err)
//			continue
//		}
//		fmt.Println(event.Type, event.Data)
//	}
//
// When the connection is lost, the source waits for the reconnection time,
// connects again, and sends the ID of the last event in Last-Event-ID: the
// program sees one stream. A source does to the letter what the HTML standard
// says (§ 9.2, "Server-sent events").
//
// # Errors
//
// An error in the range tells why a connection was refused or lost. It is a
// [*Failure]. If its WillRetry is true, the range goes on with the next
// connection. If not, the range ends by itself, so that `continue` is always
// right.
//
//	var failure *eventsource.Failure
//	if errors.As(err, &failure) && failure.HTTPStatus == 401 {
//		...
//	}
//	if errors.Is(err, eventsource.ErrTimeout) {
//		...
//	}
//	if errors.Is(err, syscall.ECONNREFUSED) {
//		...
//	}
//
// A failure is also a [net.Error], whose Timeout method tells whether a time
// limit has passed.
//
// # Ending
//
// A range ends without an error when the loop is left, when another goroutine
// calls [Source.Close], and when the stream has ended and is not asked for
// again (see [WithRetry]). When ctx is done, the range ends with
// [context.Cause] as its last error, and the source stays open. So a program
// that wants no error when its context is done has the context close the
// source:
//
//	stop := context.AfterFunc(ctx, func() { source.Close() })
//	defer stop()
//	for event, err := range source.Events(context.Background()) {
//		...
//	}
//
// # Threads
//
// The sources of a program share one thread of the library, which is none of
// Go's. A source reads ahead as far as [WithQueue] lets it; then its server is
// slowed down, and nothing is lost: the other sources go on. A goroutine that
// waits for an event holds no thread: it waits in Go's network poller. All
// methods may be called from any goroutine at any time.
//
// A source with a function of [OnRequest], [OnResponse] or [OnRetry] has a
// thread of its own instead, from [Connect] to [Source.Close], on which that
// function is called. So the function may take its time, and even wait for what
// another source brings.
//
// Over HTTP/2 the sources of a program share connections, but for those with
// threads of their own. An idle source takes two descriptors, its socket and one
// more, and with the goroutine that ranges 8 KiB.
//
// # Memory
//
// What the program is given is Go's, and its to keep. The data of events that
// came together share memory: whoever keeps [Event.Data] keeps up to 2 KiB of
// other events with it. A program that keeps a few short texts of very many
// events keeps copies that [strings.Clone] makes.
//
// A source has no finalizer: it lives until Close, also when it has closed
// itself.
//
// # What differs from C
//
// A source always has a queue, and [Source.Events] takes the place of
// callbacks, listeners and eventsource_next: there is no add_listener, since a
// loop looks at [Event.Type], and no wait, since the range ends. [OnOpen] and
// [OnComment] are called by the goroutine that ranges; only [OnRequest],
// [OnResponse] and [OnRetry] run on a thread of the library. Its loop is out of
// sight: there is one for all sources, or for all but those. The parser alone is
// a range, too: [Read], or [Parser.Read].
//
// [Connect] makes a source and connects it, so that every setting is an
// [Option]. C's error numbers are values of type [Error]; EVENTSOURCE_ERROR_NONE
// is nil. An error of [OnRequest] is C's eventsource_request_abort.
// Strings are never NULL: [WithoutHeader] and [Request.DelHeader] remove a
// header, and an option that is left out is what NULL is in C. Times are
// [time.Duration]; a part of a millisecond counts as a whole one.
//
// [Source.ReadyState] and [Source.LastEventID] are as of the last item that
// the range has reported, and all methods may be called after [Source.Close].
//
// # Linking
//
// The package needs Linux and cgo; without these it does not compile, and the
// compiler says so.
//
// The library is found by pkg-config, and is shared. With the build tag
// eventsource_static its archive goes into the program, from where the linker
// looks for libraries, or from where CGO_LDFLAGS=-L... says.
package eventsource

/*
#include <stdlib.h>
#include "eventsource.h"
*/
import "C"

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/url"
	"runtime/cgo"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// ReadyState is what a source is doing.
type ReadyState int

const (
	// Connecting: connecting, or waiting to reconnect.
	Connecting ReadyState = C.EVENTSOURCE_STATE_CONNECTING
	// Open: events come.
	Open ReadyState = C.EVENTSOURCE_STATE_OPEN
	// Closed by the program, or given up. It stays so.
	Closed ReadyState = C.EVENTSOURCE_STATE_CLOSED
)

// String returns the state as the standard writes it.
func (state ReadyState) String() string {
	switch state {
	case Connecting:
		return "CONNECTING"
	case Open:
		return "OPEN"
	case Closed:
		return "CLOSED"
	}
	return fmt.Sprintf("ReadyState(%d)", int(state))
}

// Source follows an event stream. [Connect] makes one; a zero Source is closed.
type Source struct {
	url             string
	withCredentials bool

	onOpen     func(*Response)
	onComment  func(string)
	onRequest  func(*Request) error
	onResponse func(*Response) Verdict
	onRetry    func(*Failure) (time.Duration, bool)
	// Nil if nothing is logged.
	logger *slog.Logger
	// The source, for the callbacks that ask; zero if there are none.
	callbacks cgo.Handle

	// Waits for the queue, whose descriptor is fd; nil until then.
	queues *poller
	fd     int32
	// Full if the queue may have got something.
	ready chan struct{}

	// Held by the goroutine that ranges, with what follows.
	ranging sync.Mutex
	// Nil if nothing is left that was taken from the queue.
	batch *batch
	// What is likely to come again.
	known Event
	// The program was told why the source has closed itself.
	told bool

	closed atomic.Bool

	// Guards what follows.
	mu sync.Mutex
	// NULL once it has been given back.
	source *C.eventsource
	// The program until Close, and each call that is under way. The last
	// gives the source back.
	users       int
	state       ReadyState
	lastEventID string
	// The attempts that OnRequest has aborted last.
	aborted []aborted
	// As of the end; nil until then.
	stats *Stats
}

// How far a source reads ahead unless WithQueue says otherwise.
const queue = 4096

// Connect makes a source for url, which is absolute, http or https, and starts
// to connect. It does not wait for the connection: the range of
// [Source.Events] reports whether that succeeds.
//
// Connect fails only if the URL or an option is refused, or if the system is out
// of threads or descriptors. The source is the caller's, who closes it with
// [Source.Close].
func Connect(url string, options ...Option) (*Source, error) {
	s := &Source{users: 1}
	err := withText(url, func(url *C.char) C.eventsource_error {
		return C.eventsource_new(url, &s.source)
	})
	if err != nil {
		return nil, fmt.Errorf("eventsource: URL: %w", err)
	}
	if err := s.connect(options); err != nil {
		s.Close()
		return nil, fmt.Errorf("eventsource: %w", err)
	}
	return s, nil
}

func (s *Source) connect(options []Option) error {
	for _, option := range append([]Option{WithQueue(queue)}, options...) {
		if option.set == nil {
			continue
		}
		if err := option.set(s); err != nil {
			return fmt.Errorf("%s: %w", option.name, err)
		}
	}
	s.url = C.GoString(C.eventsource_url(s.source))
	if s.logger != nil {
		s.logger = s.logger.With("url", loggable(s.url))
	}
	s.withCredentials = C.eventsource_with_credentials(s.source) != 0
	s.lastEventID = lastEventID(s.source)
	s.known = Event{Type: "message", LastEventID: s.lastEventID}
	if err := s.askOrJoin(); err != nil {
		return err
	}
	if err := s.poll(); err != nil {
		return fmt.Errorf("%w: %w", ErrSystem, err)
	}
	return errorOf(C.eventsource_connect(s.source))
}

// poll has the poller of all wait for the queue.
func (s *Source) poll() (err error) {
	s.fd, s.ready = int32(C.eventsource_fd(s.source)), make(chan struct{}, 1)
	if s.queues, err = queues(); err == nil {
		err = s.queues.add(s)
	}
	return err
}

// askOrJoin gives the source to the loop of all, unless there are functions to
// ask: on the loop's thread one that takes its time would delay all sources, and
// one that waits for another source would wait for ever.
func (s *Source) askOrJoin() error {
	if s.onRequest != nil || s.onResponse != nil || s.onRetry != nil {
		return s.ask()
	}
	shared, err := loop()
	if err != nil {
		return err
	}
	return errorOf(C.eventsource_set_loop(s.source, shared))
}

// Events returns the events of the stream as they come, and the errors.
//
// The range ends when the source is closed: by [Source.Close], after an error
// that it does not come back from, or, without an error, when the stream has
// ended and is not asked for again (see [WithRetry]). It also ends when ctx
// is done, with [context.Cause] as its last error; the source stays as it is.
//
// A range that is left can be followed by another, which goes on where it
// stopped: nothing is lost. Two at a time cannot be: the second ends with
// [ErrBusy]. The range of a closed source ends at once.
func (s *Source) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if !s.use() {
			return
		}
		defer s.release()
		if !s.ranging.TryLock() {
			yield(Event{}, ErrBusy)
			return
		}
		defer s.ranging.Unlock()
		for {
			if ctx.Err() != nil {
				yield(Event{}, context.Cause(ctx))
				return
			}
			if !s.batch.left() {
				err := s.take()
				switch {
				case s.closed.Load() || err == ErrClosed:
					return
				case err == ErrTimeout:
					if err = s.queues.wait(s, ctx); err == nil {
						continue
					}
					err = fmt.Errorf("%w: %w", ErrSystem, err)
				}
				if err != nil {
					yield(Event{}, err)
					return
				}
			}
			if s.closed.Load() || !s.tell(yield) {
				return
			}
		}
	}
}

// tell gives the program the next item, and reports whether it wants more and
// there may be more.
func (s *Source) tell(yield func(Event, error) bool) bool {
	item := s.batch.item(s.batch.next)
	s.batch.next++
	switch item._type {
	case C.EVENTSOURCE_ITEM_TYPE_EVENT:
		s.know(item.event)
		// Field by field: a copy of a whole Event that was just written is slow.
		return yield(Event{
			Type:        s.known.Type,
			Data:        s.batch.data(item.event),
			LastEventID: s.known.LastEventID,
			Origin:      s.known.Origin,
		}, nil)
	case C.EVENTSOURCE_ITEM_TYPE_OPEN:
		s.changed()
		s.log(slog.LevelInfo, "event stream opened",
			"status", int(C.eventsource_response_status(item.response)))
		if s.onOpen != nil {
			s.onOpen(newResponse(item.response))
		}
	case C.EVENTSOURCE_ITEM_TYPE_COMMENT:
		if s.onComment != nil {
			s.onComment(text(item.comment, item.comment_len))
		}
	case C.EVENTSOURCE_ITEM_TYPE_ERROR:
		s.changed()
		failure := s.failure(item.failure)
		s.told = !failure.WillRetry && failure.Reason != ErrTooLarge
		s.logFailure(failure)
		return yield(Event{}, failure)
	case C.EVENTSOURCE_ITEM_TYPE_CLOSE:
		s.changed()
		reason := errorOf(item.reason)
		if reason == ErrEnded {
			s.log(slog.LevelInfo, "event stream ended")
		}
		if reason != nil && reason != ErrEnded && !s.told {
			yield(Event{}, reason)
		}
		return false
	}
	return true
}

// log tells the program's logger, if there is one.
func (s *Source) log(level slog.Level, message string, args ...any) {
	if s.logger != nil {
		s.logger.Log(context.Background(), level, message, args...)
	}
}

func (s *Source) logFailure(failure *Failure) {
	switch {
	case failure.Reason == ErrTooLarge:
		s.log(slog.LevelWarn, "event dropped", "error", failure)
	case failure.WillRetry:
		s.log(slog.LevelInfo, "event stream lost", "error", failure,
			"attempt", failure.Attempt, "delay", failure.Delay)
	default:
		s.log(slog.LevelWarn, "event stream given up", "error", failure,
			"attempt", failure.Attempt)
	}
}

// loggable is a URL without what may be secret in it.
func loggable(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		// The URL Standard allows more than Go does.
		return ""
	}
	shown := url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}
	return shown.String()
}

// know remembers what may come again with the event behind this one: text that
// has not changed is not copied again.
func (s *Source) know(event *C.eventsource_event) {
	if event._type != s.batch.eventType {
		s.batch.eventType = event._type
		s.known.Type = again(s.known.Type, event._type, event.type_len)
	}
	if event.last_event_id != s.batch.lastEventID {
		s.batch.lastEventID = event.last_event_id
		id := again(s.known.LastEventID, event.last_event_id, event.last_event_id_len)
		if id != s.known.LastEventID {
			s.mu.Lock()
			s.known.LastEventID, s.lastEventID = id, id
			s.mu.Unlock()
		}
	}
	if event.origin != s.batch.origin {
		s.batch.origin = event.origin
		s.known.Origin = C.GoString(event.origin)
	}
}

// changed makes the state that of the item at hand. An item that changes it is
// the last of its batch, and so the library's state is the one wanted.
func (s *Source) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = ReadyState(C.eventsource_ready_state(s.source))
	s.lastEventID = lastEventID(s.source)
	s.known.LastEventID = s.lastEventID
}

// lastEventID returns the library's, which is ahead of the program's while a
// batch is told.
func lastEventID(source *C.eventsource) string {
	length := C.eventsource_last_event_id(source, nil, 0)
	for {
		buffer := make([]byte, length+1)
		place := (*C.char)(unsafe.Pointer(&buffer[0]))
		again := C.eventsource_last_event_id(source, place, length+1)
		if again <= length {
			return string(buffer[:again])
		}
		length = again
	}
}

// ReadyState returns the state as of what the range has told last; Closed
// from Close on.
func (s *Source) ReadyState() ReadyState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.source == nil {
		return Closed
	}
	return s.state
}

// LastEventID returns the last event ID string as of what the range has told
// last. It is what a program keeps to resume with [WithLastEventID].
func (s *Source) LastEventID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastEventID
}

// URL returns the URL of the source as the URL Standard serializes it;
// redirects do not change it.
func (s *Source) URL() string {
	return s.url
}

// WithCredentials returns whether other origins get their own credentials:
// what the option [WithCredentials] said.
func (s *Source) WithCredentials() bool {
	return s.withCredentials
}

// Reconnect drops the connection, or ends the wait for the next attempt, and
// connects again at once: for a program that knows, for example, that the
// network has changed. The range reports no error for it. Reconnect fails with
// [ErrClosed] if the source is closed.
func (s *Source) Reconnect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() || s.source == nil {
		return ErrClosed
	}
	if err := errorOf(C.eventsource_reconnect(s.source)); err != nil {
		return err
	}
	s.state = Connecting
	return nil
}

// Close closes the source for good, and ends a range over it. It may be called
// from any goroutine, inside a range or a function of an option, and again. It
// does not wait for the network or the program. It returns nil.
func (s *Source) Close() error {
	s.mu.Lock()
	if s.closed.Swap(true) || s.source == nil {
		s.mu.Unlock()
		return nil
	}
	s.state = Closed
	C.eventsource_close(s.source)
	s.mu.Unlock()
	s.release()
	return nil
}

// use keeps the library's source until release, unless it is closed.
func (s *Source) use() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() || s.source == nil {
		return false
	}
	s.users++
	return true
}

// One source at a time waits for its thread to end: a goroutine that waits in
// C holds a thread, and Go keeps its threads for ever.
var freeing sync.Mutex

// release gives the library's source back if nobody is left who uses it.
func (s *Source) release() {
	s.mu.Lock()
	s.users--
	if s.users > 0 {
		s.mu.Unlock()
		return
	}
	stats := statsOf(s.source)
	s.stats = &stats
	source := s.source
	s.source = nil
	s.mu.Unlock()

	if s.queues != nil {
		s.queues.remove(s)
	}
	freeing.Lock()
	C.eventsource_free(source)
	freeing.Unlock()
	if s.callbacks != 0 {
		s.callbacks.Delete()
	}
}

// withText calls set with a copy of text as C has it.
func withText(text string, set func(*C.char) C.eventsource_error) error {
	if strings.IndexByte(text, 0) >= 0 {
		return ErrValue
	}
	copied := C.CString(text)
	defer C.free(unsafe.Pointer(copied))
	return errorOf(set(copied))
}
