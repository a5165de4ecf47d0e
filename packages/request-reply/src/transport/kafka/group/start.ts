/**
 * A member's start, up to its first assignment: how it ended, and how long it is waited for.
 *
 * Only a coordinator's silence is limited. While one answers, the group's other members are waited for: for how long they
 * may take is theirs to say (each has a rebalance timeout of its own), and whoever gave up and came again would begin
 * another rebalance. That it takes long is told (`GroupOptions.onWaiting`).
 */
import { TransportError } from '../../../errors.ts'
import { LONGEST_ELECTION, LONGEST_SILENCE } from '../cluster/elections.ts'
import { deepestMessage } from '../cluster/kafka-errors.ts'
import type { Metadata } from '../cluster/metadata.ts'
import type { CoordinatorSilence } from './member-troubles.ts'

export class Start {
  readonly #groupId: string
  readonly #cluster: Pick<Metadata, 'problem' | 'silence'>
  readonly #outcome = Promise.withResolvers<void>()
  #isDone = false

  constructor(groupId: string, cluster: Pick<Metadata, 'problem' | 'silence'>) {
    this.#groupId = groupId
    this.#cluster = cluster
    this.#outcome.promise.catch(() => undefined) // whoever joins may not listen yet, or never begin to
  }

  /** Resolves when the member is in hand; rejects when it will not be. */
  get outcome(): Promise<void> {
    return this.#outcome.promise
  }

  /** Whoever joined has the member in hand: nothing is handed over before. */
  get isDone(): boolean {
    return this.#isDone
  }

  done(): void {
    this.#isDone = true
    this.#outcome.resolve()
  }

  fail(error: TransportError): void {
    this.#outcome.reject(error)
  }

  /** Fails when a coordinator has been silent for too long. */
  look({ lasted, cause }: CoordinatorSilence): void {
    const { problem, silence } = this.#cluster
    // Brokers that are away for a moment end no election. By both counts: this process may have been held up.
    const isSilent = Math.min(lasted, silence) > LONGEST_SILENCE
    if (problem !== undefined && (problem.kind === 'unreachable' || isSilent)) this.fail(problem.error)
    else if (lasted > LONGEST_ELECTION) this.fail(this.#unserved(lasted, cause))
  }

  #unserved(lasted: number, cause: unknown): TransportError {
    const text =
      `group ${this.#groupId}: no coordinator has served it for ${Math.round(lasted / 1_000)} s (${deepestMessage(cause)}); ` +
      'see whether the topic __consumer_offsets is there and has leaders (it is made with offsets.topic.replication.factor ' +
      'replicas, which takes as many brokers), and whether their brokers can be reached from here where they say that they are'
    return new TransportError('MILENA_BROKER_UNREACHABLE', text, { cause })
  }
}
