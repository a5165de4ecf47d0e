/** Cuts what comes from a broker into answers: an INT32 with the length, then as many bytes. */
import { MalformedAnswer } from '../protocol/reader.ts'

const HEAD = 4

/** Most bytes of an answer: more than Kafka's own bound on what is sent to it (100 MiB). What is larger is no answer. */
export const LARGEST_ANSWER: number = 128 * 1024 * 1024

export class Frames {
  readonly #take: (frame: Buffer) => void
  readonly #head: Buffer = Buffer.alloc(HEAD)
  #headLength = 0
  /** An answer that comes in several pieces: each is copied once, to where it belongs. */
  #frame: Buffer | undefined
  #length = 0
  #stopped = false

  /** `take` gets each answer without its length; it may keep it. */
  constructor(take: (frame: Buffer) => void) {
    this.#take = take
  }

  /** Nothing is handed over any more, not even of the piece that is being cut. */
  stop(): void {
    this.#stopped = true
    this.#frame = undefined
  }

  /** Throws `MalformedAnswer` when these are no answers. */
  push(piece: Buffer): void {
    let at = 0
    while (at < piece.length && !this.#stopped) {
      if (this.#frame !== undefined) {
        at += this.#fill(this.#frame, piece, at)
        continue
      }
      let length: number
      if (this.#headLength === 0 && piece.length - at >= HEAD) {
        length = piece.readInt32BE(at)
        at += HEAD
      } else {
        const taken = piece.copy(this.#head, this.#headLength, at)
        at += taken
        this.#headLength += taken
        if (this.#headLength < HEAD) return
        this.#headLength = 0
        length = this.#head.readInt32BE(0)
      }
      if (length < HEAD || length > LARGEST_ANSWER) {
        throw new MalformedAnswer(`an answer cannot have ${length} bytes: this is not Kafka's protocol`)
      }
      if (piece.length - at >= length) {
        at += length
        this.#take(piece.subarray(at - length, at))
      } else {
        this.#frame = Buffer.allocUnsafe(length)
        this.#length = 0
      }
    }
  }

  #fill(frame: Buffer, piece: Buffer, at: number): number {
    const taken = piece.copy(frame, this.#length, at)
    this.#length += taken
    if (this.#length === frame.length) {
      this.#frame = undefined
      this.#take(frame)
    }
    return taken
  }
}
