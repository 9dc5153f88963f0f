//go:build cgo && linux

package eventsource

// #include "eventsource.h"
import "C"

import (
	"net"
	"os"
)

// Error is the kind of an error, for [errors.Is] and [errors.As]. Every error
// of this package wraps one: those of [Connect] are about the URL and the
// options, those of a [Failure] about the network.
type Error int

const (
	// A required argument is NULL.
	ErrNull Error = C.EVENTSOURCE_ERROR_NULL
	// A text is not UTF-8.
	ErrUTF8 Error = C.EVENTSOURCE_ERROR_UTF8
	// A text is not an absolute URL, or not the URL of a proxy.
	ErrURL Error = C.EVENTSOURCE_ERROR_URL
	// The scheme of a URL is neither http nor https; for a proxy, it is
	// unknown.
	ErrScheme Error = C.EVENTSOURCE_ERROR_SCHEME
	// HTTP cannot carry the header, or the header belongs to the library.
	ErrHeader Error = C.EVENTSOURCE_ERROR_HEADER
	// The function does not accept this number or text.
	ErrValue Error = C.EVENTSOURCE_ERROR_VALUE
	// The source has been connected, so that its settings are final.
	ErrAlreadyConnected Error = C.EVENTSOURCE_ERROR_ALREADY_CONNECTED
	// The source has not been connected.
	ErrNotConnected Error = C.EVENTSOURCE_ERROR_NOT_CONNECTED
	// The source is CLOSED.
	ErrClosed Error = C.EVENTSOURCE_ERROR_CLOSED
	// The function cannot be called inside a callback of the same object.
	ErrCallback Error = C.EVENTSOURCE_ERROR_CALLBACK
	// A time limit has passed: for a wait, for connecting, for the response's
	// headers, or between two bytes of the stream.
	ErrTimeout Error = C.EVENTSOURCE_ERROR_TIMEOUT
	// The system is out of threads, descriptors or memory.
	ErrSystem Error = C.EVENTSOURCE_ERROR_SYSTEM
	// The host name was not found.
	ErrResolve Error = C.EVENTSOURCE_ERROR_RESOLVE
	// No connection could be made to any of the host's addresses.
	ErrConnect Error = C.EVENTSOURCE_ERROR_CONNECT
	// No secure connection could be made: the certificate was refused, or the
	// handshake broke off.
	ErrTLS Error = C.EVENTSOURCE_ERROR_TLS
	// The response is not HTTP, or its head is too large.
	ErrHTTP Error = C.EVENTSOURCE_ERROR_HTTP
	// A redirect cannot be followed, or there were too many redirects.
	ErrRedirect Error = C.EVENTSOURCE_ERROR_REDIRECT
	// The response's status is not 200. With 204 the server tells the source to
	// stop.
	ErrStatus Error = C.EVENTSOURCE_ERROR_STATUS
	// The response is not an event stream.
	ErrContentType Error = C.EVENTSOURCE_ERROR_CONTENT_TYPE
	// The connection was lost before the response came, or the stream broke
	// off, or the stream ended inside an event, which was dropped.
	ErrLost Error = C.EVENTSOURCE_ERROR_LOST
	// The stream ended in good order. If the source does not ask for it again,
	// that is no failure: no error comes for it.
	ErrEnded Error = C.EVENTSOURCE_ERROR_ENDED
	// An event over the size limit was dropped. The stream goes on.
	ErrTooLarge Error = C.EVENTSOURCE_ERROR_TOO_LARGE
	// The library has a defect.
	ErrInternal Error = C.EVENTSOURCE_ERROR_INTERNAL
	// A file cannot be read.
	ErrFile Error = C.EVENTSOURCE_ERROR_FILE
	// A file holds no certificate in PEM, or a broken one.
	ErrCertificate Error = C.EVENTSOURCE_ERROR_CERTIFICATE
	// A file holds no unencrypted private key in PEM, or one that does not
	// match the certificate.
	ErrPrivateKey Error = C.EVENTSOURCE_ERROR_PRIVATE_KEY
	// The proxy refuses, or does not answer as a proxy does.
	ErrProxy Error = C.EVENTSOURCE_ERROR_PROXY
	// The call is for sources with a queue, and this source has none, or the
	// other way round.
	ErrQueue Error = C.EVENTSOURCE_ERROR_QUEUE
	// Another thread is inside this call.
	ErrBusy Error = C.EVENTSOURCE_ERROR_BUSY
	// The program has aborted the attempt before it was made: the function of
	// [OnRequest] has returned an error.
	ErrAborted Error = C.EVENTSOURCE_ERROR_ABORTED
	// The program has refused the response: the function of [OnResponse] has
	// returned [VerdictRefuse].
	ErrRefused Error = C.EVENTSOURCE_ERROR_REFUSED
)

func (e Error) Error() string {
	return C.GoString(C.eventsource_strerror(C.int(e)))
}

// Is makes an Error one of the standard library's, too: [ErrTimeout] is
// [os.ErrDeadlineExceeded], and [ErrClosed] is [net.ErrClosed].
func (e Error) Is(target error) bool {
	switch e {
	case ErrTimeout:
		return target == os.ErrDeadlineExceeded
	case ErrClosed:
		return target == net.ErrClosed
	}
	return false
}

// Timeout returns whether e is [ErrTimeout]; with it an Error is a
// [net.Error].
func (e Error) Timeout() bool {
	return e == ErrTimeout
}

// Temporary returns the same as Timeout.
//
// Deprecated: [Failure.WillRetry] tells whether the source tries again.
func (e Error) Temporary() bool {
	return e.Timeout()
}

// Version returns the version of the library that is running, such as
// "0.1.0".
func Version() string {
	return C.GoString(C.eventsource_version())
}

// errorOf is nil for no error.
func errorOf(code C.eventsource_error) error {
	if code == C.EVENTSOURCE_ERROR_NONE {
		return nil
	}
	return Error(code)
}

// codeOf is the reverse.
func codeOf(err error) C.eventsource_error {
	if err == nil {
		return C.EVENTSOURCE_ERROR_NONE
	}
	return C.eventsource_error(err.(Error))
}
