/** Entry: the payment provider, a third party with books of its own. */
import { rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { listen, runChild, type ServiceFacts } from '@milena/hosting'
import { createProviderApp } from './app.ts'
import type { Behaviour } from './behaviour.ts'
import { Ledger } from './ledger.ts'

export interface ProviderConfig {
  readonly port: number
  readonly behaviour: Behaviour
  /** Where its books outlast its own restart. */
  readonly ledgerFile: string
}

runChild(async ({ port, behaviour, ledgerFile }: ProviderConfig) => {
  const app = await createProviderApp(new Ledger(behaviour, ledgerFile))
  const taken = await listen(app, port)
  const facts: ServiceFacts = { port: taken, url: `http://127.0.0.1:${taken}` }
  return {
    facts,
    async close() {
      await app.close()
      await rm(ledgerFile, { force: true })
      // The run's folder goes with the last of those that have something in it.
      await rmdir(dirname(ledgerFile)).catch(() => {})
    },
  }
})
