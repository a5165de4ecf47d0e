/**
 * A member of a group, as its own process sees it.
 *
 *     joining ──assigned──▶ joined ──expelled──▶ joining (as a new member)
 *                             │  └──replaced──▶ closed
 *                             └──close──▶ closing ──left──▶ closed
 */
import { TransportError } from '../../errors.ts'
import { Cursor } from './log.ts'
import { Lane, type Link } from './link.ts'
import { brokerError, topicMissing } from './refusals.ts'
import type { GroupMembership, GroupOptions, RecordPosition, TopicPartition } from '../transport.ts'
import type { ClusterState } from './cluster-state.ts'
import type { AssignedPartition, GroupMember, GroupSession, MemoryGroup } from './group.ts'

const keyOf = (at: TopicPartition): string => `${at.topic}/${at.partition}`

export class MemoryMembership implements GroupMembership {
  readonly #cluster: ClusterState
  readonly #link: Link
  readonly #options: GroupOptions
  readonly #group: MemoryGroup
  readonly #ended: () => void
  readonly #up: Lane
  readonly #down: Lane
  readonly #cursors = new Map<string, Cursor>()
  readonly #draining = new Set<Promise<void>>()
  readonly #committing = new Set<(error: TransportError) => void>()
  readonly #settled = Promise.withResolvers<void>()
  readonly #left = Promise.withResolvers<void>()
  #member: GroupMember | undefined
  #closing: Promise<void> | undefined

  constructor(cluster: ClusterState, link: Link, options: GroupOptions, ended: () => void) {
    this.#cluster = cluster
    this.#link = link
    this.#options = options
    this.#group = cluster.group(options.groupId)
    this.#ended = ended
    this.#up = new Lane(link)
    this.#down = new Lane(link)
  }

  /** Resolves when the member has its first assignment, be it empty. */
  join(): Promise<void> {
    const missing = this.#options.topics.find((topic) => !this.#cluster.topics.has(topic))
    if (missing !== undefined) return Promise.reject(topicMissing(missing))
    this.#enter()
    return this.#settled.promise
  }

  commit(offsets: readonly RecordPosition[]): Promise<void> {
    // Fenced by the membership under which it was asked for: when the member is expelled and back before this
    // arrives, the commit is the old member's.
    const member = this.#member
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (!this.#link.alive || !member) {
      reject(fenced(this.#options.groupId, offsets))
      return promise
    }
    this.#committing.add(reject)
    this.#up.push(0, () => {
      const refused = this.#group.commit(member, offsets)
      this.#down.push(0, () => {
        this.#committing.delete(reject)
        if (refused.length === 0) resolve()
        else reject(fenced(this.#options.groupId, refused))
      })
    })
    return promise
  }

  pause(partition: TopicPartition): void {
    this.#cursors.get(keyOf(partition))?.pause()
  }

  resume(partition: TopicPartition): void {
    this.#cursors.get(keyOf(partition))?.resume()
  }

  close(): Promise<void> {
    this.#closing ??= this.#leave()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The connection is cut: no heartbeat arrives until it is back. */
  cut(): void {
    const member = this.#member
    if (!member) return
    this.#group.silence(member)
    this.#link.after(0, () => this.#group.heard(member))
  }

  /** The process is gone. */
  kill(): void {
    if (this.#member) this.#group.silence(this.#member)
    for (const reject of this.#committing) reject(unanswered(this.#options.groupId))
    this.#committing.clear()
    this.#stop()
  }

  #enter(): void {
    let member: GroupMember
    // What the coordinator says to a member that is no more is not for the one that came after it.
    const told =
      <A extends unknown[]>(hear: (...what: A) => void): ((...what: A) => void) =>
      (...what) =>
        this.#down.push(0, () => {
          if (this.#member === member) hear(...what)
        })
    const session: GroupSession = {
      assigned: told((partitions: readonly AssignedPartition[]) => this.#assigned(partitions)),
      revoke: told((partitions: readonly TopicPartition[]) => void this.#letGo(member, partitions)),
      lost: told((partitions: readonly TopicPartition[]) => this.#lost(partitions)),
      expelled: told(() => this.#expelled()),
      replaced: told(() => this.#replaced()),
      failed: told((error: TransportError) => this.#options.onError?.(error)),
    }
    this.#up.push(0, () => {
      if (this.#closing) return
      member = this.#group.join(this.#link.clientId, this.#options, session)
      this.#member = member
      if (this.#link.cutFor > 0) this.cut()
    })
  }

  #assigned(partitions: readonly AssignedPartition[]): void {
    if (this.#closing) return
    const news = partitions.filter((at) => this.#cluster.topics.get(at.topic)?.partitions[at.partition])
    const cursors = news.map((partition) => this.#place(partition))
    if (news.length > 0)
      this.#options.onAssigned?.(news.map(({ topic, partition }) => ({ topic, partition })))
    for (const cursor of cursors) cursor.start()
    this.#settled.resolve()
  }

  #place(at: AssignedPartition): Cursor {
    const log = this.#cluster.topics.get(at.topic)!.partitions[at.partition]!
    const start = this.#options.from === 'latest' ? log.records.length : 0
    const cursor = new Cursor(
      this.#link,
      log,
      at.committed ?? start,
      () => this.#cluster.faults,
      (records) => this.#options.onRecords(records),
    )
    this.#cursors.set(keyOf(at), cursor)
    return cursor
  }

  /** Hands the partitions back once the application has finished with them, or its time is up. */
  #letGo(member: GroupMember, partitions: readonly TopicPartition[]): Promise<void> {
    const drained = this.#drain(partitions).then(() => {
      this.#draining.delete(drained)
      // Behind every commit that was given before: same lane.
      this.#up.push(0, () => this.#group.release(member, partitions))
    })
    this.#draining.add(drained)
    return drained
  }

  async #drain(partitions: readonly TopicPartition[]): Promise<void> {
    const held = this.#take(partitions)
    if (held.length === 0) return
    const late = Promise.withResolvers<void>()
    const timer = this.#cluster.clock.schedule(this.#options.drainTimeout ?? 10_000, late.resolve)
    try {
      await Promise.race([this.#options.onRevoked(held), late.promise])
    } catch (error) {
      this.#options.onError?.(error instanceof Error ? error : new Error(String(error)))
    } finally {
      timer.cancel()
    }
  }

  #lost(partitions: readonly TopicPartition[]): void {
    const held = this.#take(partitions)
    if (held.length > 0) this.#options.onLost(held)
  }

  #expelled(): void {
    this.#member = undefined
    this.#lost(this.#held())
    if (!this.#closing) this.#enter()
  }

  #replaced(): void {
    this.#member = undefined
    this.#closing ??= Promise.resolve()
    this.#lost(this.#held())
    this.#options.onError?.(
      brokerError('FENCED_INSTANCE_ID', `another member joined as ${this.#options.groupInstanceId}`),
    )
    this.#stop()
  }

  async #leave(): Promise<void> {
    await Promise.all([...this.#draining, this.#drain(this.#held())])
    const member = this.#member
    if (this.#link.alive && member) {
      this.#up.push(0, () => {
        // A static member's partitions stay its own until the session has timed out.
        if (this.#options.groupInstanceId === undefined) this.#group.leave(member)
        else this.#group.silence(member)
        this.#down.push(0, this.#left.resolve)
      })
      await this.#left.promise
    }
    this.#stop()
  }

  #held(): TopicPartition[] {
    return [...this.#cursors.values()].map(({ log: { topic, partition } }) => ({ topic, partition }))
  }

  #stop(): void {
    for (const cursor of this.#cursors.values()) cursor.stop()
    this.#cursors.clear()
    this.#member = undefined
    this.#settled.resolve()
    this.#left.resolve()
    this.#ended()
  }

  /** Reads no more of these; returns those of them that were read. */
  #take(partitions: readonly TopicPartition[]): TopicPartition[] {
    return partitions
      .filter((partition) => {
        const cursor = this.#cursors.get(keyOf(partition))
        cursor?.stop()
        return this.#cursors.delete(keyOf(partition))
      })
      .map(({ topic, partition }) => ({ topic, partition }))
  }
}

function fenced(groupId: string, refused: readonly RecordPosition[]): TransportError {
  const names = refused.map(({ topic, partition }) => `${topic}[${partition}]`).join(', ')
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: ${names} is no longer held by this member, nothing was committed for it`,
  )
}

function unanswered(groupId: string): TransportError {
  return new TransportError(
    'MILENA_BROKER_UNREACHABLE',
    `group ${groupId}: the connection was lost, the commit may have been applied`,
    { sent: 'unknown' },
  )
}
