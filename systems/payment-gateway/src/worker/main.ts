/** Entry: a worker takes payment requests, has them carried out by the provider, and replies. */
import { postgresIdempotency } from '@milena/postgres'
import { relayReplies } from '@milena/redis'
import { createReplier, idempotency } from '@milena/request-reply'
import { explainBrokers, JsonClient, runChild } from '@milena/hosting'
import { connect, schemaOf } from '../database/connect.ts'
import { defineOperations, workerGroup } from '../operations.ts'
import { relayedTopic } from '../routing/choose.ts'
import { ProviderCalls } from './provider-calls.ts'

export interface WorkerConfig {
  readonly name: string
  readonly brokers: string
  readonly prefix: string
  readonly databaseUrl: string
  readonly providerUrl: string
  /** Where there is one, replies to the relayed topic go there too. */
  readonly redisUrl: string | undefined
  /** Payments at the provider at once. */
  readonly concurrency: number
  /** Milliseconds that a reply may wait for company, and between the beginnings of two writes of a kind to the database. */
  readonly linger: number
  /**
   * Whether it comes back under its name when it dies. Then it is a static member of its group, and takes its
   * partitions up again at once. Else it leaves them to the others at once when it ends in order.
   */
  readonly returns: boolean
}

/** Connections to the database. */
const databaseConnections = 8
/** Milliseconds after which the payments of a worker that was killed are anybody's. */
const lease = 3_000

runChild(async (config: WorkerConfig) => {
  const { name, brokers, prefix, databaseUrl, providerUrl, redisUrl, concurrency, linger, returns } = config
  const client = new JsonClient(providerUrl, concurrency)
  const pool = await connect(databaseUrl, prefix, databaseConnections)
  const calls = new ProviderCalls(client, name)
  const replier = createReplier({
    kafka: { brokers: brokers.split(','), clientId: `${prefix}${name}`, linger },
    groupId: workerGroup(prefix),
    ...(returns && { groupInstanceId: `${prefix}${name}` }),
    sessionTimeout: 6_000,
    // How soon the others hear of a worker that came or went, and with it how long its partitions wait.
    heartbeatInterval: 300,
    concurrency,
    createTopics: true,
  })
  if (redisUrl !== undefined)
    replier.useRecords(relayReplies({ url: redisUrl, replyTopics: [relayedTopic(prefix)] }))
  // The provider's work is not in our database, so there is no transaction to share with it: see `ProviderCalls`.
  const outcomes = postgresIdempotency({
    pool,
    schema: schemaOf(prefix),
    transactions: false,
    prepared: true,
    pace: linger,
  })
  replier.useRecords(idempotency({ store: outcomes, lease }))
  const operations = defineOperations(prefix, 'key')
  replier.handle(operations.approve, (request) => calls.charge(request))
  replier.handle(operations.refund, (request) => calls.refund(request))
  await explainBrokers(brokers, replier.start())
  return {
    facts: {},
    async close({ orphaned }) {
      if (!orphaned) await replier.close()
      client.close()
      await pool.end()
    },
  }
})
