/** A trigger takes as much memory for many shops as for few: the real requester, on the embedded broker. */
import { brokerEntry, SupervisedChild, type BrokerConfig, type BrokerFacts } from '@milena/hosting'
import { createReplier, createRequester, openKafka, replyPartition } from '@milena/request-reply'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { defineChangeRadius, namesOf } from '../src/domain/messages.ts'
import type { ChangeStore } from '../src/requester/change-store.ts'
import { Trigger } from '../src/requester/trigger.ts'

// The broker's process gets what this one was started with; it is no test file.
process.execArgv = ['--conditions=x-source']
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes in use while a trigger over so many shops is half done, and when it is done. */
type Measure = (shops: number) => Promise<{ readonly during: number; readonly after: number }>

const few = 3_000
/** Bytes that ten times the shops may take more: 116 for each, less than one of its requests or results. */
const slack = 3 * 1024 * 1024

test('ten times the shops take no more memory, while the trigger runs and after it', async (t) => {
  const config: BrokerConfig = { port: 0 }
  const broker = new SupervisedChild(
    { name: 'broker', entry: brokerEntry, config },
    { restart: false, onChange: () => {}, log: () => {} },
  )
  await broker.start()
  t.after(() => broker.stop())
  const brokers = (broker.facts as BrokerFacts).brokers.split(',')
  const { topic, replyTopic, workerGroup } = namesOf('')
  await using transport = await openKafka({ brokers })
  await transport.createTopics([topic, replyTopic].map((name) => ({ name, partitions: 2 })))
  const operation = defineChangeRadius('')
  await using replier = createReplier({ kafka: { brokers }, groupId: workerGroup, concurrency: 1_000 })
  replier.handle(operation, ({ key }) => ({ shop: key, radius: 1, changes: 1 }))
  await replier.start()
  await using requester = await createRequester({
    kafka: { brokers },
    replyRouting: replyPartition({ topic: replyTopic, partitions: 2 }),
    remember: 1_000,
  })
  const store = { put: async () => {}, written: async () => {} } as unknown as ChangeStore

  const measure: Measure = async (shops) => {
    const shopsOf = { from: 1, to: shops }
    const request = { kind: 'bad-weather', action: 'begin', shops: shopsOf, timeout: 60_000 } as const
    const trigger = new Trigger(`t-${shops}`, request, 'requester-1')
    let during = 0
    const timer = setInterval(() => {
      if (during > 0 || trigger.progress().done < shops / 2) return
      during = used()
    }, 1)
    await trigger.run({ requester, operation, store })
    clearInterval(timer)
    assert.equal(trigger.progress().done, shops)
    return { during, after: await settled() }
  }
  // What everything takes once it has been used.
  await measure(10 * few)
  const little = await measure(few)
  const much = await measure(10 * few)
  t.diagnostic(`${JSON.stringify(little)} ${JSON.stringify(much)}`)
  assert.ok(much.after - little.after < slack, `after it: ${much.after - little.after} bytes more`)
  assert.ok(much.during - little.during < slack, `meanwhile: ${much.during - little.during} bytes more`)
})

/** What is left when nothing more goes: answers that were on their way are let go of by the next ones. */
async function settled(): Promise<number> {
  let least = used()
  for (let looks = 0; looks < 10; looks++) {
    await sleep(100)
    const now = used()
    if (now < least - 100_000) looks = 0
    least = Math.min(least, now)
  }
  return least
}

function used(): number {
  collect()
  return process.memoryUsage().heapUsed
}
