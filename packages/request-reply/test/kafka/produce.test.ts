import assert from 'node:assert/strict'
import { test } from 'node:test'
import { produceV9, Reader } from '@platformatic/kafka'
import { produceApi, type PartitionBatch } from '../../src/transport/kafka/sending/produce.ts'
import { Writer } from '../../src/transport/kafka/protocol/writer.ts'
import { answerBytes, readAnswer, requestBytes, versionsOf } from './api-bytes.ts'

const batches: PartitionBatch[] = [
  { topic: 'a', partition: 0, bytes: Buffer.from('first') },
  { topic: 'b', partition: 7, bytes: Buffer.alloc(300, 1) },
  { topic: 'a', partition: 1, bytes: Buffer.from('second') },
]
const results = [
  { topic: 'a', index: 0, errorCode: 0, offset: 41 },
  { topic: 'a', index: 1, errorCode: 6, offset: -1 },
  { topic: 'b', index: 7, errorCode: 87, offset: -1 },
]

function answer(version: number, throttle = 0): Buffer {
  return answerBytes(produceApi, version, (to) => {
    to.array([...Map.groupBy(results, (one) => one.topic)], (w, [topic, list]) => {
      w.text(topic).array(list, (w, { index, errorCode, offset }) => {
        w.int32(index).int16(errorCode).int64(offset).int64(-1).int64(0)
        w.array(errorCode === 87 ? [2] : [], (w, at) => w.int32(at).text('no key').tags())
        w.text(null).tags()
      })
      w.tags()
    })
    to.int32(throttle).tags()
  })
}

for (const version of versionsOf(produceApi)) {
  test(`version ${version} asks for all in-sync replicas and carries every batch (trap 2)`, () => {
    const reader = Reader.from(requestBytes(produceApi, { batches, timeout: 5_000 }, version))
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
    reader.readTaggedFields()
    assert.equal(reader.remaining, 0)
  })

  test(`an answer of version ${version} with errors is taken apart by partition, good and bad`, () => {
    assert.deepEqual(
      readAnswer(produceApi, answer(version), version).map(
        ({ topic, partition, errorCode, baseOffset, guilty, message }) => [
          topic,
          partition,
          errorCode,
          baseOffset,
          guilty,
          message,
        ],
      ),
      [
        ['a', 0, 0, 41, [], undefined],
        ['a', 1, 6, -1, [], undefined],
        ['b', 7, 87, -1, [2], 'no key'],
      ],
    )
  })
}

test('another decoder sees the same in such an answer', () => {
  let response: ReturnType<typeof produceV9.parseResponse> | undefined
  try {
    produceV9.parseResponse(0, 0, 9, Reader.from(answer(9, 40)))
  } catch (error) {
    response = (error as { response: typeof response }).response
  }
  assert.equal(response!.throttleTimeMs, 40)
  assert.deepEqual(
    response!.responses.flatMap((topic) =>
      topic.partitionResponses.map((one) => [topic.name, one.index, one.errorCode, Number(one.baseOffset)]),
    ),
    results.map(({ topic, index, errorCode, offset }) => [topic, index, errorCode, offset]),
  )
})

test('batches go into a request as they are, not as copies', () => {
  const writer = new Writer(true)
  produceApi.write(writer, { batches, timeout: 5_000 }, 9)
  const pieces = writer.finish()
  for (const { bytes } of batches) assert.ok(pieces.includes(bytes))
})
