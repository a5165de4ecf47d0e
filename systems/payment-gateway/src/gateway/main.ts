/** Entry: a gateway takes payments over HTTP and answers each caller with the outcome. */
import { postgresJournal } from '@milena/postgres'
import { createRequester } from '@milena/request-reply'
import {
  createApp,
  explainBrokers,
  JsonClient,
  listen,
  messageOf,
  runChild,
  unavailable,
  type ServiceFacts,
} from '@milena/hosting'
import { connect, schemaOf } from '../database/connect.ts'
import { defineOperations, type Partitioning } from '../operations.ts'
import { canResume, chooseRouting, type RoutingName } from '../routing/choose.ts'
import { addDeadLetterRoute } from './dead-letter-route.ts'
import { Gateway } from './gateway.ts'
import { addHomePage } from './home-page.ts'
import { addHealthRoutes } from './health-routes.ts'
import { PaymentStore } from './payment-store.ts'
import { Reconciler } from './reconciler.ts'
import { addPaymentRoutes } from './routes.ts'

export interface GatewayConfig {
  readonly name: string
  readonly port: number
  readonly brokers: string
  readonly prefix: string
  readonly databaseUrl: string
  readonly providerUrl: string
  readonly routing: RoutingName
  /** Where there is one. */
  readonly redisUrl: string | undefined
  readonly partitionBy: Partitioning
  /** Milliseconds that a caller waits. */
  readonly timeout: number
  readonly maxPending: number
  /** Milliseconds that a record may wait for company, and between the beginnings of two writes to the database. */
  readonly linger: number
}

/** Connections to the database, and to the provider for questions. */
const databaseConnections = 16
const providerConnections = 32

runChild(async (config: GatewayConfig) => {
  const { name, brokers, prefix, timeout, maxPending, linger } = config
  const operations = defineOperations(prefix, config.partitionBy)
  const pool = await connect(config.databaseUrl, prefix, databaseConnections)
  const store = new PaymentStore(pool, linger)
  const provider = new JsonClient(config.providerUrl, providerConnections)
  const ready = Promise.withResolvers<Gateway>()
  const requester = await explainBrokers(
    brokers,
    createRequester({
      kafka: { brokers: brokers.split(','), clientId: `${prefix}${name}`, linger },
      replyRouting: chooseRouting(config.routing, prefix, config.redisUrl),
      instanceId: name,
      createTopics: true,
      maxPending,
      // The gateway has drained before it closes the requester.
      drainTimeout: 1_000,
      // What a process of this name had accepted when it was killed is finished here.
      ...(canResume(config.routing) && {
        journal: {
          store: postgresJournal({ pool, schema: schemaOf(prefix), prepared: true, pace: linger }),
          operations: [operations.approve, operations.refund],
          takeOver: 'fence',
          onRecovered: async (recovered) => (await ready.promise).takeRecovered(recovered),
        },
      }),
      onLateReply: (late) => {
        gateway.takeLateReply(late).catch((error: unknown) => {
          // The payment stays unknown, and the provider will be asked.
          console.error(`${name}: a late reply could not be written down: ${messageOf(error)}`)
        })
      },
    }),
  )
  const reconciler = new Reconciler({ store, requester, operations, provider })
  const gateway = new Gateway({
    pool,
    store,
    requester,
    operations,
    reconciler,
    owner: name,
    timeout,
    maxPending,
  })
  ready.resolve(gateway)

  let closing = false
  const app = await createApp('Payment gateway', 'finish')
  app.addHook('onRequest', (request, _reply, done) =>
    done(closing && request.url !== '/health' ? unavailable('closing') : undefined),
  )
  addHomePage(app, name)
  addPaymentRoutes(app, gateway, store, reconciler)
  addDeadLetterRoute(app, store)
  addHealthRoutes(app, {
    isReady: async () =>
      requester.health().receiving &&
      pool.query('select 1').then(
        () => true,
        () => false,
      ),
    stats: () => ({
      instance: name,
      inHand: gateway.inHand,
      mismatched: gateway.mismatched,
      late: gateway.late,
      requester: requester.stats(),
    }),
  })
  const port = await listen(app, config.port)
  // Under the broken routing, `sameGroup`, the answers to its questions would go astray as well, and be counted with the lost replies.
  if (config.routing !== 'sameGroup') reconciler.start()
  const facts: ServiceFacts = { port, url: `http://127.0.0.1:${port}` }
  return {
    facts,
    async close({ orphaned }) {
      closing = true
      if (!orphaned) await gateway.drain()
      await app.close()
      await reconciler.close()
      await requester.close()
      provider.close()
      await pool.end()
    },
  }
})
