import type { OutgoingRecord, TopicDescription } from '../transport/transport.ts'
import { longestReplayOf, ownLetterPrefix, replayOfName, springLetterPrefix } from '../wire/dead-letter.ts'
import { isSame, type RawHeader } from '../wire/headers.ts'
import { deadlineHeader, timeoutHeader } from '../wire/milena.ts'
import type { ReplyAddress, WireProfile } from '../wire/profile.ts'
import type { WholeDeadLetter } from './letter.ts'

/** Where the reply to a replayed request goes. */
export interface ReplyPlan {
  /** `undefined`: nowhere, unless its operation has a `replyTo` at the replier. */
  readonly to: ReplyAddress | undefined
  /** Whether that is where its requester waits. */
  readonly waits: boolean
}

/**
 * To the requester, as long as it waits: until the deadline in the request's headers, which is the requester's clock's, by
 * ours. Without a deadline it is not known, and counts as over.
 */
export function planReply(
  { replyTo, deadline, correlationId }: WholeDeadLetter,
  wanted: 'requester' | ReplyAddress | undefined,
  now: number,
): ReplyPlan {
  if (typeof wanted === 'object') return { to: wanted, waits: false }
  const waits = correlationId !== undefined && deadline !== undefined && now < deadline
  return waits || wanted === 'requester' ? { to: replyTo, waits } : { to: undefined, waits }
}

const gone = [
  springLetterPrefix,
  ownLetterPrefix,
  // Those of retry topics, Spring's and ours: it begins anew.
  'kafka_original-',
  'kafka_exception-',
  'kafka_key-exception-',
  'retry_topic-',
  'milena-retry-',
].map((prefix) => Buffer.from(prefix))
const timing = [deadlineHeader(0)[0], timeoutHeader(0)[0]]

/**
 * The request as it was: topic, key, value, and headers in their order, without what has made it a letter. Its correlation
 * id stays, since stored replies may be kept under it; its reply address and its deadline only while its requester waits.
 *
 * @param timeout milliseconds that it has from now on, instead of none
 */
export function replayedRequest(
  letter: WholeDeadLetter,
  { name: topic, partitions }: TopicDescription,
  reply: ReplyPlan,
  profile: WireProfile,
  now: number,
  timeout: number | undefined,
): OutgoingRecord {
  const address = profile.addressHeaders({ topic: 'any', partition: 0 }).map(([name]) => name)
  const isSameAddress = reply.to !== undefined && reply.to === letter.replyTo
  const keepsTiming = reply.waits && timeout === undefined
  const headers = letter.headers.raw.filter(([name]) => {
    if (isSame(name, replayOfName) || gone.some((prefix) => startsWith(name, prefix))) return false
    if (!isSameAddress && address.some((one) => isSame(one, name))) return false
    return keepsTiming || !timing.some((one) => isSame(one, name))
  })
  const added: RawHeader[] = [[replayOfName, Buffer.from(placeOf(letter).slice(0, longestReplayOf))]]
  if (reply.to !== undefined && !isSameAddress) added.push(...profile.addressHeaders(reply.to))
  if (timeout !== undefined) added.push(deadlineHeader(now + timeout), timeoutHeader(timeout))
  const { partition } = letter.original!
  return {
    topic,
    partition: partition >= 0 && partition < partitions ? partition : undefined,
    key: letter.key,
    value: letter.value,
    headers: [...headers, ...added],
  }
}

/** Where a letter stands, as `milena-replay-of` says it. */
export function placeOf({ topic, partition, offset }: WholeDeadLetter): string {
  return `${topic}/${partition}/${offset}`
}

function startsWith(name: Buffer, prefix: Buffer): boolean {
  return name.length >= prefix.length && prefix.compare(name, 0, prefix.length) === 0
}
