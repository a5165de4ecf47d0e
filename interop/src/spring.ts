/**
 * Spring for Apache Kafka 4.1 as processes (`interop/spring`, plain Spring and no Boot): an application's
 * `@KafkaListener` with `@SendTo`, and its `ReplyingKafkaTemplate`. Keys and values are strings.
 */
import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { findJava, findMaven, startJvm } from '../../tools/kafka/jvm.ts'
import { SetupError } from '../../tools/kafka/setup-error.ts'
import { buildOnce } from './build-once.ts'
import { Program } from './program.ts'
import { requesterOf, type OtherRequester } from './requester.ts'

const sources = fileURLToPath(new URL('../spring', import.meta.url))
/** For tests on a small machine: little memory, quick to start. A benchmark wants the full compiler. */
const testJvmOptions: readonly string[] = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

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
  /** Options of the JVM. Default: a small heap and the quick compiler, for tests. */
  readonly jvmOptions?: readonly string[]
}

export interface SpringReplierOptions extends SpringOptions {
  /** Request topics; they must exist. */
  readonly topics: readonly string[]
  /** Listener threads. Default 1. */
  readonly concurrency?: number
}

export interface SpringRequesterOptions extends SpringOptions {
  readonly replyTopic: string
  /** A fixed partition of the reply topic for this instance. Default none: the group reads all of them. */
  readonly replyPartition?: number
  /** Milliseconds to wait for a reply. Default 30 000. */
  readonly timeout?: number
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
  findJava()
  const home = await buildOnce('spring', sources, async (staging) => runMaven(findMaven(), staging))
  return join(home, 'target', 'jars')
}

/** Starts a replier; resolves when partitions are assigned to it. Throws as `buildSpring` does. */
export async function startSpringReplier(options: SpringReplierOptions): Promise<Program> {
  const { topics, concurrency = 1 } = options
  return start('replier', options, [`--topics=${topics.join(',')}`, `--concurrency=${concurrency}`])
}

/** Starts a requester; resolves when partitions of the reply topic are assigned to it. Throws as `buildSpring` does. */
export async function startSpringRequester(options: SpringRequesterOptions): Promise<OtherRequester> {
  const { replyTopic, replyPartition = -1, timeout = 30_000 } = options
  const program = await start('requester', options, [
    `--reply-topic=${replyTopic}`,
    `--reply-partition=${replyPartition}`,
    `--timeout=${timeout}`,
  ])
  return requesterOf(program, timeout)
}

/**
 * Starts a listener that always fails, and one that reads dead letters: events `letter`, each a `SpringLetter`. Resolves
 * when partitions are assigned to one of them. Throws as `buildSpring` does.
 */
export async function startSpringDeadLetters(options: SpringDeadLettersOptions): Promise<Program> {
  const { topic, letters } = options
  return start('dead-letters', options, [`--topics=${topic}`, `--letters=${letters}`])
}

/** Starts a listener that always fails, with the retry topics `<topic>-retry-0`, `-retry-1` and `-dlt`, which must exist. Throws as `buildSpring` does. */
export async function startSpringRetries(
  options: SpringOptions & { readonly topic: string },
): Promise<Program> {
  return start('retries', options, [`--topics=${options.topic}`])
}

/**
 * Starts an AggregatingReplyingKafkaTemplate, which asks by itself: events `aggregated`, each a `SpringAggregate`. Resolves
 * when partitions of the reply topic are assigned to it. Throws as `buildSpring` does.
 */
export async function startSpringAggregating(options: SpringAggregatingOptions): Promise<Program> {
  const { topics, replyTopic, count, timeout } = options
  return start('aggregating', options, [
    `--topics=${topics.join(',')}`,
    `--reply-topic=${replyTopic}`,
    `--count=${count}`,
    `--timeout=${timeout}`,
  ])
}

async function start(role: string, options: SpringOptions, args: readonly string[]): Promise<Program> {
  const { child, pid } = await startJvm({
    jars: await buildSpring(),
    mainClass: 'milena.interop.Main',
    args: [
      `--role=${role}`,
      `--brokers=${options.brokers.join(',')}`,
      `--group=${options.groupId}`,
      `--prefix=${options.prefix ?? ''}`,
      `--producer=${settingsText(options.producer)}`,
      `--consumer=${settingsText(options.consumer)}`,
      ...args,
    ],
    jvmOptions: options.jvmOptions ?? testJvmOptions,
    stdin: 'pipe',
    output: 'pipe',
  })
  const program = new Program(`the Spring ${role}`, child, pid)
  try {
    await program.next('ready')
  } catch (error) {
    await program.close()
    throw error
  }
  return program
}

function settingsText(settings: Readonly<Record<string, string>> = {}): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(',')
}

/** With a Maven repository of its own: the shared one is not safe for two writers. */
async function runMaven(mvn: string, staging: string): Promise<void> {
  const repository = join(staging, 'repository')
  const goals = ['compiler:compile', 'jar:jar', 'dependency:copy-dependencies']
  const args = ['-B', '-q', '-f', join(staging, 'pom.xml'), `-Dmaven.repo.local=${repository}`, ...goals]
  const child = spawn(mvn, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [output, problems] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await ended) !== 0) throw buildFailure(output + problems)
  await rm(repository, { recursive: true, force: true })
}

/** Wrong Java is a defect of ours; everything else (no JDK, no network) is for whoever runs it to put right. */
function buildFailure(output: string): Error {
  const lines = output.split('\n').filter((each) => each.includes('ERROR'))
  const reasons = lines.map((line) => line.replace(/^.*ERROR\S*\s*/, '')).filter((line) => /\w/.test(line))
  const said = `Maven could not build the Spring program: ${reasons.slice(0, 2).join('; ') || 'no reason given'}`
  if (/\.java:\[\d+/.test(output)) return new Error(said)
  return new SetupError(`${said} (it needs a JDK, 17 or newer, and on first use a network)`)
}
