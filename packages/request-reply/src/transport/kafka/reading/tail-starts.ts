/** Where a tail begins in each of its partitions. */
import { askedFor, startWithin } from '../../start-positions.ts'
import type { TailOptions, TopicPartition } from '../../transport.ts'
import { findOffsets, type OffsetsSource } from './offsets.ts'

/**
 * The first offset to read of each partition in turn. An offset that is asked for and not there is told to `tell`, and
 * replaced: by the earliest that is left, or the end.
 *
 * @throws as `findOffsets`
 */
export async function findStarts(
  source: OffsetsSource,
  partitions: readonly TopicPartition[],
  from: TailOptions['from'],
  tell: (error: Error) => void,
): Promise<number[]> {
  if (typeof from === 'string') return findOffsets(source, partitions, from)
  const asked = partitions.map((one) => askedFor(from, one))
  const named = partitions.filter((_, index) => asked[index] !== undefined)
  // The earliest first: what is deleted in between was asked for, and is told.
  const earliest = await findOffsets(source, named, 'earliest')
  const latest = await findOffsets(source, partitions, 'latest')
  return partitions.map((one, index) => {
    const end = latest[index]!
    const offset = asked[index]
    if (offset === undefined) return end
    return startWithin(one, offset, earliest[named.indexOf(one)]!, end, tell)
  })
}
