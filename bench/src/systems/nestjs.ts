/** NestJS's ClientKafka and a controller with `@MessagePattern`, its defaults, and with all partitions read at once. */
import { buildNest, startNestReplier, startNestRequester } from '../../../interop/src/nestjs.ts'
import type { BenchSystem, Side, SidePlan } from '../system.ts'
import { answererOf, askerOf, missingToolchain } from './other-programs.ts'

function nestjs(name: string, settings: Readonly<Record<string, unknown>>): BenchSystem {
  return {
    name,
    durability: 'durable',
    server: 'kafka',
    missing: () => missingToolchain(buildNest),
    sides: {
      async start(plan: SidePlan): Promise<Side> {
        const { brokers, topics, side } = plan
        const options = { brokers, settings, topics: [topics.requests], groupId: `${topics.requests}-group` }
        return side === 'answerer'
          ? answererOf(await startNestReplier(options))
          : askerOf(await startNestRequester(options), plan)
      },
    },
  }
}

export const nestDefault = nestjs('NestJS ClientKafka, default', {})
export const nestForLatency = nestjs('NestJS ClientKafka, tuned (partitions at once, answers at once)', {
  consumer: { minBytes: 1, maxWaitTimeInMs: 100 },
  run: { partitionsConsumedConcurrently: 3 },
})
