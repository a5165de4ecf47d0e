/** What a system makes in brokers and databases of others is gone after it, and nothing else is. */
import { allSettled, Foundation, StartError } from '@milena/hosting'
import { openKafka } from '@milena/request-reply'
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestCluster, uniqueName, type TestCluster } from '../../../test/support/cluster.ts'
import { openTestDatabase, type TestDatabase } from '../../../test/support/database.ts'

let cluster: TestCluster
let database: TestDatabase
before(async () => {
  cluster = await openTestCluster()
  database = await openTestDatabase()
})
after(async () => {
  await cluster?.close()
  await database?.close()
})

async function open(): Promise<Foundation> {
  const foundation = new Foundation('test', (line) => assert.fail(line))
  await foundation.start({ brokers: cluster.brokers.join(','), databaseUrl: database.url })
  return foundation
}

async function topicsOf(prefix: string): Promise<readonly string[]> {
  await using transport = await openKafka({ brokers: cluster.brokers })
  return [...(await transport.describeTopics()).keys()].filter((name) => name.startsWith(prefix)).toSorted()
}

async function databasesOf(prefix: string): Promise<readonly string[]> {
  const { rows } = await database.pool.query<{ name: string }>(
    `select datname as name from pg_database where datname like $1 || '%' order by datname`,
    [prefix],
  )
  return rows.map(({ name }) => name)
}

test('closing takes away what was made, with dead letters and retry topics, and not what only begins like it', async () => {
  const prefix = uniqueName('foundation')
  const foundation = await open()
  const others = `${prefix}orders-of-others`
  cluster.own(others)
  await using transport = await openKafka({ brokers: cluster.brokers })
  await transport.createTopics([{ name: others, partitions: 1 }])

  await foundation.createTopics([{ name: `${prefix}mail`, partitions: 1 }])
  await transport.createTopics(
    ['dlt', 'retry-1'].map((of) => ({ name: `${prefix}mail-${of}`, partitions: 1 })),
  )
  await foundation.createDatabases(prefix, ['one', 'other'])
  assert.equal((await databasesOf(prefix)).length, 2)
  await foundation.close()
  assert.deepEqual(await topicsOf(prefix), [others])
  assert.deepEqual(await databasesOf(prefix), [])
})

test('a run under the prefix of another is refused, and takes nothing of it away', async () => {
  const prefix = uniqueName('foundation')
  const first = await open()
  try {
    await first.createTopics([{ name: `${prefix}mail`, partitions: 1 }])
    await first.createDatabases(prefix, ['mail'])
    const second = await open()
    await assert.rejects(second.createTopics([{ name: `${prefix}mail`, partitions: 1 }]), (error) => {
      return (
        error instanceof StartError &&
        /topic .*mail is there already: choose another --prefix/.test(error.message)
      )
    })
    await assert.rejects(second.createDatabases(prefix, ['new', 'mail']), (error) => {
      return (
        error instanceof StartError &&
        /database .*mail is there already: choose another --prefix/.test(error.message)
      )
    })
    await second.close()
    assert.deepEqual(await topicsOf(prefix), [`${prefix}mail`])
    assert.deepEqual(await databasesOf(prefix), [`${prefix}mail`])
  } finally {
    await first.close()
  }
})

test('all are waited for before the first failure is thrown', async () => {
  let ended = false
  const slow = Promise.resolve().then(() => (ended = true))
  await assert.rejects(allSettled([Promise.reject(new Error('no')), slow]), /no/)
  assert.equal(ended, true)
})
