/** Entry: a worker applies changes to shops, many at a time, and answers each. */
import { explainBrokers, runChild } from '@milena/hosting'
import {
  batchHandler,
  createReplier,
  exponential,
  ReplyError,
  retry,
  type BatchRequest,
  type Middleware,
} from '@milena/request-reply'
import { connect } from '../database/connect.ts'
import { defineChangeRadius, namesOf, type ChangeRequest } from '../domain/messages.ts'
import { applyChanges, type AskedChange } from './changes.ts'

export interface WorkerConfig {
  readonly name: string
  readonly brokers: string
  readonly databaseUrl: string
  readonly prefix: string
}

/** Most changes that go to the database at once. */
const batch = 500

runChild(async ({ name, brokers, databaseUrl, prefix }: WorkerConfig) => {
  const pool = await connect(databaseUrl, 2)
  const replier = createReplier({
    kafka: { brokers: brokers.split(','), clientId: `${prefix}${name}` },
    groupId: namesOf(prefix).workerGroup,
    // A static member: one that was killed takes its partitions up again at once.
    groupInstanceId: `${prefix}${name}`,
    sessionTimeout: 6_000,
    heartbeatInterval: 500,
    // As many as a batch and the next one: it gathers while the first is written.
    concurrency: 2 * batch,
    maxInHand: 8 * batch,
  })
  // The database may be away for as long as the requester waits: each change knows whether it was made, so that trying
  // again is harmless. One that nobody waits for is tried for an hour.
  replier.useRecords(retry({ attempts: 1_800, backoff: exponential({ first: 100, most: 2_000 }) }))
  replier.handle(
    defineChangeRadius(prefix),
    batchHandler((requests) => applyChanges(pool, requests.map(toAsked)), { size: batch }),
    { use: [requireKey] },
  )
  await explainBrokers(brokers, replier.start())
  return {
    facts: {},
    async close({ orphaned }) {
      // Whatever it has in hand comes again.
      if (orphaned) return
      await replier.close()
      await pool.end()
    },
  }
})

function toAsked({ value, context }: BatchRequest<ChangeRequest>): AskedChange {
  const { partition, offset } = context.position
  return { shop: value.key, kind: value.data.kind, action: value.data.action, partition, offset }
}

/** The record's key decides about partition and order: with another one a shop's changes would be made in any order. */
const requireKey: Middleware = (request, { key }, next) => {
  const { key: shop } = request as ChangeRequest
  if (key?.toString() === shop) return next()
  throw new ReplyError('KEY_MISMATCH', `the record's key must be the shop, ${shop}`, { effect: 'none' })
}
