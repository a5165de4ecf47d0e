/** The requester's journal on brokers: processes that are killed, that are started twice, and that are stopped and wake up. */
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createReplier, defineOperation, fileJournal, openKafka, string } from '@milena/request-reply'
import { finishesWhatADeadInstanceHadAccepted } from '../../packages/request-reply/test/journal-case-contract.ts'
import { openTestCluster, uniqueName, type TestCluster } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'
import type { JournalWorkerMessage, JournalWorkerOptions } from './journal-worker.ts'

let cluster: TestCluster
let directory: string
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'milena-journal-'))
  cluster = await openTestCluster()
})
after(async () => {
  await cluster.close()
  await rm(directory, { recursive: true, force: true })
})

test('a file journal finishes what a dead instance had accepted', async () => {
  const requests = await cluster.createTopic('work-request', { partitions: 2 })
  const replies = await cluster.createTopic('work-reply', { partitions: 3 })
  const folder = join(directory, 'case')
  await finishesWhatADeadInstanceHadAccepted({
    requests,
    replies,
    store: fileJournal({ directory: folder }),
    connect: async () => {
      const transport = await openKafka({ brokers: cluster.brokers })
      return { transport, die: () => transport.close() }
    },
    async abandon(instanceId) {
      const own = join(folder, `journal-${instanceId}`)
      for (const name of (await readdir(own)).filter((each) => each.startsWith('owner-'))) {
        const identity = JSON.parse(await readFile(join(own, name), 'utf8')) as object
        await writeFile(join(own, name), JSON.stringify({ ...identity, pid: 2 ** 22 + 1 }))
      }
    },
  })
})

test('killed at any moment and started again, a requester ends all that it had accepted, in either reply topic, and nothing is done twice', async (t) => {
  const world = await setUp(t)
  const kills = 3
  for (let run = 0; run < kills; run++) {
    const before = world.handled.size
    const worker = await world.start({ run })
    assert.deepEqual(worker.told[0], { ready: true })
    await waitFor(() => world.handled.size >= before + 60, { what: 'requests that are handled' })
    await sleep(Math.random() * 150)
    worker.child.kill('SIGKILL')
    await worker.exited
  }
  const last = await world.start({ run: kills, mode: 'drain' })
  await waitFor(() => last.told.some(({ drained }) => drained), { what: 'the end of what was left' })
  await last.exited
  const outcomes = await world.outcomes()
  for (const [value, times] of world.handled) {
    assert.equal(times, 1, `${value} was handled ${times} times`)
    const told = outcomes.get(value)
    assert.ok(told !== undefined, `${value} was forgotten`)
    // Told again is what was told last before a kill, and then it is the same.
    assert.deepEqual(new Set(told.map(({ outcome }) => outcome)), new Set([`done: ${value}`]), value)
  }
  // What was handled by nobody had not been sent when its process was killed.
  for (const [value, told] of outcomes) {
    const unhandled = world.handled.has(value)
      ? []
      : told.filter(({ outcome }) => outcome !== 'MILENA_TIMEOUT')
    assert.deepEqual(unhandled, [], value)
  }
  const all = [...outcomes.values()].flat()
  assert.ok(all.filter(({ how }) => how === 'recovered').length >= kills, 'something was recovered each time')
  const again = [...outcomes.values()].filter((told) => told.length > 1).length
  assert.ok(again <= kills * 40, `${again} were told again`)
  t.diagnostic(`${world.handled.size} handled, ${again} told again`)
})

test('a second process does not start; one that is stopped is fenced by it, and wakes up to accept nothing', async (t) => {
  const world = await setUp(t)
  const first = await world.start({ run: 1 })
  assert.deepEqual(first.told[0], { ready: true })
  await waitFor(() => world.handled.size >= 60, { what: 'requests that are handled' })
  first.child.kill('SIGSTOP')
  const refused = await world.start({ run: 2, mode: 'idle' })
  assert.deepEqual(refused.told, [{ code: 'MILENA_JOURNAL_TAKEN' }], 'it is alive')
  const second = await world.start({ run: 3, mode: 'drain', takeOver: 'fence' })
  assert.deepEqual(second.told[0], { ready: true })
  await waitFor(() => second.told.some(({ drained }) => drained), { what: 'the end of what was left' })
  await second.exited
  const handled = new Map(world.handled)
  first.child.kill('SIGCONT')
  await waitFor(() => first.told.filter(({ taken }) => taken === 'MILENA_JOURNAL_TAKEN').length === 40, {
    what: 'the first one to learn that it was fenced',
  })
  const outcomes = await world.outcomes()
  for (const [value, times] of world.handled) {
    assert.equal(times, 1, `${value} was handled ${times} times`)
    if (handled.has(value)) continue
    // Written before it was fenced, and on its way when it was stopped: its successor has it.
    const successor = outcomes.get(value)?.some(({ how }) => how === 'recovered')
    assert.ok(successor, `${value} was accepted by the one that was fenced`)
  }
  for (const value of handled.keys()) {
    const told = outcomes.get(value)!.map(({ outcome }) => outcome)
    assert.ok(told.includes(`done: ${value}`), `${value} was forgotten`)
  }
})

interface Worker {
  readonly child: ChildProcess
  readonly told: JournalWorkerMessage[]
  readonly exited: Promise<unknown>
}

interface World {
  /** How often each request was handled. */
  readonly handled: Map<string, number>
  /** Starts a requester, and waits for its first word. */
  start(options: Partial<JournalWorkerOptions>): Promise<Worker>
  outcomes(): Promise<Map<string, { readonly how: string; readonly outcome: string }[]>>
}

async function setUp(t: TestContext): Promise<World> {
  const requests = await cluster.createTopic('journal-request', { partitions: 3 })
  const replies = await cluster.createTopic('journal-reply', { partitions: 3 })
  const otherReplies = await cluster.createTopic('journal-other-reply', { partitions: 2 })
  const name = uniqueName('journal')
  const outcomes = join(directory, `${name}.outcomes`)
  await writeFile(outcomes, '')
  const work = defineOperation({ name: 'work', topic: requests, request: string(), reply: string() })
  const handled = new Map<string, number>()
  const replier = createReplier({
    kafka: { brokers: cluster.brokers },
    groupId: name,
    replyTopics: [replies, otherReplies],
    concurrency: 100,
  })
  t.after(() => replier.close())
  replier.handle(work, async (value) => {
    handled.set(value, (handled.get(value) ?? 0) + 1)
    await sleep(Math.random() * 60)
    return `done: ${value}`
  })
  await replier.start()
  return {
    handled,
    async start(options) {
      const all: JournalWorkerOptions = {
        brokers: cluster.brokers,
        directory: join(directory, name),
        requests,
        replies,
        otherReplies,
        outcomes,
        run: 0,
        mode: 'ask',
        takeOver: 'refuse',
        ...options,
      }
      const child = fork(new URL('journal-worker.ts', import.meta.url), [JSON.stringify(all)], {
        execArgv: ['--conditions=x-source'],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      })
      t.after(() => child.kill('SIGKILL'))
      const told: JournalWorkerMessage[] = []
      child.on('message', (message) => told.push(message as JournalWorkerMessage))
      const exited = once(child, 'exit')
      await Promise.race([once(child, 'message'), exited])
      return { child, told, exited }
    },
    async outcomes() {
      const found = new Map<string, { how: string; outcome: string }[]>()
      const lines = (await readFile(outcomes, 'utf8')).split('\n').filter((line) => line !== '')
      for (const line of lines) {
        const [, how, value, outcome] = /^(\S+) (\S+) (.*)$/.exec(line)!
        found.set(value!, [...(found.get(value!) ?? []), { how: how!, outcome: outcome! }])
      }
      return found
    },
  }
}
