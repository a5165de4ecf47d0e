/**
 * Which letters were replayed: a topic of one partition beside the dead-letter topic, so that there is one order for all
 * who replay.
 *
 *     begun ── sent ──▶ replayed          (or nothing more, when whoever replayed is gone: it may have been sent)
 *        └── certainly not sent ──▶ failed
 *
 * Whoever replays a letter writes `begun` first, reads up to it, and goes on only if nobody's stands before it. The key
 * is the letter's place and time and the replay's own id, so a compacted topic keeps the last word on each replay.
 */
import type { Clock } from '../clock.ts'
import { TransportError } from '../errors.ts'
import type { RandomBytes } from '../random.ts'
import { requireTopic } from '../transport/topics.ts'
import type { IncomingRecord, RecordPosition, Tail, Transport, Trouble } from '../transport/transport.ts'
import { stoppingOf } from '../transport/troubles.ts'

/** Milliseconds within which what was written must be read back. */
const patience = 30_000

/** A replay of a letter. */
export interface Replayed {
  /** `begun`: it was to be sent, and whether it was is not known. */
  readonly state: 'begun' | 'replayed' | 'failed'
  /** When, in milliseconds since the Unix epoch. */
  readonly at: number
  /** Who, as they have called themselves. */
  readonly by: string | undefined
  /** Where its request stands. */
  readonly to: RecordPosition | undefined
}

/** A letter, among all that ever stood at its place: a topic that was made again begins at 0 again. */
export type LetterPlace = RecordPosition & { readonly timestamp: number }

interface Entry extends Replayed {
  readonly id: string
}

export interface ReplayLogOptions {
  readonly transport: Transport
  /** The dead-letter topic. */
  readonly letters: string
  readonly clock: Clock
  readonly random: RandomBytes
  /** Whether a missing topic is made; without that and without the topic, nothing was replayed and nothing can be. */
  readonly create: boolean
}

export class ReplayLog implements AsyncDisposable {
  readonly #options: ReplayLogOptions
  readonly topic: string
  #tail: Tail | undefined
  /** Up to where the log was read. */
  #read = 0
  readonly #waiting = new Set<() => void>()
  /** What keeps it from being read now. */
  #trouble: Error | undefined
  /** By letter, in the order in which they began. */
  readonly #entries = new Map<string, Entry[]>()

  private constructor(options: ReplayLogOptions) {
    this.#options = options
    this.topic = `${options.letters}-replays`
  }

  static async open(options: ReplayLogOptions): Promise<ReplayLog> {
    const log = new ReplayLog(options)
    await log.#open()
    return log
  }

  /** What was recorded of a letter, up to where the log was read. */
  of(letter: LetterPlace): readonly Replayed[] {
    return (this.#entries.get(nameOf(letter)) ?? []).map(({ state, at, by, to }) => ({ state, at, by, to }))
  }

  /**
   * Records that a letter is about to be replayed; `undefined` when somebody else's replay stands before it.
   *
   * @param again whether those that stand before it do not matter
   * @throws TransportError: then nothing is to be sent
   */
  async begin(letter: LetterPlace, by: string | undefined, again: boolean): Promise<OwnReplay | undefined> {
    const { clock, random } = this.#options
    await this.#require()
    const id = random(8).toString('hex')
    const begun: Replayed = { state: 'begun', at: clock.now(), by, to: undefined }
    const { offset } = await this.#write(letter, id, begun)
    await this.#readTo(offset + 1)
    const before = this.#entries.get(nameOf(letter)) ?? []
    const first = before.find(({ state }) => state !== 'failed')
    const own: OwnReplay = {
      end: async (said) => void (await this.#write(letter, id, { ...begun, ...said })),
    }
    if (again || first === undefined || first.id === id) return own
    await own.end({ state: 'failed' })
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail?.close()
  }

  async #open(): Promise<void> {
    const { transport } = this.#options
    const found = await transport.describeTopics([this.topic])
    if (!found.has(this.topic)) return
    const tail = await transport.tail({
      topic: this.topic,
      partitions: [0],
      from: 'earliest',
      onRecords: (records) => this.#take(records),
      onTrouble: (troubles) => this.#troubled(troubles),
    })
    try {
      let isRead = false
      void tail.caughtUp().then(() => {
        isRead = true
        this.#look()
      })
      await this.#until(() => isRead)
    } catch (error) {
      await tail.close()
      throw error
    }
    this.#tail = tail
  }

  #troubled(troubles: readonly Trouble[]): void {
    this.#trouble = stoppingOf(troubles).find(({ kind }) => kind !== 'unreadable')?.error
    this.#look()
  }

  async #require(): Promise<void> {
    if (this.#tail !== undefined) return
    const { transport, create } = this.#options
    const configs = { 'cleanup.policy': 'compact' }
    await requireTopic(transport, { name: this.topic, partitions: 1, configs }, create)
    await this.#open()
  }

  #write(letter: LetterPlace, id: string, { state, at, by, to }: Replayed): Promise<RecordPosition> {
    return this.#options.transport.send({
      topic: this.topic,
      partition: 0,
      key: Buffer.from(`${nameOf(letter)}/${id}`),
      value: Buffer.from(JSON.stringify({ state, at, by, to })),
      headers: [],
    })
  }

  #take(records: readonly IncomingRecord[]): void {
    for (const { key, value } of records) {
      const entry = key && value && readEntry(String(key), String(value))
      if (entry) this.#enter(entry.letter, entry)
    }
    this.#read = records.at(-1)!.offset + 1
    this.#look()
  }

  #look(): void {
    for (const look of this.#waiting) look()
  }

  #enter(letter: string, { id, state, at, by, to }: Entry): void {
    const entries = this.#entries.get(letter) ?? []
    const known = entries.findIndex((one) => one.id === id)
    const entry = { id, state, at, by, to }
    if (known < 0) entries.push(entry)
    else entries[known] = entry
    this.#entries.set(letter, entries)
  }

  #readTo(offset: number): Promise<void> {
    return this.#until(() => this.#read >= offset)
  }

  /** @throws what keeps the log from being read, or that it was not read in time: what was replayed is not known */
  async #until(isRead: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const look = (): void => {
      if (isRead()) resolve()
      else if (this.#trouble !== undefined) reject(this.#trouble)
    }
    this.#waiting.add(look)
    const timer = this.#options.clock.schedule(patience, () => {
      const why = `${this.topic} was not read to its end within ${patience} ms, so whether a letter was replayed is not known`
      reject(new TransportError('MILENA_BROKER_UNREACHABLE', why))
    })
    try {
      look()
      await promise
    } finally {
      timer.cancel()
      this.#waiting.delete(look)
    }
  }
}

/** A replay that was recorded as begun. */
export interface OwnReplay {
  /** Records what has become of it. */
  end(said: Pick<Replayed, 'state'> & Partial<Replayed>): Promise<void>
}

function nameOf({ partition, offset, timestamp }: LetterPlace): string {
  return `${partition}/${offset}/${timestamp}`
}

/** `undefined` for what is none: anybody may write there. */
function readEntry(key: string, value: string): (Entry & { readonly letter: string }) | undefined {
  const parts = /^(\d+\/\d+\/-?\d+)\/([\da-f]+)$/.exec(key)
  if (parts === null) return undefined
  try {
    const { state, at, by, to } = JSON.parse(value) as Partial<Replayed>
    if (state !== 'begun' && state !== 'replayed' && state !== 'failed') return undefined
    return {
      letter: parts[1]!,
      id: parts[2]!,
      state,
      at: typeof at === 'number' ? at : 0,
      by: typeof by === 'string' ? by : undefined,
      to: typeof to === 'object' ? to : undefined,
    }
  } catch {
    return undefined
  }
}
