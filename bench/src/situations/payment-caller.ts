/** A customer's side of the payment gateway: payments over HTTP at several gateways in turn, connections kept open. */
import { randomBytes } from 'node:crypto'
import { JsonClient } from '@milena/hosting'
import type { Asker } from '../system.ts'

/** To each gateway: more than are ever in flight, so that none waits for another's answer. */
const connections = 2_000
/** Milliseconds. The gateway says what became of a payment within 5 s; what takes 30 s is no slow answer any more. */
const timeout = 30_000

export class PaymentCaller implements Asker {
  readonly #gateways: readonly JsonClient[]
  readonly #run = randomBytes(4).toString('hex')
  #orders = 0

  constructor(urls: readonly string[]) {
    this.#gateways = urls.map((url) => new JsonClient(url, connections))
  }

  /** One payment, of an order of its own. Resolves with the milliseconds that the provider took. */
  async ask(): Promise<number> {
    const order = ++this.#orders
    const { status, headers, body } = await this.#gateways[order % this.#gateways.length]!.call({
      method: 'POST',
      path: '/payments',
      body: { orderId: `${this.#run}-${order}`, amount: 1_000 + order, method: 'card' },
      timeout,
    })
    if (status !== 200) throw new PaymentFailure(status, body)
    const took = /provider;dur=([\d.]+)/.exec(String(headers['server-timing']))?.[1]
    if (took === undefined) throw new Error('the answer does not say how long the provider took')
    return Number(took)
  }

  close(): Promise<void> {
    for (const gateway of this.#gateways) gateway.close()
    return Promise.resolve()
  }
}

class PaymentFailure extends Error {
  constructor(status: number, answer: unknown) {
    super(`${status} ${JSON.stringify(answer)}`)
    this.name = status === 503 ? 'Overloaded' : status === 504 ? 'Timeout' : 'PaymentFailure'
  }
}
