/** What the sketched middlewares of the replier must do on every transport. */
import assert from 'node:assert/strict'
import {
  createReplier,
  createRequester,
  defineOperation,
  ReplyError,
  replyPartition,
  springProfile,
  string,
  type OutgoingRecord,
  type Operation,
  type RawHeader,
  type Replier,
  type ReplierOptions,
  type Transport,
} from '@milena/request-reply'
import { until } from '../asking.ts'
import { Collector } from '../collector.ts'
import { deadLetters } from './dead-letters.ts'

export interface ReplierCase {
  readonly requests: string
  readonly replies: string
  /** How long a dead replier keeps its partitions, in milliseconds. */
  readonly sessionTimeout: number
  /** A connection of its own, and how its process dies. */
  connect(): Promise<{ readonly transport: Transport; readonly die: () => Promise<void> | void }>
}

const quiet = { warn() {} }

function payOn(topic: string): Operation<string, string, string, string> {
  return defineOperation({ name: 'pay', topic, request: string(), reply: string(), key: (order) => order })
}

function replierOn(on: ReplierCase, transport: Transport, options: Partial<ReplierOptions> = {}): Replier {
  return createReplier({
    transport,
    groupId: `${on.requests}-workers`,
    replyTopics: [on.replies],
    logger: quiet,
    sessionTimeout: on.sessionTimeout,
    heartbeatInterval: on.sessionTimeout / 10,
    commitInterval: 0,
    ...options,
  })
}

/** What cannot be done goes to `<requests>-dlt` in its bytes; while that is away, nothing is committed past it. */
export async function keepsWhatFailed(on: ReplierCase): Promise<void> {
  const { transport } = await on.connect()
  const dead = new Collector()
  await using tail = await transport.tail({
    topic: `${on.requests}-dlt`,
    partitions: 'all',
    from: 'earliest',
    onRecords: dead.onRecords,
  })
  assert.ok(tail)
  let isAway = true
  let refused = 0
  const send = async (record: OutgoingRecord): Promise<void> => {
    if (!isAway) return void (await transport.send(record))
    refused++
    throw new Error('the dead-letter topic is away')
  }
  const far = await on.connect()
  await using replier = replierOn(on, far.transport, { beforeFinish: deadLetters(send) })
  const handled: string[] = []
  replier.handle(payOn(on.requests), (order) => {
    handled.push(order)
    if (order.startsWith('fail')) throw new ReplyError('DECLINED', 'not today')
    return order
  })
  await replier.start()

  const ask = (value: Buffer, headers: readonly RawHeader[]): Promise<unknown> =>
    transport.send({ topic: on.requests, partition: 0, key: null, value, headers })
  let asked = 0
  const answerable = (): RawHeader[] => [
    springProfile.correlationHeader(Buffer.from(String(++asked).padStart(16, '0'))),
    ...springProfile.addressHeaders({ topic: on.replies, partition: 0 }),
  ]
  const undecodable = Buffer.from([0xff, 0xfe])
  await ask(Buffer.from('fine'), answerable())
  await ask(undecodable, answerable())
  await ask(Buffer.from('fail'), answerable())
  await ask(Buffer.from('fail one-way'), [])
  await ask(Buffer.from('unanswerable'), answerable().slice(1))
  await ask(Buffer.from('fine too'), answerable())

  const committed = async (): Promise<number> => {
    const notes = await transport.readNotes(`${on.requests}-workers`, [on.requests])
    return notes.find(({ partition }) => partition === 0)?.offset ?? 0
  }
  const isStopped = (): boolean => replier.health().stopped.some(({ reason }) => reason === 'before-finish')
  await until('the partition stands still', isStopped)
  await until('it was tried again', () => refused > 1)
  assert.ok((await committed()) <= 1)
  assert.deepEqual(dead.records, [])

  isAway = false
  await dead.count(4)
  await until('the partition goes on', () => replier.stats().committed === 6)
  assert.equal(await committed(), 6)
  assert.deepEqual(replier.health().stopped, [])
  const reasonOf = (value: string): string | undefined => {
    const record = dead.records.find((one) => one.value!.toString('latin1') === value)
    return record?.headers.find(([name]) => String(name) === 'dlt-reason')?.[1]?.toString()
  }
  assert.equal(reasonOf(undecodable.toString('latin1')), 'MILENA_CODEC_FAILED')
  assert.equal(reasonOf('fail'), 'DECLINED')
  assert.equal(reasonOf('fail one-way'), 'failed-one-way')
  assert.equal(reasonOf('unanswerable'), 'unanswerable')
  // The hook was tried again, not the handler.
  assert.deepEqual(handled.toSorted(), ['fail', 'fail one-way', 'fine', 'fine too'])
}
