/** What is known of a topic, and how an answer changes that: a broker that lags behind takes nothing back. */
import { kafka } from '../protocol/error-codes.ts'
import { NO_TOPIC_ID } from '../protocol/primitive-types.ts'
import type { TopicMetadata } from '../protocol/metadata.ts'

/** A topic is held to be missing when as many answers, over as many milliseconds, have said so: a broker may lag behind. */
const MISSING_ANSWERS = 3
const MISSING_AFTER = 300

export interface PartitionState {
  readonly partition: number
  /** The leader's broker id; −1 when there is none now. */
  readonly leader: number
  /** The leader's term (KIP-320): to be sent along as `currentLeaderEpoch` of a fetch, so that a former leader refuses. */
  readonly epoch: number
}

export interface TopicState {
  readonly name: string
  /** Changes when the topic was deleted and created again. */
  readonly id: string
  /** By partition number, 0 to n − 1. */
  readonly partitions: readonly PartitionState[]
  /** Kafka's error code for the topic as a whole; 0 when it is usable. */
  readonly errorCode: number
  /** Enough answers over enough time say that it does not exist. Until then a missing topic may only be new. */
  readonly missing: boolean
  /** Since when (performance.now()) answers say that it does not exist, and how many did. */
  readonly absent: { readonly since: number; readonly answers: number } | undefined
}

/** What is known after an answer that came at `now` (performance.now()). */
export function mergeTopic(
  name: string,
  before: TopicState | undefined,
  told: TopicMetadata,
  now: number,
): TopicState {
  const absent =
    told.errorCode === kafka.unknownTopicOrPartition
      ? { since: before?.absent?.since ?? now, answers: (before?.absent?.answers ?? 0) + 1 }
      : undefined
  const missing =
    absent !== undefined && absent.answers >= MISSING_ANSWERS && now - absent.since >= MISSING_AFTER
  // One broker may not know (yet, or any more) a topic that others serve: what was known holds until it is certain.
  if (absent !== undefined && !missing && before !== undefined)
    return { ...before, errorCode: told.errorCode, absent }
  const partitions: PartitionState[] = []
  for (const one of told.partitions) {
    const known = before?.id === told.id ? before.partitions[one.partition] : undefined
    // A broker that lags behind still names the former leader: the higher term is the later one.
    partitions[one.partition] = known !== undefined && known.epoch > one.epoch ? known : one
  }
  // Nor does it know those that were added: a topic does not lose any before it is made anew, under another id.
  if (before?.id === told.id && told.id !== NO_TOPIC_ID && partitions.length > 0)
    partitions.push(...before.partitions.slice(partitions.length))
  return { name, id: told.id, partitions, errorCode: told.errorCode, missing, absent }
}

/** Whether what is known now is another thing than before; a doubt that is not settled counts. */
export function hasNews(before: TopicState | undefined, now: TopicState): boolean {
  if (before === undefined || (now.absent !== undefined && !now.missing)) return true
  return (
    before.id !== now.id ||
    before.errorCode !== now.errorCode ||
    before.missing !== now.missing ||
    before.partitions.length !== now.partitions.length ||
    now.partitions.some((one, index) => {
      const known = before.partitions[index]
      return known?.leader !== one.leader || known.epoch !== one.epoch
    })
  )
}
