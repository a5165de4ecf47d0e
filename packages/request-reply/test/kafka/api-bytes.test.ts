/** Every API's bytes in every version, against another client's encoder and decoder where it has that version. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Reader } from '@platformatic/kafka'
import type { Api } from '../../src/transport/kafka/protocol/api.ts'
import { fetchApi } from '../../src/transport/kafka/reading/fetch-api.ts'
import { produceApi } from '../../src/transport/kafka/sending/produce.ts'
import { answerBytes, readAnswer, requestBytes, versionsOf } from './api-bytes.ts'
import { theirApi } from './api-case.ts'
import { groupApiCases } from './group-api-cases.ts'
import { topicApiCases } from './topic-api-cases.ts'

const apiCases = [...topicApiCases, ...groupApiCases]

for (const { api, request, theirs, answer, read, seen } of apiCases) {
  for (const version of versionsOf(api)) {
    const other = theirApi(api, version)
    const name = `${api.name} ${version}`
    if (other !== undefined) {
      test(`${name}: a request has the bytes of another encoder`, () => {
        const { buffer } = other.createRequest(...theirs(version))
        assert.deepEqual(requestBytes(api, request, version), buffer)
      })
    }

    test(`${name}: an answer is read to its end, as another decoder reads it`, () => {
      const bytes = answerBytes(api, version, answer)
      assert.deepEqual(readAnswer(api, bytes, version), read(version))
      if (other === undefined) return
      const got = parsed(() => other.parseResponse(0, api.key, version, Reader.from(bytes)))
      assert.deepEqual(seen(got, version), readAnswer(api, bytes, version))
    })
  }
}

test('only Metadata 13 and Produce 12 are beyond the other encoder', () => {
  const all: Api<never, unknown>[] = [...apiCases.map((one) => one.api), fetchApi, produceApi]
  const beyond = all.flatMap((api) =>
    versionsOf(api)
      .filter((version) => theirApi(api, version) === undefined)
      .map((version) => `${api.name} ${version}`),
  )
  assert.deepEqual(beyond.toSorted(), ['Metadata 13', 'Produce 12'])
})

/** It throws answers that report errors. */
function parsed(parse: () => unknown): never {
  try {
    return parse() as never
  } catch (error) {
    return (error as { response: never }).response
  }
}
