import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaNode } from '../../../tools/kafka/node.ts'
import { threeFigures } from '../statistics.ts'
import { replyPartitionBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { withPair } from './with-pair.ts'

const rate = 200
const blockMilliseconds = 40_000

const failures: readonly { name: string; fail: (node: KafkaNode) => Promise<void> }[] = [
  { name: 'nothing (control)', fail: async () => {} },
  { name: 'one broker stopped', fail: (node) => node.stop() },
  { name: 'one broker killed', fail: (node) => node.kill('SIGKILL') },
]

export const brokerFailure: Situation = {
  name: 'broker-failure',
  title: `A broker stopped and killed under load, ${rate} requests/s`,
  unfit: ({ brokers: { cluster } }) =>
    cluster !== undefined && cluster.nodes.length >= 3
      ? undefined
      : 'needs three brokers of its own: --on kafka-3',
  async run(stage) {
    const cluster = stage.brokers.cluster!
    const rows = []
    for (const [index, { name, fail }] of failures.entries()) {
      const row = await withPair({ ...stage, repeats: 0 }, replyPartitionBytes, {}, async (pair) => {
        const block = pair.measure({ kind: 'open', rate, milliseconds: blockMilliseconds, seed: index + 1 })
        await sleep(5_000)
        const node = cluster.node(index + 1)
        await fail(node)
        const { asked, answered, timeouts, errors, firstError = '', latency } = await block
        if (!node.running) await node.restart()
        return {
          failure: name,
          requests: asked,
          answered,
          'time-outs': timeouts,
          errors,
          'first error': firstError,
          'p99 ms': threeFigures(latency.p99),
          'longest stall ms': Math.round(latency.max),
        }
      })
      rows.push(row)
    }
    return { rows }
  },
}
