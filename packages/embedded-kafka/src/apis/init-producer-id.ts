/*
 * InitProducerId (key 22), versions 0-4, for idempotent producers: a new id each time, epoch 0, as Apache Kafka does
 * without a transactional id even if the producer tells an id that it had (KIP-360).
 * Gaps: no transactional ids yet (UNSUPPORTED_VERSION).
 */
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'
import { defineApi } from './handler.ts'
import type { ApiHandler } from './handler.ts'

export const initProducerId: ApiHandler = defineApi({
  key: 22,
  name: 'InitProducerId',
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 2,
  read(request, version) {
    const transactionalId = request.nullableString()
    request.int32()
    if (version >= 3) {
      request.int64()
      request.int16()
    }
    request.tags()
    return transactionalId
  },
  serve(transactionalId, { broker }) {
    let error: ErrorCode = errorCodes.NONE
    let producerId = -1
    let epoch = -1
    if (transactionalId === '') {
      error = errorCodes.INVALID_REQUEST
    } else if (transactionalId !== null) {
      error = errorCodes.UNSUPPORTED_VERSION
    } else {
      producerId = broker.newProducerId()
      epoch = 0
    }
    return (response) => {
      response.int32(0)
      response.int16(error)
      response.int64(producerId)
      response.int16(epoch)
      response.tags()
    }
  },
})
