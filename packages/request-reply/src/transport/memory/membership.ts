/**
 * A member of a group, as its own process sees it.
 *
 *     joining ──assigned──▶ joined ──expelled, or cut off for a session──▶ joining (as a new member)
 *        │                    │  └──replaced──▶ closed
 *        └────signal, close───┴──▶ closing ──left──▶ closed
 */
import { TransportError } from '../../errors.ts'
import { errorOf } from '../../words.ts'
import { Troubles, troubleKind } from '../troubles.ts'
import { Cursor } from './log.ts'
import { OrderedCalls, type Link } from './link.ts'
import {
  commitUnanswered,
  isTooLong,
  joinClosed,
  metadataTooLong,
  nameTaken,
  placeLost,
  sessionOver,
  transportClosed,
} from './refusals.ts'
import { commitRefused, notHeld } from '../commit-refusals.ts'
import { keyOf } from '../partition-key.ts'
import type {
  GroupMembership,
  GroupOptions,
  LossReason,
  OffsetToCommit,
  TopicPartition,
  Trouble,
} from '../transport.ts'
import type { ScheduledTimer } from '../../clock.ts'
import type { ClusterState } from './cluster-state.ts'
import type { AssignedPartition, GroupMember, GroupSession, MemoryGroup } from './group.ts'
import { SubscribedTopics } from './subscribed-topics.ts'

/** Milliseconds within which the coordinator takes a leave; without it the session timeout does the same. */
const leaveLimit = 3_000
/** Milliseconds without the coordinator after which that is a trouble. */
const silence = 30_000

/** Partitions that are let go of together. */
interface Drain {
  /** Those that are still held. */
  readonly left: Set<Cursor>
  readonly allLost: () => void
}

export class MemoryMembership implements GroupMembership {
  readonly #cluster: ClusterState
  readonly #link: Link
  readonly #options: GroupOptions
  readonly #group: MemoryGroup
  readonly #ended: () => void
  readonly #up: OrderedCalls
  readonly #down: OrderedCalls
  readonly #cursors = new Map<string, Cursor>()
  readonly #drains = new Set<Drain>()
  readonly #lettingGo = new Set<Promise<void>>()
  readonly #troubles: Troubles
  readonly #topicsChanged = (): void =>
    void this.#link.after(0, () => this.#stopped || this.#topics.look(this.#troubles))
  readonly #topics: SubscribedTopics
  readonly #committing = new Set<(error: TransportError) => void>()
  readonly #settled = Promise.withResolvers<void>()
  readonly #left = Promise.withResolvers<void>()
  #joined = false
  #stopped = false
  #member: GroupMember | undefined
  /** When the session is over by our own clock, while no heartbeat can be answered. */
  #sessionEnd: ScheduledTimer | undefined
  #closing: Promise<void> | undefined

  constructor(cluster: ClusterState, link: Link, options: GroupOptions, ended: () => void) {
    this.#cluster = cluster
    this.#link = link
    this.#options = options
    this.#group = cluster.group(options.groupId)
    this.#ended = ended
    this.#troubles = new Troubles(options)
    this.#topics = new SubscribedTopics(cluster, options.topics)
    this.#up = new OrderedCalls(link)
    this.#down = new OrderedCalls(link)
  }

  /**
   * Resolves when the member has its first assignment, be it empty. Rejects with `MILENA_CLOSED`, once the member has
   * left, when it is closed or the signal fires before that.
   */
  async join(): Promise<void> {
    const { signal } = this.#options
    this.#topics.begin()
    const end = (): void => void this.close()
    if (signal?.aborted === true) end()
    else {
      signal?.addEventListener('abort', end, { once: true })
      this.#cluster.watch(this.#topicsChanged)
      this.#enter()
    }
    try {
      await this.#settled.promise
      if (this.#closing === undefined) return
      await this.#closing
      throw joinClosed(this.#options.groupId)
    } finally {
      signal?.removeEventListener('abort', end)
    }
  }

  commit(offsets: readonly OffsetToCommit[]): Promise<void> {
    // Fenced by the membership under which it was asked for: when the member is expelled and back before this
    // arrives, the commit is the old member's.
    const member = this.#member
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (!this.#link.alive || !member) {
      reject(notHeld(this.#options.groupId, offsets))
      return promise
    }
    this.#committing.add(reject)
    this.#up.push(0, () => {
      const fitting = offsets.filter((one) => !isTooLong(one))
      const refused = this.#group.commit(member, fitting)
      this.#down.push(0, () => {
        this.#committing.delete(reject)
        if (refused.length > 0) reject(commitRefused(this.#options.groupId, refused))
        else if (fitting.length < offsets.length) reject(metadataTooLong())
        else resolve()
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

  unread(): number {
    let unread = 0
    for (const { log, position } of this.#cursors.values())
      unread += Math.max(0, log.records.length - position)
    return unread
  }

  troubles(): readonly Trouble[] {
    return this.#troubles.list
  }

  close(): Promise<void> {
    this.#closing ??= this.#leave()
    return this.#closing
  }

  /** The transport is closing, which closes this member too. */
  transportClosed(): void {
    const error = transportClosed(`group ${this.#options.groupId} is not read any more`)
    this.#troubles.begin('transport', { kind: 'closed', since: this.#cluster.clock.now(), error })
    void this.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The connection is cut: no heartbeat arrives until it is back. */
  cut(): void {
    const member = this.#member
    if (!member) return
    this.#group.silence(member)
    this.#sessionEnd ??= this.#cluster.clock.schedule(member.sessionTimeout, () => this.#sessionOver(member))
    const since = this.#cluster.clock.now()
    const late = this.#cluster.clock.schedule(silence, () => {
      const text = `group ${this.#options.groupId}: no coordinator has answered for ${silence} ms`
      if (this.#link.cutFor > 0 && !this.#stopped)
        this.#trouble('coordinator', new TransportError('MILENA_BROKER_UNREACHABLE', text), since)
    })
    this.#link.after(0, () => {
      late.cancel()
      this.#troubles.end('coordinator')
      this.#sessionEnd?.cancel()
      this.#sessionEnd = undefined
      this.#group.heard(member)
    })
  }

  /** The process is gone. */
  kill(): void {
    if (this.#member) this.#group.silence(this.#member)
    for (const reject of this.#committing) reject(commitUnanswered(this.#options.groupId))
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
      revoke: told((partitions: readonly TopicPartition[]) => this.#letGo(member, partitions)),
      lost: told((partitions: readonly TopicPartition[]) =>
        this.#lost(
          partitions.flatMap((at) => this.#cursors.get(keyOf(at)) ?? []),
          'log-gone',
        ),
      ),
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
    for (const { committed } of news) if (committed) this.#options.onCommitted?.(committed)
    for (const cursor of cursors) cursor.start()
    this.#commitStarts(cursors.filter((_, index) => news[index]!.committed === undefined))
    this.#troubles.end('place')
    if (!this.#joined) this.#troubles.listen()
    this.#joined = true
    this.#settled.resolve()
  }

  #place(at: AssignedPartition): Cursor {
    const log = this.#cluster.topics.get(at.topic)!.partitions[at.partition]!
    const start = this.#options.from === 'latest' && !this.#topics.hasGrown(at) ? log.records.length : 0
    const cursor = new Cursor(
      this.#link,
      log,
      at.committed?.offset ?? start,
      () => this.#cluster.faults,
      (records, appendedAfter?: number) => this.#options.onRecords(records, appendedAfter),
    )
    this.#cursors.set(keyOf(at), cursor)
    return cursor
  }

  /** From the latest: else whoever gets the partition next would begin at what is the latest then. */
  #commitStarts(cursors: readonly Cursor[]): void {
    const member = this.#member
    if (this.#options.from !== 'latest' || cursors.length === 0 || !member) return
    const starts = cursors.map((one) => ({ ...bare(one), offset: one.position }))
    this.#up.push(0, () => this.#group.commit(member, starts))
  }

  /** Hands the partitions back once the application has finished with them, or its time is up. */
  #letGo(member: GroupMember, partitions: readonly TopicPartition[]): void {
    const cursors = partitions.flatMap((at) => this.#cursors.get(keyOf(at)) ?? [])
    const going = this.#drain(cursors).then((drained) => {
      this.#lettingGo.delete(going)
      // Behind every commit that was given before: same lane.
      this.#up.push(0, () => this.#group.release(member, drained))
    })
    this.#lettingGo.add(going)
  }

  /** They are read until `onRevoked` settles, its time is up, or all are lost. Returns those that were not lost. */
  async #drain(cursors: readonly Cursor[]): Promise<readonly TopicPartition[]> {
    if (cursors.length === 0) return []
    const [late, lost] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const drain: Drain = { left: new Set(cursors), allLost: lost.resolve }
    this.#drains.add(drain)
    const timer = this.#cluster.clock.schedule(this.#options.drainTimeout ?? 10_000, late.resolve)
    await Promise.race([this.#revoke(cursors), late.promise, lost.promise])
    timer.cancel()
    this.#drains.delete(drain)
    return cursors.filter((one) => this.#over(one)).map(bare)
  }

  async #revoke(cursors: readonly Cursor[]): Promise<void> {
    try {
      await this.#options.onRevoked(cursors.map(bare))
    } catch (error) {
      this.#options.onError?.(errorOf(error))
    }
  }

  #lost(cursors: readonly Cursor[], why: LossReason = 'taken'): void {
    const held = cursors.filter((one) => this.#over(one))
    for (const drain of this.#drains) {
      for (const one of held) drain.left.delete(one)
      if (drain.left.size === 0) drain.allLost()
    }
    if (held.length > 0) this.#options.onLost(held.map(bare), why)
  }

  #expelled(): void {
    this.#member = undefined
    this.#lost([...this.#cursors.values()])
    if (this.#joined) this.#trouble('place', placeLost(this.#options.groupId))
    if (!this.#closing) this.#enter()
  }

  /** The group may have given away what this member holds, and cannot say so: it lets go, and joins when it can. */
  #sessionOver(member: GroupMember): void {
    this.#sessionEnd = undefined
    if (this.#member !== member || this.#stopped) return
    this.#member = undefined
    this.#lost([...this.#cursors.values()])
    if (this.#joined) this.#trouble('place', sessionOver(this.#options.groupId, member.sessionTimeout))
    if (!this.#closing) this.#enter()
  }

  #replaced(): void {
    const error = nameTaken(this.#options.groupId, this.#options.groupInstanceId)
    this.#member = undefined
    this.#closing ??= Promise.resolve()
    this.#lost([...this.#cursors.values()])
    if (this.#joined) this.#trouble('name', error)
    this.#settled.reject(error)
    this.#settled.promise.catch(() => undefined)
    this.#stop()
  }

  async #leave(): Promise<void> {
    const drains = [...this.#drains]
    const kept = [...this.#cursors.values()].filter((one) => !drains.some(({ left }) => left.has(one)))
    await Promise.all([...this.#lettingGo, this.#drain(kept)])
    const member = this.#member
    if (this.#link.alive && member) {
      this.#up.push(0, () => {
        // A static member's partitions stay its own, once it had a place, until the session has timed out.
        if (this.#options.groupInstanceId === undefined || !this.#joined) this.#group.leave(member)
        else this.#group.silence(member)
        this.#down.push(0, this.#left.resolve)
      })
      const late = this.#cluster.clock.schedule(leaveLimit, this.#left.resolve)
      await this.#left.promise
      late.cancel()
    }
    this.#stop()
  }

  /** One that lasts, told once. */
  #trouble(cause: string, error: TransportError, since = this.#cluster.clock.now()): void {
    if (this.#troubles.begin(cause, { kind: troubleKind(error), since, error }))
      this.#options.onError?.(error)
  }

  #stop(): void {
    this.#stopped = true
    this.#sessionEnd?.cancel()
    this.#cluster.unwatch(this.#topicsChanged)
    for (const cursor of this.#cursors.values()) cursor.stop()
    this.#cursors.clear()
    this.#member = undefined
    this.#troubles.endAllBut('transport', 'name')
    this.#settled.resolve()
    this.#left.resolve()
    this.#ended()
  }

  /** Reads no more of it; false when that was over already. */
  #over(cursor: Cursor): boolean {
    const key = keyOf(cursor.log)
    if (this.#cursors.get(key) !== cursor) return false
    cursor.stop()
    return this.#cursors.delete(key)
  }
}

function bare({ log: { topic, partition } }: Cursor): TopicPartition {
  return { topic, partition }
}
