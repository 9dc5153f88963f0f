//go:build cgo && linux

package eventsource

// #include "eventsource.h"
import "C"

import (
	"log/slog"
	"strings"
	"time"
	"unsafe"
)

// Option is a setting of a source, for [Connect]. Of two that set the same, the
// later one holds. The zero Option does nothing.
type Option struct {
	// For the error, if it is refused.
	name string
	set  func(*Source) error
}

// Retry says after which failures a source reconnects.
type Retry int

const (
	// RetryStandard: after every failure of the network. A status other than
	// 200, or another content type, ends the source.
	RetryStandard Retry = C.EVENTSOURCE_RETRY_STANDARD
	// RetryPersistent: after the statuses 408, 425, 429 and 500 to 599, too.
	RetryPersistent Retry = C.EVENTSOURCE_RETRY_PERSISTENT
	// RetryUntilOpen: as RetryPersistent until a response is accepted, and
	// never after that: a request that costs money is made once, and no more.
	RetryUntilOpen Retry = C.EVENTSOURCE_RETRY_UNTIL_OPEN
	// RetryNever: after none: one attempt, one stream.
	RetryNever Retry = C.EVENTSOURCE_RETRY_NEVER
)

// WithHeader sets a header of the request.
//
// It replaces a header that was set before, and a default, such as
// `User-Agent`. If redirects lead to other origins, the headers set here are
// not sent there (see [WithTrustRedirects]), except for `Accept`,
// `Accept-Language`, `Cache-Control`, `Content-Type`, `Origin`, `Pragma` and
// `User-Agent`. The error is [ErrHeader] if HTTP cannot carry the header (in
// `Authorization` and `Host` also text that is not ASCII), if
// `Accept-Encoding` asks for more than `identity`, `gzip` and `x-gzip`, if
// there are 10,000 headers, or if the header is the library's own: `Connection`,
// `Content-Length`, `Expect`, `Last-Event-ID`, `Proxy-Authorization`, `TE`,
// `Trailer`, `Transfer-Encoding`, `Upgrade`.
func WithHeader(name, value string) Option {
	return Option{"WithHeader " + name, func(s *Source) error {
		return withText(name, func(name *C.char) C.eventsource_error {
			return codeOf(withText(value, func(value *C.char) C.eventsource_error {
				return C.eventsource_set_header(s.source, name, value)
			}))
		})
	}}
}

// WithoutHeader removes a header that is sent by default: `Accept`,
// `Accept-Encoding`, `Cache-Control`, `Pragma` or `User-Agent`.
func WithoutHeader(name string) Option {
	return textOption("WithoutHeader "+name, name,
		func(s *Source, name *C.char) C.eventsource_error {
			return C.eventsource_set_header(s.source, name, nil)
		})
}

// WithLastEventID presets the last event ID string, for a program that
// resumes where an earlier run stopped; an empty id sends none, nor does one
// over 16 KiB.
func WithLastEventID(id string) Option {
	return textOption("WithLastEventID", id,
		func(s *Source, id *C.char) C.eventsource_error {
			return C.eventsource_set_last_event_id(s.source, id)
		})
}

// WithReconnectionTime sets the delay after a connection that worked, to which
// up to a fifth is added at random: 3 seconds by default. A connection has worked
// if it brought an event or an ID, or was open for a second. A `retry` field of
// the stream changes the delay. After attempts that failed the delays double, up
// to 30 seconds, and half of each is random.
func WithReconnectionTime(wait time.Duration) Option {
	return durationOption("WithReconnectionTime", wait,
		func(s *Source, ms C.uint64_t) C.eventsource_error {
			return C.eventsource_set_reconnection_time(s.source, ms)
		})
}

// WithMaxReconnectionTime sets the longest delay between two attempts, to which
// up to a fifth is added at random: 30 seconds by default, or the reconnection
// time if that is longer. It also limits what the server asks for.
func WithMaxReconnectionTime(wait time.Duration) Option {
	return durationOption("WithMaxReconnectionTime", wait,
		func(s *Source, ms C.uint64_t) C.eventsource_error {
			return C.eventsource_set_max_reconnection_time(s.source, ms)
		})
}

// WithMethod sets the method of the request, GET by default, or POST if there
// is a body.
func WithMethod(method string) Option {
	return textOption("WithMethod", method,
		func(s *Source, method *C.char) C.eventsource_error {
			return C.eventsource_set_method(s.source, method)
		})
}

// WithBody sets the body of the request, which is copied.
//
// It is sent with every attempt. Its type is `text/plain` unless the header
// `Content-Type` is set. A source with a body, or with another method than
// GET, asks once only, unless [WithRetry] says otherwise.
func WithBody(body []byte) Option {
	return Option{"WithBody", func(s *Source) error {
		// An empty body is one, too.
		start := unsafe.SliceData(append(body[:len(body):len(body)], 0))
		return errorOf(C.eventsource_set_body(
			s.source, unsafe.Pointer(start), C.size_t(len(body))))
	}}
}

// WithMaxRedirects sets how many redirects one attempt follows, 20 by
// default; 0 for none.
func WithMaxRedirects(n uint32) Option {
	return option("WithMaxRedirects", func(s *Source) C.eventsource_error {
		return C.eventsource_set_max_redirects(s.source, C.uint32_t(n))
	})
}

// WithCredentials sets whether other origins than that of the source's URL, if
// redirects lead there, get the credentials that are their own: the cookies
// that they have set, which are kept as long as the source lives, and the
// client certificate that they ask for. They do not by default.
func WithCredentials(with bool) Option {
	return option("WithCredentials", func(s *Source) C.eventsource_error {
		return C.eventsource_set_with_credentials(s.source, number(with))
	})
}

// WithTrustRedirects sets whether redirects may take the program's secrets to
// other origins: the headers that it has set, but for those that only say how
// it asks, and user name and password of the URL. They may not by default.
//
// Trust redirects only if every server that is asked may learn the secrets,
// and may send them on.
func WithTrustRedirects(trust bool) Option {
	return option("WithTrustRedirects", func(s *Source) C.eventsource_error {
		return C.eventsource_set_trust_redirects(s.source, number(trust))
	})
}

// WithConnectTimeout sets how long connecting may take: the look-up of the host
// name, TCP and TLS together. The default is 30 seconds; 0 is no limit.
func WithConnectTimeout(timeout time.Duration) Option {
	return durationOption("WithConnectTimeout", timeout,
		func(s *Source, ms C.uint64_t) C.eventsource_error {
			return C.eventsource_set_connect_timeout(s.source, ms)
		})
}

// WithResponseTimeout sets how long a server may take for the head of its
// response. The default is 5 minutes; 0 is no limit.
func WithResponseTimeout(timeout time.Duration) Option {
	return durationOption("WithResponseTimeout", timeout,
		func(s *Source, ms C.uint64_t) C.eventsource_error {
			return C.eventsource_set_response_timeout(s.source, ms)
		})
}

// WithIdleTimeout sets how long an open stream may be silent. The default, 0, is
// no limit. Any byte counts, those of comments too. Without this limit TCP still
// notices a dead peer, within two minutes.
func WithIdleTimeout(timeout time.Duration) Option {
	return durationOption("WithIdleTimeout", timeout,
		func(s *Source, ms C.uint64_t) C.eventsource_error {
			return C.eventsource_set_idle_timeout(s.source, ms)
		})
}

// WithRetry sets after which failures the source reconnects: by default
// [RetryStandard] for a GET and [RetryNever] for every other method, so that a
// request that costs money is not repeated by accident. A stream that has ended
// in good order and is not asked for again ends the range without an error.
func WithRetry(retry Retry) Option {
	return option("WithRetry", func(s *Source) C.eventsource_error {
		return C.eventsource_set_retry(s.source, C.int(retry))
	})
}

// WithMaxAttempts sets after how many failed attempts in a row the source gives
// up. The default, 0, is no limit.
func WithMaxAttempts(n uint32) Option {
	return option("WithMaxAttempts", func(s *Source) C.eventsource_error {
		return C.eventsource_set_max_attempts(s.source, C.uint32_t(n))
	})
}

// WithMaxEventSize sets the largest event in bytes of data, 64 MiB by
// default; 0 is no limit. A larger one is dropped as it comes, the range is
// told by [ErrTooLarge], and the stream goes on.
func WithMaxEventSize(bytes uint) Option {
	return option("WithMaxEventSize", func(s *Source) C.eventsource_error {
		return C.eventsource_set_max_event_size(s.source, C.size_t(bytes))
	})
}

// WithMaxBodySize sets how many bytes are kept of the body of a response that
// is no event stream, up to 64 MiB; 0 for none. They are in the [Failure],
// decoded if the body is compressed.
//
// By default 4096 bytes are kept of what comes within one second: enough for
// people to see what is wrong. A program that sets a size wants the body itself,
// so that a service that answers with JSON or with a stream, as it likes, can be
// asked, and waits for it as long as for a response (see
// [WithResponseTimeout]), and for each byte as long as for one of a stream (see
// [WithIdleTimeout]). It is [ErrValue] for more than 64 MiB.
func WithMaxBodySize(bytes uint) Option {
	return option("WithMaxBodySize", func(s *Source) C.eventsource_error {
		return C.eventsource_set_max_body_size(s.source, C.size_t(bytes))
	})
}

// WithStackSize sets the size of the stack of the thread that a source with
// [OnRequest], [OnResponse] or [OnRetry] has, in bytes, 131072 or more; 0, the
// default, is what a thread has by default, commonly 8 MiB of address space.
// Less is for programs that lock their memory. Go code does not run on this
// stack.
func WithStackSize(bytes uint) Option {
	return option("WithStackSize", func(s *Source) C.eventsource_error {
		return C.eventsource_set_stack_size(s.source, C.size_t(bytes))
	})
}

// WithCAFile sets the file with the certificates of the authorities to trust, in
// PEM, in the place of the system's trust store. [Connect] reads the file, and
// the source reads it again when it has changed.
func WithCAFile(path string) Option {
	return textOption("WithCAFile", path,
		func(s *Source, path *C.char) C.eventsource_error {
			return C.eventsource_set_ca_file(s.source, path)
		})
}

// WithCAPEM sets the certificates of the authorities to trust as a text in PEM,
// in the place of the system's: for a program that embeds them. Of it and
// [WithCAFile] the later one holds.
func WithCAPEM(pem string) Option {
	return textOption("WithCAPEM", pem,
		func(s *Source, pem *C.char) C.eventsource_error {
			return C.eventsource_set_ca_pem(s.source, pem)
		})
}

// WithClientCertificate sets the certificate that the program shows to a
// server, or to a proxy, that asks for one, and its private key. Both files
// are in PEM, and may be the same; they are read by Connect.
func WithClientCertificate(certPath, keyPath string) Option {
	return Option{"WithClientCertificate", func(s *Source) error {
		return withText(certPath, func(cert *C.char) C.eventsource_error {
			return codeOf(withText(keyPath, func(key *C.char) C.eventsource_error {
				return C.eventsource_set_client_certificate(s.source, cert, key)
			}))
		})
	}}
}

// WithVerifyPeer sets whether the certificates of https servers are checked, as
// they are by default. Without the check, whoever sits between the program and
// the server can read and change everything. For a server with a certificate of
// its own, use [WithCAFile] instead, or [WithPinnedKey] besides.
func WithVerifyPeer(verify bool) Option {
	return option("WithVerifyPeer", func(s *Source) C.eventsource_error {
		return C.eventsource_set_verify_peer(s.source, number(verify))
	})
}

// HTTPVersion is the version of HTTP that a source speaks.
type HTTPVersion int

const (
	// HTTPAuto is whichever the server prefers over TLS, and HTTP/1.1 for http
	// URLs. A source with a thread of its own, which has a connection of its own,
	// speaks HTTP/2 only with a server that speaks nothing else.
	HTTPAuto HTTPVersion = C.EVENTSOURCE_HTTP_AUTO
	// HTTP11 is HTTP/1.1 and nothing else.
	HTTP11 HTTPVersion = C.EVENTSOURCE_HTTP_1_1
	// HTTP2 is HTTP/2 and nothing else, also for http URLs.
	HTTP2 HTTPVersion = C.EVENTSOURCE_HTTP_2
)

// WithHTTPVersion sets the version of HTTP to speak, [HTTPAuto] by default.
//
// A server that does not speak it fails the attempt: with [ErrTLS] for https
// URLs, and with [ErrHTTP] for http URLs, whose servers HTTP2 expects to speak it
// from the first byte. [ErrValue] for HTTP2 if the library was built without it.
func WithHTTPVersion(version HTTPVersion) Option {
	return option("WithHTTPVersion", func(s *Source) C.eventsource_error {
		return C.eventsource_set_http_version(s.source, C.int(version))
	})
}

// WithServerName sets the name that the certificate of the server must be for,
// whatever the host of the URL is: a DNS name or an IP address.
//
// It is for a server that is reached by another name than its own: by its
// address, through a tunnel, or in a test. A DNS name is also sent to the server
// (SNI). The name is for the origin of the source's URL; if redirects lead to
// other origins, their certificates must be for their own hosts.
func WithServerName(name string) Option {
	return textOption("WithServerName", name,
		func(s *Source, name *C.char) C.eventsource_error {
			return C.eventsource_set_server_name(s.source, name)
		})
}

// WithPinnedKey sets the public keys of which the server must have one, in the
// form that curl knows: `sha256//` and the Base64 of the SHA-256 of the
// certificate's SubjectPublicKeyInfo.
//
// The certificate must be valid besides. With WithVerifyPeer(false) the key is
// all that counts, so that a server with a self-signed certificate, or one for
// another name, can be followed securely. A server with another key fails the
// attempt with [ErrTLS], and the message names its key. So does an http URL,
// which shows none. The keys are for the servers that [WithServerName] is for;
// once a key is pinned, the certificates of all others must be valid.
func WithPinnedKey(keys ...string) Option {
	return textOption("WithPinnedKey", strings.Join(keys, ";"),
		func(s *Source, keys *C.char) C.eventsource_error {
			return C.eventsource_set_pinned_key(s.source, keys)
		})
}

// WithProxy sets the proxy to go through, `scheme://user:password@host:port`;
// an empty url is for no proxy.
//
// The scheme is `http`, `https`, `socks4`, `socks4a`, `socks5` or `socks5h`.
// Without this option the environment names the proxies: `http_proxy`,
// `https_proxy`, `all_proxy`, `no_proxy`.
func WithProxy(url string) Option {
	return textOption("WithProxy", url,
		func(s *Source, url *C.char) C.eventsource_error {
			return C.eventsource_set_proxy(s.source, url)
		})
}

// WithProxyFromEnvironment goes through the proxies that the environment names,
// which is the default, whatever an earlier [WithProxy] says.
func WithProxyFromEnvironment() Option {
	return option("WithProxyFromEnvironment", func(s *Source) C.eventsource_error {
		return C.eventsource_set_proxy(s.source, nil)
	})
}

// WithUnixSocket sets a Unix socket to connect to, whatever the host of the
// URL is.
func WithUnixSocket(path string) Option {
	return textOption("WithUnixSocket", path,
		func(s *Source, path *C.char) C.eventsource_error {
			return C.eventsource_set_unix_socket(s.source, path)
		})
}

// WithInterface sets the network interface that connections to servers and to
// proxies go out over: its name, such as `eth0`, or an address of this machine.
//
// A link-local address in a URL, as in `http://[fe80::1]/`, is one of this
// interface's link. An interface that is not there fails the attempt with
// [ErrConnect]: it may come up later. Look-ups of names are the system's.
func WithInterface(nameOrAddress string) Option {
	return textOption("WithInterface", nameOrAddress,
		func(s *Source, nameOrAddress *C.char) C.eventsource_error {
			return C.eventsource_set_interface(s.source, nameOrAddress)
		})
}

// WithQueue sets how many events the source reads ahead: 4096 by default, and
// never more text than one event may have, but for what is left of a read of at
// most 64 KiB. While the queue is full, the source reads nothing more: the
// server is slowed down, and nothing is lost.
func WithQueue(capacity uint) Option {
	return option("WithQueue", func(s *Source) C.eventsource_error {
		return C.eventsource_set_queue(s.source, C.size_t(capacity))
	})
}

// WithLogger sets a logger for what becomes of the source: a stream was opened
// (Info), lost (Info), given up (Warn) or has ended (Info), or an event was
// dropped (Warn). Each record has the source's URL, without user, password, query
// and fragment. The goroutine that ranges logs, in the order of the stream.
// [SetLog] reports more, for all sources of the process.
func WithLogger(logger *slog.Logger) Option {
	return Option{"WithLogger", func(s *Source) error {
		s.logger = logger
		return nil
	}}
}

// OnOpen sets a function that is called when a connection is announced: the
// source is open. The goroutine that ranges calls it, in the order of the stream.
func OnOpen(onOpen func(*Response)) Option {
	return Option{"OnOpen", func(s *Source) error {
		s.onOpen = onOpen
		return nil
	}}
}

// OnComment sets a function that is called with every comment: the text after
// the colon of a line that begins with one. The goroutine that ranges calls it,
// in the order of the stream. Without it comments are skipped, and cost next to
// nothing.
func OnComment(onComment func(string)) Option {
	return option("OnComment", func(s *Source) C.eventsource_error {
		s.onComment = onComment
		return C.eventsource_set_comments(s.source, number(onComment != nil))
	})
}

func option(name string, set func(*Source) C.eventsource_error) Option {
	return Option{name, func(s *Source) error { return errorOf(set(s)) }}
}

func textOption(name, value string, set func(*Source, *C.char) C.eventsource_error) Option {
	return Option{name, func(s *Source) error {
		return withText(value, func(value *C.char) C.eventsource_error {
			return set(s, value)
		})
	}}
}

func durationOption(name string, value time.Duration, set func(*Source, C.uint64_t) C.eventsource_error) Option {
	return Option{name, func(s *Source) error {
		if value < 0 {
			return ErrValue
		}
		return errorOf(set(s, milliseconds(value)))
	}}
}

func number(yes bool) C.int {
	if yes {
		return 1
	}
	return 0
}
