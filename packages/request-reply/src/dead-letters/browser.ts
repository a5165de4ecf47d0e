import { systemClock, type Clock } from '../clock.ts'
import { longestTimeout } from '../contract/operation.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import { problemsOfParts, problemsOfSwitches, unknownOptions } from '../given.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import { eitherSource, openTransport, type OpenedTransport, type TransportSource } from '../transport/open.ts'
import { missingTopic } from '../transport/topics.ts'
import type { RecordPosition, Transport } from '../transport/transport.ts'
import type { WireProfile } from '../wire/profile.ts'
import { springProfile } from '../wire/spring.ts'
import { classOf, wordsOf } from '../words.ts'
import { usualLetterTopic, type LetterTopic } from './letter-writer.ts'
import { listed, readLetter, type DeadLetter, type WholeDeadLetter } from './letter.ts'
import { Replayer, type Replay, type ReplayOptions } from './replay.ts'
import { ReplayLog } from './replay-log.ts'
import { extentOf, scan } from './scan.ts'

export interface DeadLettersOptions extends TransportSource {
  /** Names the dead-letter topic of a request topic, as `deadLetter`'s option; default `<topic>-dlt`. */
  readonly topic?: LetterTopic
  /** Create a missing `<dead-letter topic>-replays` at the first replay; default false: `MILENA_TOPIC_MISSING`. */
  readonly createTopics?: boolean
  /** How correlation id and reply address travel; default `springProfile`. */
  readonly profile?: WireProfile
  /** For simulations; default: the machine's. */
  readonly clock?: Clock
  readonly random?: RandomBytes
}

/** Which letters; a field that is left out chooses all. */
export interface LetterFilter {
  /** The request topic whose letters they are. */
  readonly topic: string
  readonly operation?: string
  /** When they were written to the dead-letter topic, in milliseconds since the Unix epoch: from, and up to and without. */
  readonly since?: number
  readonly until?: number
  /** The error's code or the reason; of a letter that is not ours, the class of its error or of that one's cause. */
  readonly code?: string
  readonly key?: string | Uint8Array
  /** The most letters; default all. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** Dead letters, for operators: to list, to show and to replay them. Ours, and those that Spring has written. */
export interface DeadLetters extends AsyncDisposable {
  /**
   * A stream of what stands in the dead-letter topic at the time of the first call for one: partition by partition, in the
   * order in which they died. It holds no more than about 4 MiB; besides, a few hundred bytes for each replay that was
   * recorded.
   *
   * @throws TransportError `MILENA_TOPIC_MISSING`, and what else keeps it from being read.
   */
  list(filter: LetterFilter): AsyncGenerator<DeadLetter, void, undefined>
  /** One of them whole; `undefined` when nothing stands there (any more). */
  show(position: RecordPosition): Promise<WholeDeadLetter | undefined>
  /**
   * Sends letters to the topics that they came from, as they were requested, and says of each what has become of it, in a
   * stream: each is replayed when it is asked for. A dry run until `dryRun: false`.
   *
   * @param what a filter, or letters that were listed, or their positions; one that is not there any more is left out
   * @throws TransportError when letters cannot be read, or replays not be recorded: then that letter was not sent.
   */
  replay(
    what: LetterFilter | RecordPosition | readonly RecordPosition[],
    options?: ReplayOptions,
  ): AsyncGenerator<Replay, void, undefined>
  close(): Promise<void>
}

const known: ReadonlySet<string> = new Set<keyof DeadLettersOptions>([
  'kafka',
  'transport',
  'topic',
  'createTopics',
  'profile',
  'clock',
  'random',
])
const knownFilter: ReadonlySet<string> = new Set<keyof LetterFilter>([
  'topic',
  'operation',
  'since',
  'until',
  'code',
  'key',
  'limit',
  'signal',
])
const knownReplay: ReadonlySet<string> = new Set<keyof ReplayOptions>([
  'dryRun',
  'replyTo',
  'timeout',
  'again',
  'evenIfDone',
  'effectOf',
  'by',
  'signal',
])

/**
 * Opens nothing before it is used.
 *
 * @throws OptionsError that lists every problem.
 */
export function deadLetters(options: DeadLettersOptions): DeadLetters {
  const problems = [
    ...unknownOptions('deadLetters', options, known),
    ...problemsOfParts(options),
    ...problemsOfSwitches(options, ['createTopics']),
  ]
  if ((options.kafka === undefined) === (options.transport === undefined)) problems.push(eitherSource)
  if (options.topic !== undefined && typeof options.topic !== 'function')
    problems.push('topic must be a function that names a topic')
  if (problems.length > 0) throw new OptionsError('deadLetters', problems)
  return new Browser(options)
}

class Browser implements DeadLetters {
  readonly #options: DeadLettersOptions
  readonly #topicOf: LetterTopic
  readonly #profile: WireProfile
  #opening: Promise<OpenedTransport> | undefined
  #closed = false

  constructor(options: DeadLettersOptions) {
    this.#options = options
    this.#topicOf = options.topic ?? usualLetterTopic
    this.#profile = options.profile ?? springProfile
  }

  async *list(filter: LetterFilter): AsyncGenerator<DeadLetter, void, undefined> {
    const problems = problemsOf(filter)
    if (problems.length > 0) throw new OptionsError('deadLetters.list', problems)
    const transport = await this.#transport()
    const topic = this.#topicOf(filter.topic)
    await using log = await this.#log(transport, topic)
    for await (const letter of this.#found(transport, topic, log, filter)) yield listed(letter)
  }

  async show(position: RecordPosition): Promise<WholeDeadLetter | undefined> {
    const problems = problemsOfPosition(position)
    if (problems.length > 0) throw new OptionsError('deadLetters.show', problems)
    const transport = await this.#transport()
    await using log = await this.#log(transport, position.topic)
    return this.#at(transport, log, position)
  }

  async *replay(
    what: LetterFilter | RecordPosition | readonly RecordPosition[],
    options: ReplayOptions = {},
  ): AsyncGenerator<Replay, void, undefined> {
    const problems = [
      ...problemsOfReplay(options),
      ...(isFilter(what) ? problemsOf(what) : [what].flat().flatMap(problemsOfPosition)),
    ]
    if (problems.length > 0) throw new OptionsError('deadLetters.replay', problems)
    const transport = await this.#transport()
    if (isFilter(what)) {
      const topic = this.#topicOf(what.topic)
      await using log = await this.#log(transport, topic)
      const replayer = this.#replayer(transport, log, options)
      for await (const letter of this.#found(transport, topic, log, what)) {
        options.signal?.throwIfAborted()
        yield await replayer.replay(letter)
      }
      return
    }
    const positions = Array.isArray(what) ? (what as readonly RecordPosition[]) : [what as RecordPosition]
    for (const [topic, of] of Map.groupBy(positions, (position) => position.topic)) {
      await using log = await this.#log(transport, topic)
      const replayer = this.#replayer(transport, log, options)
      for (const position of of) {
        options.signal?.throwIfAborted()
        const letter = await this.#at(transport, log, position)
        if (letter !== undefined) yield await replayer.replay(letter)
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const opened = await this.#opening?.catch(() => undefined)
    if (opened?.owned) await opened.transport.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async *#found(
    transport: Transport,
    topic: string,
    log: ReplayLog,
    filter: LetterFilter,
  ): AsyncGenerator<WholeDeadLetter, void, undefined> {
    await requireLetters(transport, topic)
    let left = filter.limit ?? Number.POSITIVE_INFINITY
    if (left === 0) return
    for (const { end, ...from } of await extentOf(transport, topic)) {
      for await (const record of scan(transport, from, end, filter.signal)) {
        const letter = readLetter(record, this.#profile, log.of(record))
        if (!isChosen(letter, filter)) continue
        yield letter
        if (--left === 0) return
      }
    }
  }

  async #at(
    transport: Transport,
    log: ReplayLog,
    { topic, partition, offset }: RecordPosition,
  ): Promise<WholeDeadLetter | undefined> {
    await requireLetters(transport, topic)
    const extent = (await extentOf(transport, topic)).find((one) => one.partition === partition)
    if (extent === undefined || offset < extent.offset || offset >= extent.end) return undefined
    for await (const record of scan(transport, { topic, partition, offset }, offset + 1))
      if (record.offset === offset) return readLetter(record, this.#profile, log.of(record))
    return undefined
  }

  #replayer(transport: Transport, log: ReplayLog, options: ReplayOptions): Replayer {
    const clock = this.#options.clock ?? systemClock
    return new Replayer({ transport, clock, profile: this.#profile, topicOf: this.#topicOf, log }, options)
  }

  #log(transport: Transport, letters: string): Promise<ReplayLog> {
    const { clock = systemClock, random = systemRandom, createTopics: create = false } = this.#options
    return ReplayLog.open({ transport, letters, clock, random, create })
  }

  async #transport(): Promise<Transport> {
    if (this.#closed) throw new MilenaError('MILENA_CLOSED', 'these dead letters are closed')
    const { kafka, transport } = this.#options
    this.#opening ??= openTransport(
      'deadLetters',
      kafka === undefined ? { transport: transport! } : { kafka },
    )
    try {
      return (await this.#opening).transport
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }
}

async function requireLetters(transport: Transport, topic: string): Promise<void> {
  if (!(await transport.describeTopics([topic])).has(topic)) throw missingTopic(topic, 1)
}

function isFilter(what: LetterFilter | RecordPosition | readonly RecordPosition[]): what is LetterFilter {
  return !Array.isArray(what) && !Object.hasOwn(Object(what), 'offset')
}

function problemsOfPosition(position: unknown): string[] {
  const { topic, partition, offset } = Object(position) as Partial<Record<keyof RecordPosition, unknown>>
  const isOne = typeof topic === 'string' && Number.isSafeInteger(partition) && Number.isSafeInteger(offset)
  return isOne ? [] : [`a letter's position is { topic, partition, offset }, not ${classOf(position)}`]
}

function isChosen(letter: WholeDeadLetter, { operation, since, until, code, key }: LetterFilter): boolean {
  if (operation !== undefined && letter.operation !== operation) return false
  if (since !== undefined && letter.timestamp < since) return false
  if (until !== undefined && letter.timestamp >= until) return false
  if (code !== undefined) {
    const codes = letter.code === undefined ? [letter.errorClass, letter.causeClass] : [letter.code]
    if (!codes.includes(code)) return false
  }
  return key === undefined || (letter.key !== null && letter.key.equals(Buffer.from(key as Uint8Array)))
}

function problemsOf(filter: LetterFilter): string[] {
  const problems = unknownOptions('deadLetters.list', filter, knownFilter)
  if (typeof filter.topic !== 'string' || filter.topic === '')
    problems.push('topic must name the request topic whose letters they are')
  const { limit, since, until } = filter
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0))
    problems.push(`limit must be a whole number from 0 on, not ${wordsOf(limit)}`)
  for (const [name, time] of Object.entries({ since, until }))
    if (time !== undefined && !Number.isFinite(time))
      problems.push(`${name} must be milliseconds since the Unix epoch, not ${wordsOf(time)}`)
  return problems
}

function problemsOfReplay(options: ReplayOptions): string[] {
  const problems = unknownOptions('deadLetters.replay', options, knownReplay)
  const { replyTo, timeout, effectOf } = options
  if (replyTo !== undefined && replyTo !== 'requester' && typeof replyTo?.topic !== 'string')
    problems.push("replyTo must be 'requester' or { topic, partition }")
  if (timeout !== undefined && !(Number.isSafeInteger(timeout) && timeout >= 1 && timeout <= longestTimeout))
    problems.push(`timeout must be a whole number from 1 to ${longestTimeout}, not ${wordsOf(timeout)}`)
  if (effectOf !== undefined && typeof effectOf !== 'function') problems.push('effectOf must be a function')
  return problems
}
