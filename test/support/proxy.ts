import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A TCP proxy in front of one server, with which a test cuts, freezes and heals connections. */
export interface TcpProxy extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly address: string
  /** Connections that were made through it so far. */
  readonly accepted: number
  /** Resets every connection that is open now; new ones are served. Returns how many there were. */
  cut(): number
  /** Passes nothing on any more, in either direction, as a hung server would; connections are still accepted. */
  freeze(): void
  /** Passes on what was held back, and everything after it. */
  thaw(): void
  close(): Promise<void>
}

/** Starts a proxy on a free port of 127.0.0.1. `target` is asked for each connection, so that it may move. */
export async function startProxy(
  target: () => { readonly host: string; readonly port: number },
): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let accepted = 0
  let frozen = false

  const server = createServer((inner) => {
    accepted++
    const outer = connect(target())
    const pair = [inner, outer] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [outer, inner] as const]) {
      from.setNoDelay(true)
      from.on('data', (chunk: Buffer) => to.write(chunk))
      from.on('error', () => undefined)
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (frozen) from.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const reset = (): number => {
    const open = pairs.size
    for (const [inner, outer] of pairs) {
      inner.resetAndDestroy()
      outer.destroy()
    }
    pairs.clear()
    return open
  }
  const close = async (): Promise<void> => {
    reset()
    server.close()
    await once(server, 'close')
  }
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get accepted() {
      return accepted
    },
    cut: reset,
    freeze() {
      frozen = true
      for (const pair of pairs) for (const socket of pair) socket.pause()
    },
    thaw() {
      frozen = false
      for (const pair of pairs) for (const socket of pair) socket.resume()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
