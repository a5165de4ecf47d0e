/** A replier that keeps dead letters, on a broker in memory. */
import type { TestContext } from 'node:test'
import { deadLetter, type DeadLetterOptions } from '../src/dead-letters/dead-letter.ts'
import { ReplyError } from '../src/errors.ts'
import type { ReplierOptions } from '../src/replier/options.ts'
import type { RecordMiddleware } from '../src/replier/record-middleware.ts'
import type { Replier } from '../src/replier/replier.ts'
import type { IncomingRecord, TopicSpec } from '../src/transport/transport.ts'
import { lastHeader } from '../src/wire/headers.ts'
import { type Bench, echo, setUp } from './replying.ts'

export interface Keeping extends Bench {
  readonly worker: Replier
  readonly letters: () => readonly IncomingRecord[]
  readonly handled: string[]
}

export type Handler = (text: string) => string | Promise<string>

/** What its text says: `fail`, `decline` … */
export const usual: Handler = (text) => {
  if (text.startsWith('fail')) throw new TypeError('no such account', { cause: new RangeError('7') })
  if (text.startsWith('decline')) throw new ReplyError('DECLINED', 'not today', { effect: 'none' })
  if (text.startsWith('object')) throw new ReplyError('OBJECTED', 'not like this')
  if (text.startsWith('busy')) throw new ReplyError('BUSY', 'later', { effect: 'none', retryable: true })
  return text
}

export async function keep(
  t: TestContext,
  {
    letter = {},
    partitions = 1,
    inside = [],
    handler = usual,
    dlt,
    ...options
  }: Partial<ReplierOptions> & {
    readonly letter?: DeadLetterOptions
    readonly partitions?: number
    readonly inside?: readonly RecordMiddleware[]
    readonly handler?: Handler
    readonly dlt?: Partial<TopicSpec>
  } = {},
): Promise<Keeping> {
  const bench = await setUp(t, partitions)
  const handled: string[] = []
  await bench.connect().createTopics([{ name: 'shop_request-dlt', partitions, ...dlt }])
  const worker = bench.replier(options)
  worker.useRecords(deadLetter(letter))
  worker.handle(
    echo,
    (text) => {
      handled.push(text)
      return handler(text)
    },
    { useRecords: inside },
  )
  await worker.start()
  return { ...bench, worker, letters: () => bench.broker.records('shop_request-dlt'), handled }
}

export const text = (letter: IncomingRecord | undefined, name: string): string | undefined =>
  letter && lastHeader(letter.headers, Buffer.from(name))?.toString()
