/**
 * The files of a file journal: `EPOCH-NUMBER.log`, each written by one owner, and never again after it.
 *
 * `segments-EPOCH.json` says which of its predecessors' segments an owner has read, and how far: what a fenced one has
 * written after that is nobody's, however late it comes.
 */
import { errorOf } from '../words.ts'
import { open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isMissing, removed } from './file-owner.ts'

/** A segment that can be read: so much of it. */
export interface Segment {
  readonly file: string
  bytes: number
  /** How many entries of it are not finished. */
  live: number
}

type Listed = readonly (readonly [name: string, bytes: number])[]

/** What can be read, the oldest first; what nobody can read any more is removed. */
export async function listSegments(folder: string): Promise<Segment[]> {
  const names = (await readdir(folder)).toSorted()
  const lists = names.filter((name) => /^segments-\d+\.json$/.test(name))
  const last = lists.toSorted((one, other) => epochOf(one) - epochOf(other)).at(-1)
  const listed = new Map(
    last === undefined ? [] : (JSON.parse(await readFile(join(folder, last), 'utf8')) as Listed),
  )
  const lastEpoch = last === undefined ? 0 : epochOf(last)
  const segments: Segment[] = []
  const dead: string[] = []
  for (const name of names.filter((each) => /^\d+-\d+\.log$/.test(each))) {
    const file = join(folder, name)
    const size = await sizeOf(file)
    if (size === undefined) continue
    if (epochOf(name) >= lastEpoch) segments.push({ file, bytes: size, live: 0 })
    else if (listed.has(name)) segments.push({ file, bytes: Math.min(size, listed.get(name)!), live: 0 })
    else dead.push(file)
  }
  for (const file of dead) await removed(file)
  return segments
}

/** From now on nothing of others counts but what the owner of this epoch has read. */
export async function takeSegments(
  folder: string,
  epoch: number,
  segments: readonly Segment[],
): Promise<void> {
  const list: Listed = segments.map(({ file, bytes }) => [basename(file), bytes])
  const temporary = join(folder, `.segments-${epoch}`)
  await writeFile(temporary, JSON.stringify(list), { flush: true })
  await rename(temporary, join(folder, `segments-${padded(epoch)}.json`))
  await syncFolder(folder)
  for (const name of await readdir(folder))
    if (/^segments-\d+\.json$/.test(name) && epochOf(name) < epoch) await removed(join(folder, name))
}

export function segmentFile(folder: string, epoch: number, number: number): string {
  return join(folder, `${padded(epoch)}-${padded(number)}.log`)
}

/** What of it can be read; empty when its owner has moved it on and removed it, as it had the right to. */
export async function readSegment({ file, bytes }: Segment): Promise<Buffer> {
  try {
    return (await readFile(file)).subarray(0, bytes)
  } catch (error) {
    if (isMissing(error)) return Buffer.alloc(0)
    throw error
  }
}

/** A new file's name is durable only then. Where folders cannot be opened, as on Windows, nobody can do better. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  try {
    await handle?.sync()
  } catch {
    // As above.
  } finally {
    await handle?.close()
  }
}

function epochOf(name: string): number {
  return Number(/\d+/.exec(name)![0])
}

function padded(number: number): string {
  return String(number).padStart(10, '0')
}

async function sizeOf(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ size }) => size,
    (error: unknown) => (isMissing(error) ? undefined : Promise.reject(errorOf(error))),
  )
}
