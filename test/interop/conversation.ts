import assert from 'node:assert/strict'
import type { IncomingRecord, Transport } from '@milena/request-reply'
import { uniqueName } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import { replyPartitions } from './ways.ts'

const requestPartitions = 3

/** Who asks whom, each pair on a request topic of its own. */
export type Pair = 'spring-spring' | 'milena-spring' | 'spring-milena'

export interface Exchange {
  readonly request: IncomingRecord
  readonly reply: IncomingRecord
}

/** The topics of one way, and everything that is written to them. */
export class Conversation {
  readonly replyTopic = uniqueName('wire_reply')
  readonly topics: Readonly<Record<Pair, string>> = {
    'spring-spring': uniqueName('wire_spring-spring'),
    'milena-spring': uniqueName('wire_milena-spring'),
    'spring-milena': uniqueName('wire_spring-milena'),
  }
  readonly #requests: number
  readonly #log = new Map<string, IncomingRecord[]>()

  /** @param requests how many each pair asks */
  constructor(requests: number) {
    this.#requests = requests
  }

  async open(transport: Transport): Promise<void> {
    const requestTopics = Object.values(this.topics)
    await transport.createTopics([
      ...requestTopics.map((name) => ({ name, partitions: requestPartitions })),
      { name: this.replyTopic, partitions: replyPartitions },
    ])
    for (const topic of [...requestTopics, this.replyTopic]) {
      const log: IncomingRecord[] = []
      this.#log.set(topic, log)
      const onRecords = (records: readonly IncomingRecord[]): void => void log.push(...records)
      await transport.tail({ topic, partitions: 'all', from: 'earliest', onRecords })
    }
  }

  /** The requests of a pair and the replies to them, by correlation id; each is there exactly once. */
  async read(pair: Pair): Promise<Exchange[]> {
    const requests = this.#requests
    const asked = this.#log.get(this.topics[pair])!
    await waitFor(() => asked.length >= requests, { what: `the requests of ${pair} in the log` })
    assert.equal(asked.length, requests, `requests of ${pair} in the log`)
    const byId = new Map(asked.map((request) => [correlationOf(request), request]))
    assert.equal(byId.size, requests, `different correlation ids of ${pair}`)
    const replies = (): IncomingRecord[] =>
      this.#log.get(this.replyTopic)!.filter((reply) => byId.has(correlationOf(reply)))
    await waitFor(() => replies().length >= requests, { what: `the replies of ${pair} in the log` })
    const found = replies()
    assert.equal(found.length, requests, `replies of ${pair} in the log`)
    assert.equal(new Set(found.map(correlationOf)).size, requests, `requests of ${pair} with a reply`)
    return found.map((reply) => ({ request: byId.get(correlationOf(reply))!, reply }))
  }
}

/** All correlation ids of the record, so that a second one would not go unseen. */
export function correlationOf(record: IncomingRecord): string {
  const ids = record.headers.filter(([name]) => name.toString() === 'kafka_correlationId')
  return ids.map(([, value]) => value?.toString('hex')).join(' and ')
}
