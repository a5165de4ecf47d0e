/**
 * How the benchmark and a side in Node speak: one JSON document a line, orders on the side's standard input and answers on
 * its standard output. The side's last argument is its `SidePlan` as JSON. When it can be used it prints
 * `{"ready":true,"address":"…"}`; lines that do not begin with `{` are passed on as its log. When its standard input
 * ends it ends, so that no side outlives the benchmark.
 */
import type { Quantiles } from './latencies.ts'
import type { Place } from './places.ts'

export interface Order {
  readonly id: number
  readonly order: 'block' | 'egress' | 'scale' | 'start-profile' | 'stop-profile' | 'close'
  /** With `block`. */
  readonly plan?: BlockPlan
  /** With `scale`. */
  readonly requesters?: number
  /** With `start-profile`. */
  readonly kind?: ProfileKind
}

/** `cpu` costs the side about a tenth, `allocations` more: one at a time. */
export type ProfileKind = 'cpu' | 'allocations'

/** What a side did since `start-profile`: microseconds of its main thread, or bytes of V8's heap, garbage included. */
export interface Profile {
  /** By what was at work itself; `places.ts` says how that is told. */
  readonly places: Readonly<Partial<Record<Place, number>>>
  /** The functions with the most, the first one first. */
  readonly hottest: readonly { readonly name: string; readonly amount: number }[]
}

/** `result` of a block is a `BlockResult`, of `egress` what the asker says, of `stop-profile` a `Profile`. */
export interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

export interface Ready {
  readonly ready: true
  readonly address?: string
}

/**
 * Closed: so many round trips in flight, the next one begins when one ends. Open: a Poisson schedule of so many a
 * second, whatever becomes of them.
 */
export type BlockPlan = { readonly milliseconds: number } & (
  | { readonly kind: 'closed'; readonly inFlight: number }
  | { readonly kind: 'open'; readonly rate: number; readonly seed: number }
)

export interface BlockResult {
  /** From the first request to the end of the plan; answers that come later are in `latency` and not in `perSecond`. */
  readonly seconds: number
  /** Round trips begun. */
  readonly asked: number
  readonly answered: number
  /** Answered within the block's time, for each second of it. */
  readonly perSecond: number
  /** Ended in a time-out, or without an end 10 s after the block. */
  readonly timeouts: number
  /** Refused at once by the asking side because it is overloaded. */
  readonly rejected: number
  readonly errors: number
  /** The first failure that is not a rejection. */
  readonly firstError?: string
  /** Of answered round trips; open loop: from the intended send. */
  readonly latency: Quantiles
  /** Open loop: how late the generator was itself; what the asking side took until it asked is in the latency alone. */
  readonly lag?: Quantiles
  /** How long rejections took, when there were some. */
  readonly rejection?: Quantiles
}
