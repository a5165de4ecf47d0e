import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader, Writer } from '@platformatic/kafka'
import type { Link } from '../../src/transport/kafka/cluster/connections.ts'
import { produce, type PartitionBatch } from '../../src/transport/kafka/sending/produce.ts'

interface Sent {
  readonly version: number
  readonly body: Buffer
}

function pick(table: { versions: Record<number, unknown> }): unknown {
  return { version: 9, api: table.versions[9] }
}

/** A link that keeps what is sent and answers with these bytes. */
function stubLink(answer: Buffer): { link: Link; sent: Sent[] } {
  const sent: Sent[] = []
  const connection = {
    send(
      key: number,
      version: number,
      payload: () => Writer,
      parse: (correlationId: number, key: number, version: number, reader: Reader) => unknown,
      _requestTags: boolean,
      _responseTags: boolean,
      callback: (error: unknown, result?: unknown) => void,
    ) {
      sent.push({ version, body: payload().buffer })
      let result: unknown
      try {
        result = parse(1, key, version, Reader.from(answer))
      } catch (error) {
        callback(error)
        return
      }
      callback(null, result)
    },
  }
  return { link: { connection, pick } as unknown as Link, sent }
}

function answer(
  partitions: readonly { topic: string; index: number; errorCode: number; offset: bigint }[],
): Buffer {
  const topics = [...Map.groupBy(partitions, (one) => one.topic)]
  return Writer.create()
    .appendArray(topics, (w, [topic, list]) => {
      w.appendString(topic).appendArray(list, (w, { index, errorCode, offset }) => {
        w.appendInt32(index).appendInt16(errorCode).appendInt64(offset).appendInt64(-1n).appendInt64(0n)
        const guilty = errorCode === 87 ? [2] : []
        w.appendArray(guilty, (w, at) => w.appendInt32(at).appendString(null)).appendString(null)
      })
    })
    .appendInt32(0)
    .appendTaggedFields().buffer
}

const batches: PartitionBatch[] = [
  { topic: 'a', partition: 0, bytes: Buffer.from('first') },
  { topic: 'b', partition: 7, bytes: Buffer.alloc(300, 1) },
  { topic: 'a', partition: 1, bytes: Buffer.from('second') },
]

test('a Produce request asks for all in-sync replicas and carries every batch (trap 2)', async () => {
  const { link, sent } = stubLink(answer([]))
  await produce(link, batches, 5_000)
  const reader = Reader.from(sent[0]!.body)
  assert.deepEqual([reader.readNullableString(), reader.readInt16(), reader.readInt32()], [null, -1, 5_000])
  const topics = reader.readArray((r) => ({
    topic: r.readString(),
    partitions: r.readArray((r) => ({ partition: r.readInt32(), bytes: r.readBytes() })),
  }))
  assert.deepEqual(topics, [
    {
      topic: 'a',
      partitions: [
        { partition: 0, bytes: Buffer.from('first') },
        { partition: 1, bytes: Buffer.from('second') },
      ],
    },
    { topic: 'b', partitions: [{ partition: 7, bytes: Buffer.alloc(300, 1) }] },
  ])
})

test('an answer with errors is taken apart by partition, good and bad', async () => {
  const { link } = stubLink(
    answer([
      { topic: 'a', index: 0, errorCode: 0, offset: 41n },
      { topic: 'a', index: 1, errorCode: 6, offset: -1n },
      { topic: 'b', index: 7, errorCode: 87, offset: -1n },
    ]),
  )
  const results = await produce(link, batches, 5_000)
  assert.deepEqual(
    results.map(({ topic, partition, errorCode, baseOffset, guilty }) => [
      topic,
      partition,
      errorCode,
      baseOffset,
      guilty,
    ]),
    [
      ['a', 0, 0, 41, []],
      ['a', 1, 6, -1, []],
      ['b', 7, 87, -1, [2]],
    ],
  )
})

test('an answer that cannot be read rejects: nothing is known of the batches', async () => {
  const { link } = stubLink(Buffer.alloc(0))
  await assert.rejects(produce(link, batches, 5_000))
})
