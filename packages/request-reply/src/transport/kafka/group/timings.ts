/** The timings of a group member, checked once. */
import { OptionsError } from '../../../errors.ts'
import type { GroupOptions } from '../../transport.ts'

/** Longer than an election takes after a broker's death: a coordinator that is replaced costs no member its partitions. */
const SESSION_TIMEOUT = 15_000
const HEARTBEAT_INTERVAL = 1_000
const REBALANCE_TIMEOUT = 15_000
const DRAIN_TIMEOUT = 10_000
/** Milliseconds that the others have to join beyond the time in which we may be draining. */
const DRAIN_GRACE = 5_000

/** All in milliseconds. */
export interface GroupTimings {
  readonly sessionTimeout: number
  readonly heartbeatInterval: number
  readonly rebalanceTimeout: number
  readonly drainTimeout: number
}

/** Checks the options and fills in the defaults. Throws an `OptionsError` that lists every problem. */
export function resolveTimings(options: GroupOptions): GroupTimings {
  const problems: string[] = []
  if (options.groupId === '') problems.push('groupId must not be empty')
  if (options.topics.length === 0) problems.push('topics must name at least one topic')
  if (options.groupInstanceId === '') problems.push('groupInstanceId must not be empty')
  for (const name of ['sessionTimeout', 'heartbeatInterval', 'rebalanceTimeout', 'drainTimeout'] as const) {
    const value = options[name]
    if (value === undefined || (Number.isInteger(value) && value > 0 && value < 2 ** 31)) continue
    problems.push(`${name} must be a whole number of milliseconds above 0, not ${value}`)
  }
  const {
    sessionTimeout = SESSION_TIMEOUT,
    heartbeatInterval = HEARTBEAT_INTERVAL,
    rebalanceTimeout = REBALANCE_TIMEOUT,
    drainTimeout = DRAIN_TIMEOUT,
  } = options
  if (heartbeatInterval * 2 > sessionTimeout) {
    problems.push(
      `heartbeatInterval (${heartbeatInterval} ms) must be at most half of sessionTimeout (${sessionTimeout} ms)`,
    )
  }
  if (problems.length > 0) throw new OptionsError('group options', problems)
  return {
    sessionTimeout,
    heartbeatInterval,
    // Whoever drains for as long as it may must still be in time.
    rebalanceTimeout: Math.max(rebalanceTimeout, drainTimeout + DRAIN_GRACE),
    drainTimeout,
  }
}
