/**
 * Reads partitions without a consumer group, from a position that is fixed before the tail reports ready:
 * whatever is appended after that is handed over, each record once, in the order of its partition.
 */
import type { RecordPosition, Tail, TailOptions, TopicPartition, Trouble } from '../../transport.ts'
import type { Connections } from '../connection/connections.ts'
import type { ReadPartition } from './broker-fetcher.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { awaitTopic, checkPartition, type OffsetsSource } from './offsets.ts'
import { LogReader } from './log-reader.ts'
import { deny, type Denied } from '../cluster/denials.ts'
import { findStarts } from './tail-starts.ts'
import { untilAborted } from '../waiting/until-aborted.ts'

/** Milliseconds between looks for partitions that were added to the topic. */
const LOOK_EVERY = 2_000

/**
 * Opens a tail; resolves when it is at its position; with a dead leader, when another one is elected, for which it waits at most 60 s. `signal` fires when the
 * transport is closed: it ends the opening, with `MILENA_CLOSED`, whatever it waits for.
 *
 * @throws TransportError `MILENA_TOPIC_MISSING`, `MILENA_PARTITION_MISSING`, `MILENA_NOT_AUTHORIZED`,
 * `MILENA_AUTHENTICATION_FAILED`, `MILENA_BROKER_UNREACHABLE`, `MILENA_CLOSED`
 */
export async function openTail(
  connections: Connections,
  metadata: Metadata,
  options: TailOptions,
  signal: AbortSignal = new AbortController().signal,
): Promise<Tail> {
  const { topic } = options
  const what = `tail topic ${topic}`
  const unwatch = metadata.watch(topic)
  const pool = connections.open()
  const source: OffsetsSource = { metadata, pool, signal }
  let partitions: TopicPartition[]
  let starts: number[]
  try {
    const count = await untilAborted(awaitTopic(metadata, topic, signal), signal, what)
    const numbers =
      options.partitions === 'all' ? Array.from({ length: count }, (_, index) => index) : options.partitions
    partitions = [...new Set(numbers)].map((partition) => ({ topic, partition }))
    await untilAborted(awaitPartitions(metadata, partitions), signal, what)
    const finding = findStarts(source, partitions, options.from, (error) => options.onError?.(error))
    starts = await untilAborted(finding, signal, what)
  } catch (error) {
    unwatch()
    throw error
  } finally {
    await pool.close()
  }
  return new PartitionTail(connections, metadata, options, partitions, starts, unwatch)
}

/**
 * Asks again while answers do not have one of the partitions: it may have been added, and one broker lag behind.
 *
 * @throws as `checkPartition`
 */
async function awaitPartitions(metadata: Metadata, partitions: readonly TopicPartition[]): Promise<void> {
  const wanted: (TopicPartition & Denied)[] = partitions.map((one) => ({ ...one }))
  for (;;) {
    const now = performance.now()
    const missing = wanted.filter((one) => !hasPartition(metadata, one))
    if (missing.map((one) => deny(one, now)).every(Boolean)) break
    await metadata.refresh()
  }
  for (const one of partitions) checkPartition(metadata, one)
}

function hasPartition(metadata: Metadata, { topic, partition }: TopicPartition): boolean {
  return metadata.topic(topic)?.partitions[partition] !== undefined
}

export class PartitionTail implements Tail {
  readonly #reader: LogReader
  /** Also when it is closed: `positions` then says where it stood. */
  readonly #partitions: ReadPartition[]
  readonly #end: () => void
  #closing: Promise<void> | undefined

  constructor(
    connections: Connections,
    metadata: Metadata,
    options: TailOptions,
    partitions: readonly TopicPartition[],
    starts: readonly number[],
    unwatch: () => void,
  ) {
    const { topic } = options
    const all = options.partitions === 'all'
    const reader = new LogReader(connections, metadata, {
      onRecords: (records, appendedAfter) => options.onRecords(records, appendedAfter),
      onUnreadable: (range) => options.onUnreadable?.(range),
      onTrouble: (troubles) => options.onTrouble?.(troubles),
      onError: (error) => options.onError?.(error),
      ...(all ? { lookEvery: LOOK_EVERY } : {}),
    })
    this.#reader = reader
    this.#partitions = partitions.map((one, index) => reader.add(one, starts[index]!))
    // Those that are added later are read from their first record: nobody could have read it before.
    const grow = (): void => {
      const now = metadata.topic(topic)?.partitions.length ?? 0
      for (let partition = this.#partitions.length; partition < now; partition++) {
        this.#partitions.push(reader.add({ topic, partition }, 0))
      }
    }
    const stopListening = all ? metadata.onChange(grow) : undefined
    if (all) grow()
    this.#end = () => {
      stopListening?.()
      unwatch()
    }
  }

  positions(): readonly RecordPosition[] {
    return this.#partitions.map(({ topic, partition, position }) => ({ topic, partition, offset: position }))
  }

  troubles(): readonly Trouble[] {
    return this.#reader.troubles()
  }

  /** The transport is closed below: a trouble that does not end. To be called before `close`. */
  transportClosed(): void {
    if (this.#closing === undefined) this.#reader.transportClosed()
  }

  caughtUp(): Promise<void> {
    return this.#reader.caughtUp()
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#end()
      this.#closing = this.#reader.close()
    }
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
