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
import {
  heartbeatV4,
  joinGroupV7,
  joinGroupV9,
  leaveGroupV4,
  offsetCommitV8,
  offsetFetchV8,
  syncGroupV5,
} from '@platformatic/kafka'
import type { OffsetToCommit, TopicPartition } from '../../transport.ts'
import { findCoordinator } from '../cluster/coordinator.ts'
import type { BrokerAddress, BrokerPool, Connections, Link } from '../cluster/connections.ts'
import { isRetriable, kafka, orAnswer, refusal } from '../cluster/kafka-errors.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { memberNeeds, requireApis } from '../cluster/needs.ts'
import { untilAborted } from '../cluster/until-aborted.ts'
import type { ApiVersionTable } from '../cluster/versions.ts'

/** Milliseconds within which a heartbeat must be answered, at most a third of the session timeout. */
const BEAT_LIMIT = 3_000
/** The brokers give up on a commit after 5 s (`offsets.commit.timeout.ms`). */
const COMMIT_LIMIT = 7_000
/** Milliseconds beyond the rebalance timeout in which JoinGroup must be answered. */
const JOIN_GRACE = 5_000

/** Who asks: the broker refuses whoever is not, or no longer, a member in this generation. */
export interface Identity {
  readonly memberId: string
  readonly generation: number
}

export interface JoinAnswer extends Identity {
  readonly errorCode: number
  readonly leads: boolean
  /** For the leader: it need not assign, the assignment stands (a static member came back, KIP-814). */
  readonly skipAssignment: boolean
  /** For the leader: everybody's subscription. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[]
}

const joinGroupApi: ApiVersionTable<typeof joinGroupV9.api> = {
  name: 'JoinGroup',
  key: 11,
  versions: { 7: joinGroupV7.api, 9: joinGroupV9.api },
}
const syncGroupApi: ApiVersionTable<typeof syncGroupV5.api> = {
  name: 'SyncGroup',
  key: 14,
  versions: { 5: syncGroupV5.api },
}
const heartbeatApi: ApiVersionTable<typeof heartbeatV4.api> = {
  name: 'Heartbeat',
  key: 12,
  versions: { 4: heartbeatV4.api },
}
const leaveGroupApi: ApiVersionTable<typeof leaveGroupV4.api> = {
  name: 'LeaveGroup',
  key: 13,
  versions: { 4: leaveGroupV4.api },
}
const offsetCommitApi: ApiVersionTable<typeof offsetCommitV8.api> = {
  name: 'OffsetCommit',
  key: 8,
  versions: { 8: offsetCommitV8.api },
}
const offsetFetchApi: ApiVersionTable<typeof offsetFetchV8.api> = {
  name: 'OffsetFetch',
  key: 9,
  versions: { 8: offsetFetchV8.api },
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
  #finding: Promise<BrokerAddress> | undefined
  readonly #ending = new AbortController()

  constructor(connections: Connections, metadata: Metadata, options: CoordinatorOptions) {
    this.#metadata = metadata
    this.#options = options
    const beatLimit = Math.min(BEAT_LIMIT, Math.ceil(options.sessionTimeout / 3))
    this.#beats = connections.open(beatLimit)
    this.#offsets = connections.open(beatLimit)
    this.#commits = connections.open(COMMIT_LIMIT)
    this.#waits = connections.open(options.rebalanceTimeout + JOIN_GRACE)
  }

  /** Joins, or joins again. Answered when every member has, or the rebalance timeout is over. */
  async join(memberId: string, protocol: string, subscription: Buffer, reason: string): Promise<JoinAnswer> {
    const { groupId, instanceId, sessionTimeout, rebalanceTimeout } = this.#options
    const answer = await this.#ask(this.#waits, (link) =>
      orAnswer(
        link
          .pick(joinGroupApi)
          .api.async(
            link.connection,
            groupId,
            sessionTimeout,
            rebalanceTimeout,
            memberId,
            instanceId,
            'consumer',
            [{ name: protocol, metadata: subscription }],
            reason,
          ),
      ),
    )
    return {
      errorCode: answer.errorCode,
      memberId: answer.memberId,
      generation: answer.generationId,
      leads: answer.memberId !== '' && answer.leader === answer.memberId,
      skipAssignment: answer.skipAssignment,
      members: answer.members,
    }
  }

  /** Gets this member's assignment; the leader brings everybody's. */
  async sync(
    { memberId, generation }: Identity,
    protocol: string,
    assignments: readonly { memberId: string; assignment: Buffer }[],
  ): Promise<{ readonly errorCode: number; readonly assignment: Buffer }> {
    const { groupId, instanceId } = this.#options
    return this.#ask(this.#waits, (link) =>
      orAnswer(
        link
          .pick(syncGroupApi)
          .api.async(link.connection, groupId, generation, memberId, instanceId, 'consumer', protocol, [
            ...assignments,
          ]),
      ),
    )
  }

  /** Says that this member lives. Gives Kafka's error code. */
  async heartbeat({ memberId, generation }: Identity): Promise<number> {
    const { groupId, instanceId } = this.#options
    const answer = await this.#ask(this.#beats, (link) =>
      orAnswer(link.pick(heartbeatApi).api.async(link.connection, groupId, generation, memberId, instanceId)),
    )
    return answer.errorCode
  }

  /**
   * Ends a membership; without a member id, that of whoever has the instance id. The only thing that can still be asked
   * after `end`. Gives Kafka's error code.
   */
  async leave(memberId: string): Promise<number> {
    const { groupId, instanceId } = this.#options
    const answer = await this.#ask(
      this.#beats,
      (link) => {
        const members = [{ memberId, groupInstanceId: instanceId }]
        return orAnswer(link.pick(leaveGroupApi).api.async(link.connection, groupId, members))
      },
      'also after the end',
    )
    return answer.errorCode !== kafka.none ? answer.errorCode : (answer.members[0]?.errorCode ?? kafka.none)
  }

  /** Commits, as this member in this generation only. Gives Kafka's error code for each offset, in turn. */
  async commit({ memberId, generation }: Identity, offsets: readonly OffsetToCommit[]): Promise<number[]> {
    const { groupId, instanceId } = this.#options
    const topics = [...Map.groupBy(offsets, (one) => one.topic)].map(([name, list]) => ({
      name,
      partitions: list.map(({ partition, offset, metadata }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: -1,
        committedMetadata: metadata === undefined || metadata === '' ? null : metadata,
      })),
    }))
    const answer = await this.#ask(this.#commits, async (link) => {
      const { api } = link.pick(offsetCommitApi)
      const got = await orAnswer(
        api.async(link.connection, groupId, generation, memberId, instanceId, topics),
      )
      return { ...got, errorCode: got.topics[0]?.partitions[0]?.errorCode ?? 0 }
    })
    const codes = new Map<string, number>()
    for (const { name, partitions } of answer.topics) {
      for (const one of partitions) codes.set(`${name}/${one.partitionIndex}`, one.errorCode)
    }
    return offsets.map(
      ({ topic, partition }) => codes.get(`${topic}/${partition}`) ?? kafka.coordinatorNotAvailable,
    )
  }

  /**
   * What the group has committed: the next offset to read and its metadata, or `undefined` for none. A partition whose offset is not
   * certain yet (a transaction is committing it) is left out.
   */
  async committed(partitions: readonly TopicPartition[]): Promise<Map<string, Committed | undefined>> {
    const { groupId } = this.#options
    const topics = [...Map.groupBy(partitions, (one) => one.topic)].map(([name, list]) => ({
      name,
      partitionIndexes: list.map((one) => one.partition),
    }))
    const { group } = await this.#ask(this.#offsets, async (link) => {
      const { api } = link.pick(offsetFetchApi)
      const got = await orAnswer(api.async(link.connection, [{ groupId, memberEpoch: -1, topics }], true))
      const one = got.groups[0]!
      return { group: one, errorCode: one.errorCode }
    })
    if (group.errorCode !== kafka.none) throw this.#refusal(group.errorCode, 'reading the committed offsets')
    const offsets = new Map<string, Committed | undefined>()
    for (const { name, partitions: list } of group.topics) {
      for (const { partitionIndex, errorCode, committedOffset, metadata } of list) {
        if (errorCode !== kafka.none && !isRetriable(errorCode)) {
          throw this.#refusal(errorCode, `reading the committed offset of ${name}/${partitionIndex}`)
        }
        if (errorCode !== kafka.none) continue
        const offset = Number(committedOffset)
        offsets.set(
          `${name}/${partitionIndex}`,
          offset < 0 ? undefined : { offset, metadata: metadata ?? '' },
        )
      }
    }
    return offsets
  }

  /** Cuts the connection on which JoinGroup or SyncGroup waits: it rejects at once. */
  abandonWait(): void {
    if (this.#waitsAt !== undefined) this.#waits.cut(this.#waitsAt)
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
    act: (link: Link) => Promise<Answer>,
    when: 'before the end' | 'also after the end' = 'before the end',
  ): Promise<Answer> {
    const wait = <Value>(promise: Promise<Value>): Promise<Value> =>
      when === 'also after the end'
        ? promise
        : untilAborted(promise, this.#ending.signal, `group ${this.#options.groupId}`)
    const node = this.#node ?? (await wait((this.#finding ??= this.#find())))
    try {
      if (pool === this.#waits) this.#waitsAt = node
      const link = await wait(pool.get(node))
      if (pool === this.#waits) requireApis(`join group ${this.#options.groupId}`, node, link, memberNeeds)
      const answer = await act(link)
      this.#metadata.absolve(node)
      const { errorCode } = answer
      if (errorCode === kafka.coordinatorNotAvailable || errorCode === kafka.notCoordinator) this.#lost(node)
      return answer
    } catch (error) {
      if (when === 'before the end' && this.#ending.signal.aborted) throw error
      this.#metadata.blame(node)
      this.#lost(node)
      throw error
    }
  }

  /**
   * What waits on the other connections is for nothing, too: a commit would wait for 7 s and the join for 20 s on a
   * coordinator of which a heartbeat has shown after 3 s that it hangs.
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
