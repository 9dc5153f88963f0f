// A server that speaks HTTP/2 only: three events a stream, numbered on; the third
// stream goes on in silence. A POST is told the length of its body.
'use strict';
const fs = require('fs');
const http2 = require('http2');

const [port, cert, key] = process.argv.slice(2);
const server = http2.createSecureServer({
  cert: fs.readFileSync(cert),
  key: fs.readFileSync(key),
  allowHTTP1: false,
});
server.on('stream', (stream, headers) => {
  stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
  stream.on('error', () => {}); // A client that leaves.
  if (headers[':method'] === 'POST') {
    let length = 0;
    stream.on('data', (piece) => (length += piece.length));
    stream.on('end', () => stream.end(`data: ${length}\n\n`));
    return;
  }
  const last = Number(headers['last-event-id'] || 0);
  for (let number = last + 1; number <= last + 3; number++) {
    stream.write(`id: ${number}\ndata: ${number}\n\n`);
  }
  if (last < 6) stream.end();
});
server.listen(Number(port), '127.0.0.1');
