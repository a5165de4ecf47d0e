/** Where a routing begins to read: at the end, or at the positions that a predecessor under the same address had. */
import { OptionsError } from '../errors.ts'
import type { RecordPosition } from '../transport/transport.ts'
import { foreign } from '../words.ts'

/**
 * `latest` when there is nothing to resume, else a position for each of `partitions`: the lowest that is named, so that
 * those of several requests can be handed over as they are, and the first record of a partition that none names, since
 * it was added after they were asked.
 *
 * @param partitions those that this instance reads
 * @throws OptionsError `MILENA_OPTIONS_INVALID` when a position is in none of them
 */
export function startOf(
  strategy: string,
  resumeFrom: readonly RecordPosition[] | undefined,
  topic: string,
  partitions: readonly number[],
): 'latest' | readonly RecordPosition[] {
  if (resumeFrom === undefined || resumeFrom.length === 0) return 'latest'
  const offsets = new Map(partitions.map((partition) => [partition, Infinity]))
  const problems: string[] = []
  for (const position of resumeFrom) {
    const { offset } = position
    const known = position.topic === topic ? offsets.get(position.partition) : undefined
    if (known === undefined) {
      const place = partitions.length === 1 ? `${topic}[${partitions[0]}]` : `topic ${topic}`
      const has = partitions.length > 1 ? `, which has ${partitions.length} partitions` : ''
      problems.push(
        `resumeFrom names ${placeOf(position)}, and this instance reads ${place}${has}: the replies that are to be received would stand somewhere else`,
      )
    } else if (!Number.isSafeInteger(offset) || offset < 0) {
      problems.push(`resumeFrom: the offset in ${placeOf(position)} must be a whole number of at least 0`)
    } else {
      offsets.set(position.partition, Math.min(known, offset))
    }
  }
  if (problems.length > 0) throw new OptionsError(strategy, problems)
  return [...offsets].map(([partition, offset]) => ({
    topic,
    partition,
    offset: offset === Infinity ? 0 : offset,
  }))
}

function placeOf({ topic, partition }: RecordPosition): string {
  return foreign(`${topic}[${partition}]`)
}
