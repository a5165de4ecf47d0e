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
  await runPage(cluster, { page: 'docs/context.md', block: 0, topics })
})

test('the code of docs/reply-topics.md runs as it stands and prints what it says', async () => {
  const topics = ['gift_request', 'gift_reply', 'gift_audit_reply']
  await runPage(cluster, { page: 'docs/reply-topics.md', block: 0, topics })
})
