import type { MeasuredBlock } from '../results.ts'
import type { BenchSystem } from '../system.ts'
import { instanceReplyTopicBytes, replyPartitionBytes, sharedReplyTopicBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { blockRow } from './sweep.ts'
import { withPair } from './with-pair.ts'

const counts = [1, 2, 5, 10, 20, 50]
/** For each requester, so that its share of a coalesced send does not fall with their number. */
const inFlightEach = 16

/** `replyPartitions` of the reply topic where there is one. */
const routings: readonly { name: string; system: BenchSystem; replyPartitions: number }[] = [
  { name: 'replyPartition, a partition each', system: replyPartitionBytes, replyPartitions: 50 },
  { name: 'replyPartition, 6 partitions', system: replyPartitionBytes, replyPartitions: 6 },
  { name: 'instanceReplyTopic', system: instanceReplyTopicBytes, replyPartitions: 1 },
  { name: 'sharedReplyTopic', system: sharedReplyTopicBytes, replyPartitions: 6 },
]

export const requesters: Situation = {
  name: 'requesters',
  title: `Requesters on one reply topic, ${inFlightEach} in flight each: reply bytes read for each own byte`,
  async run(stage, milliseconds) {
    const measured: { name: string; count: number; ratio: number; block: MeasuredBlock }[] = []
    for (const { name, system, replyPartitions } of routings) {
      for (const count of counts) {
        const setting = { requesters: count, replyPartitions }
        const { ratio, block } = await withPair(stage, system, setting, async (pair) => {
          const before = await pair.asker.egress()
          const block = await pair.measure({ kind: 'closed', inFlight: inFlightEach * count, milliseconds })
          const after = await pair.asker.egress()
          const ratio = (after.bytesRead - before.bytesRead) / (after.ownBytesRead - before.ownBytesRead)
          return { ratio, block }
        })
        measured.push({ name, count, ratio, block })
      }
    }
    const ownPartition = measured.filter(({ name }) => name === routings[0]!.name)
    const worst = Math.max(...ownPartition.map(({ ratio }) => ratio))
    return {
      targets: [
        {
          target: 'reply bytes read per own byte with a partition each, 1 to 50 requesters: ≤ 1.05',
          figure: worst.toFixed(2),
          met: worst <= 1.05,
        },
      ],
      rows: measured.map(({ name, count, ratio, block }) => ({
        routing: name,
        requesters: count,
        'read per own byte': Number(ratio.toFixed(2)),
        ...blockRow(block),
      })),
      chart: {
        title: 'Egress: reply bytes read for each own byte',
        x: 'requesters',
        y: 'bytes read per own byte',
        logarithmic: true,
        lines: routings.map(({ name }) => ({
          name,
          points: measured.filter((m) => m.name === name).map(({ count, ratio }) => [count, ratio]),
        })),
      },
    }
  },
}
