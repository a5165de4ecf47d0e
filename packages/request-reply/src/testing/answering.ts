/**
 * The other side of a requester, for its tests: reads requests and answers them as the test says, straight on the
 * transport, so that a fault of the replier cannot hide one of the requester.
 */
import type { IncomingRecord, OutgoingRecord, Tail, Transport } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import { springProfile } from '../wire/spring.ts'

export interface Answer {
  readonly value: Buffer | null
  readonly headers?: readonly RawHeader[]
}

export interface Answering {
  /** The requests that have come, answered or not. */
  readonly requests: IncomingRecord[]
  /** Answers a request (again), at its reply address or another one. */
  answer(request: IncomingRecord, answer: Answer, topic?: string): Promise<void>
  close(): Promise<void>
}

/** Answers every request that comes with what `respond` returns; `undefined` leaves it unanswered. */
export async function answering(
  transport: Transport,
  topic: string,
  respond: (request: IncomingRecord) => Answer | undefined = (request) => ({ value: request.value }),
): Promise<Answering> {
  const requests: IncomingRecord[] = []
  const sends = new Set<Promise<void>>()

  async function answer(
    request: IncomingRecord,
    { value, headers = [] }: Answer,
    to?: string,
  ): Promise<void> {
    await transport.send(replyTo(request, value, headers, to))
  }
  const tail: Tail = await transport.tail({
    topic,
    partitions: 'all',
    from: 'latest',
    onRecords(records) {
      for (const request of records) {
        requests.push(request)
        const reply = respond(request)
        if (reply === undefined) continue
        const send = answer(request, reply)
          .catch(() => {})
          .then(() => void sends.delete(send))
        sends.add(send)
      }
    },
  })
  return {
    requests,
    answer,
    async close() {
      await tail.close()
      await Promise.all(sends)
    },
  }
}

function replyTo(
  request: IncomingRecord,
  value: Buffer | null,
  headers: readonly RawHeader[],
  to?: string,
): OutgoingRecord {
  const asked = springProfile.readReplyRequest(request.headers)
  if (typeof asked !== 'object') throw new Error(asked ?? 'it asks for no reply')
  return {
    topic: to ?? asked.address!.topic,
    partition: to === undefined ? asked.address!.partition : undefined,
    key: request.key,
    value,
    headers: [...headers, springProfile.correlationHeader(asked.correlationId)],
  }
}
