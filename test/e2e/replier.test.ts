/** The replier on real brokers: rebalances under load, an orderly shutdown, and a kill. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createReplier, defineOperation, string, type Replier } from '@milena/request-reply'
import { Asking, type Asked } from '../../packages/request-reply/test/asking.ts'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/kafka-transport.ts'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import type { WorkerMessage } from './replier-worker.ts'

let cluster: TestCluster
/** Topics of tests have a random end, so the default rule does not fit. */
const replyTopics = ['worker_reply-*']
before(async () => {
  cluster = await openTestCluster()
})
after(() => cluster.close())

interface Bench {
  readonly topic: string
  readonly groupId: string
  readonly asking: Asking
}

async function setUp(t: TestContext, partitions: number): Promise<Bench> {
  const topic = await cluster.createTopic('worker_request', { partitions })
  const replyTopic = await cluster.createTopic('worker_reply', { partitions: 2 })
  const transport = await openKafka({ brokers: cluster.brokers })
  t.after(() => transport.close())
  return {
    topic,
    groupId: uniqueName('worker'),
    asking: await new Asking(transport, topic, replyTopic).open(),
  }
}

/** Sends requests of a dozen keys, one every `pause` milliseconds, until it is stopped. */
class Load {
  readonly asked: Asked[] = []
  readonly #asking: Asking
  readonly #partitions: number
  readonly #pause: number
  readonly #running: Promise<void>
  readonly #state = { on: true }

  constructor(asking: Asking, partitions: number, pause = 2) {
    this.#asking = asking
    this.#partitions = partitions
    this.#pause = pause
    this.#running = this.#run()
    this.#running.catch(() => undefined)
  }

  async stop(): Promise<void> {
    this.#state.on = false
    await this.#running
  }

  async #run(): Promise<void> {
    for (let i = 0; this.#state.on; i++) {
      const key = `k${i % 12}`
      const partition = (i % 12) % this.#partitions
      this.asked.push(await this.#asking.ask(Buffer.from(`${key}:${i}`), { key, partition }))
      await sleep(this.#pause)
    }
  }
}

async function works(replier: Replier): Promise<void> {
  const { replied } = replier.stats()
  await waitFor(() => replier.stats().replied > replied + 30, { what: 'a replier to answer' })
}

/** For tests that wait until a session is over. */
const shortSession = 6_000

function startWorker(
  t: TestContext,
  { topic, groupId }: Bench,
  delay: number,
  sessionTimeout = 30_000,
  stuck?: string,
): Promise<Worker> {
  return Worker.start(t, { brokers: cluster.brokers, groupId, topic, delay, sessionTimeout, stuck })
}

class Worker {
  readonly process: ChildProcess
  readonly began: string[] = []
  readonly ended: string[] = []
  committed = 0
  readonly exited: Promise<unknown[]>

  constructor(child: ChildProcess) {
    this.process = child
    // `close`, not `exit`: by then all that it told has been read.
    this.exited = once(child, 'close')
    child.on('message', (message: WorkerMessage) => {
      if ('began' in message) this.began.push(message.began)
      if ('ended' in message) this.ended.push(message.ended)
      if ('committed' in message) this.committed = message.committed
    })
  }

  static async start(t: TestContext, options: object): Promise<Worker> {
    const child = fork(new URL('replier-worker.ts', import.meta.url), [JSON.stringify(options)], {
      execArgv: ['--conditions=x-source'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    t.after(() => child.kill('SIGKILL'))
    const worker = new Worker(child)
    const [first] = (await Promise.race([once(child, 'message'), worker.exited])) as [
      WorkerMessage | number | null,
    ]
    assert.deepEqual(first, { ready: true }, 'the worker is ready')
    return worker
  }
}

test('a request is answered through real brokers, and what was answered is committed', async (t) => {
  const { topic, groupId, asking } = await setUp(t, 1)
  const worker = createReplier({ kafka: { brokers: cluster.brokers }, groupId, replyTopics })
  t.after(() => worker.close())
  worker.handle(
    defineOperation({ name: 'say', topic, request: string(), reply: string() }),
    (request, { key }) => {
      return `say : ${request} ${String(key)}`
    },
  )
  await worker.start()
  const { text, record } = await asking.answerTo(Buffer.from('hello'), { key: 'k' })
  assert.equal(text, 'say : hello k')
  assert.equal(String(record.key), 'k')
  await worker.close()
  await using transport = disposable(await openKafka({ brokers: cluster.brokers }))
  const [note] = await transport.value.readCommittedOffsets(groupId, [topic])
  assert.equal(note?.offset, 1)
})

test('repliers come and go under load: every request is answered exactly once, each key in order', async (t) => {
  const partitions = 4
  const { topic, groupId, asking } = await setUp(t, partitions)
  const order = new Map<string, number[]>()
  const start = async (): Promise<Replier> => {
    const replier = createReplier({
      kafka: { brokers: cluster.brokers },
      groupId,
      replyTopics,
      concurrency: 8,
    })
    t.after(() => replier.close({ timeout: 0 }))
    replier.handle(
      defineOperation({ name: 'work', topic, request: string(), reply: string() }),
      async (request) => {
        const [key, number] = request.split(':') as [string, string]
        const numbers = order.get(key) ?? []
        order.set(key, numbers)
        await sleep(Number(number) % 7)
        // At its end: the next of the key, begun beside it, may be faster.
        numbers.push(Number(number))
        return request
      },
    )
    await replier.start()
    return replier
  }
  const first = await start()
  const load = new Load(asking, partitions)
  await works(first)
  const second = await start()
  await works(second)
  const third = await start()
  await works(third)
  await second.close()
  await works(third)
  await first.close()
  await waitFor(() => third.stats().partitions === partitions, {
    what: 'the last one to have all partitions',
  })
  await works(third)
  await load.stop()
  await Promise.all(load.asked.map((asked) => asking.reply(asked)))
  await third.close()
  assert.deepEqual(
    load.asked.filter((asked) => asking.repliesTo(asked).length !== 1).map(({ position }) => position),
    [],
    'all were answered once',
  )
  for (const [key, numbers] of order) {
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
      `the requests of ${key} were handled in order`,
    )
  }
  t.diagnostic(`${load.asked.length} requests`)
})

test('SIGTERM: what runs is answered and committed before the process ends; nothing is lost or done twice', async (t) => {
  const bench = await setUp(t, 2)
  const { asking } = bench
  const worker = await startWorker(t, bench, 100)
  const load = new Load(asking, 2, 10)
  await waitFor(() => worker.ended.length > 10, { what: 'the worker to work' })
  worker.process.kill('SIGTERM')
  const [code] = await worker.exited
  assert.equal(code, 0)
  assert.equal(worker.began.length, worker.ended.length, 'nothing was cut off')
  const next = await startWorker(t, bench, 0)
  await load.stop()
  await Promise.all(load.asked.map((asked) => asking.reply(asked)))
  const twice = load.asked.filter((asked) => asking.repliesTo(asked).length > 1)
  assert.deepEqual(twice, [])
  assert.deepEqual(
    next.began.filter((request) => worker.ended.includes(request)),
    [],
  )
})

test('kill -9: another worker does what was in hand; nothing is lost', async (t) => {
  const bench = await setUp(t, 2)
  const { asking } = bench
  // For longer than from commit to commit: what is in hand is older than the last one.
  const worker = await startWorker(t, bench, 300, shortSession)
  const other = await startWorker(t, bench, 300, shortSession)
  const load = new Load(asking, 2, 30)
  await waitFor(() => worker.ended.length > 10 && other.ended.length > 10, { what: 'both workers to work' })
  worker.process.kill('SIGKILL')
  await worker.exited
  const cutOff = worker.began.filter((request) => !worker.ended.includes(request))
  assert.notDeepEqual(cutOff, [], 'something was in hand')
  // Of each key one that was asked after the death: what was cut off comes before it.
  const since = load.asked.length
  const later = Array.from({ length: 12 }, (_, n) => `k${(since + n) % 12}:${since + n}`)
  await waitFor(() => later.every((request) => other.ended.includes(request)), {
    what: 'the other worker to go on with every key',
    timeout: 120_000,
  })
  assert.deepEqual(
    cutOff.filter((request) => !other.ended.includes(request)),
    [],
    'what was cut off is done',
  )
  await load.stop()
  await Promise.all(load.asked.map((asked) => asking.reply(asked)))
  const twice = load.asked.filter((asked) => asking.repliesTo(asked).length > 1)
  t.diagnostic(`${load.asked.length} requests, ${cutOff.length} cut off, ${twice.length} answered twice`)
})

test('kill -9 with a request stuck: it comes again, and what has come since; what was answered behind it does not', async (t) => {
  const bench = await setUp(t, 2)
  const { asking } = bench
  const worker = await startWorker(t, bench, 0, shortSession, 'stuck')
  const stuck = await asking.ask(Buffer.from('stuck'), { key: 'stuck', partition: 0 })
  await waitFor(() => worker.began.length === 1, { what: 'the stuck one to have begun' })
  const load = new Load(asking, 2, 0)
  await waitFor(() => worker.ended.length > 300, { what: 'the worker to work' })
  await load.stop()
  await Promise.all(load.asked.map((asked) => asking.reply(asked)))
  await waitFor(() => worker.committed === load.asked.length, { what: 'what was answered to be committed' })
  worker.process.kill('SIGKILL')
  await worker.exited
  const since = await asking.ask(Buffer.from('since'), { key: 'since', partition: 0 })
  const next = await startWorker(t, bench, 0, shortSession)
  await Promise.all([asking.reply(stuck), asking.reply(since)])
  assert.deepEqual(next.began.toSorted(), ['since', 'stuck'])
  const all = [stuck, since, ...load.asked]
  assert.deepEqual(
    all.filter((asked) => asking.repliesTo(asked).length !== 1),
    [],
  )
})

test('a worker that is stopped past its session and wakes up rejoins, and takes nothing back', async (t) => {
  const bench = await setUp(t, 2)
  const { topic, groupId, asking } = bench
  const sleeper = await startWorker(t, bench, 20, shortSession)
  const other = await startWorker(t, bench, 20, shortSession)
  const load = new Load(asking, 2, 10)
  await waitFor(() => sleeper.ended.length > 10 && other.ended.length > 10, { what: 'both workers to work' })
  sleeper.process.kill('SIGSTOP')
  await waitFor(() => keysOf(other.ended) === 12, {
    what: 'the other to do the work of both',
    timeout: 120_000,
  })
  sleeper.process.kill('SIGCONT')
  // What it had in hand ends now, under an assignment that is no longer its own; then it works again.
  const before = sleeper.began.length
  await waitFor(() => sleeper.began.length > before + 10, { what: 'it to work again', timeout: 120_000 })
  await load.stop()
  await Promise.all(load.asked.map((asked) => asking.reply(asked)))
  for (const worker of [sleeper, other]) worker.process.kill('SIGTERM')
  await Promise.all([sleeper.exited, other.exited])
  await using transport = disposable(await openKafka({ brokers: cluster.brokers }))
  const notes = await transport.value.readCommittedOffsets(groupId, [topic])
  for (const partition of [0, 1]) {
    const sent = load.asked.filter(({ position }) => position.partition === partition).length
    assert.equal(notes.find((note) => note.partition === partition)?.offset, sent, 'all is committed')
  }
})

function keysOf(requests: readonly string[]): number {
  return new Set(requests.map((request) => request.split(':')[0])).size
}

function disposable<T extends { close(): Promise<void> }>(value: T): AsyncDisposable & { readonly value: T } {
  return { value, [Symbol.asyncDispose]: () => value.close() }
}
