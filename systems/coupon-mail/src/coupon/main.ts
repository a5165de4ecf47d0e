/** Entry: the coupon service. */
import {
  connectDatabase,
  createApp,
  explainBrokers,
  listen,
  runChild,
  Watching,
  type ServiceFacts,
} from '@milena/hosting'
import { postgresOutbox } from '@milena/postgres'
import { createRequester, sharedReplyTopic } from '@milena/request-reply'
import { defineMessages, kafkaOf } from '../messages.ts'
import { addGiftRoutes } from './gift-routes.ts'
import { Gifts } from './gifts.ts'
import { createMailReplies } from './mail-replies.ts'
import { addPreviewRoutes } from './preview-routes.ts'

export interface CouponConfig {
  readonly port: number
  readonly databaseUrl: string
  readonly brokers: string
  readonly prefix: string
}

const databaseConnections = 20
/** Milliseconds between two looks at a gift: a reply may be written down by any process of this service. */
const lookInterval = 200

runChild(async ({ port, databaseUrl, brokers, prefix }: CouponConfig) => {
  const messages = defineMessages(prefix)
  const instanceId = `${prefix}coupon`
  const kafka = kafkaOf(brokers, instanceId)
  const pool = await connectDatabase(databaseUrl, { max: databaseConnections })
  const outbox = postgresOutbox({ pool })
  const gifts = new Gifts(pool, outbox, messages)

  const replies = createMailReplies({ kafka, messages, instanceId, gifts })
  await explainBrokers(brokers, replies.start())
  const relay = outbox.relay({ kafka })
  await relay.start()
  // For previews, whose callers wait; each says on which of the reply topics its own is to come.
  const requester = await createRequester({
    kafka,
    replyRouting: Object.values(messages.replyTopics).map((topic) => sharedReplyTopic({ topic })),
    createTopics: true,
  })

  const watching = new Watching(lookInterval)
  const app = await createApp('Coupon service', 'finish')
  addGiftRoutes(app, gifts, watching)
  addPreviewRoutes(app, requester, messages, gifts)
  app.get('/coupons', { schema: { summary: 'The coupons that there are' } }, () => gifts.coupons())
  app.get('/stats', { schema: { summary: 'How it goes, in figures' } }, async () => ({
    outbox: await outbox.backlog(),
    relay: relay.stats(),
    replies: replies.stats(),
    requester: requester.stats(),
    health: { relay: relay.health(), replies: replies.health(), requester: requester.health() },
  }))
  const bound = await listen(app, port)
  const facts: ServiceFacts = { port: bound, url: `http://127.0.0.1:${bound}` }
  return {
    facts,
    async close({ orphaned }) {
      if (orphaned) return
      watching.close()
      await app.close()
      await requester.close()
      await replies.close()
      await relay.close()
      await pool.end()
    },
  }
})
