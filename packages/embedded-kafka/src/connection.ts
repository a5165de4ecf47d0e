import type { Socket } from 'node:net'
import type { Answer, ApiHandler } from './apis/handler.ts'
import type { Broker } from './broker.ts'
import { MalformedError } from './wire/malformed-error.ts'
import { ResponseTooLargeError } from './wire/response-too-large-error.ts'
import { Reader } from './wire/reader.ts'
import { Writer } from './wire/writer.ts'

const sizeBytes = 4
/** While a request is handled, so many bytes of the next ones are read ahead; the rest waits in the network. */
const readAheadBytes = 256 * 1024
/** A request that trickles in is gathered into one piece at times, so that small pieces do not cost memory. */
const mostChunks = 1024
/** So long are requests of one connection handled before the others have their turn, in ms. */
const turnMs = 20

/** What a connection shares with all others. */
export interface ConnectionHost {
  readonly broker: Broker
  readonly handlers: ReadonlyMap<number, ApiHandler>
  /** Counts received bytes that are not handled yet, of all connections. At the bound the largest holder is closed. */
  queued(bytes: number): void
  /** The client has not taken all of an answer yet. At the bound of such bytes the largest holder is closed. */
  lagging(): void
  closed(connection: Connection): void
}

/**
 * One client's connection. Requests are handled one at a time, in order.
 *
 *     reading --a whole frame--> handling --answer written--> reading
 *                                   |  \--the socket's buffer is full--> draining --drained--> reading
 *     any of them --socket closes, bad frame, close()--> closed (the signal aborts, whatever is parked returns)
 */
export class Connection {
  readonly #socket: Socket
  readonly #host: ConnectionHost
  readonly #clientHost: string
  readonly #abort = new AbortController()
  #state: 'reading' | 'handling' | 'draining' | 'closed' = 'reading'
  #chunks: Buffer[] = []
  #buffered = 0
  #handled = 0
  #turn: NodeJS.Immediate | undefined
  #lastActivity = Date.now()

  constructor(socket: Socket, host: ConnectionHost) {
    this.#socket = socket
    this.#host = host
    this.#clientHost = `/${socket.remoteAddress ?? 'unknown'}`
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('drain', () => this.#drained())
    socket.on('error', () => {})
    socket.on('close', () => this.#end())
  }

  /** Received bytes that are not handled yet. */
  get queuedBytes(): number {
    return this.#buffered
  }

  /** Bytes of answers that the client has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength
  }

  /** Since when nothing goes on, ms since the epoch; Infinity while something does. */
  get idleSince(): number {
    return this.#state === 'reading' && this.#buffered === 0 ? this.#lastActivity : Infinity
  }

  /** True if no request came yet: the first to go when there are too many connections. */
  get silent(): boolean {
    return this.#handled === 0 && this.#state === 'reading'
  }

  /** True while a request of it is parked. */
  get parked(): boolean {
    return this.#state === 'handling'
  }

  /** Closes the connection, and reports why if there is a cause. */
  close(cause?: string): void {
    if (this.#state === 'closed') return
    if (cause !== undefined) {
      this.#host.broker.settings.report(`closed the connection of ${this.#peer()}: ${cause}`)
    }
    // Answers of earlier requests that wait to leave together still go.
    this.#socket.uncork()
    this.#socket.destroy()
    this.#end()
  }

  /** Closes the connection if it was idle for too long. A parked request ends by its own limits. */
  closeIfIdle(now: number): void {
    const idle = now - this.#lastActivity
    const { idleTimeoutMs, requestTimeoutMs } = this.#host.broker.settings
    if (this.#state === 'reading') {
      if (this.#buffered > 0 && idle > requestTimeoutMs)
        this.close(`half a request, then nothing for ${idle} ms`)
      else if (this.#handled === 0 && idle > requestTimeoutMs) this.close()
      else if (idle > idleTimeoutMs) this.close()
    } else if (this.#state === 'draining' && idle > idleTimeoutMs) {
      this.close(`the client takes no answers, for ${idle} ms`)
    }
  }

  #receive(chunk: Buffer): void {
    if (this.#state === 'closed') return
    this.#lastActivity = Date.now()
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
    if (this.#chunks.length > mostChunks) this.#chunks = [Buffer.concat(this.#chunks)]
    this.#host.queued(chunk.length)
    if (this.#state === 'reading' && this.#turn === undefined) this.#handleFrames()
    else if (this.#buffered > readAheadBytes) this.#socket.pause()
  }

  /**
   * Handles what was received until a request is parked, the socket is full or no whole frame is left; for longer than a
   * turn only after the other connections had theirs.
   */
  #handleFrames(): void {
    const began = performance.now()
    // Answers to requests that came together leave together.
    this.#socket.cork()
    while (this.#state === 'reading') {
      if (performance.now() - began > turnMs) {
        this.#turn = setImmediate(() => {
          this.#turn = undefined
          this.#handleFrames()
        })
        break
      }
      const frame = this.#nextFrame()
      if (frame === undefined) break
      this.#state = 'handling'
      const pending = this.#handleFrame(frame)
      if (pending === undefined) this.#release(frame)
      else void pending.then(() => this.#goOn(frame))
    }
    this.#socket.uncork()
    const goesOn = this.#state === 'reading' && this.#turn === undefined
    if (goesOn && this.#socket.isPaused()) this.#socket.resume()
  }

  /** A parked request was answered. */
  #goOn(frame: Buffer): void {
    this.#release(frame)
    if (this.#state === 'reading') this.#handleFrames()
  }

  /** Takes the next whole frame, without its size, off what was received. */
  #nextFrame(): Buffer | undefined {
    if (this.#buffered < sizeBytes) return undefined
    let first = this.#chunks[0]!
    if (first.length < sizeBytes) {
      first = Buffer.concat(this.#chunks)
      this.#chunks = [first]
    }
    const size = first.readInt32BE(0)
    const { maxRequestBytes } = this.#host.broker.settings
    if (size < 0 || size > maxRequestBytes) {
      this.close(`a request of ${size} bytes; at most ${maxRequestBytes} are allowed (maxRequestBytes)`)
      return undefined
    }
    const end = sizeBytes + size
    if (this.#buffered < end) return undefined
    if (first.length < end) {
      first = Buffer.concat(this.#chunks)
      this.#chunks = [first]
    }
    if (first.length === end) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(end)
    return first.subarray(sizeBytes, end)
  }

  #release(frame: Buffer): void {
    const bytes = sizeBytes + frame.length
    if (this.#state === 'closed') return
    this.#buffered -= bytes
    this.#host.queued(-bytes)
  }

  /** A promise only if the request was parked. */
  #handleFrame(frame: Buffer): Promise<void> | undefined {
    let what = 'request'
    try {
      const { broker } = this.#host
      const { maxRequestElements, maxResponseBytes } = broker.settings
      const request = new Reader(frame, false, 0, maxRequestElements)
      const key = request.int16()
      const version = request.int16()
      const correlationId = request.int32()
      const clientId = request.nullableString() ?? ''
      const handler = this.#host.handlers.get(key)
      what = `${handler?.name ?? `API ${key}`} v${version}`
      const served = handler !== undefined && version >= handler.minVersion && version <= handler.maxVersion
      if (handler === undefined || (!served && handler.negotiates === undefined)) {
        this.close(`${what} is not served`)
        return undefined
      }
      request.flexible = served && version >= handler.flexibleFrom
      request.tags()
      const serve = handler.begin(request, version)
      const response = new Writer(false, undefined, maxResponseBytes)
      response.int32(0)
      response.int32(correlationId)
      response.flexible = request.flexible
      if (handler.negotiates === undefined) response.tags()
      const call = { broker, version, clientId, clientHost: this.#clientHost, signal: this.#abort.signal }
      const answer = serve(call)
      if (!(answer instanceof Promise)) {
        return this.#answer(answer, response)?.catch((error: unknown) => this.#fail(what, error))
      }
      return answer
        .then((settled) => this.#answer(settled, response))
        .catch((error: unknown) => this.#fail(what, error))
    } catch (error) {
      this.#fail(what, error)
      return undefined
    }
  }

  /** A promise only if it is written in turns. */
  #answer(answer: Answer, response: Writer): Promise<void> | undefined {
    if (this.#state === 'closed') return undefined
    const steps = typeof answer === 'function' ? answer(response) : undefined
    const written = steps && this.#host.broker.longAnswers.run(steps, this.#abort.signal)
    if (written instanceof Promise) return written.then(() => this.#send(answer, response))
    this.#send(answer, response)
    return undefined
  }

  #send(answer: Answer, response: Writer): void {
    if (this.#state === 'closed') return
    this.#handled += 1
    this.#lastActivity = Date.now()
    this.#state = 'reading'
    if (answer === 'close') {
      this.close()
      return
    }
    if (answer === 'no-response') return
    this.#write(response)
  }

  #write(response: Writer): void {
    const size = response.length - sizeBytes
    const pieces = response.take()
    pieces[0]!.writeInt32BE(size, 0)
    const socket = this.#socket
    if (pieces.length === 1) {
      socket.write(pieces[0]!)
    } else {
      socket.cork()
      for (const piece of pieces) socket.write(piece)
      socket.uncork()
    }
    // The next request waits until the client has taken this answer: a reader that lags holds one answer, not many.
    if (!socket.writableNeedDrain) return
    this.#state = 'draining'
    this.#host.lagging()
  }

  #fail(what: string, error: unknown): void {
    if (error instanceof MalformedError) this.close(`malformed ${what}: ${error.message}`)
    else if (error instanceof ResponseTooLargeError)
      this.close(`the answer to ${what} would have ${error.message} (maxResponseBytes)`)
    else this.close(`${what} failed: ${error instanceof Error ? error.stack : String(error)}`)
  }

  #drained(): void {
    this.#lastActivity = Date.now()
    if (this.#state !== 'draining') return
    this.#state = 'reading'
    this.#handleFrames()
  }

  #end(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    clearImmediate(this.#turn)
    this.#host.queued(-this.#buffered)
    this.#chunks = []
    this.#buffered = 0
    this.#abort.abort()
    this.#host.closed(this)
  }

  #peer(): string {
    return `${this.#socket.remoteAddress ?? 'a client'}:${this.#socket.remotePort ?? '?'}`
  }
}
