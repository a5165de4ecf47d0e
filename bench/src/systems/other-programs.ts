/** The programs of `interop/` as sides of the benchmark: its orders and results are put into their terms. */
import type { Program } from '../../../interop/src/program.ts'
import type { OtherRequester } from '../../../interop/src/requester.ts'
import { SetupError } from '../../../tools/kafka/setup-error.ts'
import type { BlockPlan, BlockResult } from '../side/protocol.ts'
import type { Side, SidePlan } from '../system.ts'

/** What `build` says when a toolchain is missing; other errors of it are thrown. */
export async function missingToolchain(build: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await build()
    return undefined
  } catch (error) {
    if (error instanceof SetupError) return error.message
    throw error
  }
}

export function answererOf(program: Program): Side {
  return { ...notSupported, pid: program.pid, block: refuse, close: () => program.close() }
}

export function askerOf(requester: OtherRequester, { topics, setting }: SidePlan): Side {
  return {
    ...notSupported,
    pid: requester.pid,
    block: (plan) => askBlock(requester, plan, topics.requests, setting.payloadBytes),
    close: () => requester.close(),
  }
}

/** Its rate counts answers that came after the plan's end too, over the time until the last one. */
async function askBlock(
  requester: OtherRequester,
  plan: BlockPlan,
  topic: string,
  bytes: number,
): Promise<BlockResult> {
  const result = await requester.ask({
    topic,
    bytes,
    milliseconds: Math.round(plan.milliseconds),
    ...(plan.kind === 'closed' ? { inFlight: plan.inFlight } : { rate: Math.max(1, Math.round(plan.rate)) }),
  })
  const { answered, wrong, failed, problem, milliseconds, latency } = result
  const timeouts = /time/i.test(problem) ? failed : 0
  return {
    seconds: plan.milliseconds / 1000,
    asked: answered + failed,
    answered,
    perSecond: (1000 * answered) / Math.max(plan.milliseconds, milliseconds),
    timeouts,
    rejected: 0,
    errors: failed - timeouts + wrong,
    ...(failed + wrong === 0 ? {} : { firstError: problem || `${wrong} wrong replies` }),
    latency: {
      count: answered,
      p50: latency.p50 / 1000,
      p90: latency.p90 / 1000,
      p99: latency.p99 / 1000,
      p999: latency.p999 / 1000,
      max: latency.max / 1000,
    },
  }
}

const refuse = (): Promise<never> => Promise.reject(new Error('this program takes no such order'))
const notSupported = { address: '', egress: refuse, scale: refuse }
