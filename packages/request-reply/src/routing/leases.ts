/**
 * Who owns which reply address, written where everybody can read it and nobody needs a right on another topic: in the
 * metadata of committed offsets of a group that has no members (OffsetCommit with generation −1; the metadata is free
 * text of up to 4 096 characters). There is no group protocol and so no rebalance; the last writer wins.
 *
 * Whether whoever wrote one is alive, it cannot say; that is asked (`living-owner.ts`).
 *
 * A lease only keeps the house in order. Two owners of one address, or none, cost bytes; they never cost a reply.
 */
import type { Clock, ScheduledTimer } from '../clock.ts'
import { MilenaError } from '../errors.ts'
import type { CommittedOffset, TopicPartition, Transport } from '../transport/transport.ts'
import { errorOf } from '../words.ts'

export interface Lease extends TopicPartition {
  readonly owner: string
  /** Milliseconds since the Unix epoch, by the owner's clock. */
  readonly renewedAt: number
  /** The owner's process, as `pid@host`. */
  readonly holder?: string | undefined
  /** The question that this renewal answers (`living-owner.ts`). */
  readonly answers?: string | undefined
}

/** Milliseconds between renewals. */
export const renewalInterval = 10_000
/** A lease that was not renewed for this long, in milliseconds, no longer counts when an address is chosen. */
export const leaseValidity: number = 3 * renewalInterval

export class LeaseTable {
  readonly #transport: Transport
  readonly #groupId: string

  /** The leases of the reply addresses below this name: a topic, or the prefix of topics. */
  constructor(transport: Transport, name: string) {
    this.#transport = transport
    this.#groupId = `milena-reply-owners.${name}`
  }

  async read(topics: readonly string[]): Promise<readonly Lease[]> {
    const offsets = await this.#transport.readCommittedOffsets(this.#groupId, topics)
    return offsets.flatMap((offset) => parseLease(offset) ?? [])
  }

  write(lease: Lease): Promise<void> {
    const { owner, renewedAt, holder, answers } = lease
    const parts = [owner, Math.round(renewedAt), holder, holder === undefined ? undefined : answers]
    return this.#write(lease, parts.filter((part) => part !== undefined).join(' '))
  }

  release(place: TopicPartition): Promise<void> {
    return this.#write(place, '')
  }

  #write({ topic, partition }: TopicPartition, metadata: string): Promise<void> {
    return this.#transport.writeCommittedOffsets(this.#groupId, [{ topic, partition, offset: 0, metadata }])
  }
}

function parseLease({ topic, partition, metadata }: CommittedOffset): Lease | undefined {
  const match = /^(\S{1,255}) (\d{1,16})(?: (\S{1,300})(?: (\S{1,100}))?)?$/.exec(metadata)
  if (match === null) return undefined
  const [, owner, renewedAt, holder, answers] = match
  return { topic, partition, owner: owner!, renewedAt: Number(renewedAt), holder, answers }
}

/** Whether an error says that the transport was closed: nothing will go well any more, and whoever closed it knows. */
export function isClosed(error: unknown): boolean {
  return error instanceof MilenaError && error.code === 'MILENA_CLOSED'
}

/**
 * Does something again and again, one at a time, `interval` milliseconds after the last one ended. An error is told once
 * until it has gone well again: a right that is missing will be missing tomorrow, too. It ends by itself, without a
 * word, when the transport is closed.
 */
export class Housekeeping {
  readonly #clock: Clock
  readonly #interval: number
  readonly #work: () => Promise<void>
  readonly #onError: (error: Error) => void
  #timer: ScheduledTimer | undefined
  #running: Promise<void> = Promise.resolve()
  #told: string | undefined
  #closed = false

  /** @param first milliseconds before the first time */
  constructor(
    clock: Clock,
    interval: number,
    work: () => Promise<void>,
    onError: (error: Error) => void,
    first: number = interval,
  ) {
    this.#clock = clock
    this.#interval = interval
    this.#work = work
    this.#onError = onError
    this.#schedule(first)
  }

  /** Resolves when the work that was running has ended; none begins after it was called. */
  close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    return this.#running
  }

  #schedule(delay: number): void {
    if (this.#closed) return
    this.#timer = this.#clock.schedule(delay, () => {
      this.#running = this.#work().then(
        () => this.#ended(undefined),
        (thrown: unknown) => this.#ended(errorOf(thrown)),
      )
    })
  }

  #ended(error: Error | undefined): void {
    if (isClosed(error)) this.#closed = true
    const problem = error instanceof MilenaError ? error.code : error?.message
    if (error !== undefined && problem !== this.#told && !this.#closed) this.#onError(error)
    this.#told = problem
    this.#schedule(this.#interval)
  }
}
