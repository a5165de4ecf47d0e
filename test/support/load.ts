import assert from 'node:assert/strict'
import type { RecordPosition, Transport } from '../../packages/request-reply/src/transport/transport.ts'
import { waitFor } from './wait-for.ts'

/** What became of one record of a load. */
export interface LoadRecord {
  readonly partition: number
  /** Its place among the records of its partition, from 0. */
  readonly number: number
  /** In `performance.now()` milliseconds. */
  readonly sentAt: number
  settledAt?: number
  position?: RecordPosition
  error?: unknown
}

/** A steady stream of numbered records over all partitions of a topic. */
export interface Load {
  readonly records: readonly LoadRecord[]
  /** Stops sending; resolves when every record has its outcome. */
  stop(): Promise<void>
}

/** Sends `rate` records a second, round-robin over the partitions. */
export function startLoad(
  transport: Pick<Transport, 'send'>,
  topic: string,
  partitions: number,
  rate: number,
): Load {
  const records: LoadRecord[] = []
  const settled: Promise<void>[] = []
  const startedAt = performance.now()
  const timer = setInterval(() => {
    // By the clock, so that a late timer does not lower the rate.
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1_000)
    while (records.length < due) settled.push(send(records.length))
  }, 5)

  async function send(index: number): Promise<void> {
    const partition = index % partitions
    const number = Math.floor(index / partitions)
    const record: LoadRecord = { partition, number, sentAt: performance.now() }
    records.push(record)
    try {
      record.position = await transport.send({
        topic,
        partition,
        key: null,
        value: Buffer.from(String(number)),
        headers: [],
      })
    } catch (error) {
      record.error = error
    }
    record.settledAt = performance.now()
  }

  return {
    records,
    async stop() {
      clearInterval(timer)
      await Promise.all(settled)
    },
  }
}

/** Reads a topic from its beginning: the values of each partition, in the order of the log. */
export async function readLog(transport: Transport, topic: string, partitions: number): Promise<string[][]> {
  const log: string[][] = Array.from({ length: partitions }, () => [])
  const end = 'end of the log'
  const tail = await transport.tail({
    topic,
    partitions: 'all',
    from: 'earliest',
    onRecords: (records) => {
      for (const record of records) log[record.partition]!.push(String(record.value))
    },
  })
  try {
    await Promise.all(
      log.map((_, partition) =>
        transport.send({ topic, partition, key: null, value: Buffer.from(end), headers: [] }),
      ),
    )
    await waitFor(() => log.every((values) => values.at(-1) === end), {
      what: `the end of every partition of ${topic}`,
    })
  } finally {
    await tail.close()
  }
  return log.map((values) => values.filter((value) => value !== end))
}

/** Every acknowledged record is in the log, where its position says; each partition is in order and has nothing twice. */
export function assertLog(log: readonly (readonly string[])[], records: readonly LoadRecord[]): void {
  for (const [partition, values] of log.entries()) {
    const numbers = values.map(Number)
    const disorder = numbers.findIndex((number, at) => at > 0 && number <= numbers[at - 1]!)
    const around = numbers.slice(Math.max(0, disorder - 3), disorder + 3)
    assert.equal(disorder, -1, `partition ${partition}: out of order or twice around ${around.join(' ')}`)
  }
  for (const { partition, number, position } of records) {
    if (position === undefined) continue
    assert.equal(position.partition, partition)
    assert.equal(
      log[partition]![position.offset],
      String(number),
      `record ${number} of partition ${partition} at ${position.offset}`,
    )
  }
}

/** Resolves when, in every partition given, a record that was sent after `since` has been acknowledged. */
export async function acknowledgedSince(
  load: Load,
  partitions: readonly number[],
  since: number,
): Promise<number> {
  let last = 0
  const found = (): boolean => {
    const firsts = partitions.map((partition) =>
      load.records.find((one) => one.partition === partition && one.position && one.settledAt! >= since),
    )
    last = Math.max(...firsts.map((one) => one?.settledAt ?? Infinity))
    return firsts.every((one) => one !== undefined)
  }
  await waitFor(found, { what: `acknowledgements in partitions ${partitions.join(', ')}`, timeout: 120_000 })
  return last - since
}
