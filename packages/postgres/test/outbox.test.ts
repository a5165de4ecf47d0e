import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOperation, json, TransportError } from '@milena/request-reply'
import { migrate, postgresOutbox } from '@milena/postgres'
import { startProxy } from '../../../test/support/proxy.ts'
import { TypeOverrides } from 'pg'
import { waitFor } from '../../../test/support/wait-for.ts'
import { firsts, move, relaying, transaction, upTo, useDatabase } from './relaying.ts'

useDatabase()

test('what is committed is sent, once and in order, and is gone then', async () => {
  const { write, relay, drained, log, outbox } = await relaying()
  await write(...upTo(120).map((step) => ({ account: step % 2 === 0 ? 'a' : 'b', step })))
  const first = await relay()
  await drained()
  assert.deepEqual(
    firsts(log).get('a'),
    upTo(120).filter((step) => step % 2 === 0),
  )
  assert.equal(log.length, 120)
  assert.deepEqual(await outbox.backlog(), {
    pending: 0,
    more: false,
    oldestAge: 0,
    stuck: [],
    stuckKeys: 0,
  })
  await waitFor(() => first.stats().keys === 0, { what: 'the end of the claims' })
  assert.deepEqual(first.stats(), { sent: 120, failed: 0, cleaned: 0, keys: 0, rows: 0, bytes: 0 })
})

test('a transaction that is rolled back sends nothing', async () => {
  const { write, relay, drained, log, database, outbox } = await relaying()
  await relay()
  await assert.rejects(
    transaction(database, async (tx) => {
      await outbox.add(tx, move, { account: 'a', step: 1 })
      throw new Error('no')
    }),
    /no/,
  )
  await write({ account: 'a', step: 2 })
  await drained()
  assert.deepEqual(
    log.map(({ step }) => step),
    [2],
  )
})

test('a commit wakes the relay, which would look again only much later', async () => {
  const { write, relay, log } = await relaying()
  await relay({ pollInterval: 600_000, claimTimeout: 2_000_000 })
  await write({ account: 'a', step: 1 })
  await waitFor(() => log.length === 1, { what: 'the record', timeout: 20_000 })
})

test('a row whose transaction commits after a later one of its key is sent all the same', async () => {
  const { write, relay, drained, log, database, outbox } = await relaying()
  await relay()
  await transaction(database, async (tx) => {
    await outbox.add(tx, move, { account: 'a', step: 1 })
    await write({ account: 'a', step: 2 })
    await waitFor(() => log.length === 1, { what: 'the later one' })
  })
  await drained()
  assert.deepEqual(
    log.map(({ step }) => step),
    [2, 1],
  )
})

test('a pool that makes numbers of bigints serves as any other', async () => {
  const { write, drained, log, database, broker, schema } = await relaying()
  const types = new TypeOverrides()
  types.setTypeParser(20, Number)
  const outbox = postgresOutbox({ pool: database.openPool({ types }), schema })
  await using transport = broker.connect()
  await using relay = outbox.relay({ transport })
  await relay.start()
  const steps = Array.from({ length: 20 }, (_, step) => ({ account: `account-${step}`, step }))
  await write(...steps)
  await drained()
  assert.deepEqual(new Set(log.map(({ step }) => step)), new Set(steps.map(({ step }) => step)))
})

test('a row has one idempotency key, however often it is sent', async () => {
  const fates = ['unknown-appended', 'unknown-appended', 'deliver'] as const
  let at = 0
  const { write, relay, drained, log, database, outbox } = await relaying({
    faults: { send: () => ({ fate: fates[at++] }) },
  })
  const entry = await transaction(database, (tx) => outbox.add(tx, move, { account: 'a', step: 1 }))
  await write()
  await relay({ maxPause: 10 })
  await drained()
  assert.deepEqual(
    log.map(({ headers }) => headers.text('milena-idempotency-key')),
    [entry.idempotencyKey, entry.idempotencyKey, entry.idempotencyKey],
  )
  assert.equal(entry.correlationId, undefined)
})

test('a key that is stuck is told, holds up nobody else, and loses neither a row nor its order', async () => {
  let refused = true
  const { write, relay, drained, log, outbox } = await relaying({
    faults: { send: ({ key }) => (refused && key?.toString() === 'bad' ? { fate: 'not-sent' } : undefined) },
  })
  const sender = await relay({ maxPause: 100, maxKeys: 2 })
  await write({ account: 'bad', step: 0 }, { account: 'bad', step: 1 }, { account: 'bad', step: 2 })
  for (const step of upTo(20)) await write({ account: `good-${step % 4}`, step })
  await waitFor(() => log.length === 20, { what: 'all others' })
  await waitFor(() => sender.stats().failed > 2, { what: 'further attempts' })
  // What is in the log is written down a moment later.
  await waitFor(async () => (await outbox.backlog()).pending === 3, { what: 'the others to be gone' })
  const { oldestAge, stuck, stuckKeys } = await outbox.backlog()
  assert.ok(oldestAge > 0)
  assert.equal(stuckKeys, 1)
  assert.equal(stuck[0]!.key?.toString(), 'bad')
  assert.deepEqual([stuck[0]!.topic, stuck[0]!.operation], ['moves', 'move'])
  assert.equal(stuck[0]!.error.code, 'MILENA_NOT_SENT')
  assert.ok(stuck[0]!.failures >= 1 && stuck[0]!.since <= Date.now() + 1_000)
  assert.ok(sender.health().lastFailure?.error instanceof TransportError)
  refused = false
  await drained()
  assert.deepEqual(firsts(log).get('bad'), [0, 1, 2])
})

test('keys whose sends hang take no place from others', async () => {
  const { write, relay, log } = await relaying({
    faults: { send: ({ key }) => (key?.toString().startsWith('slow') ? { ackDelay: 3_000 } : undefined) },
  })
  await write(...upTo(6).map((step) => ({ account: `slow-${step}`, step })))
  const sender = await relay({ maxKeys: 3, sendTimeout: 20_000 })
  await waitFor(() => log.filter(({ account }) => account?.startsWith('slow')).length >= 3, {
    what: 'the places to be taken',
  })
  await write({ account: 'quick', step: 1 })
  await waitFor(() => log.some(({ account }) => account === 'quick'), { what: 'the other' })
  assert.ok(sender.stats().sent <= 1, 'none of those that hang was acknowledged before')
})

test('three relays side by side send each row once, as long as nothing fails', async () => {
  const { write, relay, drained, log } = await relaying({ faults: { send: () => ({ ackDelay: 2 }) } })
  for (let each = 0; each < 3; each++) await relay()
  const accounts = ['a', 'b', 'c', 'd']
  await Promise.all(accounts.map((account) => write(...upTo(60).map((step) => ({ account, step })))))
  await drained()
  assert.equal(log.length, 240)
  for (const account of accounts) assert.deepEqual(firsts(log).get(account), upTo(60), account)
})

test('behind a row that came late, one that waits for its next attempt still waits', async () => {
  const { relay, log, database, outbox } = await relaying({
    faults: { send: ({ value }) => (String(value).includes('"step":2') ? { fate: 'not-sent' } : undefined) },
  })
  const sender = await relay()
  const stuck = async () => (await outbox.backlog()).stuck[0]
  const failed = await transaction(database, async (tx) => {
    await outbox.add(tx, move, { account: 'a', step: 1 })
    await transaction(database, (other) => outbox.add(other, move, { account: 'a', step: 2 }))
    return waitFor(stuck, { what: 'the failure' })
  })
  await waitFor(() => log.length === 1, { what: 'the row that came late' })
  await waitFor(() => sender.stats().keys === 0, { what: 'the end of its turn' })
  const now = await stuck()
  assert.ok(
    now!.failures === failed.failures || Date.now() >= failed.nextAttempt,
    `${now!.failures} attempts`,
  )
})

test('three relays whose connections are killed all the while: nothing is lost, nothing overtakes', async () => {
  let count = 0
  const { write, relay, drained, log, database } = await relaying({
    faults: {
      send: () => {
        count++
        if (count % 17 === 0) return { fate: 'unknown-appended' }
        return count % 11 === 0 ? { fate: 'not-sent' } : { ackDelay: 1 }
      },
    },
  })
  const relays = [await relay({ maxPause: 20 }), await relay({ maxPause: 20 }), await relay({ maxPause: 20 })]
  const accounts = ['a', 'b', 'c', 'd', 'e', 'f']
  const state = { writing: true }
  const killing = (async () => {
    let kills = 0
    while (state.writing || kills < 5)
      kills += await database.killConnections(`application_name = 'relay' AND random() < 0.5`)
    return kills
  })()
  await Promise.all(accounts.map((account) => write(...upTo(60).map((step) => ({ account, step })))))
  state.writing = false
  assert.ok((await killing) >= 5)
  await drained()
  for (const account of accounts) assert.deepEqual(firsts(log).get(account), upTo(60), account)
  const sent = relays.reduce((sum, each) => sum + each.stats().sent, 0)
  assert.ok(sent >= 360, `${sent} sent`)
})

test('a relay that is cut off loses its claims, and sends nothing more for them', async (t) => {
  let held = false
  const { write, relay, drained, log, database } = await relaying({
    faults: {
      send: () => {
        if (held) return undefined
        held = true
        return { ackDelay: 4_000 }
      },
    },
  })
  const url = new URL(database.url)
  const proxy = await startProxy(() => ({ host: url.hostname, port: Number(url.port || 5432) }))
  t.after(() => proxy.close())
  const through = new URL(database.url)
  through.host = proxy.address
  const timing = { claimTimeout: 1_500, sendTimeout: 20_000 }
  const zombie = await relay(timing, through.href)
  await write(...upTo(3).map((step) => ({ account: 'a', step })))
  await waitFor(() => log.length === 1, { what: 'the record that is not acknowledged' })
  proxy.freeze()
  await relay(timing)
  await drained()
  const steps = log.map(({ step }) => step)
  assert.deepEqual(steps, [0, 0, 1, 2])
  await waitFor(() => zombie.stats().sent === 1, { what: 'the late acknowledgement' })
  proxy.thaw()
  await waitFor(() => zombie.health().relaying, { what: 'the relay to go on' })
  await write({ account: 'b', step: 3 })
  await drained()
  assert.deepEqual(
    log.map(({ step }) => step),
    [...steps, 3],
  )
})

test('a relay without its connection says so, and goes on by itself', async () => {
  const { write, relay, drained, database } = await relaying()
  const sender = await relay()
  await database.allowConnections(false)
  try {
    await database.killConnections(`application_name = 'relay'`)
    await waitFor(() => sender.health().trouble !== undefined, { what: 'trouble' })
    assert.equal(sender.health().relaying, false)
    assert.ok(sender.health().trouble!.error instanceof Error)
  } finally {
    await database.allowConnections(true)
  }
  await waitFor(() => sender.health().relaying, { what: 'the relay to go on' })
  await write({ account: 'a', step: 1 })
  await drained()
})

test('closing does not wait for a database that does not answer', async (t) => {
  const { relay, database } = await relaying()
  const url = new URL(database.url)
  const proxy = await startProxy(() => ({ host: url.hostname, port: Number(url.port || 5432) }))
  t.after(() => proxy.close())
  const through = new URL(database.url)
  through.host = proxy.address
  const cut = await relay({ claimTimeout: 600, sendTimeout: 200 }, through.href)
  proxy.freeze()
  await waitFor(() => cut.health().trouble !== undefined, { what: 'trouble' })
  const connections = proxy.accepted
  await waitFor(() => proxy.accepted > connections, { what: 'a new connection that hangs' })
  await cut.close()
  proxy.thaw()
})

test('a relay that cannot begin says why', async () => {
  const { database, broker } = await relaying()
  const transport = broker.connect()
  const outbox = postgresOutbox({ pool: database.pool, schema: 'elsewhere' })
  await using relay = outbox.relay({ transport })
  await assert.rejects(relay.start(), { code: 'MILENA_NOT_MIGRATED', message: /002-outbox/ })
  await migrate(database.pool, { schema: 'elsewhere' })
  await relay.start()
  await relay.close()
  await transport.close()
})

test('sent rows are kept as long as is wished, and then deleted', async () => {
  const { write, relay, drained, database, schema } = await relaying()
  await write(...upTo(5).map((step) => ({ account: 'a', step })))
  const first = await relay({ keep: 3_600_000 })
  await drained()
  const count = async (): Promise<number> => {
    const { rows } = await database.pool.query<{ readonly n: number }>(
      `SELECT count(*)::integer AS n FROM ${schema}.milena_outbox WHERE sent_at IS NOT NULL`,
    )
    return rows[0]!.n
  }
  assert.equal(await count(), 5)
  await first.close()
  const second = await relay({ keep: 100 })
  await waitFor(async () => (await count()) === 0, { what: 'the kept rows to be deleted' })
  assert.equal(second.stats().cleaned, 5)
})

test('what cannot be a request is refused before anything is written', async () => {
  const { outbox, database } = await relaying()
  const strict = defineOperation({ name: 'strict', topic: 'moves', request: json(), partition: () => 0 })
  await transaction(database, async (tx) => {
    await assert.rejects(outbox.add(database.pool as never, move, { account: 'a', step: 1 }), {
      code: 'MILENA_OPTIONS_INVALID',
      message: /not the pool/,
    })
    await assert.rejects(outbox.add(tx, strict, {}), { message: /partition must be given/ })
    await assert.rejects(outbox.add(tx, strict, 1n, { partition: 0 }), {
      code: 'MILENA_CODEC_FAILED',
    })
    await tx.query('SELECT 1')
  })
  assert.equal((await outbox.backlog()).pending, 0)
})

test('options that cannot work are listed', async () => {
  const { outbox } = await relaying()
  assert.throws(() => outbox.relay({ pollInterval: 6_000, maxKeys: 0, other: 1 } as never), {
    code: 'MILENA_OPTIONS_INVALID',
    message: /no option other.*either kafka.*maxKeys.*three times/,
  })
})
