/** Reads the request topic from its beginning to its end of now: each partition in its order, with nobody's group. */
import { explainBrokers } from '@milena/hosting'
import { openKafka } from '@milena/request-reply'
import type { ModelRequest } from './model.ts'

export interface Positioned extends ModelRequest {
  readonly partition: number
  readonly offset: number
}

/**
 * Calls this for each request; of one shop in the order in which they were accepted.
 *
 * @throws when something in the log cannot be read: then nobody knows what it was
 */
export async function readTopic(
  brokers: string,
  topic: string,
  onRequest: (request: Positioned) => void,
): Promise<void> {
  await using transport = await explainBrokers(brokers, openKafka({ brokers: brokers.split(',') }))
  let failed: Error | undefined
  const tail = await transport.tail({
    topic,
    partitions: 'all',
    from: 'earliest',
    onRecords(records) {
      for (const { partition, offset, value } of records) {
        const request = parse(value)
        if (request === undefined) failed ??= new Error(`no request at ${topic} ${partition}:${offset}`)
        else onRequest({ ...request, partition, offset })
      }
    },
    onUnreadable: ({ partition, offset, reason }) => {
      failed ??= new Error(`${topic} cannot be read at ${partition}:${offset}: ${reason}`)
    },
  })
  try {
    await tail.caughtUp()
  } finally {
    await tail.close()
  }
  if (failed !== undefined) throw failed
}

function parse(value: Buffer | null): ModelRequest | undefined {
  try {
    const { id, key, data } = JSON.parse(String(value)) as ModelRequest
    return { id, key, data }
  } catch {
    return undefined
  }
}
