import { text } from 'node:stream/consumers'
import { fetchKafkaJars } from './jars.ts'
import { startJvm } from './jvm.ts'
import { kafkaVersion } from './release.ts'

/** The Java program behind each script of Kafka's bin folder, as of Apache Kafka 4.4. */
const programs = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'org.apache.kafka.tools.ConfigCommand',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-acls': 'org.apache.kafka.tools.AclCommand',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
} as const

export type KafkaTool = keyof typeof programs

export interface KafkaToolOptions {
  /** What the tool reads from standard input. Default nothing. */
  input?: string | Buffer
  /** Milliseconds after which the tool is killed and the call rejects. Default 180 000. */
  timeout?: number
}

export interface KafkaToolResult {
  status: number | null
  /** Standard output, and the tool's log if it has something to say. */
  stdout: string
  stderr: string
}

/**
 * Runs one of Apache Kafka's own command-line tools, as its script in a Kafka installation would:
 * `runKafkaTool('kafka-topics', ['--bootstrap-server', 'host:port', '--list'])`.
 *
 * Resolves with its status and output, also when the status is not 0. The tool ends with this process.
 * Throws a SetupError when Java or Maven is missing, and an Error when the tool takes too long.
 */
export async function runKafkaTool(
  name: KafkaTool,
  args: readonly string[],
  options: KafkaToolOptions = {},
): Promise<KafkaToolResult> {
  // Of our own release, whatever the brokers are.
  const { jars } = await fetchKafkaJars(kafkaVersion)
  const { child, pid } = await startJvm({
    jars,
    mainClass: programs[name],
    args,
    jvmOptions: ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
    stdin: 'pipe',
    output: 'pipe',
  })
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve))
  const { timeout = 180_000 } = options
  let late = false
  const timer = setTimeout(() => {
    late = true
    process.kill(pid, 'SIGKILL')
  }, timeout)
  child.stdin?.on('error', () => {}) // the tool may end without having read everything
  child.stdin?.end(options.input ?? '')
  const [stdout, stderr, status] = await Promise.all([readAll(child.stdout), readAll(child.stderr), closed])
  clearTimeout(timer)
  if (late) throw new Error(`${name} did not end within ${timeout} ms; it wrote: ${stdout}${stderr}`)
  return { status, stdout, stderr }
}

async function readAll(stream: NodeJS.ReadableStream | null): Promise<string> {
  return stream === null ? '' : text(stream)
}
