/** What a run is told, and what comes of it. */
import type { Clock } from '../../packages/request-reply/src/clock.ts'
import {
  instanceReplyTopic,
  replyPartition,
  sharedReplyTopic,
} from '../../packages/request-reply/src/index.ts'
import type { RandomBytes } from '../../packages/request-reply/src/random.ts'
import type { ReplyRouting } from '../../packages/request-reply/src/routing/routing.ts'
import type { SendFault } from '../../packages/request-reply/src/transport/memory/faults.ts'
import type { MemoryTransport } from '../../packages/request-reply/src/transport/memory/transport.ts'
import type { OutgoingRecord, Transport } from '../../packages/request-reply/src/transport/transport.ts'
import type { Violation } from './checkers.ts'
import type { Happening, History } from './history.ts'
import type { Plan } from './plan.ts'

export const replyTopic = 'work_reply'

export const routings: Readonly<Record<string, () => ReplyRouting>> = {
  replyPartition: () => replyPartition({ topic: replyTopic }),
  instanceReplyTopic: () => instanceReplyTopic({ prefix: 'work_reply_', sweepAfter: 60_000 }),
  sharedReplyTopic: () => sharedReplyTopic({ topic: replyTopic }),
}

/** A bug, planted to see that a checker finds it. */
export interface Defect {
  readonly wrap?: (transport: MemoryTransport, role: 'requester' | 'replier') => Transport
  readonly send?: (record: OutgoingRecord) => SendFault | undefined
  readonly correlationIds?: (life: string) => RandomBytes
  /** Instead of the routing of the run. */
  readonly replyRouting?: () => ReplyRouting
  /** The requesters' clock. */
  readonly requesterClock?: (clock: Clock) => Clock
  /** Something that the application does with a late reply. */
  readonly onLate?: (history: History, id: string) => void
}

export interface SimulationOptions {
  readonly seed: string
  readonly routing: keyof typeof routings
  /** Faults of the plan, by their number, that are left out. */
  readonly without?: ReadonlySet<number> | undefined
  readonly defect?: Defect | undefined
}

export interface SimulationResult {
  readonly plan: Plan
  readonly history: readonly Happening[]
  readonly hash: string
  readonly violations: readonly Violation[]
  /** What the processes have counted, over all their lives. */
  readonly counters: Readonly<Record<string, number>>
}
