import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Admin } from '@platformatic/kafka'
import { openTestCluster } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

const admins: Admin[] = []
after(() => Promise.all(admins.map((admin) => admin.close())))

test('a test cluster gives each test topics of its own and takes them away again', async () => {
  const first = await openTestCluster()
  const names = [await first.createTopic('mine', { partitions: 2 }), await first.createTopic('mine')]
  assert.notEqual(names[0], names[1])
  const admin = new Admin({ clientId: 'cluster-test', bootstrapBrokers: first.brokers })
  admins.push(admin)
  const listed = await admin.listTopics({ includeInternals: false })
  assert.ok(
    names.every((name) => listed.includes(name)),
    'both topics are there',
  )
  await first.close()
  if (first.kind === 'embedded') return // the broker is gone with them
  const gone = async (): Promise<boolean> => {
    const left = await admin.listTopics({ includeInternals: false })
    return names.every((name) => !left.includes(name))
  }
  await waitFor(gone, { what: 'the topics to be removed' })
})
