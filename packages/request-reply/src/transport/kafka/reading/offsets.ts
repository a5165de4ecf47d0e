/** Where partitions begin and end now, asked of each partition's leader. */
import { TransportError } from '../../../errors.ts'
import { keyOf } from '../../partition-key.ts'
import type { StartPosition, TopicPartition } from '../../transport.ts'
import { addressOf, type BrokerPool } from '../connection/connections.ts'
import { deepestMessage, refusal, unreachable } from '../cluster/kafka-errors.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'
import type { BrokerNode, Metadata } from '../cluster/metadata.ts'
import { deny, type Denied } from '../cluster/denials.ts'
import { LONGEST_ELECTION, LONGEST_SILENCE } from '../cluster/elections.ts'
import { untilMoved } from '../waiting/until-moved.ts'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'
import { EARLIEST, LATEST, listOffsetsApi } from '../protocol/list-offsets.ts'

/** What counts as the latest: the end of what read_committed readers get, or the high watermark. */
export type Isolation = 'committed' | 'uncommitted'
const isolations: Readonly<Record<Isolation, 0 | 1>> = { uncommitted: 0, committed: 1 }
/** Milliseconds for the first answer about a topic. */
const START_LIMIT = 10_000
const timestamps: Readonly<Record<StartPosition, number>> = { earliest: EARLIEST, latest: LATEST }
/** Milliseconds between two tries; metadata is asked for in between. */
const PAUSES: PauseOptions = { first: 50, longest: 250 }
/** Milliseconds without an answer after which others are asked who leads now, and between two such looks. */
const LOOKS: PauseOptions = { first: 400, longest: 800 }

export interface OffsetsSource {
  readonly metadata: Metadata
  readonly pool: BrokerPool
  /** Ends the asking; the promise then rejects with `MILENA_CLOSED`. */
  readonly signal: AbortSignal
}

/**
 * The offset of the first record that is left, or of the one to be appended next, for each partition in turn; whoever
 * leads it is looked for until it answers: at most 60 s, and 20 s when no broker answers at all. The topics must be watched.
 *
 * @throws TransportError `MILENA_TOPIC_MISSING`, `MILENA_PARTITION_MISSING`, `MILENA_NOT_AUTHORIZED`,
 * `MILENA_AUTHENTICATION_FAILED`, `MILENA_BROKER_UNREACHABLE`, `MILENA_CLOSED`, `MILENA_BROKER_ERROR`
 */
export async function findOffsets(
  source: OffsetsSource,
  partitions: readonly TopicPartition[],
  at: StartPosition,
): Promise<number[]> {
  const wanted: (TopicPartition & Denied)[] = partitions.map(({ topic, partition }) => ({ topic, partition }))
  const found = new Map<TopicPartition, number>()
  const began = performance.now()
  let toldAt = began
  // What was known before may be older than a partition that was added, and one broker may lag behind.
  let isNew = false
  const pauses = new Pauses(PAUSES)
  let cause: unknown
  for (;;) {
    const left = wanted.filter((one) => !found.has(one))
    if (left.length === 0) return wanted.map((one) => found.get(one)!)
    for (const one of left) {
      checkTopic(source.metadata, one.topic)
      const denied = isNew && isBeyond(source.metadata, one)
      if (denied && deny(one, performance.now())) checkPartition(source.metadata, one)
    }
    const outcomes = await askLeaders(source, left, at, 'committed', found)
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue
      cause = outcome.reason
      if (cause instanceof TransportError) throw cause
    }
    if (source.signal.aborted) throw new TransportError('MILENA_CLOSED', 'closed while looking for offsets')
    if (found.size === wanted.length) continue
    const { problem } = source.metadata
    if (problem?.kind === 'unreachable') throw problem.error
    const now = performance.now()
    if (now - began > LONGEST_ELECTION || now - toldAt > LONGEST_SILENCE)
      throw overdue(source.metadata, left, now - began, cause)
    isNew = false
    await source.metadata.refresh().then(
      () => {
        isNew = true
        toldAt = performance.now()
      },
      (error: unknown) => {
        if (error instanceof TransportError && error.code !== 'MILENA_BROKER_UNREACHABLE') throw error
        cause = error
      },
    )
    await pauses.wait(source.signal)
  }
}

/** Asks each leader that is known, once. What was not found out, for whatever reason, is left out. */
export async function askOffsets<Partition extends TopicPartition>(
  source: OffsetsSource,
  partitions: readonly Partition[],
  at: StartPosition,
  isolation: Isolation,
): Promise<ReadonlyMap<Partition, number>> {
  const found = new Map<Partition, number>()
  await askLeaders(source, partitions, at, isolation, found)
  return found
}

/** Every leader by itself: one that does not answer keeps nothing of the others' answers back. */
async function askLeaders<Partition extends TopicPartition>(
  source: OffsetsSource,
  partitions: readonly Partition[],
  at: StartPosition,
  isolation: Isolation,
  found: Map<Partition, number>,
): Promise<PromiseSettledResult<void>[]> {
  const { metadata } = source
  const byLeader = new Map<BrokerNode, Partition[]>()
  for (const one of partitions) {
    const leader = metadata.leader(one.topic, one.partition)
    if (leader === undefined) continue
    const list = byLeader.get(leader.node)
    if (list === undefined) byLeader.set(leader.node, [one])
    else list.push(one)
  }
  return Promise.allSettled(
    [...byLeader].map(async ([node, theirs]) => {
      const answer = await whileLeading(
        metadata,
        node,
        theirs,
        askLeader(source, node, theirs, at, isolation),
      )
      for (const [one, offset] of answer) found.set(one, offset)
    }),
  )
}

/**
 * The outcome of a request to a leader. Rejects when one of the partitions gets another leader, or its leader another
 * term, while it is waited for: a leader that hangs would keep it as long as the request may take.
 */
async function whileLeading<Answer>(
  metadata: Metadata,
  node: BrokerNode,
  partitions: readonly TopicPartition[],
  asking: Promise<Answer>,
): Promise<Answer> {
  const terms = partitions.map(({ topic, partition }) => metadata.leader(topic, partition)?.epoch)
  const hasMoved = ({ topic, partition }: TopicPartition, index: number): boolean => {
    const leader = metadata.leader(topic, partition)
    return leader !== undefined && (leader.node.id !== node.id || leader.epoch !== terms[index])
  }
  return untilMoved(asking, LOOKS, async () => {
    await metadata.refresh().catch(() => undefined)
    return partitions.some(hasMoved)
      ? `broker ${addressOf(node)} lost the leadership while it was asked`
      : undefined
  })
}

/**
 * How many partitions a watched topic has, once a broker knows it; at most 10 s, or until the signal fires.
 *
 * @throws as `awaitTopics`
 */
export async function awaitTopic(metadata: Metadata, topic: string, signal?: AbortSignal): Promise<number> {
  await awaitTopics(metadata, [topic], signal)
  return metadata.topic(topic)!.partitions.length
}

/**
 * Resolves once a broker knows these watched topics, all asked for together; at most 10 s, or until the signal fires.
 *
 * @throws TransportError `MILENA_TOPIC_MISSING`, `MILENA_NOT_AUTHORIZED`, `MILENA_AUTHENTICATION_FAILED`,
 * `MILENA_BROKER_UNREACHABLE`, `MILENA_CLOSED`
 */
export async function awaitTopics(
  metadata: Metadata,
  topics: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + START_LIMIT
  for (;;) {
    if (signal?.aborted === true)
      throw new TransportError('MILENA_CLOSED', `closed while looking for topic ${topics.join(', ')}`)
    let cause: unknown
    await metadata.refresh().catch((error: unknown) => {
      if (error instanceof TransportError && error.code !== 'MILENA_BROKER_UNREACHABLE') throw error
      cause = error
    })
    if (metadata.problem?.kind === 'unreachable') throw metadata.problem.error
    for (const topic of topics) checkTopic(metadata, topic)
    const left = topics.filter((topic) => (metadata.topic(topic)?.partitions.length ?? 0) === 0)
    if (left.length === 0) return
    if (performance.now() < deadline) continue
    if (cause instanceof TransportError) throw cause
    throw unreachable(
      [...metadata.nodes.values()].map((node) => `${node.host}:${node.port}`),
      `about topic ${left.join(', ')}`,
      cause,
    )
  }
}

/** Throws when metadata says that the partition is not there, or its topic not for us. */
export function checkPartition(metadata: Metadata, one: TopicPartition): void {
  checkTopic(metadata, one.topic)
  if (!isBeyond(metadata, one)) return
  const { topic, partition } = one
  const count = metadata.topic(topic)!.partitions.length
  const range = count === 1 ? 'only partition 0' : `partitions 0 to ${count - 1}`
  throw new TransportError(
    'MILENA_PARTITION_MISSING',
    `reading topic ${topic}: there is no partition ${partition}, it has ${range}`,
  )
}

/** Throws when metadata says for certain that the topic is not there, or not for us. */
function checkTopic(metadata: Metadata, topic: string): void {
  const state = metadata.topic(topic)
  if (state === undefined) return
  const what = `reading topic ${topic}`
  if (state.missing) throw refusal(kafka.unknownTopicOrPartition, what)
  if (state.errorCode !== kafka.none && !isRetriable(state.errorCode)) throw refusal(state.errorCode, what)
}

/** Whether its topic, which is known, has fewer partitions. */
function isBeyond(metadata: Metadata, { topic, partition }: TopicPartition): boolean {
  const count = metadata.topic(topic)?.partitions.length ?? 0
  return count > 0 && !(partition >= 0 && partition < count)
}

async function askLeader<Partition extends TopicPartition>(
  { metadata, pool }: OffsetsSource,
  node: BrokerNode,
  partitions: readonly Partition[],
  at: StartPosition,
  isolation: Isolation,
): Promise<ReadonlyMap<Partition, number>> {
  const found = new Map<Partition, number>()
  const asked = new Map(partitions.map((one) => [keyOf(one), one]))
  try {
    const connection = await pool.get(node)
    const offsets = await connection.ask(listOffsetsApi, {
      isolation: isolations[isolation],
      partitions: partitions.map(({ topic, partition }) => {
        const epoch = metadata.leader(topic, partition)?.epoch ?? -1
        return { topic, partition, epoch, timestamp: timestamps[at] }
      }),
    })
    metadata.absolve(node)
    for (const one of offsets) {
      const wanted = asked.get(keyOf(one))
      if (wanted === undefined) continue
      if (one.errorCode === kafka.none) found.set(wanted, one.offset)
      else if (!isRetriable(one.errorCode)) {
        throw refusal(one.errorCode, `finding the offsets of topic ${one.topic}, partition ${one.partition}`)
      }
    }
    return found
  } catch (error) {
    if (!(error instanceof TransportError)) metadata.blame(node)
    throw error
  }
}

function overdue(
  metadata: Metadata,
  left: readonly TopicPartition[],
  waited: number,
  cause: unknown,
): TransportError {
  const names = left.map(({ topic, partition }) => {
    const leader = metadata.leader(topic, partition)
    return `${topic}/${partition} (${leader === undefined ? 'no leader' : addressOf(leader.node)})`
  })
  const why = cause === undefined ? 'they lead no more, or not yet' : deepestMessage(cause)
  return new TransportError(
    'MILENA_BROKER_UNREACHABLE',
    `the leaders of ${names.join(', ')} did not answer within ${Math.round(waited / 1_000)} s (${why}); ` +
      `see whether their brokers run, and can be reached from here where they say that they are`,
    { cause },
  )
}
