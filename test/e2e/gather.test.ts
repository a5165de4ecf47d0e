/** One request and three consumer groups, each a process: all answer, one is killed at work, one is away. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test, type TestContext } from 'node:test'
import {
  createRequester,
  defineOperation,
  replyPartition,
  string,
  type LateReply,
} from '@milena/request-reply'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { runPage } from '../support/run-page.ts'
import { waitFor } from '../support/wait-for.ts'
import type { WorkerMessage } from './replier-worker.ts'

let cluster: TestCluster
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

/** A consumer group of one process, which may be killed and started again. */
class Group {
  readonly groupId: string
  readonly began: string[] = []
  readonly ended: string[] = []
  readonly #topic: string
  #child: ChildProcess | undefined

  constructor(name: string, topic: string) {
    this.groupId = uniqueName(name)
    this.#topic = topic
  }

  async start(delay = 0): Promise<void> {
    const options = {
      brokers: cluster.brokers,
      groupId: this.groupId,
      topic: this.#topic,
      delay,
      sessionTimeout: 6_000,
    }
    const child = fork(new URL('replier-worker.ts', import.meta.url), [JSON.stringify(options)], {
      execArgv: ['--conditions=x-source'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    const ready = once(child, 'message')
    child.on('message', (message: WorkerMessage) => {
      if ('began' in message) this.began.push(message.began)
      if ('ended' in message) this.ended.push(message.ended)
    })
    assert.deepEqual((await ready)[0], { ready: true }, 'the worker is ready')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  }
}

async function startGroups(t: TestContext, topic: string): Promise<[Group, Group, Group]> {
  const groups: [Group, Group, Group] = [
    new Group('north', topic),
    new Group('south', topic),
    new Group('west', topic),
  ]
  t.after(() => Promise.all(groups.map((group) => group.kill())))
  await Promise.all(groups.map((group) => group.start()))
  return groups
}

test('three groups answer one request; one that is killed at work answers when it is back, one that is away is missing', async (t) => {
  const topic = await cluster.createTopic('worker_request', { partitions: 3 })
  const replies = await cluster.createTopic('worker_reply', { partitions: 6 })
  const late: LateReply[] = []
  const requester = await createRequester({
    kafka: { brokers: cluster.brokers },
    replyRouting: replyPartition({ topic: replies }),
    timeout: 120_000,
    onLateReply: (reply) => void late.push(reply),
  })
  t.after(() => requester.close({ timeout: 0 }))
  const work = defineOperation({ name: 'work', topic, request: string(), reply: string() })
  const groups = await startGroups(t, topic)
  const names = groups.map(({ groupId }) => groupId).toSorted()
  const [, south, west] = groups

  const all = await requester.requestMany(work, 'all', { count: 3 })
  assert.deepEqual([all.complete, all.errors, all.groups.toSorted()], [true, [], names])
  assert.deepEqual(
    all.replies.map(({ value }) => value),
    ['all', 'all', 'all'],
  )

  // Killed at work: its request is delivered again to the process in its place, and counts once.
  await west.kill()
  await west.start(600_000)
  const killed = requester.requestMany(work, 'killed', { count: 3 })
  await waitFor(() => west.began.includes('killed') && south.ended.includes('killed'), {
    what: 'one group to be at work, and another one to be done',
  })
  await west.kill()
  await west.start()
  const whole = await killed
  assert.deepEqual([whole.complete, whole.errors, whole.groups.toSorted()], [true, [], names])
  assert.equal(whole.replies.length, 3)

  // Away: the timeout ends it with what there is.
  await south.kill()
  const some = await requester.requestMany(work, 'some', { count: 3, timeout: 5_000 })
  assert.equal(some.complete, false)
  assert.deepEqual(
    some.groups.toSorted(),
    names.filter((name) => name !== south.groupId),
  )

  // Back: what it says of the request that it had missed is late.
  await south.start()
  await waitFor(() => late.some(({ correlationId }) => correlationId === some.correlationId), {
    what: 'the group that was away to answer late',
  })
  const again = await requester.requestMany(work, 'again', { count: 3 })
  assert.deepEqual(again.groups.toSorted(), names)
  const { accepted, replied, partial, contradicting } = requester.stats()
  assert.deepEqual([accepted, replied, partial, contradicting], [4, 3, 1, 0])
})

test('nobody answers: a TimeoutError as of any request', async (t) => {
  const topic = await cluster.createTopic('worker_request')
  const replies = await cluster.createTopic('worker_reply')
  const requester = await createRequester({
    kafka: { brokers: cluster.brokers },
    replyRouting: replyPartition({ topic: replies }),
  })
  t.after(() => requester.close({ timeout: 0 }))
  const work = defineOperation({ name: 'work', topic, request: string(), reply: string() })
  await assert.rejects(requester.requestMany(work, 'x', { count: 2, timeout: 1_000 }), {
    code: 'MILENA_TIMEOUT',
  })
})

test('the example of the page runs as it stands', async () => {
  const code = { page: 'docs/gather.md', block: 0, topics: ['quote_request', 'quote_reply'] }
  await runPage(cluster, code)
})
