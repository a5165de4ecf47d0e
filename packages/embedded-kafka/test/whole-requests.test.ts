import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiHandlers } from '../src/apis.ts'
import { startEmbeddedKafka } from '../src/index.ts'
import type { EmbeddedKafka } from '../src/index.ts'
import { MalformedError } from '../src/wire/malformed-error.ts'
import { Reader } from '../src/wire/reader.ts'
import { Writer } from '../src/wire/writer.ts'
import { makeBatch } from './support/batches.ts'
import { produce } from './support/calls.ts'
import { RawClient } from './support/raw-client.ts'
import { sampleRequests } from './support/requests.ts'
import type { SampleRequest } from './support/sample-request.ts'

function sampleOf(key: number): SampleRequest {
  return sampleRequests.get(key) ?? assert.fail(`no sample of API ${key}`)
}

function bodyOf({ flexible, body }: SampleRequest): Buffer {
  const writer = new Writer(flexible)
  body(writer)
  return writer.toBuffer()
}

for (const handler of apiHandlers) {
  test(`${handler.name} begins with nothing before it has read its request to the end, and only to there`, () => {
    const sample = sampleOf(handler.key)
    const whole = bodyOf(sample)
    const begin = (bytes: Buffer): unknown => {
      return handler.begin(new Reader(bytes, sample.flexible), sample.version)
    }
    assert.equal(typeof begin(whole), 'function')
    for (let length = 0; length < whole.length; length += 1) {
      assert.throws(
        () => begin(whole.subarray(0, length)),
        MalformedError,
        `${length} of ${whole.length} bytes`,
      )
    }
    assert.throws(() => begin(Buffer.concat([whole, Buffer.of(0)])), MalformedError, 'a byte more')
  })
}

async function open(): Promise<EmbeddedKafka> {
  return await startEmbeddedKafka({ topics: ['t'], autoCreateTopics: true })
}

/** What a client can see of the topics, of `t` and of `g`, byte for byte. */
async function visible(client: RawClient): Promise<string> {
  const asked = [
    { key: 3, version: 1, body: (writer: Writer) => writer.nullableArray(null, () => {}) },
    { key: 9, ...sampleOf(9) },
    { key: 16, version: 0 },
    { key: 32, ...sampleOf(32) },
    ...[-1, -2].map((timestamp) => ({
      key: 2,
      version: 1,
      body: (writer: Writer) => {
        writer.int32(-1)
        writer.array(['t'], (topic) => {
          writer.string(topic)
          writer.array([0], (index) => {
            writer.int32(index)
            writer.int64(timestamp)
          })
        })
      },
    })),
  ]
  const answers: string[] = []
  for (const request of asked) {
    const reader = await client.request(request)
    answers.push(reader.raw(reader.remaining).toString('hex'))
  }
  return answers.join(' ')
}

for (const handler of apiHandlers) {
  const sample = sampleOf(handler.key)
  if (sample.changes !== true) continue
  test(`${handler.name} that is cut off, or followed by what does not belong to it, changes nothing`, async () => {
    await using broker = await open()
    await using bystander = await RawClient.open(broker.port)
    await produce(bystander, { topic: 't', records: makeBatch() })
    const commit = sampleOf(8)
    if (handler.key !== 8) await bystander.request({ key: 8, ...commit })
    const before = await visible(bystander)
    const whole = bodyOf(sample)
    for (const bytes of [whole.subarray(0, -1), Buffer.concat([whole, Buffer.of(0)])]) {
      await using client = await RawClient.open(broker.port)
      client.send({ ...sample, key: handler.key, body: (writer) => writer.raw(bytes) })
      await client.closed
      assert.equal(await visible(bystander), before)
    }
    await bystander.request({ key: handler.key, ...sample })
    assert.notEqual(await visible(bystander), before, 'the whole request changes something')
  })
}
