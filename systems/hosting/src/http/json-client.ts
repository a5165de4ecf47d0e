/** JSON over HTTP with connections kept open: what the system's processes ask each other with. */
import { Agent, request } from 'node:http'

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The parsed body; `undefined` when it is none, or no JSON. */
  readonly body: unknown
}

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds in all. */
  readonly timeout: number
}

export class HttpTimeout extends Error {}

export class JsonClient {
  readonly #agent: Agent
  readonly #base: URL

  constructor(url: string, connections: number) {
    this.#base = new URL(url)
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** Resolves with any status; rejects when there is no complete answer: the call may or may not have been handled. */
  call({ method, path, body, headers, timeout }: HttpCall): Promise<HttpAnswer> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    return new Promise((resolve, reject) => {
      const call = request({
        agent: this.#agent,
        host: this.#base.hostname,
        port: this.#base.port,
        method,
        path,
        headers: {
          ...headers,
          ...(bytes && { 'content-type': 'application/json', 'content-length': bytes.length }),
        },
      })
      const timer = setTimeout(
        () => call.destroy(new HttpTimeout(`no answer to ${method} ${path} within ${timeout} ms`)),
        timeout,
      )
      call.once('close', () => {
        clearTimeout(timer)
        reject(new Error(`the connection closed before ${method} ${path} was answered`))
      })
      call.once('error', reject)
      call.once('response', (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () =>
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: parse(Buffer.concat(chunks)),
          }),
        )
      })
      call.end(bytes)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
