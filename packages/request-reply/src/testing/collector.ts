/**
 * What a tail or a group member was handed, and a way to wait for more of it.
 */
import type {
  GroupOptions,
  IncomingRecord,
  CommittedOffset,
  TopicPartition,
  Trouble,
} from '../transport/transport.ts'

/** Longest that a test waits for what must come: long, because it only costs time when something is wrong. */
const patience = 90_000

interface Wait {
  readonly what: string
  met(): boolean
  resolve(): void
}

/** Conditions that are looked at again whenever `changed` is called: no polling, no sleeping. */
export class Conditions {
  readonly #waits = new Set<Wait>()

  changed(): void {
    for (const wait of this.#waits)
      if (wait.met()) {
        this.#waits.delete(wait)
        wait.resolve()
      }
  }

  async until(what: string, met: () => boolean, describe: () => string = () => ''): Promise<void> {
    if (met()) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`still waiting until ${what}; ${describe()}`)), patience)
    this.#waits.add({ what, met, resolve })
    try {
      await promise
    } finally {
      clearTimeout(timer)
    }
  }
}

export class Collector {
  readonly records: IncomingRecord[] = []
  readonly errors: Error[] = []
  /** For each batch: the partition that each of its records belongs to. */
  readonly conditions: Conditions

  constructor(conditions: Conditions = new Conditions()) {
    this.conditions = conditions
  }

  readonly onRecords = (records: readonly IncomingRecord[]): void => {
    this.records.push(...records)
    this.conditions.changed()
  }

  readonly onError = (error: Error): void => {
    this.errors.push(error)
    this.conditions.changed()
  }

  get values(): string[] {
    return this.records.map((record) => String(record.value))
  }

  valuesOf(partition: number): string[] {
    return this.records.filter((record) => record.partition === partition).map(({ value }) => String(value))
  }

  count(count: number): Promise<void> {
    return this.conditions.until(
      `${count} records have come`,
      () => this.records.length >= count,
      () => `${this.records.length} came, errors: ${this.errors.join(', ') || 'none'}`,
    )
  }
}

/** A group member that remembers all it was told. */
export class MemberLog extends Collector {
  readonly name: string
  /** `+t/0` assigned, `-t/0` revoked, `!t/0` lost; in the order in which it happened. */
  readonly events: string[] = []
  readonly held: Set<string> = new Set()
  /** Being let go of: `beforeRelease` has not settled yet. */
  readonly leaving: Set<string> = new Set()
  /** What the group had committed for what was assigned. */
  readonly committed: CommittedOffset[] = []
  /** As they were told last. */
  troubles: readonly Trouble[] = []

  constructor(name: string, conditions?: Conditions) {
    super(conditions)
    this.name = name
  }

  /** What to do before partitions are let go. */
  beforeRelease: (partitions: readonly TopicPartition[]) => Promise<void> = () => Promise.resolve()

  options(options: Pick<GroupOptions, 'groupId' | 'topics'> & Partial<GroupOptions>): GroupOptions {
    return {
      from: 'earliest',
      ...options,
      onAssigned: (partitions) => this.#note('+', partitions),
      onCommitted: (committed) => {
        const late = this.records.some((record) => keyOf(record) === keyOf(committed))
        if (late || !this.held.has(keyOf(committed))) this.events.push(`?${keyOf(committed)}`)
        this.committed.push(committed)
        this.conditions.changed()
      },
      onRecords: (records) => {
        const strays = records.filter(
          (record) => !this.held.has(keyOf(record)) && !this.leaving.has(keyOf(record)),
        )
        if (strays.length > 0) this.events.push(`?${keyOf(strays[0]!)}`)
        this.onRecords(records)
      },
      onRevoked: async (partitions) => {
        this.#note('-', partitions)
        for (const partition of partitions) this.leaving.add(keyOf(partition))
        try {
          await this.beforeRelease(partitions)
        } finally {
          for (const partition of partitions) this.leaving.delete(keyOf(partition))
        }
      },
      onLost: (partitions) => this.#note('!', partitions),
      onError: this.onError,
      onTrouble: (troubles) => {
        options.onTrouble?.(troubles)
        this.troubles = troubles
        this.conditions.changed()
      },
    }
  }

  /** Resolves when it holds exactly so many partitions. */
  holds(count: number): Promise<void> {
    return this.conditions.until(
      `${this.name} holds ${count} partitions`,
      () => this.held.size === count,
      () => `it holds ${[...this.held].join(', ')}; errors: ${this.errors.join(', ') || 'none'}`,
    )
  }

  /** The offset behind the last record of each partition that was handed over. */
  nextOffsets(of: readonly TopicPartition[] = [...this.#seen()]): {
    topic: string
    partition: number
    offset: number
  }[] {
    return of.flatMap(({ topic, partition }) => {
      const last = this.records.findLast((record) => record.topic === topic && record.partition === partition)
      return last ? [{ topic, partition, offset: last.offset + 1 }] : []
    })
  }

  #seen(): Iterable<TopicPartition> {
    return new Map(this.records.map((record) => [keyOf(record), record])).values()
  }

  #note(sign: '+' | '-' | '!', partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) {
      this.events.push(sign + keyOf(partition))
      if (sign === '+') this.held.add(keyOf(partition))
      else this.held.delete(keyOf(partition))
    }
    this.conditions.changed()
  }
}

export function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
