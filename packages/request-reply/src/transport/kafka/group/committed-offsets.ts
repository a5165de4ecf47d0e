/** Offsets and their metadata of a group without members: OffsetFetch 8 and 9, OffsetCommit 8 and 9. */
import { offsetCommitV8, offsetCommitV9, offsetFetchV8, offsetFetchV9 } from '@platformatic/kafka'
import { TransportError } from '../../../errors.ts'
import type { CommittedOffset } from '../../transport.ts'
import { Backoff, type BackoffOptions } from '../cluster/backoff.ts'
import type { BrokerPool, Link } from '../cluster/connections.ts'
import { coordinatorUnready, findCoordinator, whileCoordinator } from '../cluster/coordinator.ts'
import { kafka, orAnswer, refusal } from '../cluster/kafka-errors.ts'
import type { Metadata } from '../cluster/metadata.ts'
import type { ApiVersionTable } from '../cluster/versions.ts'

const offsetFetchApi: ApiVersionTable<typeof offsetFetchV8.api> = {
  name: 'OffsetFetch',
  key: 9,
  versions: { 8: offsetFetchV8.api, 9: offsetFetchV9.api },
}
const offsetCommitApi: ApiVersionTable<typeof offsetCommitV8.api> = {
  name: 'OffsetCommit',
  key: 8,
  versions: { 8: offsetCommitV8.api, 9: offsetCommitV9.api },
}
/** Milliseconds for finding a coordinator that answers: longer than any election after a broker's death. */
const LIMIT = 60_000
/** Milliseconds when no broker says who it is: then no election is waited for. */
const SILENCE = 20_000
const PAUSES: BackoffOptions = { first: 50, longest: 500 }

export class CommittedOffsets {
  readonly #metadata: Metadata
  readonly #pool: BrokerPool
  readonly #signal: AbortSignal

  /** `signal` ends what is under way, with `MILENA_CLOSED`. */
  constructor(metadata: Metadata, pool: BrokerPool, signal: AbortSignal) {
    this.#metadata = metadata
    this.#pool = pool
    this.#signal = signal
  }

  /** As `Transport.readCommittedOffsets`. */
  async read(groupId: string, topics: readonly string[]): Promise<readonly CommittedOffset[]> {
    const wanted = new Set(topics)
    const act = `read the offsets of group ${groupId}`
    return this.#atCoordinator(groupId, act, async (link) => {
      const { api } = link.pick(offsetFetchApi)
      // No topics: all of the group's. The partitions that have one are not known beforehand.
      const groups = [{ groupId, memberId: null, memberEpoch: -1, topics: null }]
      const answer = await orAnswer(api.async(link.connection, groups, false))
      const group = answer.groups[0]
      if (group === undefined || group.errorCode !== 0)
        return group?.errorCode ?? kafka.coordinatorNotAvailable
      const offsets: CommittedOffset[] = []
      for (const { name, partitions } of group.topics) {
        if (!wanted.has(name)) continue
        for (const one of partitions) {
          if (one.errorCode !== 0) return one.errorCode
          if (one.committedOffset < 0n) continue
          offsets.push({
            topic: name,
            partition: one.partitionIndex,
            offset: Number(one.committedOffset),
            metadata: one.metadata ?? '',
          })
        }
      }
      return offsets
    })
  }

  /** As `Transport.writeCommittedOffsets`. */
  async write(groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    if (offsets.length === 0) return
    const act = `commit offsets of group ${groupId}`
    const topics = [...Map.groupBy(offsets, (one) => one.topic)].map(([name, partitions]) => ({
      name,
      partitions: partitions.map((one) => ({
        partitionIndex: one.partition,
        committedOffset: BigInt(one.offset),
        committedLeaderEpoch: -1,
        committedMetadata: one.metadata,
      })),
    }))
    await this.#atCoordinator(groupId, act, async (link) => {
      const { api } = link.pick(offsetCommitApi)
      const answer = await orAnswer(api.async(link.connection, groupId, -1, '', null, topics))
      const failed = answer.topics.flatMap((topic) => topic.partitions).find((one) => one.errorCode !== 0)
      return failed?.errorCode ?? 'committed'
    })
  }

  /** Runs `act` at the group's coordinator, wherever it moves, until it gives something else than a code to retry on. */
  async #atCoordinator<Result>(
    groupId: string,
    what: string,
    act: (link: Link) => Promise<Result | number>,
  ): Promise<Result> {
    const began = performance.now()
    const backoff = new Backoff(PAUSES)
    let foundAt = began
    for (;;) {
      let problem: unknown
      try {
        const coordinator = await findCoordinator(this.#metadata, groupId)
        foundAt = performance.now()
        const asking = this.#pool.get(coordinator).then(act)
        const result = await whileCoordinator(this.#metadata, groupId, coordinator, asking)
        if (typeof result !== 'number') return result
        if (!coordinatorUnready.has(result) && result !== kafka.unstableOffsetCommit)
          throw refusal(result, what)
        problem = refusal(result, what)
      } catch (error) {
        if (this.#signal.aborted)
          throw new TransportError('MILENA_CLOSED', `${what}: the transport is closed`)
        if (error instanceof TransportError && !error.retryable) throw error
        problem = error
      }
      const now = performance.now()
      if (this.#metadata.problem?.kind === 'unreachable') throw this.#metadata.problem.error
      if (now - began > LIMIT || now - foundAt > SILENCE) throw problem
      await backoff.pause(this.#signal)
    }
  }
}
