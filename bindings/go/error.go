package eventsource

// #include "eventsource.h"
import "C"

// Error is what went wrong, for [errors.Is]. Those of [Connect] are in the
// options, those of a [Failure] on the network.
type Error int

const (
	// An argument that is needed is NULL.
	ErrNull Error = C.EVENTSOURCE_ERROR_NULL
	// A text is not UTF-8.
	ErrUTF8 Error = C.EVENTSOURCE_ERROR_UTF8
	// Not an absolute URL.
	ErrURL Error = C.EVENTSOURCE_ERROR_URL
	// The URL's scheme is neither http nor https; of a proxy, none that is
	// known.
	ErrScheme Error = C.EVENTSOURCE_ERROR_SCHEME
	// A header that HTTP cannot carry, or that belongs to the library.
	ErrHeader Error = C.EVENTSOURCE_ERROR_HEADER
	// A number or a text that the call cannot take.
	ErrValue Error = C.EVENTSOURCE_ERROR_VALUE
	// The source has been connected: its settings stand.
	ErrAlreadyConnected Error = C.EVENTSOURCE_ERROR_ALREADY_CONNECTED
	// The source has not been connected.
	ErrNotConnected Error = C.EVENTSOURCE_ERROR_NOT_CONNECTED
	// The source is closed.
	ErrClosed Error = C.EVENTSOURCE_ERROR_CLOSED
	// The call cannot be made inside a callback of the same object.
	ErrCallback Error = C.EVENTSOURCE_ERROR_CALLBACK
	// The time is over: of a wait, for connecting, for the response's
	// headers, or between two bytes of the stream.
	ErrTimeout Error = C.EVENTSOURCE_ERROR_TIMEOUT
	// The system has no thread, descriptor or memory to give.
	ErrSystem Error = C.EVENTSOURCE_ERROR_SYSTEM
	// The host name was not found.
	ErrResolve Error = C.EVENTSOURCE_ERROR_RESOLVE
	// No connection to any of the host's addresses.
	ErrConnect Error = C.EVENTSOURCE_ERROR_CONNECT
	// No secure connection: the certificate was refused, or the handshake
	// broke.
	ErrTLS Error = C.EVENTSOURCE_ERROR_TLS
	// The response is not HTTP, or its head is too large.
	ErrHTTP Error = C.EVENTSOURCE_ERROR_HTTP
	// A redirect that cannot be followed, or too many of them.
	ErrRedirect Error = C.EVENTSOURCE_ERROR_REDIRECT
	// The response's status is not 200. 204 is the server's way to say
	// that the source is to stop.
	ErrStatus Error = C.EVENTSOURCE_ERROR_STATUS
	// The response is not an event stream.
	ErrContentType Error = C.EVENTSOURCE_ERROR_CONTENT_TYPE
	// The connection was lost before the response came, or the stream broke
	// off, or it ended inside an event, which was dropped.
	ErrLost Error = C.EVENTSOURCE_ERROR_LOST
	// The stream has ended in good order. If it is not asked for again, that
	// is no failure: no error comes for it.
	ErrEnded Error = C.EVENTSOURCE_ERROR_ENDED
	// An event over the size limit was dropped. The stream goes on.
	ErrTooLarge Error = C.EVENTSOURCE_ERROR_TOO_LARGE
	// A defect of the library.
	ErrInternal Error = C.EVENTSOURCE_ERROR_INTERNAL
	// A file cannot be read.
	ErrFile Error = C.EVENTSOURCE_ERROR_FILE
	// A file holds no certificate in PEM, or a broken one.
	ErrCertificate Error = C.EVENTSOURCE_ERROR_CERTIFICATE
	// A file holds no private key in PEM that is not encrypted, or one that
	// does not match the certificate.
	ErrPrivateKey Error = C.EVENTSOURCE_ERROR_PRIVATE_KEY
	// A proxy refuses, or does not answer as a proxy does.
	ErrProxy Error = C.EVENTSOURCE_ERROR_PROXY
	// The call is for sources with a queue, or for those without.
	ErrQueue Error = C.EVENTSOURCE_ERROR_QUEUE
	// Another thread is inside this call.
	ErrBusy Error = C.EVENTSOURCE_ERROR_BUSY
)

func (e Error) Error() string {
	return C.GoString(C.eventsource_strerror(C.int(e)))
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
