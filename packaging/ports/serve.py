"""Serves streams that follow.c follows: by http, and by https with the
certificate and key of a file. Prints both ports.

    serve.py FILE

A request without Last-Event-ID gets 205 events and the end, one with it two
more, of which the last is `bye`. The path /gzip compresses."""

import gzip
import http.server
import ssl
import sys
import threading

TEXT = "Grüße aus Köln, 東京 и Київ 🚀 "


def event(number, data, end, kind=""):
    kind = f"event: {kind}{end}" if kind else ""
    data = end.join(f"data: {line}" for line in data.split("\n"))
    return f"{kind}id: {number}{end}{data}{end}{end}"


def first():
    ends = ["\n", "\r", "\r\n"]
    stream = "".join(
        event(n, f"{TEXT * (n % 7)}\n{n}", ends[n % 3]) for n in range(204)
    )
    return "retry: 10\n" + stream + event(204, TEXT * 4000, "\n", "large")


def second():
    return event(205, "", "\n", "empty") + event(206, TEXT, "\n", "bye")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        stream = second() if "Last-Event-ID" in self.headers else first()
        body = stream.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        if self.path == "/gzip":
            self.send_header("Content-Encoding", "gzip")
            body = gzip.compress(body, mtime=0)
        self.end_headers()
        for start in range(0, len(body), 7001):
            piece = body[start : start + 7001]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client may go when it has what it wants."""


def serve(certificate=None):
    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
    return server.server_port


print(serve(), serve(sys.argv[1]), flush=True)
