/** A relay in a process of its own, for `outbox.test.ts`: tells its parent when it relays, and ends with it. */
import { postgresOutbox } from '@milena/postgres'
import { Pool } from 'pg'

export interface OutboxWorkerOptions {
  readonly brokers: string[]
  readonly url: string
  readonly claimTimeout: number
}

const { brokers, url, claimTimeout } = JSON.parse(process.argv[2]!) as OutboxWorkerOptions
const pool = new Pool({ connectionString: url, max: 2 })
pool.on('error', () => undefined)
process.on('disconnect', () => process.exit(1))
process.once('SIGTERM', () => {
  process.removeAllListeners('disconnect')
  void relay
    .close()
    .then(() => pool.end())
    .then(() => process.disconnect?.())
})
const relay = postgresOutbox({ pool }).relay({ kafka: { brokers }, pollInterval: 200, claimTimeout })
await relay.start()
process.send?.('relaying')
