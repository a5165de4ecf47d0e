/**
 * The bare client: what one writes by hand with @platformatic/kafka's Producer and Consumer, and no product. Three ways
 * of sending. No timeouts, no validation, no key order, no commit after the reply: the floor of what a round trip costs.
 */
import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import {
  Consumer,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  type MessageToProduce,
} from '@platformatic/kafka'
import type { BenchSystem } from '../system.ts'

const correlationName = Buffer.from('c')

/** When what is to be sent goes out. */
type Sending =
  /** Each message on its own. */
  | 'at once'
  /** At once when nothing is on its way; what gathers meanwhile goes with the next. */
  | 'while in flight'
  /** Likewise, and always after the end of the tick, so that what a tick brings goes together. */
  | 'end of tick'

export const bareAtOnce: BenchSystem = bare('bare client, a send per message', 'at once')
export const bareWhileInFlight: BenchSystem = bare(
  'bare client, coalesced while in flight',
  'while in flight',
)
export const bareEndOfTick: BenchSystem = bare('bare client, coalesced at the end of the tick', 'end of tick')

function bare(name: string, sending: Sending): BenchSystem {
  return {
    name,
    durability: 'durable',
    server: 'kafka',
    sides: {
      async openAsker({ brokers, topics, setting }) {
        const sender = new Sender(brokers, sending)
        const waiting = new Map<string, () => void>()
        const reader = await read(brokers, topics.replies, (_, correlation) => {
          const id = correlation.toString('latin1')
          waiting.get(id)?.()
          waiting.delete(id)
        })
        const payload = Buffer.alloc(setting.payloadBytes, 'b')
        let turn = 0
        return {
          ask: () =>
            new Promise((resolve) => {
              const correlation = randomFillSync(Buffer.allocUnsafe(16))
              waiting.set(correlation.toString('latin1'), resolve)
              sender.send(message(topics.requests, turn++ % setting.partitions, payload, correlation))
            }),
          async close() {
            await reader.close()
            await sender.close()
          },
        }
      },
      async openAnswerer({ brokers, topics }) {
        const sender = new Sender(brokers, sending)
        const reader = await read(brokers, topics.requests, (value, correlation) => {
          sender.send(message(topics.replies, 0, value, correlation))
        })
        return {
          async close() {
            await reader.close()
            await sender.close()
          },
        }
      },
    },
  }
}

type Message = MessageToProduce

/** What gathers in a long stall would otherwise be a batch that brokers refuse. */
const mostTogether = 4_000

function message(topic: string, partition: number, value: Buffer, correlation: Buffer): Message {
  return { topic, partition, value, headers: new Map([[correlationName, correlation]]) }
}

class Sender {
  readonly #producer: Producer
  readonly #sending: Sending
  #queue: Message[] = []
  #busy = false

  constructor(brokers: readonly string[], sending: Sending) {
    this.#producer = new Producer({
      clientId: 'bare',
      bootstrapBrokers: [...brokers],
      acks: ProduceAcks.ALL,
    })
    this.#sending = sending
  }

  send(message: Message): void {
    if (this.#sending === 'at once') {
      void this.#produce([message])
      return
    }
    this.#queue.push(message)
    if (!this.#busy) this.#next()
  }

  #next(): void {
    this.#busy = true
    if (this.#sending === 'end of tick') setImmediate(() => this.#flush())
    else this.#flush()
  }

  #flush(): void {
    const messages = this.#queue.splice(0, mostTogether)
    void this.#produce(messages).then(() => {
      if (this.#queue.length > 0) this.#next()
      else this.#busy = false
    })
  }

  async #produce(messages: Message[]): Promise<void> {
    try {
      // Without acks here the constructor's are ignored.
      await this.#producer.send({ messages, acks: ProduceAcks.ALL })
    } catch (error) {
      throw new Error('the bare client could not send', { cause: error })
    }
  }

  close(): Promise<void> {
    return this.#producer.close()
  }
}

async function read(
  brokers: readonly string[],
  topic: string,
  onMessage: (value: Buffer, correlation: Buffer) => void,
): Promise<{ close(): Promise<void> }> {
  const consumer = new Consumer({
    clientId: 'bare',
    groupId: `${topic}-bare`,
    bootstrapBrokers: [...brokers],
    maxWaitTime: 500,
    minBytes: 1,
  })
  const stream = await consumer.consume({
    topics: [topic],
    mode: MessagesStreamModes.LATEST,
    autocommit: 100,
    sessionTimeout: 10_000,
    heartbeatInterval: 1_000,
  })
  // consume() resolves before the latest offsets are known; what is sent before this event may be missed.
  await once(stream, 'offsets')
  stream.on('data', ({ value, headers }) => {
    for (const [name, correlation] of headers) if (name.equals(correlationName)) onMessage(value, correlation)
  })
  return { close: () => consumer.close(true) }
}
