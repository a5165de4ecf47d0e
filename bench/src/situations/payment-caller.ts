/** A customer's side of the payment gateway: payments over HTTP at several gateways in turn, connections kept open. */
import { randomBytes } from 'node:crypto'
import { Pool } from 'undici'
import type { Asker } from '../system.ts'

/** To each gateway: more than are ever in flight, so that none waits for another's answer. */
const connections = 2_000

export class PaymentCaller implements Asker {
  readonly #gateways: readonly Pool[]
  readonly #run = randomBytes(4).toString('hex')
  #orders = 0

  constructor(urls: readonly string[]) {
    // The gateway says what became of a payment within 5 s; what takes 30 s is no slow answer any more.
    this.#gateways = urls.map((url) => new Pool(url, { connections, headersTimeout: 30_000 }))
  }

  /** One payment, of an order of its own. Resolves with the milliseconds that the provider took. */
  async ask(): Promise<number> {
    const order = ++this.#orders
    const { statusCode, headers, body } = await this.#gateways[order % this.#gateways.length]!.request({
      method: 'POST',
      path: '/payments',
      headers: { 'content-type': 'application/json' },
      body: `{"orderId":"${this.#run}-${order}","amount":${1_000 + order},"method":"card"}`,
    })
    const answer = await body.text()
    if (statusCode !== 200) throw new PaymentFailure(statusCode, answer)
    const took = /provider;dur=([\d.]+)/.exec(String(headers['server-timing']))?.[1]
    if (took === undefined) throw new Error(`the answer does not say how long the provider took: ${answer}`)
    return Number(took)
  }

  async close(): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.destroy()))
  }
}

class PaymentFailure extends Error {
  constructor(status: number, answer: string) {
    super(`${status} ${answer}`)
    this.name = status === 503 ? 'Overloaded' : status === 504 ? 'Timeout' : 'PaymentFailure'
  }
}
