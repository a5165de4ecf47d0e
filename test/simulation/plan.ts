/**
 * What goes wrong, and when: drawn from the seed beforehand, so that a failing run can be made smaller by leaving
 * faults out.
 */
import type { Random } from './random.ts'

export type Fault =
  /** The process dies and comes back after `down` milliseconds. */
  | { readonly kind: 'crash'; readonly at: number; readonly process: string; readonly down: number }
  /** The process closes in good order and comes back. */
  | { readonly kind: 'restart'; readonly at: number; readonly process: string; readonly down: number }
  /** The process's connection is cut. */
  | { readonly kind: 'cut'; readonly at: number; readonly process: string; readonly lasts: number }
  /** One more replier, for so long: two rebalances. */
  | { readonly kind: 'scale'; readonly at: number; readonly process: string; readonly lasts: number }
  /** Sends fail or are doubled with this probability each, and everything may be slow. */
  | {
      readonly kind: 'storm'
      readonly at: number
      readonly lasts: number
      readonly severity: number
      readonly slowness: number
    }

export interface Plan {
  readonly requesters: readonly string[]
  readonly repliers: readonly string[]
  readonly requestPartitions: number
  readonly replyPartitions: number
  readonly keys: number
  /** Milliseconds between two requests of one requester, at most. */
  readonly pace: number
  /**
   * Whether nothing unforeseen happens to repliers and brokers, and no handler takes long: rebalances and restarts
   * alone must not have any work done twice.
   */
  readonly calm: boolean
  /** Whether repliers are static members of their group. */
  readonly staticMembers: boolean
  /** How many of the handlers overrun their time: so long that their partition may have moved when they end. */
  readonly slowHandlers: number
  /** How many of the tries fail before they have done anything, and are made again in place. */
  readonly triedAgain: number
  /** Requests that a requester may have pending. */
  readonly maxPending: number
  /** Milliseconds of load and faults; then everything heals. */
  readonly duration: number
  readonly faults: readonly Fault[]
}

export function drawPlan(random: Random): Plan {
  const requesters = names('gateway', random.between(2, 5))
  const repliers = names('worker', random.between(1, 4))
  const duration = 20_000
  const calm = random.chance(0.2)
  const faults = Array.from({ length: random.between(3, 14) }, () =>
    drawFault(random, requesters, repliers, duration),
  ).filter((fault) => !calm || isCalm(fault, requesters))
  return {
    requesters,
    repliers,
    requestPartitions: random.between(1, 6),
    replyPartitions: random.between(1, 6),
    keys: random.between(2, 12),
    pace: random.pick([300, 1_000, 2_000]),
    calm,
    staticMembers: random.chance(0.3),
    maxPending: random.pick([3, 1_000]),
    triedAgain: random.pick([0, 0.2, 0.5]),
    slowHandlers: calm ? 0 : random.pick([0.05, 0.25]),
    duration,
    faults: faults.toSorted((a, b) => a.at - b.at),
  }
}

function isCalm(fault: Fault, requesters: readonly string[]): boolean {
  if (fault.kind === 'scale' || fault.kind === 'restart') return true
  return fault.kind !== 'storm' && requesters.includes(fault.process)
}

function drawFault(
  random: Random,
  requesters: readonly string[],
  repliers: readonly string[],
  duration: number,
): Fault {
  const at = random.between(0, duration)
  const process = random.pick(random.chance(0.5) ? requesters : repliers)
  const kind = random.pick(['crash', 'crash', 'restart', 'cut', 'scale', 'storm'] as const)
  if (kind === 'crash' || kind === 'restart') return { kind, at, process, down: random.pick([1, 200, 5_000]) }
  // Some are over before anybody notices, some outlast a session.
  if (kind === 'cut') return { kind, at, process, lasts: random.pick([50, 1_000, 4_000, 9_000]) }
  if (kind === 'scale') return { kind, at, process: `extra-${at}`, lasts: random.between(500, 6_000) }
  return {
    kind,
    at,
    lasts: random.between(500, 8_000),
    severity: random.pick([0.02, 0.1]),
    slowness: random.pick([0, 20, 400]),
  }
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}-${i}`)
}
