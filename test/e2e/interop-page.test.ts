/** The code of docs/interop.md, as it stands there. With NestJS itself: test/interop/nestjs.test.ts. */
import { after, before, test } from 'node:test'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { runPage } from '../support/run-page.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster?.close())

test('the code of docs/interop.md prints what the page says', async () => {
  const topics = ['shop_price', 'shop_price.reply']
  await runPage(cluster, { page: 'docs/interop.md', block: 0, topics })
})
