/** What replies that nobody waits for say of how the other side is set up: told, once and then counted. */
import type { Clock } from '../clock.ts'
import { keyOf } from '../transport/partition-key.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import type { Warnings } from '../warnings.ts'
import type { ReplyAddress } from '../wire/profile.ts'

/** So many in a row that match nothing, while requests of this instance stay without a reply, are no coincidence. */
const mostInARow = 5
/** So many redeliveries in turn, each with a second reply to every other request at least, are no accident. */
const mostInTurn = 10

export interface StraysOptions {
  readonly clock: Clock
  readonly warnings: Warnings
  /** Where this instance's replies go. */
  addresses(): readonly ReplyAddress[]
  /** How many of its requests had no reply in time. */
  timedOut(): number
}

export class Strays {
  readonly #options: StraysOptions
  #inARow = 0
  #timedOutBefore = 0
  #lastAt = -Infinity
  #last = ''
  /** Of its own requests since the redelivery began, second ones too. */
  #replies = 0
  #seconds = 0
  /** By reply partition, where the first second reply of the redelivery stands. */
  readonly #marks = new Map<string, number>()
  #inTurn = 1

  constructor(options: StraysOptions) {
    this.#options = options
  }

  /** A reply to a request of this instance. */
  own(): void {
    this.#inARow = 0
    this.#replies++
  }

  /**
   * Another reply to a request that has one. What a replier had in hand when it died is answered again, all of it and
   * once: each of these was answered for the first time before the first second reply came. Only when a request has one
   * that was answered since, something else has made it.
   */
  second(first: RecordPosition, again: RecordPosition): void {
    this.#seconds++
    const place = keyOf(again)
    const mark = this.#marks.get(place)
    if (mark === undefined) this.#marks.set(place, again.offset)
    else if (first.offset > mark && keyOf(first) === place) {
      this.#inTurn = this.#seconds < this.#replies / 3 ? 1 : this.#inTurn + 1
      this.#replies = 0
      this.#seconds = 0
      this.#marks.clear()
      this.#marks.set(place, again.offset)
    }
    if (this.#inTurn < mostInTurn) return
    this.#inTurn = 1
    this.#options.warnings.tell(
      'most requests are answered twice: does a second group handle their topic, or does a replier fail to commit?',
      { replyTopic: again.topic },
    )
  }

  /** @param readable whether it has a correlation id as the wire profile writes one */
  unmatched(record: IncomingRecord, readable: boolean): void {
    if (!this.#isOwnPlace(record)) return
    const { clock, warnings } = this.#options
    const { topic, partition, offset } = record
    this.#lastAt = clock.monotonic()
    this.#last = `${topic}[${partition}] at offset ${offset}`
    if (this.#inARow++ === 0) this.#timedOutBefore = this.#options.timedOut()
    if (!readable) {
      warnings.tell(
        "a record in this instance's reply partition has no correlation id of the wire profile's form: a replier has to hand the header back as it came, byte for byte, not as text",
        { topic, partition, offset },
      )
    } else if (this.#inARow >= mostInARow && this.#options.timedOut() > this.#timedOutBefore) {
      warnings.tell(
        "replies in this instance's partition match none of its requests, which stay without: does their replier hand back the correlation id, or do instances share the partition?",
        { topic, partition, offset, inARow: this.#inARow },
      )
    }
  }

  /** What may be why a request that was accepted then has no reply; `undefined`: nothing that is known. */
  reasonSince(acceptedAt: number): string | undefined {
    if (this.#lastAt < acceptedAt) return undefined
    return (
      `a record that matches no request of this instance came to its reply partition meanwhile (${this.#last}): ` +
      'does the replier hand back the correlation id as it came, byte for byte?'
    )
  }

  /** A topic that instances share has replies for others. */
  #isOwnPlace({ topic, partition }: IncomingRecord): boolean {
    for (const own of this.#options.addresses())
      if (own.topic === topic && own.partition === partition) return true
    return false
  }
}
