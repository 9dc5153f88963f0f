//go:build cgo && linux

package eventsource

/*
#include <stdint.h>
#include "eventsource.h"

// These are Go's, in this file.
extern void eventsource_go_request(eventsource_request *, uintptr_t);
extern int eventsource_go_response(eventsource_response *, uintptr_t);
extern int64_t eventsource_go_retry(eventsource_failure *, uintptr_t);
extern void eventsource_go_log(eventsource_log_level, char *);

static void eventsource_go_on_request(
	eventsource *source,
	eventsource_request *request,
	void *user_data)
{
	(void)source;
	eventsource_go_request(request, (uintptr_t)user_data);
}

static int eventsource_go_on_response(
	eventsource *source,
	const eventsource_response *response,
	void *user_data)
{
	(void)source;
	return eventsource_go_response(
		(eventsource_response *)response, (uintptr_t)user_data);
}

static int64_t eventsource_go_on_retry(
	eventsource *source,
	const eventsource_failure *failure,
	void *user_data)
{
	(void)source;
	return eventsource_go_retry(
		(eventsource_failure *)failure, (uintptr_t)user_data);
}

static void eventsource_go_on_log(
	eventsource_log_level level,
	const char *message,
	void *user_data)
{
	(void)user_data;
	eventsource_go_log(level, (char *)message);
}

static eventsource_error eventsource_go_ask_request(
	eventsource *source,
	uintptr_t handle)
{
	return eventsource_on_request(
		source, eventsource_go_on_request, (void *)handle);
}

static eventsource_error eventsource_go_ask_response(
	eventsource *source,
	uintptr_t handle)
{
	return eventsource_on_response(
		source, eventsource_go_on_response, (void *)handle);
}

static eventsource_error eventsource_go_ask_retry(
	eventsource *source,
	uintptr_t handle)
{
	return eventsource_on_retry(
		source, eventsource_go_on_retry, (void *)handle);
}

static void eventsource_go_set_log(int level)
{
	eventsource_set_log(level, eventsource_go_on_log, NULL);
}
*/
import "C"

import (
	"log/slog"
	"runtime/cgo"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// Request is a request that is about to be made. It is the library's again
// when the function that was given it has returned.
type Request struct {
	request *C.eventsource_request
	source  *Source
}

// Attempt returns which attempt of the source this is, from 1 on.
func (r *Request) Attempt() uint64 {
	return uint64(C.eventsource_request_attempt(r.request))
}

// Failure returns why there is another attempt: what the range is told last
// before it. It is nil for the first attempt, and after [Source.Reconnect].
func (r *Request) Failure() *Failure {
	return r.source.failure(C.eventsource_request_failure(r.request))
}

// LastEventID returns the last event ID string as this attempt sends it;
// [Source.LastEventID] is as of what the range has told last.
func (r *Request) LastEventID() string {
	return C.GoString(C.eventsource_request_last_event_id(r.request))
}

// SetHeader sets a header of this attempt; see [WithHeader].
func (r *Request) SetHeader(name, value string) error {
	return withText(name, func(name *C.char) C.eventsource_error {
		return codeOf(withText(value, func(value *C.char) C.eventsource_error {
			return C.eventsource_request_set_header(r.request, name, value)
		}))
	})
}

// DelHeader takes a header away from this attempt.
func (r *Request) DelHeader(name string) error {
	return withText(name, func(name *C.char) C.eventsource_error {
		return C.eventsource_request_set_header(r.request, name, nil)
	})
}

// SetMethod sets the method of this attempt. With GET the body stays behind:
// so a stream that was asked for by POST can be resumed.
func (r *Request) SetMethod(method string) error {
	return withText(method, func(method *C.char) C.eventsource_error {
		return C.eventsource_request_set_method(r.request, method)
	})
}

// SetURL sets the URL of this attempt, absolute, http or https: for services
// that want in the query where to resume, or a token, and for a second server
// where the first is down.
//
// For this attempt it stands in the place of the source's URL: the headers
// that the program has set, cookies and the client certificate go to its
// origin, and user name and password are its own. Where a redirect led before
// does not count any more. The next attempt begins at the source's URL, unless
// the function sets another; [Source.URL] does not change. It fails with
// [ErrURL] or [ErrScheme].
func (r *Request) SetURL(url string) error {
	return withText(url, func(url *C.char) C.eventsource_error {
		return C.eventsource_request_set_url(r.request, url)
	})
}

// SetLastEventID sets the last event ID string, or clears it if id is empty:
// for a server that has forgotten the id, and would refuse it for ever.
//
// Unlike the other changes this one lasts, as if the stream had set the id:
// events without an id have it, and [Source.LastEventID] returns it from what
// the range tells next on. It fails with [ErrValue] if id has a line break.
func (r *Request) SetLastEventID(id string) error {
	return withText(id, func(id *C.char) C.eventsource_error {
		return C.eventsource_request_set_last_event_id(r.request, id)
	})
}

// OnRequest has a function called before every attempt, the first included:
// to send a fresh token, or to ask in another way when coming back. What it
// changes holds for this attempt.
//
// An error that it returns aborts the attempt: nothing is sent, and the range
// is told a [*Failure] whose Reason is [ErrAborted], and which unwraps to the
// error. What follows is what follows any failure: the function of [OnRetry],
// a wait that grows, and another attempt, unless [WithRetry] or
// [WithMaxAttempts] has none. To end the source instead, call [Source.Close].
//
// It is called on a thread that the source has of its own then, whether or not a
// goroutine ranges, and may take its time: the attempt waits for it, while other
// sources and [Source.Close] do not. It may
// be called before [Connect] has returned the source. A panic in it ends the
// program, as in a goroutine of its own.
func OnRequest(onRequest func(*Request) error) Option {
	return Option{"OnRequest", func(s *Source) error {
		s.onRequest = onRequest
		return nil
	}}
}

// Verdict is what becomes of a response.
type Verdict int

const (
	// VerdictStandard: what the standard says: redirects are followed, an event
	// stream with status 200 is read, and everything else is a failure.
	VerdictStandard Verdict = C.EVENTSOURCE_VERDICT_STANDARD
	// VerdictAccept: the body is read as an event stream, whatever the status
	// and the content type are. For a redirect that is followed, and for the
	// statuses 101, 204 and 304, which have no body, the same as
	// VerdictStandard.
	VerdictAccept Verdict = C.EVENTSOURCE_VERDICT_ACCEPT
	// VerdictRefuse: the response is a [*Failure] whose Reason is [ErrRefused];
	// a redirect is not followed. The source does not ask again, unless the
	// function of [OnRetry] says so.
	VerdictRefuse Verdict = C.EVENTSOURCE_VERDICT_REFUSE
)

// OnResponse has a function called that decides what becomes of each response,
// redirects included, before the source looks at it: for servers that send
// their stream without a content type, as `text/plain`, or with the status 201
// or 202; for redirects that are not to be followed everywhere; and for headers
// that count whatever the response is. It is called as the function of
// [OnRequest] is. The response is the program's to keep.
func OnResponse(onResponse func(*Response) Verdict) Option {
	return Option{"OnResponse", func(s *Source) error {
		s.onResponse = onResponse
		return nil
	}}
}

// OnRetry has a function called that decides whether and when the source
// comes back: after every attempt that has failed, and every stream that was
// lost or has ended. It returns how long the next attempt waits, and whether
// there is one.
//
// What follows otherwise stands in the failure: return failure.Delay and
// failure.WillRetry for no change. A wait of 0 is at once. It is called as
// the function of [OnRequest] is, before the range is told.
func OnRetry(onRetry func(*Failure) (wait time.Duration, again bool)) Option {
	return Option{"OnRetry", func(s *Source) error {
		s.onRetry = onRetry
		return nil
	}}
}

// ask has the library ask the functions that the program has given.
func (s *Source) ask() error {
	s.callbacks = cgo.NewHandle(s)
	handle := C.uintptr_t(s.callbacks)
	var request, response, retry C.eventsource_error
	if s.onRequest != nil {
		request = C.eventsource_go_ask_request(s.source, handle)
	}
	if s.onResponse != nil {
		response = C.eventsource_go_ask_response(s.source, handle)
	}
	if s.onRetry != nil {
		retry = C.eventsource_go_ask_retry(s.source, handle)
	}
	return errorOf(max(request, response, retry))
}

//export eventsource_go_request
func eventsource_go_request(request *C.eventsource_request, handle C.uintptr_t) {
	s := cgo.Handle(handle).Value().(*Source)
	if s.onRequest == nil || !s.use() {
		return
	}
	asked := &Request{request, s}
	err := s.onRequest(asked)
	asked.request = nil
	if err != nil {
		s.abort(request, err)
	}
	s.release()
}

// aborted is an attempt that was not made.
type aborted struct {
	message string
	err     error
}

// abort has an attempt not made because OnRequest returned err.
func (s *Source) abort(request *C.eventsource_request, err error) {
	// As the library shows it.
	message := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8("OnRequest: "+err.Error(), "\uFFFD"))
	s.mu.Lock()
	// More than one only if the program lags behind, or calls Reconnect.
	s.aborted = append(s.aborted, aborted{message, err})
	s.aborted = s.aborted[max(0, len(s.aborted)-8):]
	s.mu.Unlock()
	withText(message, func(message *C.char) C.eventsource_error {
		return C.eventsource_request_abort(request, message)
	})
}

// failure is newFailure, with the error that OnRequest returned.
func (s *Source) failure(failure *C.eventsource_failure) *Failure {
	told := newFailure(failure)
	if told == nil || told.Reason != ErrAborted {
		return told
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, aborted := range s.aborted {
		if aborted.message == told.Message {
			told.cause = aborted.err
		}
	}
	return told
}

//export eventsource_go_response
func eventsource_go_response(response *C.eventsource_response, handle C.uintptr_t) C.int {
	s := cgo.Handle(handle).Value().(*Source)
	verdict := VerdictStandard
	if s.onResponse != nil && s.use() {
		verdict = s.onResponse(newResponse(response))
		s.release()
	}
	return C.int(verdict)
}

//export eventsource_go_retry
func eventsource_go_retry(failure *C.eventsource_failure, handle C.uintptr_t) C.int64_t {
	s := cgo.Handle(handle).Value().(*Source)
	told := s.failure(failure)
	wait, again := told.Delay, told.WillRetry
	if s.onRetry != nil && s.use() {
		wait, again = s.onRetry(told)
		s.release()
	}
	if !again {
		return -1
	}
	return C.int64_t(milliseconds(max(wait, 0)))
}

// LogLevel is how much [SetLog] reports: a level and those above it.
type LogLevel int

const (
	// LogOff: nothing.
	LogOff LogLevel = C.EVENTSOURCE_LOG_LEVEL_OFF
	// LogError: defects of the library.
	LogError LogLevel = C.EVENTSOURCE_LOG_LEVEL_ERROR
	// LogWarn: sources that gave up.
	LogWarn LogLevel = C.EVENTSOURCE_LOG_LEVEL_WARN
	// LogInfo: connections opened and lost.
	LogInfo LogLevel = C.EVENTSOURCE_LOG_LEVEL_INFO
	// LogDebug: every attempt.
	LogDebug LogLevel = C.EVENTSOURCE_LOG_LEVEL_DEBUG
)

// Level returns the level of [log/slog] that means the same, so that a program
// can hand the lines of [SetLog] to its logger.
func (level LogLevel) Level() slog.Level {
	switch level {
	case LogDebug:
		return slog.LevelDebug
	case LogInfo:
		return slog.LevelInfo
	case LogWarn:
		return slog.LevelWarn
	}
	return slog.LevelError
}

var onLog atomic.Pointer[func(LogLevel, string)]

// SetLog sets a function that is called with lines for the program's log, about
// all sources, up to level. Nil, the default, removes it. [LogLevel.Level] is
// for programs that use [log/slog]; [WithLogger] logs one source.
//
// The function is called on any thread, and on several at a time; what the line
// is about waits for it, and so may other sources. Lines name
// URLs without user, password and query, and hold no headers and no data.
func SetLog(level LogLevel, log func(level LogLevel, message string)) {
	if log == nil {
		C.eventsource_set_log(C.EVENTSOURCE_LOG_LEVEL_OFF, nil, nil)
		onLog.Store(nil)
		return
	}
	onLog.Store(&log)
	C.eventsource_go_set_log(C.int(level))
}

//export eventsource_go_log
func eventsource_go_log(level C.eventsource_log_level, message *C.char) {
	if log := onLog.Load(); log != nil {
		(*log)(LogLevel(level), C.GoString(message))
	}
}
