import { createServer } from 'node:net'

// Below the range that systems hand out for outgoing connections (Linux: from 32768): while a broker is down
// for a test, nobody's outgoing connection may sit on its port.
const lowest = 20_000
const highest = 32_000

/** Whether a server could bind to this port of 127.0.0.1 now. */
export async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** `count` different free ports of 127.0.0.1, none of them in `except`. */
export async function freePorts(count: number, except: readonly number[] = []): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (!except.includes(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}
