import type { OutgoingRecord, RecordPosition, Transport } from '../../transport/transport.ts'
import type { TestRunner } from '../runner.ts'

/** What the transport under test speaks with, and what else its contract has to be able to do there. */
export interface TransportEnvironment {
  /** A new connection, as of another process. The contract closes it. */
  transport(): Promise<Transport>
  /** A new topic with a name of its own. */
  topic(partitions: number): Promise<string>
  /** Raises a topic's number of partitions. */
  addPartitions(topic: string, total: number): Promise<void>
  /** For so many milliseconds nothing that this connection's only group member asks its coordinator arrives. */
  cutOff(transport: Transport, milliseconds: number): void
  close(): Promise<void>
}

export interface TransportTarget {
  /** What the tests are told to. */
  readonly runner: TestRunner
  /** Called once, before the first test; what it opens is closed after the last. */
  open(): Promise<TransportEnvironment>
}

/** What the tests of one suite share: the environment, and transports that are closed after each test. */
export interface Bench {
  readonly describe: TestRunner['describe']
  readonly it: TestRunner['test']
  connect(): Promise<Transport>
  topic(partitions: number): Promise<string>
  addPartitions(topic: string, total: number): Promise<void>
  /** As `TransportEnvironment.cutOff`. */
  cutOff(transport: Transport, milliseconds: number): void
  /** A name of a topic or group that nobody else has. */
  freshName(prefix: string): string
}

export function openBench(target: TransportTarget): Bench {
  let environment: TransportEnvironment | undefined
  const { describe, test, before, after, afterEach } = target.runner
  let names = 0
  const run = Math.random().toString(36).slice(2, 8)
  const open = new Set<Transport>()

  before(async () => {
    environment = await target.open()
  })
  afterEach(async () => {
    const transports = [...open]
    open.clear()
    await Promise.all(transports.map((transport) => transport.close()))
  })
  after(async () => environment?.close())

  return {
    describe,
    it: test,
    async connect() {
      const transport = await environment!.transport()
      open.add(transport)
      return transport
    },
    topic: (partitions) => environment!.topic(partitions),
    addPartitions: (topic, total) => environment!.addPartitions(topic, total),
    cutOff: (transport, milliseconds) => environment!.cutOff(transport, milliseconds),
    freshName: (prefix) => `${prefix}-${run}-${++names}`,
  }
}

/** A record with text for a value. */
export function text(topic: string, value: string, partition?: number): OutgoingRecord {
  return { topic, partition, key: null, value: Buffer.from(value), headers: [] }
}

export function keyed(topic: string, key: string, value: string): OutgoingRecord {
  return { topic, key: Buffer.from(key), value: Buffer.from(value), headers: [] }
}

/** `from` … `to - 1` as text. */
export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => String(from + i))
}

export function sendAll(
  transport: Transport,
  topic: string,
  values: readonly string[],
  partition?: number,
): Promise<RecordPosition[]> {
  return Promise.all(values.map((value) => transport.send(text(topic, value, partition))))
}
