/** An operator’s desk with a topic of dead letters, on a broker in memory. */
import type { TestContext } from 'node:test'
import { type DeadLetters, deadLetters, type DeadLettersOptions } from '../src/dead-letters/browser.ts'
import type { IncomingRecord, RecordPosition } from '../src/transport/transport.ts'
import { int32Header, int64Header, textHeader } from '../src/wire/dead-letter.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { type Bench, setUp } from './replying.ts'

export interface Desk extends Bench {
  readonly letters: DeadLetters
  readonly open: (options?: Partial<DeadLettersOptions>) => DeadLetters
  /** Writes a letter as it is. */
  readonly write: (
    value: string,
    headers?: readonly RawHeader[],
    key?: string,
    partition?: number,
  ) => Promise<RecordPosition>
  /** What stands in the request topic. */
  readonly requests: () => readonly IncomingRecord[]
}

export async function sit(t: TestContext, partitions = 1): Promise<Desk> {
  const bench = await setUp(t, partitions)
  const transport = bench.connect()
  await transport.createTopics([{ name: 'shop_request-dlt', partitions }])
  const open: Desk['open'] = (options = {}) =>
    deadLetters({ transport: bench.connect(), createTopics: true, ...options })
  return {
    ...bench,
    letters: open(),
    open,
    write: (value, headers = origin(), key, partition = 0) =>
      transport.send({
        topic: 'shop_request-dlt',
        partition,
        key: key === undefined ? null : Buffer.from(key),
        value: Buffer.from(value),
        headers,
      }),
    requests: () => bench.broker.records('shop_request'),
  }
}

export const name = (text: string): Buffer => Buffer.from(text)

/** Spring's headers of a letter. */
export function origin(topic = 'shop_request', partition = 0, offset = 7): RawHeader[] {
  return [
    textHeader(
      name('kafka_dlt-exception-fqcn'),
      'org.springframework.kafka.listener.ListenerExecutionFailedException',
    ),
    textHeader(name('kafka_dlt-exception-cause-fqcn'), 'java.lang.IllegalStateException'),
    textHeader(name('kafka_dlt-exception-message'), 'Listener failed'),
    textHeader(name('kafka_dlt-exception-stacktrace'), 'at …'),
    textHeader(name('kafka_dlt-original-topic'), topic),
    int32Header(name('kafka_dlt-original-partition'), partition),
    int64Header(name('kafka_dlt-original-offset'), offset),
    int64Header(name('kafka_dlt-original-timestamp'), 1_700_000_000_000),
    textHeader(name('kafka_dlt-original-timestamp-type'), 'CreateTime'),
    textHeader(name('kafka_dlt-original-consumer-group'), 'spring-workers'),
  ]
}

export const ours = (code: string, operation = 'echo'): RawHeader[] => [
  ...origin(),
  textHeader(name('milena-dlt-code'), code),
  textHeader(name('milena-dlt-operation'), operation),
  textHeader(name('milena-dlt-attempts'), '4'),
]

export async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = []
  for await (const item of items) found.push(item)
  return found
}
