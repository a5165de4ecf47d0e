/** A way to carry out triggers, as its caller sees it. */
import type { Trigger } from '../run/storm.ts'

/** What became of a trigger's shops, as far as its caller was told. */
export interface Told {
  /** Those of which he was told that the change was made. */
  readonly made: readonly string[]
  /** Those that refused it, such as what ends where it has not begun. */
  readonly refused: readonly string[]
  /** Those of which he was told that the change was not made, since something went wrong. */
  readonly failed: readonly string[]
  /** Those of which nobody told him anything. */
  readonly unknown: readonly string[]
}

export interface Way {
  readonly name: WayName
  /** Resolves when the caller knows what has become of all of it, or that he will not be told. */
  fire(trigger: Trigger): Promise<void>
  /** What the callers were told, by the triggers' numbers. To be asked when all were fired and have ended. */
  told(): Promise<ReadonlyMap<number, Told>>
  counters(): Promise<Counters>
}

export const wayNames = ['row locks', 'row locks, ids sorted', 'Redis lock', 'request-reply'] as const
export type WayName = (typeof wayNames)[number]

export interface Counters {
  readonly deadlocks: number
  readonly lockTimeouts: number
}
