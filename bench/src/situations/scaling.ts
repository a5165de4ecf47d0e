import type { MeasuredBlock } from '../results.ts'
import { replyPartitionBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { withPair } from './with-pair.ts'

const times = 50
const rate = 500

export const scaling: Situation = {
  name: 'scaling',
  title: `Requesters from 2 to 4 and back ${times} times, at ${rate} requests/s`,
  async run(stage, milliseconds) {
    const blocks: MeasuredBlock[] = []
    await withPair(stage, replyPartitionBytes, { requesters: 2, replyPartitions: 6 }, async (pair) => {
      for (let seed = 1; seed <= times; seed++) {
        const block = pair.measure({ kind: 'open', rate, milliseconds: Math.min(1_000, milliseconds), seed })
        // The way back follows at once: requests of the leaving ones are still out.
        const there = pair.asker.scale(4).then(() => pair.asker.scale(2))
        blocks.push(await block)
        await there
      }
    })
    const sum = (pick: (block: MeasuredBlock) => number): number =>
      blocks.reduce((total, block) => total + pick(block), 0)
    const lost = sum((block) => block.timeouts + block.errors)
    return {
      targets: [
        {
          target: `time-outs and errors caused by scaling requesters out and in ${times} times: 0`,
          figure: String(lost),
          met: lost === 0,
        },
      ],
      rows: [
        {
          'scaled out and in': times,
          requests: sum((block) => block.asked),
          answered: sum((block) => block.answered),
          'time-outs': sum((block) => block.timeouts),
          errors: sum((block) => block.errors),
          'first error': blocks.find((block) => block.firstError !== undefined)?.firstError ?? '',
          'longest wait ms': Math.round(Math.max(...blocks.map((block) => block.latency.max))),
        },
      ],
    }
  },
}
