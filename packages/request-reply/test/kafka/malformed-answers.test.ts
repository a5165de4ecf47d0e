/** Answers that are none: an error each time, never a hang, and no more memory than bytes have come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Api } from '../../src/transport/kafka/protocol/api.ts'
import { MalformedAnswer } from '../../src/transport/kafka/protocol/reader.ts'
import type { Writer } from '../../src/transport/kafka/protocol/writer.ts'
import { fetchApi } from '../../src/transport/kafka/reading/fetch-api.ts'
import { produceApi } from '../../src/transport/kafka/sending/produce.ts'
import { answerBytes, readAnswer, versionsOf } from './api-bytes.ts'
import { groupApiCases } from './group-api-cases.ts'
import { topicApiCases } from './topic-api-cases.ts'

interface Answered {
  readonly api: Api<never, unknown>
  readonly answer: (to: Writer, version: number) => void
}

const cases: Answered[] = [
  ...topicApiCases,
  ...groupApiCases,
  {
    api: produceApi,
    answer(to) {
      to.array(['a'], (w, topic) => {
        w.text(topic).array([0, 1], (w, index) => {
          w.int32(index).int16(0).int64(9).int64(-1).int64(0)
          w.array([2], (w, at) => w.int32(at).text('no key').tags())
          w.text(null).tags()
        })
        w.tags()
      })
      to.int32(0).tags()
    },
  },
  {
    api: fetchApi,
    answer(to, version) {
      to.int16(0).int32(0)
      to.array([0], (w) => {
        if (version === 12) w.text('a')
        else w.uuid('0b7ea5f0-1a2b-4c3d-8e9f-a0b1c2d3e4f5')
        w.array([0, 1], (w, index) => {
          w.int32(index).int16(0).int64(9).int64(9).int64(0)
          w.array([7n], (w, producer) => w.bigint64(producer).int64(2).tags())
          w.int32(-1).blob(Buffer.alloc(30)).tags()
        })
        w.tags()
      })
      to.tags()
    },
  },
]

/** The same numbers each time (Park and Miller). */
function numbers(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647)
}

/** How many objects, texts and numbers there are in it. */
function parts(value: unknown): number {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return 1
  return Object.values(value).reduce<number>((sum, one) => sum + parts(one), 1)
}

for (const { api, answer } of cases) {
  test(`${api.name}: no part of an answer passes for an answer`, () => {
    for (const version of versionsOf(api)) {
      const whole = answerBytes(api, version, answer)
      readAnswer(api, whole, version)
      for (let end = 0; end < whole.length; end++) {
        assert.throws(
          () => readAnswer(api, whole.subarray(0, end), version),
          MalformedAnswer,
          `${end} bytes of ${whole.length}`,
        )
      }
    }
  })

  test(`${api.name}: noise, and answers with damage, end in an error or in something small`, () => {
    const next = numbers(api.key + 1)
    const version = api.versions.newest
    const whole = answerBytes(api, version, answer)
    for (let round = 0; round < 3_000; round++) {
      const bytes = round % 2 === 0 ? Buffer.alloc(next() % 300) : Buffer.from(whole)
      const damage = round % 2 === 0 ? bytes.length : 1 + (next() % 4)
      for (let left = damage; left > 0; left--) {
        const at = round % 2 === 0 ? left - 1 : next() % bytes.length
        // Large numbers, which lengths would be.
        bytes[at] = round % 3 === 0 ? 0xff : next()
      }
      try {
        assert.ok(parts(readAnswer(api, bytes, version)) <= 10 * bytes.length + 10)
      } catch (error) {
        assert.ok(error instanceof MalformedAnswer, String(error))
      }
    }
  })
}
