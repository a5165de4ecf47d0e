/**
 * Who has a file journal: `owner-N` in its folder, one number higher for each process that opens it.
 *
 *   look at all owners ─▶ one is alive: refused, or ─▶ make owner-N (nobody else can) ─▶ remove all below ─▶ read
 *
 * Whoever finds its own file gone has been fenced. It looks *after* each write: when the file is still there, the write
 * came before the next owner's reading, and will be found by it. So no lock has to be held, and none can be left behind;
 * whether another process is alive only decides whether we are polite.
 *
 * A process is alive when its id is, and began when it says (Linux: `/proc`; elsewhere the id alone). Of one that cannot
 * be seen from here, in another container or on another machine, the file's time is watched, which its owner touches
 * every second.
 */
import { errorOf } from '../words.ts'
import { link, readdir, readFile, readlink, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../clock.ts'
import type { JournalOpening } from './journal.ts'

/** Milliseconds between two signs of life, and for how long none is taken for death. */
export const heartbeat = 1_000
const deadAfter = 3_500

interface Owner {
  readonly number: number
  readonly file: string
}

interface Identity {
  readonly pid: number
  /** When the process began, and on which boot, in which container; '' where nobody can say. */
  readonly began: string
  readonly where: string
  /** It has closed its journal. */
  readonly released?: boolean
}

export class FileOwner {
  readonly number: number
  readonly #file: string
  readonly #identity: Identity
  readonly #temporary: string

  private constructor({ number, file }: Owner, identity: Identity, temporary: string) {
    this.number = number
    this.#file = file
    this.#identity = identity
    this.#temporary = temporary
  }

  /** The journal's next owner; `undefined` when a living process has it and is not to be fenced. */
  static async take(
    folder: string,
    { takeOver, clock, random }: JournalOpening,
  ): Promise<FileOwner | undefined> {
    const identity = await ownIdentity()
    const temporary = join(folder, `.owner-${random(6).toString('hex')}`)
    await writeFile(temporary, JSON.stringify(identity))
    try {
      for (;;) {
        const owners = await listOwners(folder)
        if (takeOver === 'refuse' && (await isAnyAlive(owners, identity, clock))) return undefined
        const number = (await highestNumber(folder)) + 1
        const file = join(folder, `owner-${number}`)
        // Whole or not at all, and not if somebody else was faster: then look again.
        if (!(await made(temporary, file))) continue
        await utimes(file, clock.now() / 1000, clock.now() / 1000)
        for (const owner of await listOwners(folder)) if (owner.number < number) await removed(owner.file)
        return new FileOwner({ number, file }, identity, temporary)
      }
    } finally {
      await removed(temporary)
    }
  }

  /** Whether nobody has taken the journal from us until now. */
  async holds(): Promise<boolean> {
    return stat(this.#file).then(
      () => true,
      (error: unknown) => (isMissing(error) ? false : Promise.reject(errorOf(error))),
    )
  }

  /** Gives a sign of life; false when the journal is somebody else's. */
  async beat(clock: Clock): Promise<boolean> {
    const now = clock.now() / 1000
    return utimes(this.#file, now, now).then(
      () => true,
      (error: unknown) => (isMissing(error) ? false : Promise.reject(errorOf(error))),
    )
  }

  /** The number stays taken, so that nobody who was fenced ever finds its own again. */
  async release(): Promise<void> {
    if (!(await this.holds())) return
    await writeFile(this.#temporary, JSON.stringify({ ...this.#identity, released: true }))
    await rename(this.#temporary, this.#file)
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT'
}

/** Removes it; nothing happens when somebody has done so. */
export async function removed(file: string): Promise<void> {
  await unlink(file).catch((error: unknown) => {
    if (!isMissing(error)) throw error
  })
}

async function made(from: string, file: string): Promise<boolean> {
  try {
    await link(from, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function listOwners(folder: string): Promise<readonly Owner[]> {
  const names = await readdir(folder)
  return names.flatMap((name) => {
    const match = /^owner-(\d{1,15})$/.exec(name)
    return match === null ? [] : { number: Number(match[1]), file: join(folder, name) }
  })
}

/** Of owners and of segments: after a power cut an owner's file may be gone, and its segments there. */
async function highestNumber(folder: string): Promise<number> {
  const numbers = (await readdir(folder)).map((name) => {
    const match = /^(?:owner-|segments-)?(\d{1,15})(?:$|\.json$|-\d+\.log$)/.exec(name)
    return match === null ? 0 : Number(match[1])
  })
  return numbers.reduce((highest, number) => Math.max(highest, number), 0)
}

async function isAnyAlive(owners: readonly Owner[], own: Identity, clock: Clock): Promise<boolean> {
  for (const { file } of owners) if (await isAlive(file, own, clock)) return true
  return false
}

async function isAlive(file: string, own: Identity, clock: Clock): Promise<boolean> {
  const identity = await identityIn(file)
  if (identity === undefined || identity.released === true) return false
  if (identity.where === own.where) return isRunning(identity)
  const before = await touchedAt(file)
  const until = clock.monotonic() + deadAfter
  while (clock.monotonic() < until) {
    await new Promise<void>((resolve) => clock.schedule(heartbeat / 4, resolve))
    const now = await touchedAt(file)
    if (now !== before) return now !== undefined
  }
  return false
}

async function isRunning({ pid, began }: Identity): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // It is there, and somebody else's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return began === '' || began === (await beganAt(pid))
}

async function identityIn(file: string): Promise<Identity | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Identity
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined
    throw error
  }
}

async function touchedAt(file: string): Promise<number | undefined> {
  return stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
}

async function ownIdentity(): Promise<Identity> {
  const { pid } = process
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const container = await readlink('/proc/self/ns/pid').catch(() => '')
  return { pid, began: await beganAt(pid), where: `${boot.trim()} ${container}` }
}

/** The 22nd field of `/proc/PID/stat`, in ticks since the boot (proc(5)); the second one may have anything in it. */
async function beganAt(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
