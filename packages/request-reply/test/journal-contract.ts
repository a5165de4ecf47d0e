/** What every journal store promises. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  systemClock,
  type JournalEntry,
  type JournalHead,
  type JournalOpening,
  type JournalStore,
  type MilenaError,
  type OpenJournal,
} from '@milena/request-reply'

export interface JournalUnderTest {
  readonly store: JournalStore
  /** From now on its process counts as dead, though what it holds goes on: as one that was stopped, and wakes up later. */
  readonly abandon: (instanceId: string) => Promise<void> | void
}

/** How much later it is than it is. */
let shift = 0

export function testJournal(name: string, setUp: () => Promise<JournalUnderTest>): void {
  const about = (what: string, run: (under: JournalUnderTest) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      shift = 0
      await run(await setUp())
    })
  }

  about('what was appended is found by the next process, as it was', async ({ store, abandon }) => {
    const entries = [
      entry(),
      entry({ key: null, value: null, headers: [], repliesFrom: [] }),
      entry({ key: Buffer.alloc(0), value: Buffer.alloc(0) }),
      entry({
        headers: [
          [Buffer.from('größe'), null],
          [Buffer.from([0, 255]), Buffer.from([0, 1])],
        ],
      }),
      entry({ value: randomBytes(100_000) }),
    ]
    await using first = await opened(store)
    for (const each of entries) await first.journal.append(each)
    await abandon('gw-1')
    await using next = await opened(store)
    assert.deepEqual(
      (await unfinished(next.journal)).map(plainHead),
      entries.map((each) => plainHead({ ...each, keptUntil: undefined })),
      'the oldest first',
    )
    const read = await next.journal.read(entries.map(({ correlationId }) => correlationId))
    assert.deepEqual(byId(read), byId(entries))
  })

  about(
    'what is finished is forgotten, and what was asked for and is not there is left out',
    async ({ store }) => {
      const [one, two, three] = [entry(), entry(), entry()]
      {
        await using first = await opened(store)
        await Promise.all([one, two, three].map((each) => first.journal.append(each)))
        first.journal.finish(one.correlationId)
        first.journal.finish(three.correlationId)
        first.journal.finish(entry().correlationId)
      }
      await using next = await opened(store)
      assert.deepEqual(ids(await unfinished(next.journal)), ids([two]))
      const read = await next.journal.read([one.correlationId, two.correlationId])
      assert.deepEqual(ids(read), ids([two]))
      next.journal.finish(two.correlationId)
      await next.journal.close()
      await using last = await opened(store)
      assert.deepEqual(await unfinished(last.journal), [])
    },
  )

  about('what is kept for a late reply is there for so long', async ({ store }) => {
    const [kept, gone] = [entry(), entry()]
    const until = systemClock.now() + 60_000
    {
      await using first = await opened(store)
      await Promise.all([kept, gone].map((each) => first.journal.append(each)))
      first.journal.finish(kept.correlationId, until)
      first.journal.finish(gone.correlationId, systemClock.now() - 1)
    }
    {
      await using next = await opened(store)
      const [head, ...others] = await unfinished(next.journal)
      assert.deepEqual(ids([head!]), ids([kept]))
      assert.deepEqual(others, [])
      assert.equal(head!.keptUntil, until)
    }
    shift = 61_000
    await using last = await opened(store)
    assert.deepEqual(await unfinished(last.journal), [])
  })

  about('what is asked for together is written together, and told in its order', async ({ store }) => {
    await using first = await opened(store)
    const told: number[] = []
    const entries = Array.from({ length: 1_000 }, () => entry())
    const waits = entries.map((each, n) => first.journal.append(each).then(() => told.push(n)))
    assert.equal(first.journal.stats().writing, 1_000)
    await Promise.all(waits)
    assert.deepEqual(
      told,
      entries.map((_, n) => n),
    )
    const { groups, appended, writing, trouble } = first.journal.stats()
    assert.deepEqual({ appended, writing, trouble }, { appended: 1_000, writing: 0, trouble: undefined })
    assert.ok(groups <= 20 || store.name === 'memoryJournal', `${groups} groups`)
    assert.equal((await first.journal.read(entries.map(({ correlationId }) => correlationId))).length, 1_000)
  })

  about('many that are unfinished come in pages', async ({ store, abandon }) => {
    await using first = await opened(store)
    const entries = Array.from({ length: 5_000 }, () => entry())
    await Promise.all(entries.map((each) => first.journal.append(each)))
    for (const each of entries.slice(0, 2_500)) first.journal.finish(each.correlationId)
    await first.journal.close()
    await abandon('gw-1')
    await using next = await opened(store)
    assert.deepEqual(ids(await unfinished(next.journal)), ids(entries.slice(2_500)))
  })

  about('instances have journals of their own', async ({ store }) => {
    await using one = await opened(store)
    await using other = await opened(store, { instanceId: 'gw-2' })
    const asked = entry()
    await one.journal.append(asked)
    assert.deepEqual(await other.journal.read([asked.correlationId]), [])
    await other.journal.close()
    await using again = await opened(store, { instanceId: 'gw-2' })
    assert.deepEqual(await unfinished(again.journal), [])
  })

  about('while its process is alive, another one is refused', async ({ store }) => {
    await using first = await opened(store)
    await assert.rejects(opened(store), isTaken)
    await first.journal.append(entry())
    assert.deepEqual(first.taken, [])
    await first.journal.close()
    await using next = await opened(store)
    assert.equal((await unfinished(next.journal)).length, 1)
  })

  about('of two that start at once, one is refused', async ({ store, abandon }) => {
    {
      await using first = await opened(store)
      await first.journal.append(entry())
      await abandon('gw-1')
      const both = await Promise.allSettled([opened(store), opened(store)])
      const won = both.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
      assert.equal(won.length, 1, both.map(({ status }) => status).join())
      for (const each of both) if (each.status === 'rejected') isTaken(each.reason)
      await won[0]!.journal.append(entry())
      await won[0]!.journal.close()
    }
    await using last = await opened(store)
    assert.equal((await unfinished(last.journal)).length, 2)
  })

  about(
    'one that is fenced appends nothing, and is told; what it had is its successor’s',
    async ({ store }) => {
      await using first = await opened(store)
      const [before, after] = [entry(), entry()]
      await first.journal.append(before)
      await using next = await opened(store, { takeOver: 'fence' })
      assert.deepEqual(ids(await unfinished(next.journal)), ids([before]))
      await assert.rejects(first.journal.append(after), isTaken)
      assert.equal(first.taken.length, 1)
      assert.ok(isTaken(first.taken[0]))
      first.journal.finish(before.correlationId)
      await first.journal.close()
      assert.deepEqual(
        ids(await next.journal.read([before.correlationId, after.correlationId])),
        ids([before]),
      )
      const own = entry()
      await next.journal.append(own)
      await next.journal.close()
      await using last = await opened(store)
      assert.deepEqual(ids(await unfinished(last.journal)), ids([before, own]))
    },
  )

  about('one that was taken for dead and wakes up appends nothing either', async ({ store, abandon }) => {
    await using first = await opened(store)
    await first.journal.append(entry())
    await abandon('gw-1')
    await using next = await opened(store)
    const answered = await unfinished(next.journal)
    const late = entry()
    await assert.rejects(first.journal.append(late), isTaken)
    next.journal.finish(answered[0]!.correlationId)
    await next.journal.close()
    await using last = await opened(store)
    assert.deepEqual(await unfinished(last.journal), [])
  })

  about(
    'appends that race with being fenced are told written and are there, or are refused',
    async ({ store }) => {
      await using first = await opened(store)
      const written: JournalEntry[] = []
      const refused: unknown[] = []
      const writing = Array.from({ length: 8 }, async () => {
        while (refused.length === 0) {
          const each = entry()
          await new Promise((resolve) => setImmediate(resolve))
          await first.journal.append(each).then(
            () => written.push(each),
            (error: unknown) => refused.push(error),
          )
        }
      })
      while (written.length < 50) await new Promise((resolve) => setImmediate(resolve))
      await using next = await opened(store, { takeOver: 'fence' })
      const found = new Set(ids(await unfinished(next.journal)))
      await Promise.all(writing)
      assert.deepEqual(
        ids(written).filter((id) => !found.has(id)),
        [],
        'nothing that its process may have sent is missing',
      )
      assert.ok(refused.every((error) => isTaken(error)))
    },
  )

  about('one that is closed appends nothing', async ({ store }) => {
    await using first = await opened(store)
    await first.journal.close()
    await assert.rejects(first.journal.append(entry()), { code: 'MILENA_JOURNAL_FAILED' })
  })
}

export interface Opened extends AsyncDisposable {
  readonly journal: OpenJournal
  readonly taken: MilenaError[]
  readonly warnings: Error[]
}

export async function opened(store: JournalStore, options: Partial<JournalOpening> = {}): Promise<Opened> {
  const taken: MilenaError[] = []
  const warnings: Error[] = []
  const journal = await store.open({
    instanceId: 'gw-1',
    takeOver: 'refuse',
    clock: { ...systemClock, now: () => systemClock.now() + shift },
    random: randomBytes,
    onTaken: (error) => taken.push(error),
    warn: (error) => warnings.push(error),
    ...options,
  })
  return { journal, taken, warnings, [Symbol.asyncDispose]: () => journal.close() }
}

export function entry(differently: Partial<JournalEntry> = {}): JournalEntry {
  const acceptedAt = systemClock.now()
  return {
    correlationId: randomBytes(16),
    operation: 'payment.approve',
    topic: 'payment_request',
    key: Buffer.from('order-1'),
    value: Buffer.from('{"amount":1}'),
    headers: [[Buffer.from('tenant'), Buffer.from('one')]],
    timeout: 5_000,
    acceptedAt,
    deadline: acceptedAt + 5_000,
    repliesFrom: [{ topic: 'payment_reply', partition: 3, offset: 1_234_567_890_123 }],
    ...differently,
  }
}

export async function unfinished(journal: OpenJournal): Promise<JournalHead[]> {
  const heads: JournalHead[] = []
  for await (const page of journal.unfinished()) {
    assert.ok(page.length <= 100_000)
    heads.push(...page)
  }
  return heads
}

export function ids(entries: readonly { readonly correlationId: Buffer }[]): string[] {
  return entries.map(({ correlationId }) => correlationId.toString('hex'))
}

function isTaken(error: unknown): true {
  assert.equal((error as MilenaError).code, 'MILENA_JOURNAL_TAKEN')
  return true
}

function plainHead({ correlationId, deadline, repliesFrom, keptUntil }: JournalHead): object {
  return { id: correlationId.toString('hex'), deadline, repliesFrom, keptUntil }
}

const hex = (bytes: Buffer | null): string | null => bytes && bytes.toString('hex')

function byId(entries: readonly JournalEntry[]): object {
  return Object.fromEntries(
    entries.map((each) => {
      const { correlationId, key, value, headers, ...rest } = each
      const named = headers.map(([name, content]) => [hex(name), hex(content)])
      return [
        hex(correlationId),
        {
          operation: rest.operation,
          topic: rest.topic,
          key: hex(key),
          value: hex(value),
          headers: named,
          timeout: rest.timeout,
          acceptedAt: rest.acceptedAt,
          deadline: rest.deadline,
          repliesFrom: rest.repliesFrom,
        },
      ]
    }),
  )
}
