/**
 * Spring for Apache Kafka 4.1 as processes (`interop/spring`, plain Spring and no Boot): an application's
 * `@KafkaListener` with `@SendTo`, and its `ReplyingKafkaTemplate`. Keys are strings, values too or JSON.
 */
import { fileURLToPath } from 'node:url'
import { defaultJvmOptions, startJvm } from '../../tools/kafka/jvm.ts'
import { buildWithMaven } from './maven.ts'
import { Program } from './program.ts'
import { requesterOf, type OtherRequester } from './requester.ts'

const sources = fileURLToPath(new URL('../spring', import.meta.url))

/** Kafka's producer waits 5 ms for a batch to fill by default (since Kafka 4); this is what people set for latency. */
export const springTuned: Readonly<Record<string, string>> = { 'linger.ms': '0' }

interface SpringOptions {
  /** `host:port` of each. */
  readonly brokers: readonly string[]
  /** The consumer group: the repliers', or the requester's own for its replies. */
  readonly groupId: string
  /** What stands before the request's text in a reply. Default nothing: an echo. */
  readonly prefix?: string
  /** Producer settings by Kafka's names; values without a comma or a space. Default none: Spring's and Kafka's defaults. */
  readonly producer?: Readonly<Record<string, string>>
  /** Consumer settings likewise. Default: a group without offsets begins at the first record, else the defaults. */
  readonly consumer?: Readonly<Record<string, string>>
  /** Options of the JVM, where it is started for this alone. Default: a small heap and the quick compiler, for tests. */
  readonly jvmOptions?: readonly string[]
}

/**
 * What requests and replies are: their text, or JSON `{ number, text }` with Spring's `JacksonJsonSerializer`, which adds
 * the Java type as a header `__TypeId__`. Default `text`.
 */
export type SpringFormat = 'text' | 'json'

export interface SpringReplierOptions extends SpringOptions {
  /** Request topics; they must exist. */
  readonly topics: readonly string[]
  /** Listener threads. Default 1. */
  readonly concurrency?: number
  readonly format?: SpringFormat
  /** Where replies go (`@SendTo("…")`), whatever a request says. Default: where the request says. */
  readonly sendTo?: string
}

export interface SpringRequesterOptions extends SpringOptions {
  readonly replyTopic: string
  /** A fixed partition of the reply topic for this instance. Default none: the group reads all of them. */
  readonly replyPartition?: number
  /** Milliseconds to wait for a reply. Default 30 000. */
  readonly timeout?: number
  readonly format?: SpringFormat
  /** How correlation ids travel: Spring's default, or its `setBinaryCorrelation(false)`. Default `binary`. */
  readonly correlation?: 'binary' | 'text'
  /** Whether our error replies fail the future (`ReplyErrors.java`), or are answers, as in a stock Spring. Default false. */
  readonly checkErrors?: boolean
}

export interface SpringAggregatingOptions extends SpringOptions {
  /** Request topics, which are asked once each, one after the other; they must exist. */
  readonly topics: readonly string[]
  readonly replyTopic: string
  /** So many replies release a request. */
  readonly count: number
  /** Milliseconds after which a request is released with what has come. */
  readonly timeout: number
}

/** What Spring's aggregating template made of the replies to one request. */
export interface SpringAggregate {
  /** The request topic. */
  readonly asked: string
  /** The aggregate's pseudo topic, `aggregatedResults` or `partialResultsAfterTimeout`, or the class of what went wrong. */
  readonly how: string
  readonly values: readonly (string | null)[]
}

export interface SpringDeadLettersOptions extends SpringOptions {
  /** The topic whose requests fail; Spring keeps them in `<topic>-dlt`, which must exist, too. */
  readonly topic: string
  /** The dead-letter topic that is read. */
  readonly letters: string
}

/** What a Spring application sees of a dead letter. */
export interface SpringLetter {
  readonly value: string
  readonly key: string
  readonly partition: number
  readonly originalTopic: string
  readonly originalPartition: number
  readonly originalOffset: number
  readonly originalTimestamp: number
  readonly timestampType: string
  readonly group: string
  readonly exception: string
  readonly cause: string
  readonly message: string
  readonly stackLines: number
}

/** Builds the Spring program on first use. Throws a SetupError when Java or Maven is missing, or the build fails. */
export async function buildSpring(): Promise<string> {
  return buildWithMaven('spring', 'Spring', sources)
}

/** One application: what `startSpring` starts. */
export interface SpringRole {
  readonly name: string
  readonly args: readonly string[]
  /** Milliseconds that a requester waits. */
  readonly timeout?: number
}

/** Answers: `@KafkaListener` with `@SendTo`. */
export function springReplier(options: SpringReplierOptions): SpringRole {
  const { topics, concurrency = 1, format = 'text', sendTo = '' } = options
  return role('replier', options, [
    `--topics=${topics.join(',')}`,
    `--concurrency=${concurrency}`,
    `--format=${format}`,
    `--send-to=${sendTo}`,
  ])
}

/** Asks: `ReplyingKafkaTemplate`. */
export function springRequester(options: SpringRequesterOptions): SpringRole {
  const { replyTopic, replyPartition = -1, timeout = 30_000, format = 'text' } = options
  const args = [
    `--reply-topic=${replyTopic}`,
    `--reply-partition=${replyPartition}`,
    `--timeout=${timeout}`,
    `--format=${format}`,
    `--correlation=${options.correlation ?? 'binary'}`,
    `--errors=${options.checkErrors === true ? 'checked' : ''}`,
  ]
  return { ...role('requester', options, args), timeout }
}

/** A listener that fails, and one that reads dead letters: events `letter`, each a `SpringLetter`. */
export function springDeadLetters(options: SpringDeadLettersOptions): SpringRole {
  return role('dead-letters', options, [`--topics=${options.topic}`, `--letters=${options.letters}`])
}

/** A listener that always fails, with the retry topics `<topic>-retry-0`, `-retry-1` and `-dlt`, which must exist. */
export function springRetries(options: SpringOptions & { readonly topic: string }): SpringRole {
  return role('retries', options, [`--topics=${options.topic}`])
}

/**
 * An AggregatingReplyingKafkaTemplate, which asks by itself: events `aggregated`, each a `SpringAggregate`. It has partitions
 * of the reply topic before it asks.
 */
export function springAggregating(options: SpringAggregatingOptions): SpringRole {
  const { topics, replyTopic, count, timeout } = options
  const args = [
    `--topics=${topics.join(',')}`,
    `--reply-topic=${replyTopic}`,
    `--count=${count}`,
    `--timeout=${timeout}`,
  ]
  return role('aggregating', options, args)
}

/** Applications in one JVM, since that takes two seconds of a processor to start. */
export class Spring implements AsyncDisposable {
  readonly program: Program
  readonly #roles: readonly SpringRole[]

  constructor(program: Program, roles: readonly SpringRole[]) {
    this.program = program
    this.#roles = roles
  }

  /** One order at a time, whichever requester it is for. */
  requester(of: SpringRole): OtherRequester {
    return requesterOf(this.program, of.timeout ?? 0, this.#placeOf(of))
  }

  /**
   * From now on the listener of `springDeadLetters` does not fail any more: it answers with prefix and request, and there
   * is an event `handled` with its `value` for each. With `letters` the one that reads dead letters does so, too, and
   * answers those who had asked.
   */
  async heal(what: SpringRole, which: 'requests' | 'letters' = 'requests'): Promise<void> {
    this.program.tell(`to=${this.#placeOf(what)} heal=${which}`)
    await this.program.next('healed')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program.close()
  }

  #placeOf(one: SpringRole): number {
    const place = this.#roles.indexOf(one)
    if (place === -1) throw new Error(`this JVM has no such ${one.name}`)
    return place
  }
}

/** Starts applications in one JVM; resolves when all of them have partitions. Throws as `buildSpring` does. */
export async function startSpring(
  roles: readonly SpringRole[],
  jvmOptions: readonly string[] = defaultJvmOptions,
): Promise<Spring> {
  const { child, pid } = await startJvm({
    jars: await buildSpring(),
    mainClass: 'milena.interop.Main',
    args: roles.flatMap(({ args }) => args),
    jvmOptions,
    stdin: 'pipe',
    output: 'pipe',
  })
  const program = new Program(`Spring (${roles.map(({ name }) => name).join(', ')})`, child, pid)
  try {
    await program.next('ready')
  } catch (error) {
    await program.close()
    throw error
  }
  return new Spring(program, roles)
}

/** Starts a replier alone, as `startSpring` does. */
export async function startSpringReplier(options: SpringReplierOptions): Promise<Program> {
  return start(springReplier(options), options)
}

/** Starts a requester alone, as `startSpring` does. */
export async function startSpringRequester(options: SpringRequesterOptions): Promise<OtherRequester> {
  const asking = springRequester(options)
  return (await startSpring([asking], options.jvmOptions)).requester(asking)
}

async function start(one: SpringRole, { jvmOptions }: SpringOptions): Promise<Program> {
  return (await startSpring([one], jvmOptions)).program
}

function role(name: string, options: SpringOptions, args: readonly string[]): SpringRole {
  const all = [
    `--role=${name}`,
    `--brokers=${options.brokers.join(',')}`,
    `--group=${options.groupId}`,
    `--prefix=${options.prefix ?? ''}`,
    `--producer=${settingsText(options.producer)}`,
    `--consumer=${settingsText(options.consumer)}`,
    ...args,
  ]
  return { name, args: all }
}

function settingsText(settings: Readonly<Record<string, string>> = {}): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')
}
