import { createServer } from 'node:net'
import { StartError } from './start-error.ts'

/** A port that is free now. */
export async function findFreePort(): Promise<number> {
  return probe(0)
}

/** Finds out early, before anything is started, that a port is taken. */
export async function requireFreePort(port: number): Promise<void> {
  try {
    await probe(port)
  } catch {
    throw new StartError(`port ${port} is taken: end what uses it, or choose another with --port`)
  }
}

function probe(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port }, () => {
      const taken = (server.address() as { port: number }).port
      server.close(() => resolve(taken))
    })
  })
}
