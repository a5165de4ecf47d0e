/** InitProducerId (key 22): an id for an idempotent producer without transactions (KIP-98). Versions 3 to 5, of one form. */
import type { Api } from './api.ts'

const NO_ID = -1n
const NO_EPOCH = -1

export interface InitProducerIdAnswer {
  readonly errorCode: number
  readonly producerId: bigint
}

/** `timeout`: milliseconds; it says nothing without a transactional id, but has to be above 0. */
export const initProducerIdApi: Api<{ readonly timeout: number }, InitProducerIdAnswer> = {
  name: 'InitProducerId',
  key: 22,
  versions: { oldest: 3, newest: 5 },
  flexibleFrom: 2,
  throttledFrom: 0,
  write(to, { timeout }) {
    to.text(null).int32(timeout).bigint64(NO_ID).int16(NO_EPOCH).tags()
  },
  read(from) {
    const answer = { errorCode: from.int16(), producerId: from.bigint64() }
    from.int16() // the epoch, which is 0
    from.tags()
    return answer
  },
}
