/**
 * Spring's ReplyingKafkaTemplate and a listener with `@SendTo`, spring-kafka's and Kafka's defaults, and with what
 * people set for latency.
 */
import {
  buildSpring,
  springTuned,
  startSpringReplier,
  startSpringRequester,
} from '../../../interop/src/spring.ts'
import type { BenchSystem, Side, SidePlan } from '../system.ts'
import { answererOf, askerOf, missingToolchain } from './other-programs.ts'

/** A benchmark wants the full compiler, and time for it. */
const jvmOptions = ['-Xms256m', '-Xmx512m']
const warmUp = 25_000

function spring(name: string, producer: Readonly<Record<string, string>>): BenchSystem {
  return {
    name,
    durability: 'durable',
    server: 'kafka',
    warmUp,
    missing: () => missingToolchain(buildSpring),
    sides: {
      async start({ side, ...plan }: SidePlan): Promise<Side> {
        const { brokers, topics } = plan
        const options = { brokers, producer, jvmOptions, groupId: `${topics.requests}-${side}` }
        return side === 'answerer'
          ? answererOf(await startSpringReplier({ ...options, topics: [topics.requests] }))
          : askerOf(await startSpringRequester({ ...options, replyTopic: topics.replies }), { side, ...plan })
      },
    },
  }
}

export const springDefault = spring('Spring ReplyingKafkaTemplate, default', {})
export const springForLatency = spring('Spring ReplyingKafkaTemplate, tuned (linger 0)', springTuned)
