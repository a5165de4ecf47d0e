/** Entry: an account service. */
import { createApp, explainBrokers, listen, runChild, type ServiceFacts } from '@milena/hosting'
import { connect } from '../database/connect.ts'
import { currenciesOf, defineCommands, type AccountService } from '../operations.ts'
import type { Behaviour } from './behaviour.ts'
import { cancelConcurrency, createCancellations } from './cancellations.ts'
import { Ledger } from './ledger.ts'
import { addAccountRoutes, type AccountRoutes } from './routes.ts'

export interface AccountConfig {
  readonly service: AccountService
  readonly port: number
  readonly databaseUrl: string
  readonly brokers: string
  readonly prefix: string
  readonly behaviour: Behaviour
}

/** Connections for HTTP, besides those of cancellations. */
const httpConnections = 16

runChild(async (config: AccountConfig) => {
  const { service, port, databaseUrl, prefix } = config
  const brokers = config.brokers.split(',')
  const pool = await connect(databaseUrl, 2 * cancelConcurrency + httpConnections)
  const ledger = new Ledger(pool)
  const account: AccountRoutes = { ledger, currencies: currenciesOf[service], behaviour: config.behaviour }
  const replier = createCancellations({
    service,
    commands: defineCommands(prefix)[service],
    brokers,
    prefix,
    pool,
    ledger,
    behaviour: () => account.behaviour,
  })
  await explainBrokers(config.brokers, replier.start())
  const app = await createApp(service, 'finish')
  addAccountRoutes(app, account)
  app.get('/stats', { schema: { summary: 'What became of cancellations, in figures' } }, () => ({
    replier: replier.stats(),
    health: replier.health(),
  }))
  const bound = await listen(app, port)
  const facts: ServiceFacts = { port: bound, url: `http://127.0.0.1:${bound}` }
  return {
    facts,
    async close({ orphaned }) {
      if (orphaned) return
      await app.close()
      await replier.close()
      await pool.end()
    },
  }
})
