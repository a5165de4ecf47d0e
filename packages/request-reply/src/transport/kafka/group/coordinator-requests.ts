/**
 * The group's coordinator: the broker that keeps the group's members and committed offsets, found anew whenever it
 * fails, and the requests to it. What the answers mean for a member is `member.ts`.
 *
 * Four connections, because a broker answers one connection in order: JoinGroup and SyncGroup wait for other members,
 * OffsetCommit for the replicas of the offsets topic (9 s and more when one of them died), and heartbeats must not
 * wait behind either; nor may the reading of committed offsets behind a commit.
 *
 * Every request gives its answer, with Kafka's error code in it; it rejects when the coordinator cannot be found or
 * does not answer. The next request then looks for it again, through another broker.
 */
import type { OffsetToCommit, TopicPartition } from '../../transport.ts'
import { findCoordinator, whileCoordinator } from '../cluster/coordinator.ts'
import type { BrokerAddress, BrokerConnection } from '../connection/connection.ts'
import type { BrokerPool, Connections } from '../connection/connections.ts'
import { NetworkFailure } from '../connection/verdicts.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { isRetriable, kafka } from '../protocol/error-codes.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { requireApis, type NeededApi } from '../cluster/needs.ts'
import { untilAborted } from '../waiting/until-aborted.ts'
import { heartbeatApi } from '../protocol/heartbeat.ts'
import { joinGroupApi, type JoinGroupAnswer } from '../protocol/join-group.ts'
import { leaveGroupApi } from '../protocol/leave-group.ts'
import { offsetCommitApi } from '../protocol/offset-commit.ts'
import { offsetFetchApi } from '../protocol/offset-fetch.ts'
import { syncGroupApi, type SyncGroupAnswer } from '../protocol/sync-group.ts'
import { keyOf } from '../../partition-key.ts'

/** What a member asks of its coordinator. */
const memberNeeds: readonly NeededApi[] = [
  joinGroupApi,
  syncGroupApi,
  heartbeatApi,
  leaveGroupApi,
  offsetCommitApi,
  offsetFetchApi,
]
/** The version of JoinGroup from which on a static member that led, and comes back, is told that it leads (KIP-814). */
const LEADS_AGAIN = 9
/**
 * Milliseconds within which a heartbeat must be answered, and the part of the session timeout that this is at most. Since
 * Apache Kafka 4.0 a coordinator holds it back while it waits for the replicas of what it wrote before, a SyncGroup's
 * assignment or a commit, on which it gives up after 5 s (`offsets.commit.timeout.ms`): that is slow, and no silence.
 */
const BEAT_LIMIT = 6_000
const BEAT_SHARE = 0.4
/** The brokers give up on a commit likewise. */
const COMMIT_LIMIT = 7_000
/**
 * Milliseconds beyond the rebalance timeout after which JoinGroup is asked again. Another member may have a longer one, and
 * the answer may have been lost on its way: which of the two cannot be seen from here.
 */
const JOIN_GRACE = 5_000
/** Milliseconds without a byte after which no answer is arriving. */
const QUIET = 1_000

/** Who asks: the broker refuses whoever is not, or no longer, a member in this generation. */
export interface Identity {
  readonly memberId: string
  readonly generation: number
}

export interface JoinAnswer extends JoinGroupAnswer {
  /** Whether a static member that led the group, and comes back, leads it again; else its group has no leader. */
  readonly leadsAgain: boolean
  readonly leads: boolean
}

/** What a group has committed in a partition. */
export interface Committed {
  readonly offset: number
  readonly metadata: string
}

export interface CoordinatorOptions {
  readonly groupId: string
  readonly instanceId: string | null
  readonly sessionTimeout: number
  readonly rebalanceTimeout: number
}

export class GroupCoordinator {
  readonly #metadata: Metadata
  readonly #options: CoordinatorOptions
  readonly #beats: BrokerPool
  readonly #waits: BrokerPool
  readonly #commits: BrokerPool
  readonly #offsets: BrokerPool
  #node: BrokerAddress | undefined
  /** Where JoinGroup or SyncGroup was last sent. */
  #waitsAt: BrokerAddress | undefined
  /** When it last answered a heartbeat (`performance.now()`). */
  #livedAt = -Infinity
  #finding: Promise<BrokerAddress> | undefined
  readonly #ending = new AbortController()

  constructor(connections: Connections, metadata: Metadata, options: CoordinatorOptions) {
    this.#metadata = metadata
    this.#options = options
    const beatLimit = Math.min(BEAT_LIMIT, Math.ceil(options.sessionTimeout * BEAT_SHARE))
    this.#beats = connections.open(beatLimit)
    this.#offsets = connections.open(beatLimit)
    this.#commits = connections.open(COMMIT_LIMIT)
    this.#waits = connections.open(options.rebalanceTimeout + JOIN_GRACE)
  }

  /** Joins, or joins again. Answered when every member has, or the rebalance timeout is over. */
  async join(memberId: string, protocol: string, subscription: Buffer, reason: string): Promise<JoinAnswer> {
    let version = 0
    const answer = await this.#ask(this.#waits, (connection) => {
      version = connection.version(joinGroupApi)
      return connection.ask(joinGroupApi, { ...this.#options, memberId, protocol, subscription, reason })
    })
    const leadsAgain = version >= LEADS_AGAIN
    return { ...answer, leadsAgain, leads: answer.memberId !== '' && answer.leader === answer.memberId }
  }

  /** Gets this member's assignment; the leader brings everybody's. */
  async sync(
    { memberId, generation }: Identity,
    protocol: string,
    assignments: readonly { memberId: string; assignment: Buffer }[],
  ): Promise<SyncGroupAnswer> {
    const { groupId, instanceId } = this.#options
    return this.#ask(this.#waits, (connection) =>
      connection.ask(syncGroupApi, { groupId, instanceId, memberId, generation, protocol, assignments }),
    )
  }

  /** Says that this member lives. Gives Kafka's error code. */
  async heartbeat({ memberId, generation }: Identity): Promise<number> {
    const { groupId, instanceId } = this.#options
    const { errorCode } = await this.#ask(this.#beats, (connection) =>
      connection.ask(heartbeatApi, { groupId, instanceId, memberId, generation }),
    )
    return errorCode
  }

  /**
   * Ends a membership; without a member id, that of whoever has the instance id. The only thing that can still be asked
   * after `end`. Gives Kafka's error code.
   */
  async leave(memberId: string): Promise<number> {
    const { groupId, instanceId } = this.#options
    const reason = 'closed by the application'
    const { errorCode } = await this.#ask(
      this.#beats,
      (connection) => connection.ask(leaveGroupApi, { groupId, instanceId, memberId, reason }),
      'also after the end',
    )
    return errorCode
  }

  /** Commits, as this member in this generation only. Gives Kafka's error code for each offset, in turn. */
  async commit({ memberId, generation }: Identity, offsets: readonly OffsetToCommit[]): Promise<number[]> {
    const { groupId, instanceId } = this.#options
    const wanted = offsets.map(({ topic, partition, offset, metadata }) => {
      return {
        topic,
        partition,
        offset,
        metadata: metadata === undefined || metadata === '' ? null : metadata,
      }
    })
    const { results } = await this.#ask(this.#commits, async (connection) => {
      const request = { groupId, instanceId, memberId, generation, offsets: wanted }
      const got = await connection.ask(offsetCommitApi, request)
      return { results: got, errorCode: got[0]?.errorCode ?? kafka.none }
    })
    const codes = new Map(results.map((one) => [keyOf(one), one.errorCode]))
    return offsets.map((one) => codes.get(keyOf(one)) ?? kafka.coordinatorNotAvailable)
  }

  /**
   * What the group has committed: the next offset to read and its metadata, or `undefined` for none. A partition whose offset is not
   * certain yet (a transaction is committing it) is left out.
   */
  async committed(partitions: readonly TopicPartition[]): Promise<Map<string, Committed | undefined>> {
    const { groupId } = this.#options
    const request = { groupId, partitions, requireStable: true }
    const { errorCode: refused, offsets } = await this.#ask(this.#offsets, async (connection) => {
      const got = await connection.ask(offsetFetchApi, request)
      return got ?? { errorCode: kafka.coordinatorNotAvailable, offsets: [] }
    })
    if (refused !== kafka.none) throw this.#refusal(refused, 'reading the committed offsets')
    const found = new Map<string, Committed | undefined>()
    for (const one of offsets) {
      const { errorCode, offset, metadata } = one
      if (errorCode !== kafka.none && !isRetriable(errorCode)) {
        throw this.#refusal(errorCode, `reading the committed offset of ${keyOf(one)}`)
      }
      if (errorCode !== kafka.none) continue
      found.set(keyOf(one), offset < 0 ? undefined : { offset, metadata: metadata ?? '' })
    }
    return found
  }

  /**
   * Cuts the connection on which JoinGroup or SyncGroup waits: it rejects at once. Not while its answer is arriving: the
   * leader's has everybody's subscription in it, and would take as long when it is asked for again.
   */
  abandonWait(): void {
    if (this.#waitsAt !== undefined) this.#waits.cut(this.#waitsAt, QUIET)
  }

  /** Nothing is asked from now on; what is on the wire is still answered, what is not rejects with `MILENA_CLOSED`. */
  end(): void {
    this.#ending.abort()
  }

  /** Ends everything that is under way; resolves when the sockets are gone. */
  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.close()))
  }

  get #pools(): readonly BrokerPool[] {
    return [this.#beats, this.#waits, this.#commits, this.#offsets]
  }

  async #ask<Answer extends { readonly errorCode: number }>(
    pool: BrokerPool,
    act: (connection: BrokerConnection) => Promise<Answer>,
    when: 'before the end' | 'also after the end' = 'before the end',
  ): Promise<Answer> {
    const wait = <Value>(promise: Promise<Value>): Promise<Value> =>
      when === 'also after the end'
        ? promise
        : untilAborted(promise, this.#ending.signal, `group ${this.#options.groupId}`)
    const asked = performance.now()
    const node = this.#node ?? (await wait((this.#finding ??= this.#find())))
    try {
      if (pool === this.#waits) this.#waitsAt = node
      const stays = <Value>(asking: Promise<Value>): Promise<Value> =>
        whileCoordinator(this.#metadata, this.#options.groupId, node, asking)
      const connection = await stays(wait(pool.get(node)))
      if (when === 'before the end' && this.#node !== node)
        throw new Error('the coordinator was lost meanwhile')
      if (pool === this.#waits) requireApis(`join group ${this.#options.groupId}`, connection, memberNeeds)
      const answer = await stays(act(connection))
      if (pool === this.#beats) this.#livedAt = performance.now()
      this.#metadata.absolve(node)
      const { errorCode } = answer
      if (errorCode === kafka.coordinatorNotAvailable || errorCode === kafka.notCoordinator) this.#lost(node)
      return answer
    } catch (error) {
      if (when === 'before the end' && this.#ending.signal.aborted) throw error
      const isSilent = error instanceof NetworkFailure && error.silent
      // It waits for members that may take longer than this one: nothing else is to end with that.
      if (isSilent && pool === this.#waits && this.#livedAt > asked) throw error
      this.#metadata.blame(node)
      this.#lost(node)
      throw error
    }
  }

  /**
   * What waits on the other connections is for nothing, too: the join would wait for 20 s on a coordinator of
   * which a heartbeat has shown after 6 s that it hangs.
   */
  #lost(node: BrokerAddress): void {
    if (this.#node !== node) return
    this.#node = undefined
    for (const pool of this.#pools) pool.cut(node)
  }

  async #find(): Promise<BrokerAddress> {
    try {
      return (this.#node = await findCoordinator(this.#metadata, this.#options.groupId))
    } finally {
      this.#finding = undefined
    }
  }

  #refusal(code: number, what: string): Error {
    return refusal(code, `group ${this.#options.groupId}: ${what}`, { retryable: isRetriable(code) })
  }
}
