import { errorCodes } from '../wire/error-codes.ts'
import { answerOf, defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

const groupKey = 0
const transactionKey = 1

/**
 * FindCoordinator, versions 0–4: which broker coordinates a consumer group or a transactional id.
 *
 * Gaps: share groups (version 6) are INVALID_REQUEST, as is any other kind of key. A key that is named twice is answered once.
 */
export const findCoordinator: ApiHandler = defineApi({
  key: 10,
  name: 'FindCoordinator',
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 3,
  read(request, version) {
    const single = version < 4 ? request.string() : ''
    const keyType = version >= 1 ? request.int8() : groupKey
    const keys = version >= 4 ? request.array((reader) => reader.string()) : [single]
    request.tags()
    return { keyType, keys: [...new Set(keys)] }
  },
  serve: ({ keyType, keys }, { broker, version }) =>
    answerOf(keys.length, function* (response) {
      const isServed = keyType === groupKey || keyType === transactionKey
      const error = isServed ? errorCodes.NONE : errorCodes.INVALID_REQUEST
      const message = isServed
        ? null
        : `key type ${keyType} is not served: ask for a group (0) or a transactional id (1)`
      const nobody = { nodeId: -1, host: '', port: -1 }

      if (version >= 1) response.int32(0)
      if (version >= 4) {
        yield* response.arrayInTurns(keys, (key) => {
          const { nodeId, host, port } = isServed ? broker.coordinatorOf(key) : nobody
          response.string(key)
          response.int32(nodeId)
          response.string(host)
          response.int32(port)
          response.int16(error)
          response.nullableString(message)
          response.tags()
        })
      } else {
        const { nodeId, host, port } = isServed ? broker.coordinatorOf(keys[0] ?? '') : nobody
        response.int16(error)
        if (version >= 1) response.nullableString(message)
        response.int32(nodeId)
        response.string(host)
        response.int32(port)
      }
      response.tags()
    }),
})
