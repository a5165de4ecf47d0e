/** Offsets and their metadata of a group without members. */
import { TransportError } from '../../../errors.ts'
import type { CommittedOffset } from '../../transport.ts'
import type { BrokerConnection } from '../connection/connection.ts'
import type { BrokerPool } from '../connection/connections.ts'
import { coordinatorUnready, findCoordinator, whileCoordinator } from '../cluster/coordinator.ts'
import { deny, type Denied } from '../cluster/denials.ts'
import { LONGEST_ELECTION, LONGEST_SILENCE } from '../cluster/elections.ts'
import { refusal } from '../cluster/kafka-errors.ts'
import { kafka } from '../protocol/error-codes.ts'
import type { Metadata } from '../cluster/metadata.ts'
import { Pauses, type PauseOptions } from '../waiting/pauses.ts'
import { offsetCommitApi } from '../protocol/offset-commit.ts'
import { offsetFetchApi } from '../protocol/offset-fetch.ts'

const PAUSES: PauseOptions = { first: 50, longest: 500 }

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
    // All that the group has: the partitions that have one are not known beforehand.
    const request = { groupId, partitions: undefined, requireStable: false }
    return this.#atCoordinator(groupId, act, async (connection) => {
      const answer = await connection.ask(offsetFetchApi, request)
      if (answer === undefined) return kafka.coordinatorNotAvailable
      if (answer.errorCode !== kafka.none) return answer.errorCode
      const offsets: CommittedOffset[] = []
      for (const { topic, partition, errorCode, offset, metadata } of answer.offsets) {
        if (!wanted.has(topic)) continue
        if (errorCode !== kafka.none) return errorCode
        if (offset >= 0) offsets.push({ topic, partition, offset, metadata: metadata ?? '' })
      }
      return offsets
    })
  }

  /** As `Transport.writeCommittedOffsets`. */
  async write(groupId: string, offsets: readonly CommittedOffset[]): Promise<void> {
    if (offsets.length === 0) return
    const act = `commit offsets of group ${groupId}`
    const request = { groupId, generation: -1, memberId: '', instanceId: null, offsets }
    await this.#atCoordinator(groupId, act, async (connection) => {
      const results = await connection.ask(offsetCommitApi, request)
      return results.find((one) => one.errorCode !== kafka.none)?.errorCode ?? 'committed'
    })
  }

  /** Runs `act` at the group's coordinator, wherever it moves, until it gives something else than a code to retry on. */
  async #atCoordinator<Result>(
    groupId: string,
    what: string,
    act: (connection: BrokerConnection) => Promise<Result | number>,
  ): Promise<Result> {
    const began = performance.now()
    const pauses = new Pauses(PAUSES)
    const denied: Denied = {}
    let foundAt = began
    for (;;) {
      let problem: unknown
      try {
        const coordinator = await findCoordinator(this.#metadata, groupId)
        foundAt = performance.now()
        const asking = this.#pool.get(coordinator).then(act)
        const result = await whileCoordinator(this.#metadata, groupId, coordinator, asking)
        if (typeof result !== 'number') return result
        const mayPass =
          coordinatorUnready.has(result) ||
          result === kafka.unstableOffsetCommit ||
          (result === kafka.unknownTopicOrPartition && !deny(denied, performance.now()))
        problem = refusal(result, what)
        if (!mayPass) throw problem
      } catch (error) {
        if (this.#signal.aborted)
          throw new TransportError('MILENA_CLOSED', `${what}: the transport is closed`)
        if (error instanceof TransportError && !error.retryable) throw error
        problem = error
      }
      const now = performance.now()
      if (this.#metadata.problem?.kind === 'unreachable') throw this.#metadata.problem.error
      if (now - began > LONGEST_ELECTION || now - foundAt > LONGEST_SILENCE) throw problem
      await pauses.wait(this.#signal)
    }
  }
}
