/** One side of a Node system, in a process of its own, as `protocol.ts` says. */
import { createInterface } from 'node:readline'
import type { Answerer, Asker, SidePlan } from '../system.ts'
import { systems } from '../systems/index.ts'
import { runBlock } from './block.ts'
import { Profiling } from './profiling.ts'
import type { Answer, Order, Ready } from './protocol.ts'

const plan = JSON.parse(process.argv.at(-1)!) as SidePlan
const sides = systems.find(({ name }) => name === plan.system)?.sides
if (sides === undefined || 'start' in sides) throw new Error(`${plan.system} has no sides in Node`)

const profiling = new Profiling()
const orders = createInterface(process.stdin)
orders.on('close', () => process.exit())
const side: Partial<Asker> & Answerer =
  plan.side === 'asker' ? await sides.openAsker(plan) : await sides.openAnswerer(plan)
orders.on('line', (line) => {
  const order = JSON.parse(line) as Order
  carryOut(order).then(
    (result) => print({ id: order.id, result }),
    (error: Error) => print({ id: order.id, error: error.stack ?? error.message }),
  )
})
print({ ready: true, ...(side.address === undefined ? {} : { address: side.address }) })

function carryOut({ order, plan: block, requesters, kind }: Order): Promise<unknown> {
  if (order === 'block') return runBlock(side as Asker, block!)
  if (order === 'egress') return Promise.resolve(side.egress!())
  if (order === 'scale') return side.scale!(requesters!)
  if (order === 'start-profile') return profiling.start(kind!)
  if (order === 'stop-profile') return profiling.stop()
  return side.close()
}

function print(line: Answer | Ready): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
