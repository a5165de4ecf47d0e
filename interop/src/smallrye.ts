/**
 * SmallRye Reactive Messaging 4.36 over Apache Kafka as processes (`interop/smallrye`, in Weld and without Quarkus): an
 * application's `KafkaRequestReply`, and a processor that answers. Keys and values are strings.
 */
import { fileURLToPath } from 'node:url'
import { defaultJvmOptions, startJvm } from '../../tools/kafka/jvm.ts'
import { buildWithMaven } from './maven.ts'
import { Program } from './program.ts'
import { requesterOf, type OtherRequester } from './requester.ts'

const sources = fileURLToPath(new URL('../smallrye', import.meta.url))

interface SmallRyeOptions {
  /** `host:port` of each. */
  readonly brokers: readonly string[]
  /** What stands before the request's text in a reply. Default nothing: an echo. */
  readonly prefix?: string
}

export interface SmallRyeReplierOptions extends SmallRyeOptions {
  readonly groupId: string
  /** Request topics; they must exist. */
  readonly topics: readonly string[]
}

export interface SmallRyeRequesterOptions extends SmallRyeOptions {
  /** The request topic; the topic of an order is passed over: a channel has one. */
  readonly topic: string
  readonly replyTopic: string
  /** A fixed partition of the reply topic for this instance. Default none: it reads all of them, in a group of its own. */
  readonly replyPartition?: number
  /** Milliseconds to wait for a reply. Default 30 000. */
  readonly timeout?: number
}

/** Builds the SmallRye program on first use. Throws a SetupError when Java or Maven is missing, or the build fails. */
export async function buildSmallRye(): Promise<string> {
  return buildWithMaven('smallrye', 'SmallRye', sources)
}

/** Starts a replier; resolves when it runs. Throws as `buildSmallRye` does. */
export async function startSmallRyeReplier(options: SmallRyeReplierOptions): Promise<Program> {
  return start('replier', options, [`--topics=${options.topics.join(',')}`, `--group=${options.groupId}`])
}

/** Starts a requester; resolves when partitions of the reply topic are assigned to it. Throws as `buildSmallRye` does. */
export async function startSmallRyeRequester(options: SmallRyeRequesterOptions): Promise<OtherRequester> {
  const { topic, replyTopic, replyPartition = -1, timeout = 30_000 } = options
  const program = await start('requester', options, [
    `--topic=${topic}`,
    `--reply-topic=${replyTopic}`,
    `--reply-partition=${replyPartition}`,
    `--timeout=${timeout}`,
  ])
  return requesterOf(program, timeout)
}

async function start(role: string, options: SmallRyeOptions, args: readonly string[]): Promise<Program> {
  const { child, pid } = await startJvm({
    jars: await buildSmallRye(),
    mainClass: 'milena.interop.Main',
    args: [
      `--role=${role}`,
      `--brokers=${options.brokers.join(',')}`,
      `--prefix=${options.prefix ?? ''}`,
      ...args,
    ],
    jvmOptions: defaultJvmOptions,
    stdin: 'pipe',
    output: 'pipe',
  })
  const program = new Program(`the SmallRye ${role}`, child, pid)
  try {
    await program.next('ready')
  } catch (error) {
    await program.close()
    throw error
  }
  return program
}
