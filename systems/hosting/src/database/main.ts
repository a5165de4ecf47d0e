/** Entry: the process that guards a PostgreSQL server and takes it along when it ends, however its parent ended. */
import { rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { runChild } from '../process/child.ts'
import type { DatabaseFacts } from './entry.ts'
import { startServer, type ServerOptions } from './server.ts'

runChild(async (config: ServerOptions) => {
  const server = await startServer(config)
  const facts: DatabaseFacts = { url: server.url, password: server.password }
  return {
    facts,
    async close() {
      await server.stop()
      await rm(config.dataDir, { recursive: true, force: true })
      // The run's folder goes with the last of those that have something in it.
      await rmdir(dirname(config.dataDir)).catch(() => {})
    },
  }
})
