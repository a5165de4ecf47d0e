/**
 * RabbitMQ's direct reply-to with a durable quorum queue for the requests: persistent messages and confirms on the way
 * there, an acknowledgement of the request after the reply is sent. The reply itself is kept by nobody: that is how
 * direct reply-to works.
 */
import { connect, type ConfirmChannel } from 'amqplib'
import type { BenchSystem } from '../system.ts'

const port = 5672
const url = `amqp://127.0.0.1:${port}`
const directReply = 'amq.rabbitmq.reply-to'

export const rabbitDirectReply: BenchSystem = {
  name: 'RabbitMQ direct reply-to, quorum queue',
  durability: 'durable',
  server: port,
  async serverVersion() {
    const model = await connect(url)
    const { version } = model.connection.serverProperties
    await model.close()
    return `RabbitMQ ${version}`
  },
  sides: {
    async openAsker({ topics, setting: { payloadBytes } }) {
      const connection = await connect(url, { noDelay: true })
      const channel = await connection.createConfirmChannel()
      const payload = Buffer.alloc(payloadBytes, 'r')
      const waiting = new Map<string, () => void>()
      await channel.consume(
        directReply,
        (message) => {
          const id = message?.properties.correlationId as string
          waiting.get(id)?.()
          waiting.delete(id)
        },
        { noAck: true },
      )
      let turn = 0
      return {
        ask: () =>
          new Promise((resolve, reject) => {
            const correlationId = String(turn++)
            waiting.set(correlationId, resolve)
            const options = { persistent: true, correlationId, replyTo: directReply }
            channel.sendToQueue(topics.requests, payload, options, (error) => {
              if (error) reject(error as Error)
            })
          }),
        close: () => connection.close(),
      }
    },
    async openAnswerer({ topics }) {
      const connection = await connect(url, { noDelay: true })
      const channel = await connection.createConfirmChannel()
      // A queue of a run that was killed is gone after ten idle minutes.
      await channel.assertQueue(topics.requests, {
        durable: true,
        arguments: { 'x-queue-type': 'quorum', 'x-expires': 600_000 },
      })
      await channel.prefetch(1_000)
      await channel.consume(topics.requests, (message) => {
        if (message === null) return
        const { replyTo, correlationId } = message.properties
        channel.sendToQueue(replyTo as string, message.content, { correlationId: correlationId as string })
        channel.ack(message)
      })
      return { close: () => closeWithQueue(channel, topics.requests, () => connection.close()) }
    },
  },
}

async function closeWithQueue(
  channel: ConfirmChannel,
  queue: string,
  closeConnection: () => Promise<void>,
): Promise<void> {
  await channel.deleteQueue(queue)
  await closeConnection()
}
