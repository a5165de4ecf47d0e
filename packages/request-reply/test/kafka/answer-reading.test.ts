import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { createRecordsBatch, type MessageRecord } from '@platformatic/kafka'
import { AnswerReading } from '../../src/transport/kafka/reading/answer-reading.ts'
import type { ReadPartition } from '../../src/transport/kafka/reading/broker-fetcher.ts'
import { ReadingTroubles } from '../../src/transport/kafka/reading/reading-troubles.ts'
import { AnswerMemory } from '../../src/transport/kafka/batches/record-batches.ts'
import type { Trouble } from '../../src/transport/transport.ts'

function batchAt(offset: number, ...values: string[]): Buffer {
  const records = values.map((value) => ({ topic: 't', value: Buffer.from(value) })) as MessageRecord[]
  const batch = Buffer.from(createRecordsBatch(records, {}).buffer)
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

/** Its CRC-32C is wrong. */
function damaged(batch: Buffer): Buffer {
  batch[batch.length - 2] = batch.at(-2)! ^ 1
  return batch
}

/** A message in the oldest format, which is certain to stay unreadable. */
function old(offset: number): Buffer {
  const message = batchAt(offset, 'old')
  message[16] = 0
  message.writeUInt32BE(crc32(message.subarray(16)), 12)
  return message
}

interface Reading {
  readonly partition: ReadPartition
  /** What was handed over and passed over, in order. */
  readonly events: string[]
  /** With each that was handed over: after when it was appended. */
  readonly after: (number | undefined)[]
  readonly errors: string[]
  readonly troubles: (readonly Trouble[])[]
  /** Called at each event. */
  during: () => void
  /** Called when the troubles change. */
  troubled: () => void
  read(data: Buffer, end?: number): boolean
}

function open(position = 0): Reading {
  const partition = {
    topic: 't',
    partition: 3,
    position,
    removed: false,
    notBefore: 0,
    knownEnd: Infinity,
    knownEndAt: 0,
    awaitsEnd: false,
    end: -1,
    trouble: undefined,
    damage: undefined,
  } as ReadPartition
  const events: string[] = []
  const after: (number | undefined)[] = []
  const errors: string[] = []
  const troubles: (readonly Trouble[])[] = []
  const tell = (error: Error): void => void errors.push(error.message)
  const changed = (list: readonly Trouble[]): void => {
    troubles.push(list)
    reading.troubled()
  }
  const lasting = new ReadingTroubles(new Set([partition]), changed, tell)
  const listener = {
    onRecords(records: readonly { value: Buffer | null }[], appendedAfter?: number) {
      after.push(appendedAfter)
      events.push(records.map(({ value }) => String(value)).join(' '))
      reading.during()
    },
    onUnreadable(range: { offset: number; next: number }) {
      events.push(`(${range.offset} to ${range.next})`)
      reading.during()
    },
  }
  const answers = new AnswerReading(listener, lasting, tell)
  const reading: Reading = {
    partition,
    events,
    after,
    errors,
    troubles,
    during: () => {},
    troubled: () => {},
    read(data, end = 1_000) {
      const aborted = undefined
      const answer = { topic: 't', partition: 3, errorCode: 0, highWatermark: end, lastStable: end, aborted }
      const together = { sentAt: 0, memory: new AnswerMemory(1_000_000), isFirst: true }
      return answers.read(partition, data, { ...answer, records: data }, together)
    },
  }
  return reading
}

describe('reading an answer', () => {
  test('hands over by itself, with the time, what was not in the log at that time', () => {
    const reading = open()
    Object.assign(reading.partition, { knownEnd: 2, knownEndAt: 77 })
    assert.equal(reading.read(Buffer.concat([batchAt(0, 'a'), batchAt(1, 'b', 'c'), batchAt(3, 'd')])), true)
    assert.deepEqual(reading.events, ['a b', 'c d'])
    assert.deepEqual(reading.after, [undefined, 77])
    Object.assign(reading.partition, { knownEnd: 4, knownEndAt: 88 })
    reading.read(batchAt(4, 'e'))
    assert.deepEqual(reading.after, [undefined, 77, 88])
  })

  test('passes over at once what is certain to stay unreadable, in its place, and tells it', () => {
    const reading = open()
    const bad = old(2)
    assert.equal(reading.read(Buffer.concat([batchAt(0, 'a', 'b'), bad, batchAt(3, 'c')])), true)
    assert.deepEqual(reading.events, ['a b', '(2 to 3)', 'c'])
    assert.equal(reading.partition.position, 4)
    assert.equal(reading.errors.length, 1)
    assert.match(
      reading.errors[0]!,
      new RegExp(`t, partition 3: offset 2 \\(${bad.length} bytes\\) .*format 0`),
    )
    assert.deepEqual(reading.troubles, [])
  })

  test('tells what stands together and has the same reason as one', () => {
    const reading = open()
    const data = [old(0), old(1), old(2), batchAt(3, 'a'), old(4)]
    assert.equal(reading.read(Buffer.concat(data)), true)
    assert.deepEqual(reading.events, ['(0 to 3)', 'a', '(4 to 5)'])
    assert.deepEqual([reading.errors.length, reading.partition.position], [2, 5])
  })

  test('has damage fetched three times more, in trouble meanwhile, before it is passed over', () => {
    const reading = open()
    const answer = (): Buffer => Buffer.concat([damaged(batchAt(1, 'b', 'b')), batchAt(3, 'c')])
    assert.equal(reading.read(Buffer.concat([batchAt(0, 'a'), answer()])), false)
    for (let again = 1; again < 3; again++) assert.equal(reading.read(answer()), false)
    assert.deepEqual([reading.events, reading.errors, reading.partition.position], [['a'], [], 1])
    assert.ok(reading.partition.notBefore > performance.now())
    assert.deepEqual(
      reading.troubles.map((list) => list.map(({ kind, topic, partition }) => [kind, topic, partition])),
      [[['unreadable', 't', 3]]],
    )
    assert.equal(reading.read(answer()), true)
    assert.deepEqual(reading.events, ['a', '(1 to 3)', 'c'])
    assert.equal(reading.errors.length, 1)
    assert.match(reading.errors[0]!, /offsets 1 to 2 .*CRC-32C/)
  })

  test('hands over what was damaged on the way only, and says nothing', () => {
    const reading = open()
    assert.equal(reading.read(damaged(batchAt(0, 'a'))), false)
    assert.equal(reading.read(batchAt(0, 'a')), true)
    assert.deepEqual([reading.events, reading.errors], [['a'], []])
  })

  test('finds its way out of a batch that has no end', () => {
    const endless = (offset: number): Buffer => {
      const batch = batchAt(offset, 'a', 'b')
      batch.writeInt32BE(5, 8)
      return batch
    }
    const reading = open(4)
    for (let tries = 1; tries <= 3; tries++) assert.equal(reading.read(endless(4)), false)
    assert.equal(reading.read(endless(4)), true)
    assert.deepEqual([reading.events, reading.partition.position], [['(4 to 6)'], 6])
    // Of one whose offsets are not to be believed either, each in turn, without more tries: it is known by then.
    const wild = endless(6)
    wild.writeInt32BE(2 ** 30, 23)
    for (const expected of [true, true, false]) assert.equal(reading.read(wild, 8), expected)
    assert.equal(reading.partition.position, 8, 'never beyond the end of the log')
    assert.equal(reading.read(batchAt(8, 'good')), true)
    assert.equal(reading.events.at(-1), 'good')
  })

  test('stops when the partition is let go of meanwhile', () => {
    const data = Buffer.concat([batchAt(0, 'a'), old(1), batchAt(2, 'b'), old(3), batchAt(4, 'c')])
    for (const stopAfter of [1, 2, 3, 4]) {
      const reading = open()
      reading.during = () => {
        if (reading.events.length === stopAfter) reading.partition.removed = true
      }
      assert.equal(reading.read(data), false)
      assert.equal(reading.events.length, stopAfter)
    }
  })

  test('stops when the partition is let go of because it is in trouble', () => {
    const reading = open()
    reading.troubled = () => (reading.partition.removed = true)
    assert.equal(reading.read(Buffer.concat([batchAt(0, 'a'), damaged(batchAt(1, 'b'))])), false)
    assert.deepEqual([reading.troubles.length, reading.events], [1, []])
  })

  test('goes on when whoever listens throws', () => {
    const reading = open()
    reading.during = () => {
      throw new Error('listener')
    }
    assert.equal(reading.read(Buffer.concat([batchAt(0, 'a'), old(1), batchAt(2, 'b')])), true)
    assert.deepEqual(reading.events, ['a', '(1 to 2)', 'b'])
    assert.equal(reading.errors.filter((text) => text === 'listener').length, 3)
  })
})
