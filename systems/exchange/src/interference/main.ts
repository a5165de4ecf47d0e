/**
 * Entry: what a network and a careless sender do to messages. It reads commands and replies, and writes some of them again,
 * late and in another order.
 */
import { createApp, explainBrokers, listen, runChild, type ServiceFacts } from '@milena/hosting'
import { openKafka, type IncomingRecord } from '@milena/request-reply'
import { z } from 'zod'
import { topicsOf } from '../topics.ts'

export interface InterferenceConfig {
  readonly brokers: string
  readonly prefix: string
  /** The share of records that are written once more; of those once more again, and so on. */
  readonly repeats: number
}

/** Milliseconds after which a copy is written, at most: others overtake it. */
const longest = 4_000
/** Copies that wait to be written; beyond that none are made. */
const mostWaiting = 1_000

runChild(async ({ brokers, prefix, repeats }: InterferenceConfig) => {
  const transport = await explainBrokers(
    brokers,
    openKafka({ brokers: brokers.split(','), clientId: `${prefix}interference` }),
  )
  const waiting = new Set<NodeJS.Timeout>()
  let written = 0

  function repeatLater({ topic, key, value, headers }: IncomingRecord): void {
    const write = (): void => {
      waiting.delete(timer)
      transport.send({ topic, key, value, headers }).then(
        () => written++,
        () => {},
      )
    }
    const timer = setTimeout(write, Math.random() * longest)
    waiting.add(timer)
  }
  function onRecords(records: readonly IncomingRecord[]): void {
    for (const record of records)
      if (Math.random() < repeats && waiting.size < mostWaiting) repeatLater(record)
  }

  const tails = await Promise.all(
    topicsOf(prefix).map((topic) => transport.tail({ topic, partitions: 'all', from: 'latest', onRecords })),
  )
  const app = await createApp('Interference', 'cut')
  const statsSchema = z.object({ written: z.number() })
  app.get(
    '/stats',
    { schema: { summary: 'Copies that were written', response: { 200: statsSchema } } },
    () => ({
      written,
    }),
  )
  const port = await listen(app, 0)
  const facts: ServiceFacts = { port, url: `http://127.0.0.1:${port}` }
  return {
    facts,
    async close() {
      for (const timer of waiting) clearTimeout(timer)
      await app.close()
      await Promise.all(tails.map((tail) => tail.close()))
      await transport.close()
    },
  }
})
