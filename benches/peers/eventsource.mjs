// As libeventsource.c, with the package eventsource.
import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'

const [, , directory, url, count] = process.argv
const { EventSource } = createRequire(directory + '/')('eventsource')
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
