import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Reader } from '../../src/wire/reader.ts'
import { Writer } from '../../src/wire/writer.ts'

export interface RawRequest {
  readonly key: number
  readonly version: number
  /** Whether this version has the flexible encoding. */
  readonly flexible?: boolean
  readonly body?: (writer: Writer) => void
}

/** A connection that says exactly what a test wants, byte for byte. */
export class RawClient implements AsyncDisposable {
  readonly #socket: Socket
  readonly #waiting = new Map<number, PromiseWithResolvers<Buffer>>()
  readonly closed: Promise<void>
  #chunks: Buffer[] = []
  #received = 0
  /** Bytes that the next step takes: a frame's size, or all of it. */
  #wanted = 4
  #nextId = 1

  private constructor(socket: Socket) {
    this.#socket = socket
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error('the connection was closed'))
        resolve()
      })
    })
    socket.on('error', () => {})
    socket.on('data', (chunk) => this.#receive(chunk))
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  /** Stops taking what the broker sends. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Sends a request and answers with its response's body; rejects if the connection closes first. */
  async request(request: RawRequest): Promise<Reader> {
    if (this.#socket.destroyed) throw new Error('the connection is closed')
    const id = this.#nextId
    const answer = Promise.withResolvers<Buffer>()
    this.#waiting.set(id, answer)
    this.send(request)
    const frame = await answer.promise
    const reader = new Reader(frame, false, 4)
    reader.flexible = request.flexible === true
    if (request.key !== 18) reader.tags()
    return reader
  }

  /** Sends a request without waiting for anything. */
  send(request: RawRequest): void {
    const writer = new Writer()
    writer.int32(0)
    writer.int16(request.key)
    writer.int16(request.version)
    writer.int32(this.#nextId)
    this.#nextId += 1
    writer.string('raw')
    writer.flexible = request.flexible === true
    writer.tags()
    request.body?.(writer)
    const frame = writer.toBuffer()
    frame.writeInt32BE(frame.length - 4, 0)
    this.write(frame)
  }

  /** Ends this side only: the other half stays open. */
  end(): void {
    this.#socket.end()
  }

  close(): Promise<void> {
    this.#socket.destroy()
    return this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#received += chunk.length
    while (this.#received >= this.#wanted) {
      const all = Buffer.concat(this.#chunks)
      const end = 4 + all.readInt32BE(0)
      this.#chunks = [all]
      this.#wanted = end
      if (all.length < end) return
      const frame = all.subarray(4, end)
      this.#chunks = [all.subarray(end)]
      this.#received = all.length - end
      this.#wanted = 4
      const id = frame.readInt32BE(0)
      this.#waiting.get(id)?.resolve(frame)
      this.#waiting.delete(id)
    }
  }
}
