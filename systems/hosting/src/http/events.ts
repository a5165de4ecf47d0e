/** Server-sent events: the HTML Standard's `text/event-stream`. */
import type { FastifyReply } from 'fastify'
import { Readable } from 'node:stream'

/** Answers with an event for each value, as JSON, and ends after the last one, or when the client is gone. */
export function sendEvents(reply: FastifyReply, values: AsyncIterable<unknown>): FastifyReply {
  return reply
    .type('text/event-stream')
    .header('cache-control', 'no-store')
    .send(Readable.from(events(values)))
}

async function* events(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `data: ${JSON.stringify(value)}\n\n`
}
