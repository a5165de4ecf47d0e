import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, join } from 'node:path'

/** What builds leave in a source folder; it is neither copied nor part of the name. */
const madeByBuilds = new Set(['target', 'node_modules'])

/**
 * Builds a program once, outside of the checkout: in the user's cache folder (`XDG_CACHE_HOME` or `~/.cache`), in a
 * folder named after a hash of the sources, so that a checkout with other sources never gets this one.
 *
 * `build` runs in a copy of `sources`, whose path it is given. Two processes at once are fine: each builds in a folder
 * of its own, and the first to finish renames it into place. Resolves with the folder; rejects with what `build` does.
 */
export async function buildOnce(
  name: string,
  sources: string,
  build: (staging: string) => Promise<void>,
): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'milena', `interop-${name}`)
  const home = join(cache, await digest(sources))
  if (existsSync(home)) return home

  process.stderr.write(`building ${basename(sources)} into ${cache} (once)\n`)
  await mkdir(cache, { recursive: true })
  const staging = await mkdtemp(join(cache, '.building-'))
  try {
    await cp(sources, staging, {
      recursive: true,
      filter: (path) => path === sources || !madeByBuilds.has(basename(path)),
    })
    await build(staging)
    await rename(staging, home).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(home)) throw error // otherwise somebody else was first, with the same content
    })
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  return home
}

/** Of names and contents of all files in a folder. */
async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256')
  const walk = async (path: string): Promise<void> => {
    const entries = await readdir(join(folder, path), { withFileTypes: true })
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = join(path, entry.name)
      if (madeByBuilds.has(entry.name)) continue
      if (entry.isDirectory()) await walk(name)
      else hash.update(`${name}\0`).update(await readFile(join(folder, name)))
    }
  }
  await walk('')
  return hash.digest('hex').slice(0, 12)
}
