/** What stops the reading of partitions and lasts: begun and ended by partition, told as one list. */
import type { Trouble, TroubleKind } from '../../transport.ts'
import { troubleKind } from '../../troubles.ts'
import type { ClusterProblem } from '../cluster/metadata.ts'
import type { ReadPartition } from './broker-fetcher.ts'

/** Troubles that a topic's partitions have in common: one of them in the list, told once. */
const ofTopic: ReadonlySet<TroubleKind> = new Set(['topic-missing', 'not-authorized'])
/** Troubles that are each partition's own: each is told. The others are told once for a topic, as long as they last. */
const ownTold: ReadonlySet<TroubleKind> = new Set(['partition-missing', 'unreadable'])

export class ReadingTroubles {
  readonly #partitions: ReadonlySet<ReadPartition>
  readonly #onChange: (troubles: readonly Trouble[]) => void
  readonly #tell: (error: Error) => void
  #closed: Trouble | undefined
  #cluster: Trouble | undefined
  #list: readonly Trouble[] = []

  constructor(
    partitions: ReadonlySet<ReadPartition>,
    onChange: (troubles: readonly Trouble[]) => void,
    tell: (error: Error) => void,
  ) {
    this.#partitions = partitions
    this.#onChange = onChange
    this.#tell = tell
  }

  /** The same array until it changes. */
  get list(): readonly Trouble[] {
    return this.#list
  }

  /**
   * From now until `end`; nothing new when the partition has just this trouble already. `told`: as an error, too, unless
   * it is the same for another partition of the topic, or another error of the same kind.
   */
  begin(one: ReadPartition, error: Error, kind: TroubleKind = troubleKind(error), told = true): void {
    const before = one.trouble
    if (before?.kind === kind && before.error.message === error.message) return
    const { topic, partition } = one
    const known =
      kind === before?.kind ||
      (!ownTold.has(kind) &&
        [...this.#partitions].some((other) => other.topic === topic && other.trouble?.kind === kind))
    const since = before?.kind === kind ? before.since : Date.now()
    one.trouble = ofTopic.has(kind) ? { kind, topic, since, error } : { kind, topic, partition, since, error }
    this.#changed()
    if (told && !known) this.#tell(error)
  }

  /** The partition is read again. */
  end(one: ReadPartition): void {
    if (one.trouble === undefined) return
    one.trouble = undefined
    this.#changed()
  }

  /** The partition is no longer among those that are read. */
  removed(one: ReadPartition): void {
    if (one.trouble !== undefined) this.#changed()
  }

  /** What is in the way of all partitions, and of everything else; `undefined`: nothing any more. */
  cluster(problem: ClusterProblem | undefined): void {
    if (this.#cluster?.error === problem?.error) return
    this.#cluster = problem === undefined ? undefined : { ...problem, since: Date.now() }
    this.#changed()
    if (problem !== undefined) this.#tell(problem.error)
  }

  /** For good. */
  closed(error: Error): void {
    this.#closed = { kind: 'closed', since: Date.now(), error }
    this.#changed()
  }

  #changed(): void {
    const list = this.#closed === undefined ? this.#lasting() : [this.#closed]
    if (list.length === this.#list.length && list.every((one, index) => one === this.#list[index])) return
    this.#list = list
    this.#onChange(list)
  }

  #lasting(): Trouble[] {
    const lasting = new Map<string, Trouble>()
    // What all partitions of a topic have lasts until the last of them is read again: the entry stays what it was.
    for (const one of this.#list) if (this.#isShared(one)) lasting.set(keyOf(one), one)
    for (const { trouble } of this.#partitions) {
      if (trouble !== undefined && !lasting.has(keyOf(trouble))) lasting.set(keyOf(trouble), trouble)
    }
    return this.#cluster === undefined ? [...lasting.values()] : [...lasting.values(), this.#cluster]
  }

  #isShared({ kind, topic }: Trouble): boolean {
    if (!ofTopic.has(kind)) return false
    for (const { trouble } of this.#partitions) {
      if (trouble?.kind === kind && trouble.topic === topic) return true
    }
    return false
  }
}

function keyOf({ kind, topic, partition }: Trouble): string {
  return `${kind} ${topic}/${partition}`
}
