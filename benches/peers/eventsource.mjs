// As libeventsource.c, with the package eventsource.
import { writeSync } from 'node:fs'
import { EventSource } from 'eventsource'

const [, , url, count] = process.argv
let events = 0
let bytes = 0

function onEvent(event) {
  bytes += Buffer.byteLength(event.data)
  if (++events === Number(count)) {
    writeSync(1, `${events} ${bytes}\n`)
    process.exit(0)
  }
}

const source = new EventSource(url)
source.onmessage = onEvent
