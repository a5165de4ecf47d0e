import { createServer } from 'node:net'
import { StartError } from './start-error.ts'

// Below the ranges out of which systems give ports to whoever asks for any (Linux: from 32768, gVisor: from 16000),
// and below those of tools/kafka: nobody else takes such a port before the one that it was found for listens there.
const lowest = 10_000
const highest = 16_000

/** A port that is free now, and that no outgoing connection will be given. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    try {
      return await probe(lowest + Math.floor(Math.random() * (highest - lowest)))
    } catch {
      // It is taken: another one.
    }
  }
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
