import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { runPage } from '../support/run-page.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

test('the code of docs/context.md runs as it stands and prints what it says', async () => {
  const topics = ['order_request', 'stock_request', 'order_reply']
  const printed = await runPage(cluster, { page: 'docs/context.md', block: 0, topics })
  assert.equal(printed, 'a lamp for acme, trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n')
})

test('the code of docs/reply-topics.md runs as it stands and prints what it says', async () => {
  const topics = ['gift_request', 'gift_reply', 'gift_audit_reply']
  const printed = await runPage(cluster, { page: 'docs/reply-topics.md', block: 0, topics })
  assert.equal(
    printed,
    'sent coupon 1 gift_reply\nsent coupon 2 gift_audit_reply\ngift_reply: true, gift_audit_reply: true\n',
  )
})
