import type { Partition } from '../log/partition.ts'
import { errorCodes } from '../wire/error-codes.ts'
import type { ErrorCode } from '../wire/error-codes.ts'

/** What is wrong with the leader epoch that a client believes in (KIP-320); -1 says that it knows none. */
export function leaderEpochError(partition: Partition, claimed: number): ErrorCode {
  if (claimed < 0 || claimed === partition.leaderEpoch) return errorCodes.NONE
  return claimed < partition.leaderEpoch ? errorCodes.FENCED_LEADER_EPOCH : errorCodes.UNKNOWN_LEADER_EPOCH
}
