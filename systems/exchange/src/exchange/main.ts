/** Entry: the exchange service. */
import { createApp, explainBrokers, listen, runChild, type ServiceFacts } from '@milena/hosting'
import { postgresOutbox, postgresSagas } from '@milena/postgres'
import { createReplier, createSagas } from '@milena/request-reply'
import { connect } from '../database/connect.ts'
import { accountServices, defineCommands, groupOf, type AccountService } from '../operations.ts'
import { AccountClient } from './account-client.ts'
import { defineExchange } from './exchange.ts'
import { addExchangeRoutes } from './routes.ts'

export interface ExchangeConfig {
  readonly port: number
  readonly databaseUrl: string
  readonly brokers: string
  readonly prefix: string
  readonly accounts: Readonly<Record<AccountService, string>>
  /** The share of movements that are asked for twice. */
  readonly repeats: number
}

const databaseConnections = 24
/** Milliseconds that a caller waits for the decision: longer than both calls take with their tries. */
const patience = 8_000

runChild(async (config: ExchangeConfig) => {
  const { prefix, repeats } = config
  const kafka = { brokers: config.brokers.split(','), clientId: `${prefix}exchange` }
  const pool = await connect(config.databaseUrl, databaseConnections)
  const commands = defineCommands(prefix)
  const accounts = {
    'krw-account': new AccountClient(config.accounts['krw-account'], repeats),
    'fx-account': new AccountClient(config.accounts['fx-account'], repeats),
  }
  const exchange = defineExchange(accounts, commands)
  const outbox = postgresOutbox({ pool })
  const sagas = createSagas({
    store: postgresSagas({ pool }),
    sagas: [exchange],
    outbox,
    concurrency: 500,
    lease: 3_000,
    interval: 200,
  })

  // Replies complete the exchanges, whichever process of this service has sent the commands.
  const replier = createReplier({
    kafka,
    groupId: groupOf(prefix, 'exchange'),
    groupInstanceId: `${prefix}exchange`,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    createTopics: true,
  })
  for (const service of accountServices)
    replier.handle(commands[service].stray, () => {}, { useRecords: [sagas.replies] })
  const relay = outbox.relay({ kafka })
  await sagas.start()
  await explainBrokers(config.brokers, replier.start())
  await relay.start()

  const app = await createApp('Currency exchange', 'finish')
  addExchangeRoutes(app, sagas, exchange, patience)
  app.get('/stats', { schema: { summary: 'How exchanges stand, in figures' } }, async () => ({
    sagas: await sagas.stats(),
    outbox: await outbox.backlog(),
    relay: relay.stats(),
    replier: replier.stats(),
    health: { sagas: sagas.health(), relay: relay.health(), replier: replier.health() },
  }))
  const port = await listen(app, config.port)
  const facts: ServiceFacts = { port, url: `http://127.0.0.1:${port}` }
  return {
    facts,
    async close({ orphaned }) {
      if (orphaned) return
      // Replies complete sagas, and callers wait for them: each is closed before what it needs.
      await replier.close()
      await sagas.close()
      await app.close()
      await relay.close()
      for (const service of accountServices) accounts[service].close()
      await pool.end()
    },
  }
})
