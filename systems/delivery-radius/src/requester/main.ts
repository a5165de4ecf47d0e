/** Entry: a requester takes triggers over HTTP and has shops changed. */
import { createApp, explainBrokers, listen, runChild, Watching, type ServiceFacts } from '@milena/hosting'
import { createRequester, replyPartition } from '@milena/request-reply'
import { connect } from '../database/connect.ts'
import { defineChangeRadius, namesOf, partitions } from '../domain/messages.ts'
import { ChangeStore } from './change-store.ts'
import { addChangeRoutes, addTriggerRoutes } from './routes.ts'
import { TriggerStore } from './trigger-store.ts'
import { Triggers } from './triggers.ts'

export interface RequesterConfig {
  readonly name: string
  readonly port: number
  readonly brokers: string
  readonly databaseUrl: string
  readonly prefix: string
}

/** Changes of all triggers that may be in flight. */
const maxPending = 20_000
/** Milliseconds between two events of a trigger. */
const eventInterval = 250
/** Bytes of a trigger that names as many shops as it may. */
const bodyLimit = 1024 * 1024

runChild(async (config: RequesterConfig) => {
  const { name, brokers, databaseUrl, prefix } = config
  const pool = await connect(databaseUrl, 4)
  const store = new ChangeStore(pool)
  const triggerStore = new TriggerStore(pool, name)
  await triggerStore.interruptLeft()
  const requester = await explainBrokers(
    brokers,
    createRequester({
      kafka: { brokers: brokers.split(','), clientId: `${prefix}${name}` },
      // Each requester reads a partition of its own, and no reply of the others.
      replyRouting: replyPartition({ topic: namesOf(prefix).replyTopic, partitions }),
      instanceId: name,
      maxPending,
      remember: maxPending,
      onLateReply: (late) => triggers.takeLate(late),
    }),
  )
  const triggers = new Triggers({ requester, operation: defineChangeRadius(prefix), store }, triggerStore)

  const watching = new Watching(eventInterval)
  const app = await createApp('Delivery radius', 'finish', { bodyLimit })
  addTriggerRoutes(app, triggers, watching)
  addChangeRoutes(app, triggers, store)
  app.get('/stats', { schema: { summary: 'What became of requests, in figures' } }, () => ({
    requester: requester.stats(),
    health: requester.health(),
  }))
  const port = await listen(app, config.port)
  const facts: ServiceFacts = { port, url: `http://127.0.0.1:${port}` }
  return {
    facts,
    async close({ orphaned }) {
      if (orphaned) return
      await triggers.close()
      watching.close()
      await app.close()
      await requester.close()
      await store.written()
      await pool.end()
    },
  }
})
