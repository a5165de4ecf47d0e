import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { openKafka } from '@milena/request-reply'
const broker = await startEmbeddedKafka()
const t = await openKafka({ brokers: broker.brokers })
await t.createTopics([{ name: 'x', partitions: 12 }])
const total = 12 * 8000
const value = Buffer.alloc(300, 'x')
for (let n = 0; n < total; n += 1000)
  await Promise.all(
    Array.from({ length: 1000 }, (_, i) =>
      t.send({ topic: 'x', partition: (n + i) % 12, key: null, value, headers: [] } as any),
    ),
  )
for (let round = 0; round < 10; round++) {
  let count = 0
  const bad: unknown[] = []
  const tail = await t.tail({
    topic: 'x',
    partitions: 'all',
    from: 'earliest',
    onRecords(r: any) {
      count += [...r].length
    },
    onUnreadable: (u: any) => bad.push(u),
  } as any)
  await tail.caughtUp()
  console.log(round, count, total, bad.length)
  await tail.close()
}
await t.close()
await broker.close()
