/**
 * Removes the reply topics of owners that are long gone.
 *
 * The rule: a topic goes when this very process has watched its lease stay the same for all of `sweepAfter`. No clock
 * of another machine is asked, and only looks that succeeded count, so neither clock skew nor an outage of the brokers
 * nor a pause of the watcher can make a living owner look dead: a living owner's lease has changed by the next look.
 * A topic without a lease is not ours to remove.
 */
import type { Clock } from '../clock.ts'
import type { Transport } from '../transport/transport.ts'
import type { LeaseTable } from './leases.ts'

export interface TopicSweeperOptions {
  readonly transport: Transport
  readonly leases: LeaseTable
  readonly clock: Clock
  readonly prefix: string
  /** The watcher's own topic. */
  readonly own: string
  /** Milliseconds. */
  readonly sweepAfter: number
}

interface Sighting {
  readonly lease: string
  readonly firstSeen: number
  lastSeen: number
}

/** The longest time between two looks, in milliseconds, for the lease to count as watched all the while. */
const longestGap = 60_000

export class TopicSweeper {
  readonly #options: TopicSweeperOptions
  #sightings = new Map<string, Sighting>()

  constructor(options: TopicSweeperOptions) {
    this.#options = options
  }

  /** One look, and the removal of what has been silent for long enough. */
  async sweep(): Promise<void> {
    const { transport, leases, clock, prefix, own, sweepAfter } = this.#options
    const topics = [...(await transport.describeTopics()).keys()]
    const others = topics.filter((topic) => topic.startsWith(prefix) && topic !== own)
    if (others.length === 0) {
      this.#sightings.clear()
      return
    }
    const now = clock.monotonic()
    const seen = new Map<string, Sighting>()
    for (const { topic, owner, renewedAt } of await leases.read(others)) {
      const lease = `${owner} ${renewedAt}`
      const before = this.#sightings.get(topic)
      const watched = before?.lease === lease && now - before.lastSeen <= longestGap
      seen.set(topic, { lease, firstSeen: watched ? before.firstSeen : now, lastSeen: now })
    }
    this.#sightings = seen
    const gone = [...seen]
      .filter(([, sighting]) => now - sighting.firstSeen >= sweepAfter)
      .map(([topic]) => topic)
    if (gone.length > 0) await transport.deleteTopics(gone)
  }
}
