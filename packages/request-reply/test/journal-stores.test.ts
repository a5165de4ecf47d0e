/** The journals of this package, by the one contract. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileJournal } from '@milena/request-reply'
import { createMemoryJournal } from '../src/journal/memory-journal.ts'
import { testJournal } from './journal-contract.ts'

testJournal('memory', async () => {
  const store = createMemoryJournal()
  return { store, abandon: (instanceId) => store.kill(instanceId) }
})

const folders: string[] = []
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

for (const [name, options] of [
  ['file', {}],
  ['file, without fsync and with small segments', { sync: false, segmentBytes: 20_000 }],
] as const) {
  testJournal(name, async () => {
    const directory = await mkdtemp(join(tmpdir(), 'milena-journal-'))
    folders.push(directory)
    return {
      store: fileJournal({ directory, ...options }),
      abandon: (instanceId) => abandonOwner(join(directory, `journal-${instanceId}`)),
    }
  })
}

/** Its owner names a process that is not there. */
async function abandonOwner(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith('owner-')) continue
    const file = join(folder, name)
    const identity = JSON.parse(await readFile(file, 'utf8')) as object
    await writeFile(file, JSON.stringify({ ...identity, pid: 2 ** 22 + 1 }))
  }
}
