/** What comes back for a gift's mail is written down, however long the database is away. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { connectDatabase } from '@milena/hosting'
import { postgresOutbox } from '@milena/postgres'
import { encodeHeaders, openKafka } from '@milena/request-reply'
import type { Pool } from 'pg'
import { openTestCluster, uniqueName, type TestCluster } from '../../../test/support/cluster.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { waitFor } from '../../../test/support/wait-for.ts'
import { Gifts } from '../src/coupon/gifts.ts'
import { createMailReplies } from '../src/coupon/mail-replies.ts'
import { applySchema } from '../src/databases.ts'
import { defineMessages } from '../src/messages.ts'
import { topicsOf } from '../src/topics.ts'

let cluster: TestCluster
let database: TestDatabase
let pool: Pool
before(async () => {
  cluster = await openTestCluster()
  database = await openTestDatabase()
  await applySchema(database.url, 'coupon')
  pool = await connectDatabase(database.url, { max: 4 })
})
after(async () => {
  await pool?.end()
  await database?.close()
  await cluster?.close()
})

test('a result that comes while the database is away is written down when it is back', async (t) => {
  const prefix = `${uniqueName('mail-replies')}.`
  const messages = defineMessages(prefix)
  await using transport = await openKafka({ brokers: cluster.brokers })
  const topics = topicsOf(prefix)
  for (const { name } of topics) cluster.own(name)
  await transport.createTopics([...topics])
  const gifts = new Gifts(pool, postgresOutbox({ pool }), messages)
  await gifts.give(
    { id: 'cake', title: 'A piece of cake' },
    { giftId: 'g', recipient: 'kim@example.test', message: '', partner: false },
  )
  const correlationId = (
    await pool.query<{ id: Buffer }>(`select correlation_id as id from gifts where id = 'g'`)
  ).rows[0]!.id

  const replies = createMailReplies({
    kafka: { brokers: cluster.brokers },
    messages,
    instanceId: `${prefix}coupon`,
    gifts,
  })
  await replies.start()
  t.after(() => replies.close())
  await database.allowConnections(false)
  await database.killConnections()
  await transport.send({
    topic: messages.replyTopics.own,
    key: null,
    value: Buffer.from('0'),
    headers: encodeHeaders({ kafka_correlationId: correlationId }),
  })
  const hasFailed = (): boolean =>
    replies.stats().retried > 0 || Object.keys(replies.stats().passedOver).length > 0
  await waitFor(hasFailed, { what: 'a try that fails' })
  await database.allowConnections(true)
  const gift = await waitFor(
    async () => {
      const found = await gifts.find('g')
      return found?.state === 'sent' && found
    },
    { what: 'the result to be written down' },
  )
  assert.equal(gift.state, 'sent')
})
