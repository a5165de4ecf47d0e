/** The embedded broker in a process of its own, which ends with its standard input. */
import { createInterface } from 'node:readline'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import type { Answer, Order, Ready } from '../side/protocol.ts'

const orders = createInterface(process.stdin)
orders.on('close', () => process.exit())
const broker = await startEmbeddedKafka()
orders.on('line', (line) => {
  const { id } = JSON.parse(line) as Order
  void broker.close().then(() => print({ id }))
})
print({ ready: true, address: `${broker.host}:${broker.port}` })

function print(line: Answer | Ready): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
