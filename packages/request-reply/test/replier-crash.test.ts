/** At a crash only what had not been answered comes again. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ReplierOptions } from '../src/replier/options.ts'
import type { Replier } from '../src/replier/replier.ts'
import type { CommittedOffset } from '../src/transport/transport.ts'
import { Gates, until, type Asked } from './asking.ts'
import { echo, setUp, type Bench } from './replying.ts'

interface Scene extends Bench {
  /** What each worker's handler was called for. */
  readonly handled: Record<string, string[]>
  readonly gates: Gates
  worker: (
    name: string,
    set?: (replier: Replier) => void,
    options?: Partial<ReplierOptions>,
  ) => Promise<{ readonly replier: Replier; readonly crash: (committed: number) => Promise<void> }>
  /** Asks for these; each its own key. */
  askAll: (names: readonly string[]) => Promise<Asked[]>
}

async function open(t: TestContext): Promise<Scene> {
  const bench = await setUp(t)
  const handled: Record<string, string[]> = {}
  const gates = new Gates()
  return {
    ...bench,
    handled,
    gates,
    async worker(name, set, options = {}) {
      const connection = bench.connect()
      const replier = bench.replier({
        connection,
        sessionTimeout: 100,
        heartbeatInterval: 20,
        concurrency: 2_000,
        ...options,
      })
      const mine: string[] = (handled[name] = [])
      replier.handle(echo, async (request) => {
        mine.push(request)
        await gates.pass(request)
        return request
      })
      set?.(replier)
      await replier.start()
      return {
        replier,
        async crash(finished) {
          await until('what was finished is committed', () => replier.stats().committed === finished)
          connection.kill()
          const at = { topic: 'shop_request', partition: 0 }
          await until('the group has gone on', () => bench.broker.owner('shop', at) === undefined)
        },
      }
    },
    askAll: (names) => Promise.all(names.map((name) => bench.asking.ask(name, { key: name }))),
  }
}

const names = (count: number, prefix = 'r'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

function giveAway(replier: Replier): void {
  replier.useRecords((request, next) =>
    String(request.value) === '"given away"' ? { kind: 'handed over' } : next(),
  )
}

test('one is stuck and 999 behind it are answered: after a crash the one comes again, and nothing else', async (t) => {
  const { worker, askAll, asking, gates, handled, warned, committed } = await open(t)
  gates.shut('stuck')
  const first = await worker('first')
  await askAll(['stuck', ...names(999)])
  await first.crash(999)
  assert.equal(committed(), 0)
  const { replier } = await worker('second')
  await until('the stuck one has begun again', () => handled['second']!.includes('stuck'))
  await until('the others have come again', () => replier.stats().repeated === 999)
  gates.open('stuck')
  await until('all is committed', () => committed() === 1_000)
  assert.deepEqual(handled['second'], ['stuck'])
  await until('its own commit is known to it', () => replier.stats().committed === 1)
  assert.equal(replier.stats().received, 1_000)
  const answers = asking.records.map(({ value }) => String(value))
  assert.equal(answers.length, 1_000)
  assert.deepEqual(new Set(answers), new Set(['stuck', ...names(999)]))
  assert.equal(warned.filter(({ message }) => message.includes('former owner')).length, 1)
})

test('also after a second crash, and a third', async (t) => {
  const { worker, askAll, asking, gates, handled, committed } = await open(t)
  gates.shut('stuck', 'too')
  const first = await worker('first')
  const asked = await askAll(['stuck', ...names(40), 'too', ...names(40, 's')])
  await Promise.all(asked.filter((_, i) => i !== 0 && i !== 41).map((one) => asking.reply(one)))
  await first.crash(80)
  const second = await worker('second')
  await until('the stuck ones have begun again', () => handled['second']!.length === 2)
  await second.crash(0)
  const third = await worker('third')
  const [late] = await askAll(['late'])
  await asking.reply(late!)
  await third.crash(1)
  const fourth = await worker('fourth')
  await until('the others have come again', () => fourth.replier.stats().repeated === 81)
  gates.open('stuck', 'too')
  await until('all is committed', () => committed() === 83)
  assert.deepEqual(handled['second'], ['stuck', 'too'])
  assert.deepEqual(handled['third'], ['stuck', 'too', 'late'])
  assert.deepEqual(handled['fourth'], ['stuck', 'too'])
})

test('what was passed over or handed over is finished too, and its hook does not run again', async (t) => {
  const { worker, askAll, asking, gates, handled, committed } = await open(t)
  gates.shut('stuck')
  const finished: string[] = []
  const beforeFinish: ReplierOptions['beforeFinish'] = ({ outcome }) => void finished.push(outcome.kind)
  const first = await worker('first', giveAway, { beforeFinish })
  await askAll(['stuck', 'given away'])
  await asking.ask('nobody can be told', { correlationId: null, key: 'k' })
  const [last] = await askAll(['last'])
  await asking.reply(last!)
  await first.crash(3)
  const second = await worker('second', giveAway, { beforeFinish })
  await until('the others have come again', () => second.replier.stats().repeated === 3)
  gates.open('stuck')
  await until('all is committed', () => committed() === 4)
  assert.deepEqual(handled['second'], ['stuck'])
  assert.deepEqual(finished.toSorted(), ['handed over', 'passed over', 'reply', 'reply'])
})

test('of one partition that is lost and given back to the same process, nothing is handled again', async (t) => {
  const { replier, connect, asking, gates, committed } = await open(t)
  const connection = connect()
  gates.shut('stuck')
  const handled: string[] = []
  const worker = replier({ connection, sessionTimeout: 30, heartbeatInterval: 10 })
  worker.handle(echo, async (request) => {
    handled.push(request)
    await gates.pass(request)
    return request
  })
  await worker.start()
  await asking.ask('stuck', { key: 'stuck' })
  await asking.reply(await asking.ask('committed', { key: 'c' }))
  await until('it is committed', () => worker.stats().committed === 1)
  connection.disconnect(100)
  await until('both come again', () => worker.stats().redelivered === 2)
  gates.open('stuck')
  await until('all is committed', () => committed() === 2)
  assert.deepEqual(handled, ['stuck', 'committed'])
  assert.equal(worker.stats().repeated, 2)
})

/** What the group has committed with metadata, put there in another way. */
async function crashAndRewrite(
  t: TestContext,
  rewrite: (note: CommittedOffset) => CommittedOffset,
): Promise<string[]> {
  const { worker, askAll, asking, gates, handled, connect, broker, committed } = await open(t)
  gates.shut('stuck')
  const first = await worker('first')
  const asked = await askAll(['stuck', ...names(9)])
  await Promise.all(asked.slice(1).map((one) => asking.reply(one)))
  await first.crash(9)
  const [note] = broker.committed('shop')
  assert.ok(note!.metadata.startsWith('milena1:'), note!.metadata)
  await connect().writeCommittedOffsets('shop', [rewrite(note!)])
  await worker('second')
  gates.open('stuck')
  await until('all is committed', () => committed() === 10)
  return handled['second']!
}

test('where another client has committed meanwhile, everything above its offset comes again', async (t) => {
  const everything = await crashAndRewrite(t, (note) => ({ ...note, metadata: '' }))
  assert.deepEqual(everything, ['stuck', ...names(9)])
})

test('where the metadata is another client’s, or of a later version, everything comes again', async (t) => {
  const everything = await crashAndRewrite(t, (note) => ({
    ...note,
    metadata: note.metadata.replace('milena1', 'milena2'),
  }))
  assert.deepEqual(everything, ['stuck', ...names(9)])
})

test('where the metadata was kept and the offset was not, everything above the offset comes again', async (t) => {
  const everything = await crashAndRewrite(t, (note) => ({ ...note, offset: 3 }))
  assert.deepEqual(everything, names(9).slice(2))
})

test('of a topic that was made anew nothing is passed over, though the group’s offsets have survived it', async (t) => {
  const { worker, askAll, asking, gates, handled, connect, broker } = await open(t)
  gates.shut('stuck')
  const first = await worker('first')
  const asked = await askAll(['stuck', ...names(9)])
  await Promise.all(asked.slice(1).map((one) => asking.reply(one)))
  await first.crash(9)
  const notes = broker.committed('shop')
  const admin = connect()
  await admin.deleteTopics(['shop_request'])
  await admin.createTopics([{ name: 'shop_request', partitions: 1 }])
  await admin.writeCommittedOffsets('shop', notes)
  const anew = await askAll(names(10, 'new'))
  await worker('second')
  for (const one of anew) await asking.reply(one)
  assert.deepEqual(handled['second'], names(10, 'new'))
})
