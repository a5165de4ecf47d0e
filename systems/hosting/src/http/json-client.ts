/**
 * JSON over HTTP with connections kept open: what the system's processes ask each other with.
 *
 * undici's dispatcher rather than `node:http` or `fetch`: of what a call costs its process it saves two fifths.
 */
import { Pool, type Dispatcher } from 'undici'

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
  readonly #pool: Pool

  constructor(url: string, connections: number) {
    // Each call has a limit of its own, whatever it is waiting for.
    this.#pool = new Pool(url, { connections, headersTimeout: 0, bodyTimeout: 0 })
  }

  /** Resolves with any status; rejects when there is no complete answer: the call may or may not have been handled. */
  call({ method, path, body, headers, timeout }: HttpCall): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const answer = new AnswerHandler(resolve, reject)
      answer.limit(timeout, `no answer to ${method} ${path} within ${timeout} ms`)
      this.#pool.dispatch(
        {
          method,
          path,
          headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
          body: body === undefined ? null : JSON.stringify(body),
        },
        answer,
      )
    })
  }

  close(): void {
    void this.#pool.destroy()
  }
}

/** Gathers one answer. */
class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: HttpAnswer) => void
  readonly #reject: (error: Error) => void
  #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #late: HttpTimeout | undefined
  #status = 0
  #headers: HttpAnswer['headers'] = {}
  readonly #chunks: Buffer[] = []

  constructor(resolve: (answer: HttpAnswer) => void, reject: (error: Error) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  limit(timeout: number, message: string): void {
    this.#timer = setTimeout(() => {
      this.#late = new HttpTimeout(message)
      this.#reject(this.#late)
      this.#controller?.abort(this.#late)
    }, timeout)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // It has waited for a connection until nobody waits for the answer any more.
    if (this.#late !== undefined) controller.abort(this.#late)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: HttpAnswer['headers'],
  ): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer)
    const body = parse(this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks))
    this.#resolve({ status: this.#status, headers: this.#headers, body })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    clearTimeout(this.#timer)
    this.#reject(error)
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
