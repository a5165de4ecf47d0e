/** One PostgreSQL for all test files of a step: each has a database of its own there, and none has to start a server. */
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, startDatabase, type DatabaseServer } from '@milena/hosting'

/** Where `test/support/database.ts` finds it. `DATABASE_URL` would be the application's, too. */
const variable = 'MILENA_TEST_DATABASE'

/** Runs the step with it, when one of the files uses a database. A file whose use is not seen here starts its own. */
export async function withTestDatabase(
  root: string,
  files: readonly string[],
  run: (env: Readonly<Record<string, string>>) => Promise<void>,
): Promise<void> {
  if (process.env['DATABASE_URL'] || !files.some((file) => usesDatabase(join(root, file)))) return run({})
  const folder = await mkdtemp(join(tmpdir(), 'milena-tests-'))
  await chmod(folder, 0o755) // PostgreSQL runs as another user where we are root
  try {
    const server = await start(join(folder, 'data'))
    if (server === undefined) return await run({})
    const endWithUs = (): void => void process.kill(server.pid, 'SIGQUIT')
    process.once('exit', endWithUs)
    try {
      await run({ [variable]: server.url })
    } finally {
      process.off('exit', endWithUs)
      await server.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** `undefined` where it cannot be had: then the tests that need one say why. */
async function start(dataDir: string): Promise<DatabaseServer | undefined> {
  try {
    return await startDatabase({ dataDir, port: await findFreePort() })
  } catch {
    return undefined
  }
}

function usesDatabase(file: string): boolean {
  return file.includes('/packages/postgres/') || readFileSync(file, 'utf8').includes('openTestDatabase')
}
