// A server that speaks HTTP/2 only: three events a stream, numbered on.
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
  let number = Number(headers['last-event-id'] || 0);
  stream.respond({ ':status': 200, 'content-type': 'text/event-stream' });
  for (let i = 0; i < 3; i++) {
    number++;
    stream.write(`id: ${number}\ndata: ${number}\n\n`);
  }
  stream.end();
});
server.listen(Number(port), '127.0.0.1');
