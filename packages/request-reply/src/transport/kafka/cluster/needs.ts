/**
 * What each role needs of a broker, looked at when it opens: a broker that is too old would else be found out only by
 * the first request that it cannot answer, long after whoever opened has been told that all is well.
 *
 * Every API here in its oldest version that we speak is in Apache Kafka 3.0.
 */
import { TransportError } from '../../../errors.ts'
import { addressOf, type BrokerAddress, type Link } from './connections.ts'
import type { ApiVersionTable } from './versions.ts'

type Needed = ApiVersionTable<true>

/** To send, to read without a group, to make and remove topics: what a transport that opens can be asked for at once. */
export const transportNeeds: readonly Needed[] = [
  need('Produce', 0, 9, 11),
  need('Fetch', 1, 12, 17),
  need('ListOffsets', 2, 6, 6),
  need('Metadata', 3, 10, 12),
  need('CreateTopics', 19, 5, 7),
  need('DeleteTopics', 20, 4, 6),
  need('InitProducerId', 22, 3, 5),
]

/** Of the coordinator, to be a member of a group. */
export const memberNeeds: readonly Needed[] = [
  need('OffsetCommit', 8, 8, 8),
  need('OffsetFetch', 9, 8, 8),
  need('JoinGroup', 11, 7, 9),
  need('Heartbeat', 12, 4, 4),
  need('LeaveGroup', 13, 4, 4),
  need('SyncGroup', 14, 5, 5),
]

function need(name: string, key: number, oldest: number, newest: number): Needed {
  const versions: Record<number, true> = {}
  for (let version = oldest; version <= newest; version++) versions[version] = true
  return { name, key, versions }
}

/**
 * Throws `MILENA_BROKER_ERROR`, which names each API that the broker does not offer in a version of ours.
 *
 * @param what what is being opened, such as `join group g`
 */
export function requireApis(
  what: string,
  broker: BrokerAddress,
  link: Pick<Link, 'pick'>,
  needs: readonly Needed[],
): void {
  const problems = needs.flatMap((api) => problemWith(link, api) ?? [])
  if (problems.length === 0) return
  throw new TransportError(
    'MILENA_BROKER_ERROR',
    `${what}: broker ${addressOf(broker)} cannot do what that needs: ${problems.join('; ')}. ` +
      'Apache Kafka 3.0 or newer is needed',
    { retryable: false },
  )
}

function problemWith(link: Pick<Link, 'pick'>, api: Needed): string | undefined {
  try {
    link.pick(api)
    return undefined
  } catch (error) {
    return (error as TransportError).message
  }
}
