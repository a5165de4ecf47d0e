/**
 * Requests for each of many items, a bounded number at a time.
 *
 *   source ──▶ asked, one after the other ──▶ in flight ──outcome──▶ ended ──▶ taken by the caller
 *                                             └──── at most `concurrency` ────┘
 *
 * The next item is asked for when the one before it is accepted, so that items of one key are requested in their order;
 * and when there is room, so that an endless source takes no more memory than its beginning.
 */
import { MilenaError } from '../errors.ts'
import { optionsOf, type EachSettings, type ItemOptions } from './each-options.ts'
import type { Source } from './each-source.ts'
import type { Turns, Waiter } from './each-turns.ts'
import type { Reply, RequestOptions } from './reply.ts'

/** An item with the outcome of its request: exactly one of `reply` and `error` is there. */
export type EachResult<Item, Value> = {
  /** Its place in the source, from 0. */
  readonly index: number
  readonly item: Item
} & (
  | { readonly reply: Reply<Value>; readonly error?: undefined }
  | { readonly reply?: undefined; readonly error: MilenaError }
)

/** The results, in the order in which the requests ended. */
export interface EachResults<Item, Value> extends AsyncIterableIterator<EachResult<Item, Value>> {
  /** Ends it, as `break` does. */
  return(): Promise<IteratorResult<EachResult<Item, Value>, undefined>>
  [Symbol.asyncIterator](): EachResults<Item, Value>
  [Symbol.asyncDispose](): Promise<void>
}

/** What it asks of its requester. */
export interface EachHost {
  /** It shares the requester's room with others. */
  readonly turns: Turns
  /** As `request`; `accepted` is called when the request has been accepted, within the call where that can be. */
  request(item: unknown, options: RequestOptions, accepted: () => void): Promise<Reply<unknown>>
}

type Result = EachResult<unknown, unknown>
/** Of a request: it is accepted, or its outcome is a result; or others fill the requester. */
type Became = 'accepted' | 'refused' | 'no room'
type Taken = IteratorResult<Result, undefined>

/**
 * Requests in flight that share a signal to be cancelled by. It looks through all that listen whenever one is added or
 * removed: with a thousand on one signal that were 3 µs for each request, with ten thousand ten times as much.
 */
const perSignal = 32
const mostSignals = 1_000
/** Of these no later request can be accepted either. */
const final: ReadonlySet<string> = new Set(['MILENA_CLOSED', 'MILENA_JOURNAL_TAKEN'])

export class Each implements EachResults<unknown, unknown>, Waiter {
  readonly #host: EachHost
  readonly #source: Source
  readonly #settings: EachSettings
  /** In turn for the requests, and aborted together. */
  readonly #stops: readonly AbortController[]
  #asking: Promise<void> | undefined
  #asked = false
  /** Nobody takes results any more. */
  #left = false
  #inFlight = 0
  readonly #ended: Result[] = []
  readonly #takers: { resolve(taken: Taken): void; reject(error: unknown): void }[] = []
  /** No item is asked for any more; with what the iteration ends, once all results were taken. */
  #over: { readonly error: unknown } | 'done' | undefined
  #onChange: (() => void) | undefined
  #unlisten: (() => void) | undefined

  constructor(host: EachHost, source: Source, settings: EachSettings) {
    this.#host = host
    this.#source = source
    this.#settings = settings
    const signals = Math.min(mostSignals, Math.ceil(settings.concurrency / perSignal))
    this.#stops = Array.from({ length: signals }, () => new AbortController())
  }

  next(): Promise<Taken> {
    void this.#begun()
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject })
      this.#hand()
    })
  }

  async return(): Promise<Taken> {
    this.#left = true
    this.#ended.length = 0
    this.#over ??= 'done'
    this.#unlisten?.()
    this.#abort(new DOMException('the iteration over the results was ended', 'AbortError'))
    this.#onChange?.()
    await this.#begun()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  look(): void {
    this.#onChange?.()
  }

  close(error: Error): void {
    this.#end({ error })
  }

  /** In a turn of its own: the source, and what else is called, may itself ask for results, or end this. */
  #begun(): Promise<void> {
    this.#asking ??= Promise.resolve().then(() => this.#ask())
    return this.#asking
  }

  /** Takes items from the source for as long as there are any. Never rejects. */
  async #ask(): Promise<void> {
    const { turns } = this.#host
    try {
      turns.begin(this)
      this.#listen()
      for (let index = 0; this.#over === undefined; index++) {
        // oxlint-disable no-await-in-loop -- one after the other, and none without room
        while (!this.#isOver() && this.#inFlight + this.#ended.length >= this.#settings.concurrency)
          await this.#change()
        if (this.#isOver()) break
        const next = this.#source.next()
        const item = next instanceof Promise ? await this.#unlessOver(next) : next
        if (item === undefined) break
        if (item.done === true) this.#end('done')
        else await this.#begin(index, item.value)
        // oxlint-enable no-await-in-loop
      }
    } catch (error) {
      this.#end({ error })
    }
    turns.end(this)
    try {
      await this.#source.close()
    } catch (error) {
      if (this.#over === 'done') this.#over = { error }
    }
    this.#asked = true
    this.#hand()
  }

  #listen(): void {
    const { signal } = this.#settings
    if (signal === undefined || this.#left) return
    const onAbort = (): void => {
      // Also when the source has come to its end: what it gave is in flight.
      if (this.#over === 'done') this.#over = { error: signal.reason }
      else this.#end({ error: signal.reason })
      this.#abort(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#unlisten = () => signal.removeEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
  }

  #abort(reason: unknown): void {
    for (const stop of this.#stops) stop.abort(reason)
  }

  /** Resolves when its request was accepted, or refused for good. */
  async #begin(index: number, item: unknown): Promise<void> {
    const stop = this.#stops[index % this.#stops.length]!.signal
    const its = optionsOf(this.#settings, item, index, stop)
    const { turns } = this.#host
    for (;;) {
      // oxlint-disable no-await-in-loop -- others fill the requester
      while (!this.#isOver() && !turns.hasRoom(this)) await this.#room()
      if (this.#isOver()) return its.unlisten()
      const { rooms } = turns
      const told = this.#request(index, item, its)
      const became = told instanceof Promise ? await told : told
      if (became === 'no room') {
        if (turns.rooms === rooms) await this.#room()
      } else {
        turns.leave(this)
        // Or a source without an end, all of whose items are refused, would let nothing else run: no signal, no reply.
        if (became === 'refused') await new Promise(setImmediate)
        return
      }
      // oxlint-enable no-await-in-loop
    }
  }

  #request(index: number, item: unknown, { options, unlisten }: ItemOptions): Became | Promise<Became> {
    let accepted = false
    let tell: ((became: Became) => void) | undefined
    this.#inFlight++
    const reply = this.#host.request(item, options, () => {
      accepted = true
      tell?.('accepted')
    })
    reply.then(
      (given) => {
        unlisten()
        this.#settle({ index, item, reply: given })
      },
      (error: unknown) => {
        // What is none of ours is a fault of the library's: nobody can tell what it says of the next one.
        if (!(error instanceof MilenaError)) {
          unlisten()
          this.#inFlight--
          this.#end({ error })
          this.#hand()
          return tell?.('refused')
        }
        if (!accepted && error.code === 'MILENA_OVERLOADED') {
          this.#inFlight--
          this.#hand()
          return tell?.('no room')
        }
        unlisten()
        this.#settle({ index, item, error })
        if (final.has(error.code)) this.#end({ error })
        tell?.('refused')
      },
    )
    // It may be set within the call, which the compiler cannot see.
    if (accepted as boolean) return 'accepted'
    return new Promise((resolve) => {
      tell = resolve
    })
  }

  #settle(result: Result): void {
    this.#inFlight--
    if (!this.#left) this.#ended.push(result)
    this.#hand()
    this.#onChange?.()
    this.#host.turns.look()
  }

  /** Gives results to those who wait for them, and the end when there are none left. */
  #hand(): void {
    const ended = this.#ended.length
    while (this.#takers.length > 0 && this.#ended.length > 0)
      this.#takers.shift()!.resolve({ done: false, value: this.#ended.shift()! })
    if (this.#ended.length < ended) this.#onChange?.()
    if (this.#over === undefined || !this.#asked || this.#inFlight > 0) return
    this.#unlisten?.()
    for (const taker of this.#takers.splice(0)) {
      const over = this.#over
      this.#over = 'done'
      if (over === 'done') taker.resolve({ done: true, value: undefined })
      else taker.reject(over.error)
    }
  }

  #isOver(): boolean {
    return this.#over !== undefined
  }

  #end(over: { readonly error: unknown } | 'done'): void {
    this.#over ??= over
    this.#onChange?.()
  }

  #unlessOver<Item>(coming: Promise<Item>): Promise<Item | undefined> {
    return new Promise((resolve, reject) => {
      coming.then(resolve, reject)
      const look = (): void => {
        if (this.#isOver()) resolve(undefined)
        else this.#onChange = look
      }
      this.#onChange = look
    })
  }

  /** Resolves when a request has ended, a result was taken, or all is over. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = () => {
        this.#onChange = undefined
        resolve()
      }
    })
  }

  /** Likewise, or when it may be its turn. */
  #room(): Promise<void> {
    this.#host.turns.wait(this)
    return this.#change()
  }
}
