/**
 * The payment gateway system as `npm run payments` starts it, at the figures of S1's document (docs/systems.md): a provider that takes
 * about a second, payments over HTTP at rising rates up to the document's 1 000 a second, a thousand in flight.
 *
 *   this process ──HTTP──▶ gateways ──requests──▶ workers ──HTTP──▶ provider
 *                ◀──────── database ◀──replies───         ◀───────
 *
 * What is measured is the time outside the provider, which says itself how long it took.
 */
import { randomBytes } from 'node:crypto'
import { PaymentSystem, removeTables, type SystemState } from '@milena/system-payment-gateway'
import type { SituationResult, TargetResult } from '../results.ts'
import { marksOf } from '../run/marks.ts'
import type { Stage } from '../run/pair.ts'
import { cpuOf, cpuOfFamily, listeners } from '@milena/hosting'
import { watchUsage, type Parts, type Usage } from '../run/usage.ts'
import { runBlock } from '../side/block.ts'
import type { BlockResult } from '../side/protocol.ts'
import { threeFigures } from '../statistics.ts'
import { PaymentCaller } from './payment-caller.ts'
import type { Situation } from './situation.ts'

const rates = [100, 200, 400, 600, 800, 1_000]
/** Milliseconds: of a rate at most and at least; within that, long enough for 10 000 payments. */
const longest = 30_000
const shortest = 15_000
/** A process's first payments are its slowest, the broker's too, whatever comes then. */
const warmUps = [
  { rate: 50, milliseconds: 4_000 },
  { rate: 200, milliseconds: 6_000 },
  { rate: 600, milliseconds: 10_000 },
]
/** Milliseconds at each rate before it is measured: with it more payments are in flight, each on a connection of its own. */
const warmUpOfRate = 3_000
/** Milliseconds outside the provider beyond which a higher rate shows nothing any more. */
const saturated = 1_000

const behaviour = { delayMs: 1_000, jitterMs: 100, failRate: 0, declineRate: 0, silentRate: 0 }
/** As few processes as there can be, and the document's. */
const layouts: readonly Layout[] = [
  { name: '1 gateway and 1 worker', gateways: 1, workers: 1 },
  { name: '2 gateways and 2 workers', gateways: 2, workers: 2 },
]

/** Milliseconds of p99: what we mean to reach, and what the document hopes for. */
const limits = [50, 300]

interface Layout {
  readonly name: string
  readonly gateways: number
  readonly workers: number
}

type Part = 'generator' | 'gateways' | 'workers' | 'provider' | 'database' | 'broker'

export const payments: Situation = {
  name: 'payments',
  title: 'Payment gateway: HTTP, gateways, workers, a provider of about 1 s, and back',
  async run(stage) {
    const rises: Rise[] = []
    for (const layout of layouts) rises.push({ layout, steps: await measure(stage, layout) })
    return report(rises)
  },
}

async function measure(stage: Stage, layout: Layout): Promise<Step[]> {
  const prefix = `bench-${randomBytes(4).toString('hex')}-`
  const given = process.env['DATABASE_URL'] || undefined
  const system = new PaymentSystem(
    {
      routing: 'replyPartition',
      port: 0,
      partitionBy: 'key',
      timeout: 5_000,
      // Each worker could have all that is in flight, should the other one end.
      concurrency: 1_500,
      maxPending: 2_000,
      linger: 5,
      behaviour,
      prefix,
    },
    { restart: false, onChange: () => {}, log: (line) => console.error(line) },
  )
  try {
    await system.startFoundation({ brokers: stage.brokers.addresses.join(','), databaseUrl: given })
    for (let index = 0; index < layout.workers; index++) await system.addWorker()
    for (let index = 0; index < layout.gateways; index++) await system.addGateway(0)
    return await rise(stage, system.state())
  } finally {
    await system.close()
    if (given !== undefined) await removeTables(given, prefix)
    await stage.transport.deleteTopics([`${prefix}payment_request`, `${prefix}payment_reply`])
  }
}

interface Rise {
  readonly layout: Layout
  readonly steps: readonly Step[]
}

interface Step extends BlockResult, Usage<Part> {
  readonly rate: number
}

async function rise(stage: Stage, state: SystemState): Promise<Step[]> {
  const caller = new PaymentCaller(state.gateways.map(({ url }) => url))
  const parts = partsOf(stage, state)
  const steps: Step[] = []
  try {
    for (const warmUp of warmUps) await runBlock(caller, { kind: 'open', ...warmUp, seed: 0 })
    for (const [index, rate] of rates.entries()) {
      await runBlock(caller, { kind: 'open', rate, milliseconds: warmUpOfRate, seed: 0 })
      const milliseconds = Math.min(longest, Math.max(shortest, 10_000_000 / rate))
      const usage = watchUsage(parts, stage.processes, (pid) =>
        parts.database.includes(pid) ? cpuOfFamily(pid) : cpuOf(pid),
      )
      const block = await runBlock(caller, { kind: 'open', rate, milliseconds, seed: index + 1 })
      steps.push({ rate, ...block, ...usage() })
      if (block.answered < block.asked || block.latency.p99 > saturated) break
    }
  } finally {
    await caller.close()
  }
  return steps
}

function partsOf({ brokers }: Stage, state: SystemState): Parts<Part> {
  return {
    generator: [process.pid],
    gateways: state.gateways.map(({ pid }) => pid),
    workers: state.workers.map(({ pid }) => pid),
    provider: [state.provider.pid],
    database: listeners([Number(new URL(state.database).port || 5432)]),
    broker: listeners(brokers.addresses.map((address) => Number(address.split(':').at(-1)))),
  }
}

function report(rises: readonly Rise[]): Omit<SituationResult, 'name' | 'title'> {
  return {
    targets: rises.map(targetOf),
    rows: rises.flatMap(({ layout, steps }) => steps.map((step) => rowOf(layout, step))),
    chart: {
      title: 'Payments: time outside the provider against rate',
      x: 'payments/s',
      y: 'ms',
      logarithmic: true,
      lines: rises.flatMap(({ layout, steps }) =>
        (['p50', 'p99'] as const).map((quantile) => ({
          name: `${quantile}, ${layout.name}`,
          points: steps.map(({ rate, latency }) => [rate, latency[quantile]] as const),
        })),
      ),
    },
  }
}

function targetOf({ layout, steps }: Rise): TargetResult {
  const most = rates.at(-1)!
  const last = steps.at(-1)!
  const reached = limits.map((limit) => {
    const over = steps.findIndex(({ asked, answered, latency }) => answered < asked || latency.p99 >= limit)
    const held = over < 0 ? last : steps[over - 1]
    return `under ${limit} ms up to ${held?.rate ?? 'no'} payments/s`
  })
  return {
    target: `${most} payments/s all answered by ${layout.name}, p99 of the time outside the provider: < ${limits[0]} ms`,
    figure: `${threeFigures(last.latency.p99)} ms at ${last.rate}/s; ${reached.join(', ')}`,
    met: last.rate === most && last.answered === last.asked && last.latency.p99 < limits[0]!,
  }
}

function rowOf({ name }: Layout, step: Step): Record<string, string | number> {
  const { cpu, answered, latency, lag } = step
  const perPayment = (part: Part) => Math.round(((cpu[part] ?? Number.NaN) * 1_000) / answered)
  const parts = Object.keys(cpu) as Part[]
  return {
    processes: name,
    'payments/s': step.rate,
    payments: step.asked,
    answered,
    'time-outs': step.timeouts,
    refused: step.rejected,
    errors: step.errors,
    'outside the provider p50 ms': threeFigures(latency.p50),
    'p99 ms': threeFigures(latency.p99),
    'max ms': Math.round(latency.max),
    'generator late p99 ms': threeFigures(lag?.p99 ?? Number.NaN),
    ...Object.fromEntries(parts.map((part) => [`CPU ${part} µs`, perPayment(part)])),
    'CPU in all µs': parts.reduce((sum, part) => sum + perPayment(part), 0),
    marks: marksOf(step).join(', '),
    'first error': step.firstError ?? '',
  }
}
