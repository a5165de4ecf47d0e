/** What is the file journal's own: torn records, full disks, files that go when all in them is finished. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, mkdtemp, open, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { fileJournal, type JournalEntry } from '@milena/request-reply'
import { entry, ids, opened, unfinished } from './journal-contract.ts'

let root: string
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'milena-journal-'))
})
after(() => rm(root, { recursive: true, force: true }))

let number = 0
const newFolder = (): string => join(root, String(++number))

async function segments(directory: string): Promise<string[]> {
  const folder = join(directory, 'journal-gw-1')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log'))
  return names.toSorted((a, b) => a.localeCompare(b)).map((name) => join(folder, name))
}

async function written(directory: string, count: number): Promise<JournalEntry[]> {
  const entries = Array.from({ length: count }, () => entry())
  await using first = await opened(fileJournal({ directory }))
  for (const each of entries) await first.journal.append(each)
  return entries
}

const damages: readonly (readonly [
  what: string,
  left: number,
  damage: (file: string) => Promise<unknown>,
])[] = [
  [
    'a record that was not written in full',
    2,
    async (file) => truncate(file, (await readFile(file)).length - 5),
  ],
  ['a record whose length was not written in full', 3, (file) => appendFile(file, Buffer.from([40, 0, 0]))],
  ['zeros, as a power cut leaves them', 3, (file) => appendFile(file, Buffer.alloc(4_096))],
  [
    'a byte that is another one',
    2,
    async (file) => {
      const handle = await open(file, 'r+')
      await handle.write(Buffer.from([0xff]), 0, 1, (await handle.stat()).size - 3)
      await handle.close()
    },
  ],
]

for (const [what, left, damage] of damages) {
  test(`${what} is cut off, and told; what stands before it is found, and what comes after it`, async () => {
    const directory = newFolder()
    const entries = await written(directory, 3)
    await damage((await segments(directory))[0]!)
    const further = entry()
    {
      await using next = await opened(fileJournal({ directory }))
      assert.deepEqual(ids(await unfinished(next.journal)), ids(entries.slice(0, left)))
      assert.equal(next.warnings.length, 1)
      assert.match(
        next.warnings[0]!.message,
        /\.log: from byte \d+ on it is no record: \d+ bytes are cut off/,
      )
      await next.journal.append(further)
    }
    await using last = await opened(fileJournal({ directory }))
    assert.deepEqual(ids(await unfinished(last.journal)), ids([...entries.slice(0, left), further]))
    assert.deepEqual(last.warnings, [], 'it is told once')
  })
}

test('files go when all in them is finished; what is in their way moves on, and is found', async () => {
  const directory = newFolder()
  const store = fileJournal({ directory, segmentBytes: 4_096, sync: false })
  const [old, kept] = [entry(), entry()]
  const until = Date.now() + 60_000
  {
    await using first = await opened(store)
    await first.journal.append(old)
    await first.journal.append(kept)
    first.journal.finish(kept.correlationId, until)
    let most = 0
    for (let n = 0; n < 300; n++) {
      const each = entry({ value: Buffer.alloc(500) })
      await first.journal.append(each)
      first.journal.finish(each.correlationId)
      if (n % 20 === 0) most = Math.max(most, (await segments(directory)).length)
    }
    assert.ok(most <= 8, `${most} files`)
    assert.deepEqual(ids(await first.journal.read([old.correlationId])), ids([old]))
  }
  await using next = await opened(store)
  const heads = await unfinished(next.journal)
  assert.deepEqual(ids(heads), ids([old, kept]))
  assert.deepEqual(
    heads.map(({ keptUntil }) => keptUntil),
    [undefined, until],
  )
  assert.deepEqual(next.warnings, [])
})

test(
  'a disk that is full fails what cannot be written, and nothing else',
  { skip: process.platform === 'win32' },
  async () => {
    const directory = newFolder()
    // No file may have more than 16 KiB.
    const script = `
    import { fileJournal } from '@milena/request-reply'
    import { entry, opened } from ${JSON.stringify(new URL('journal-contract.ts', import.meta.url).href)}
    const { journal } = await opened(fileJournal({ directory: ${JSON.stringify(directory)} }))
    const [written, failed] = [[], []]
    while (failed.length === 0 || written.at(-1) < failed[0]) {
      const n = written.length + failed.length
      const each = entry({ correlationId: Buffer.alloc(16, n + 1), value: Buffer.alloc(1_000) })
      await journal.append(each).then(() => written.push(n), (error) => failed.push(n, error.code, error.cause.code))
    }
    console.log(JSON.stringify({ written, failed, trouble: journal.stats().trouble === undefined }))
    process.exit()`
    const node = `'${process.execPath}' --conditions=x-source --input-type=module -e "$SCRIPT"`
    const { stdout } = await promisify(execFile)('bash', ['-c', `ulimit -f 16 && exec ${node}`], {
      cwd: new URL('.', import.meta.url),
      env: { ...process.env, SCRIPT: script, NODE_TEST_CONTEXT: '' },
    })
    const { written, failed, trouble } = JSON.parse(stdout) as {
      written: number[]
      failed: [number, string, string]
      trouble: boolean
    }
    assert.deepEqual(failed.slice(1), ['MILENA_JOURNAL_FAILED', 'EFBIG'])
    assert.equal(trouble, true, 'it is over with the next one that is written')
    await using next = await opened(fileJournal({ directory }))
    assert.deepEqual(
      ids(await unfinished(next.journal)),
      written.map((n) => Buffer.alloc(16, n + 1).toString('hex')),
    )
    assert.equal(next.warnings.length, 1, 'half a record')
  },
)
