import type { MeasuredBlock, TargetResult } from '../results.ts'
import type { Pair } from '../run/pair.ts'
import { memoryOf } from '@milena/hosting'
import { threeFigures } from '../statistics.ts'
import { replyPartitionBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { withPair } from './with-pair.ts'

/** 64 handlers of 20 ms carry about 3 200 requests a second, whatever the machine. */
const handlerMilliseconds = 20
/** What the heap of a Node process varies by from one collection to the next. */
const flat = 1.2

export const overload: Situation = {
  name: 'overload',
  title: `Ten times the load that it can carry (handlers of ${handlerMilliseconds} ms, 64 at once)`,
  async run(stage, milliseconds) {
    const long = Math.max(20_000, milliseconds)
    const setting = { handlerMilliseconds }
    return withPair({ ...stage, repeats: 0 }, replyPartitionBytes, setting, async (pair) => {
      const knee = await pair.measure({ kind: 'closed', inFlight: 256, milliseconds })
      const rows = []
      let targets: TargetResult[] = []
      for (const times of [0.9, 10]) {
        const rate = knee.perSecond * times
        const memory = watchMemory(pair)
        const block = await pair.measure({ kind: 'open', rate, milliseconds: long, seed: times * 10 })
        const { first, second } = memory()
        targets = targetsOf(block, block.perSecond / knee.perSecond, { first, second }) // of the last, the overload
        rows.push({
          'times the knee': times,
          'asked/s': Math.round(block.asked / block.seconds),
          'answered/s': Math.round(block.perSecond),
          'goodput per knee': Number((block.perSecond / knee.perSecond).toFixed(2)),
          rejected: block.rejected,
          'rejection p99 ms': block.rejection === undefined ? '–' : threeFigures(block.rejection.p99),
          'time-outs': block.timeouts,
          errors: block.errors,
          'RSS requester MiB, 1st · 2nd half': `${first.asker} · ${second.asker}`,
          'RSS replier MiB, 1st · 2nd half': `${first.answerer} · ${second.answerer}`,
        })
      }
      return { rows, targets }
    })
  },
}

function targetsOf(
  { rejection }: MeasuredBlock,
  goodput: number,
  { first, second }: Record<'first' | 'second', PerSide>,
): TargetResult[] {
  const rejectionP99 = rejection?.p99 ?? Number.NaN
  const growth = Math.max(second.asker / first.asker, second.answerer / first.answerer)
  const when = 'at ten times the knee'
  return [
    { target: `goodput ${when}: ≥ 0.9 of the knee`, figure: goodput.toFixed(2), met: goodput >= 0.9 },
    {
      target: `rejection p99 ${when}: under 1 ms`,
      figure: `${rejectionP99.toPrecision(2)} ms`,
      met: rejectionP99 < 1,
    },
    {
      target: `memory ${when}: flat (second half over first, at most ${flat})`,
      figure: growth.toFixed(2),
      met: growth <= flat,
    },
  ]
}

type PerSide = Readonly<Record<'asker' | 'answerer', number>>

/**
 * The highest of either half of the samples after the first quarter, in which the queues fill: memory that goes on
 * growing shows as a difference.
 */
function watchMemory(pair: Pair): () => { first: PerSide; second: PerSide } {
  const samples: PerSide[] = []
  const timer = setInterval(() => {
    samples.push({ asker: memoryOf(pair.asker.pid) ?? 0, answerer: memoryOf(pair.answerer.pid) ?? 0 })
  }, 200)
  const highest = (part: readonly PerSide[]): PerSide => ({
    asker: Math.round(Math.max(...part.map((sample) => sample.asker))),
    answerer: Math.round(Math.max(...part.map((sample) => sample.answerer))),
  })
  return () => {
    clearInterval(timer)
    const settled = samples.slice(samples.length >> 2)
    const middle = settled.length >> 1
    return { first: highest(settled.slice(0, middle)), second: highest(settled.slice(middle)) }
  }
}
