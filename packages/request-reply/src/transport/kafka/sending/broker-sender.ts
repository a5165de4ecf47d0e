/**
 * A way to one broker: at most one Produce request in flight, with one batch of each partition that is ready.
 *
 * A broker answers when the last partition of a request has its replicas. So that one whose replica has died does not hold
 * up all others there are two ways to each broker, each a connection of its own: the broker waits a short time for
 * replicas on the first, and what they did not make in that time goes on by the second, with a long one, until it is
 * through (`PartitionQueue.slow`). A partition goes one way at a time, so its batches keep their order.
 *
 *           enqueue                    flush, connected
 *   idle ────────────▶ scheduled ───────────────────────▶ in flight
 *    ▲                  │     ▲                            │
 *    │                  │     └──── more is ready ─────────┤ landed, or crashed
 *    │        not       ▼                                  │
 *    │     connected  preparing ── failed ──▶ host         │
 *    └─────────────────────────────────────────────────────┘
 */
import type { BrokerNode } from '../cluster/metadata.ts'
import { Portion } from '../connection/portion.ts'
import type { OutgoingBatch, PartitionQueue } from './partition-queue.ts'
import type { PartitionResult } from './produce.ts'

/** Bytes of batches after which a request is full: what a slow line carries well within the request timeout. */
const REQUEST_BYTES = 2 * 1024 * 1024

/** How long the broker waits for replicas: not longer than healthy ones take, or as long as a request may. */
export type Patience = 'short' | 'long'

/** What it asks of its sender. */
export interface BrokerSenderHost {
  /** Whether a request can go out at once: connected, and with a producer id. */
  isReady(node: BrokerNode, patience: Patience): boolean
  prepare(node: BrokerNode, patience: Patience): Promise<void>
  produce(node: BrokerNode, batches: readonly OutgoingBatch[], patience: Patience): Promise<PartitionResult[]>
  leads(node: BrokerNode, queue: PartitionQueue): boolean
  /** Milliseconds that this queue may yet wait for company. */
  lingers(queue: PartitionQueue, now: number): number
  /** This queue's partition is led by somebody else, or has more to send. */
  place(queue: PartitionQueue): void
  /** Nothing was sent: the broker cannot be reached, or gives no producer id. */
  unprepared(queues: readonly PartitionQueue[], problem: unknown): void
  /** This queue's batch has left: the request holds it until `ended`. */
  departed(queue: PartitionQueue, batch: OutgoingBatch): void
  /** The leader of this queue's partition is to be looked for. */
  lookAgain(queue: PartitionQueue): void
  /** A request with these batches has ended, its results are taken in. */
  ended(batches: readonly OutgoingBatch[]): void
}

interface Flight {
  readonly startedAt: number
  readonly sent: readonly OutgoingBatch[]
  /** Without those that were taken back. */
  readonly batches: Map<PartitionQueue, OutgoingBatch>
}

export class BrokerSender {
  node: BrokerNode
  readonly #patience: Patience
  readonly #host: BrokerSenderHost
  readonly #ready = new Set<PartitionQueue>()
  readonly #portion = new Portion(REQUEST_BYTES)
  #flight: Flight | undefined
  #preparingSince: number | undefined
  #scheduled = false
  #timer: NodeJS.Timeout | undefined

  constructor(node: BrokerNode, patience: Patience, host: BrokerSenderHost) {
    this.node = node
    this.#patience = patience
    this.#host = host
  }

  get inFlight(): boolean {
    return this.#flight !== undefined
  }

  /** Since when a broker has been waited for, in `performance.now()` milliseconds. */
  get waitingSince(): number | undefined {
    return this.#flight?.startedAt ?? this.#preparingSince
  }

  enqueue(queue: PartitionQueue): void {
    this.#ready.add(queue)
    this.#schedule()
  }

  /** Nothing is ready any more. A request in flight goes on. */
  clear(): void {
    this.#ready.clear()
    clearTimeout(this.#timer)
  }

  /**
   * Lets go of the queues whose partition has another leader by now, even those in a request without an answer.
   *
   * The old leader may still answer, or even append: the repetition bears the same sequence, and the old leader is
   * fenced by the new one's term. Not waiting for it saves the request timeout when it hangs.
   */
  release(isLost: (queue: PartitionQueue) => boolean): void {
    for (const queue of this.#ready) {
      if (!isLost(queue)) continue
      this.#ready.delete(queue)
      this.#host.place(queue)
    }
    for (const [queue, batch] of this.#flight?.batches ?? []) {
      if (!isLost(queue)) continue
      this.#flight!.batches.delete(queue)
      queue.unanswered(batch, new Error(`broker ${this.node.id} lost the leadership while it was asked`))
      if (queue.hasWork) this.#host.place(queue)
    }
  }

  /** Whether the queue goes this way. */
  #takes(queue: PartitionQueue): boolean {
    return queue.slow === (this.#patience === 'long') && this.#host.leads(this.node, queue)
  }

  #schedule(): void {
    if (this.#scheduled || this.#flight !== undefined || this.#preparingSince !== undefined) return
    this.#scheduled = true
    // When all promises that this event settles have had their turn: whatever it brings about goes together, and before
    // the loop reads or writes anything else. `setImmediate` would also await what other sockets bring; it made 64 in
    // flight slower by a tenth, and what comes meanwhile goes with the next request anyway.
    process.nextTick(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = false
    if (this.#flight !== undefined || this.#preparingSince !== undefined || this.#ready.size === 0) return
    if (!this.#host.isReady(this.node, this.#patience)) {
      void this.#prepare()
      return
    }
    const batches = this.#collect()
    if (batches.size === 0) return
    const flight: Flight = { startedAt: performance.now(), sent: [...batches.values()], batches }
    this.#flight = flight
    this.#host.produce(this.node, flight.sent, this.#patience).then(
      (results) => this.#landed(flight, results),
      (error: unknown) => this.#crashed(flight, error),
    )
  }

  #collect(): Map<PartitionQueue, OutgoingBatch> {
    const batches = new Map<PartitionQueue, OutgoingBatch>()
    let bytes = 0
    const wait = this.#linger()
    const goes = wait <= 0
    let again = false
    for (const queue of this.#ready) {
      if (!this.#takes(queue)) {
        this.#ready.delete(queue)
        this.#host.place(queue)
        continue
      }
      if (!goes) continue
      const batch = queue.next()
      if (batch === undefined && queue.hasWork) {
        // The producer id has just been used up: it stays ready for when there is a new one.
        again = true
        continue
      }
      this.#ready.delete(queue)
      if (batch === undefined) continue
      batches.set(queue, batch)
      this.#host.departed(queue, batch)
      bytes += batch.bytes.length
      if (bytes >= this.#portion.bytes) break
    }
    if (batches.size === 0 && (again || (!goes && wait !== Infinity))) {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => this.#flush(), Math.ceil(Math.max(0, wait)))
    }
    return batches
  }

  /** Milliseconds until the first queue has waited long enough for company; then all go, for they share the request. */
  #linger(): number {
    const now = performance.now()
    let least = Infinity
    for (const queue of this.#ready) {
      if (this.#takes(queue)) least = Math.min(least, this.#host.lingers(queue, now))
      if (least <= 0) break
    }
    return least
  }

  async #prepare(): Promise<void> {
    this.#preparingSince = performance.now()
    let problem: unknown
    try {
      await this.#host.prepare(this.node, this.#patience)
    } catch (error) {
      problem = error
    }
    this.#preparingSince = undefined
    if (problem === undefined) {
      this.#flush()
      return
    }
    const queues = [...this.#ready]
    this.#ready.clear()
    this.#host.unprepared(queues, problem)
  }

  #landed(flight: Flight, results: readonly PartitionResult[]): void {
    this.#flight = undefined
    this.#portion.carried()
    const byTopic = new Map<string, PartitionResult[]>()
    for (const result of results) {
      let partitions = byTopic.get(result.topic)
      if (partitions === undefined) byTopic.set(result.topic, (partitions = []))
      partitions[result.partition] = result
    }
    for (const [queue, batch] of flight.batches) {
      const result = byTopic.get(queue.topic)?.[queue.partition]
      if (result === undefined) {
        queue.unanswered(batch, new Error('the answer leaves this partition out'))
        this.#host.lookAgain(queue)
      } else if (queue.answered(batch, result) === 'look again') this.#host.lookAgain(queue)
      else if (queue.hasWork) this.#host.place(queue)
    }
    this.#end(flight)
  }

  #crashed(flight: Flight, error: unknown): void {
    this.#flight = undefined
    this.#portion.failed(error)
    for (const [queue, batch] of flight.batches) {
      queue.unanswered(batch, error)
      this.#host.lookAgain(queue)
    }
    this.#end(flight)
  }

  #end(flight: Flight): void {
    if (this.#ready.size > 0) this.#schedule()
    this.#host.ended(flight.sent)
  }
}
