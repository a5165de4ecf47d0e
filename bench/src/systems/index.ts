import type { BenchSystem } from '../system.ts'
import { bareAtOnce, bareEndOfTick, bareWhileInFlight } from './bare.ts'
import {
  instanceReplyTopicBytes,
  replyPartitionBytes,
  replyPartitionJson,
  sharedReplyTopicBytes,
} from './milena.ts'
import { natsRequest } from './nats.ts'
import { nestDefault, nestForLatency } from './nestjs.ts'
import { rabbitDirectReply } from './rabbitmq.ts'
import { springDefault, springForLatency } from './spring.ts'
import { tcpEcho } from './tcp-echo.ts'

/** What the others are compared with. */
export const baseline: BenchSystem = bareEndOfTick

/** Everything that is measured. */
export const systems: readonly BenchSystem[] = [
  tcpEcho,
  bareAtOnce,
  bareWhileInFlight,
  bareEndOfTick,
  replyPartitionBytes,
  instanceReplyTopicBytes,
  sharedReplyTopicBytes,
  replyPartitionJson,
  springDefault,
  springForLatency,
  nestDefault,
  nestForLatency,
  rabbitDirectReply,
  natsRequest,
]
