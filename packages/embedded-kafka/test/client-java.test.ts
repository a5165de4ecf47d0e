import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fetchKafkaJars } from '../../../tools/kafka/jars.ts'
import { findJava, sharedClasses } from '../../../tools/kafka/jvm.ts'
import { SetupError } from '../../../tools/kafka/setup-error.ts'
import { startEmbeddedKafka } from '../src/index.ts'
import { runCommand } from './support/command.ts'
import type { Ended } from './support/command.ts'

interface JavaTools {
  readonly java: string
  readonly jars: string
}

/** The Java tools of Apache Kafka, or why they cannot be run here. */
async function findTools(): Promise<JavaTools | string> {
  try {
    const java = findJava()
    const { jars } = await fetchKafkaJars()
    return { java, jars }
  } catch (error) {
    if (error instanceof SetupError) return error.message
    throw error
  }
}

const tools = await findTools()
const skip = typeof tools === 'string' ? tools : false

async function run(server: string, tool: string, args: readonly string[], input = ''): Promise<Ended> {
  assert.ok(typeof tools !== 'string')
  // The tools live a second or two: less memory and no optimizing compiler make them start faster.
  const { java, jars } = tools
  const small = ['-Xmx96m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const jvm = [...small, ...sharedClasses(jars), '-cp', `${jars}/*`]
  return await runCommand(java, [...jvm, tool, '--bootstrap-server', server, ...args], input)
}

test('kafka-topics creates, grows, describes and deletes', { skip }, async () => {
  await using broker = await startEmbeddedKafka()
  const topics = (...args: string[]): Promise<Ended> =>
    run(broker.brokers.join(), 'org.apache.kafka.tools.TopicCommand', args)
  const config = ['--config', 'retention.ms=5000']
  assert.match(
    (await topics('--create', '--topic', 't', '--partitions', '2', ...config)).stdout,
    /Created topic t/,
  )
  assert.equal((await topics('--alter', '--topic', 't', '--partitions', '3')).status, 0)
  const described = await topics('--describe', '--topic', 't')
  assert.match(described.stdout, /PartitionCount: 3\tReplicationFactor: 1\tConfigs: retention\.ms=5000/)
  assert.equal((await topics('--delete', '--topic', 't')).status, 0)
  assert.equal(broker.stats().topics, 0)
})

test('the console producer writes in every codec, the console consumer reads it', { skip }, async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t:2'] })
  const server = broker.brokers.join()
  const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
  const sent = codecs.map((codec) => `${codec} ${'again '.repeat(100)}end`)
  const produce = async (codec: string, index: number): Promise<void> => {
    const args = ['--topic', 't', '--compression-codec', codec]
    const produced = await run(server, 'org.apache.kafka.tools.ConsoleProducer', args, `${sent[index]}\n`)
    assert.equal(produced.status, 0, produced.stderr)
  }
  // JVMs take their time to start, so they start together.
  await Promise.all(codecs.map(produce))
  const consumer = 'org.apache.kafka.tools.consumer.ConsoleConsumer'
  const args = ['--topic', 't', '--from-beginning', '--group', 'g', '--max-messages', String(codecs.length)]
  const consumed = await run(server, consumer, args)
  const lines = consumed.stdout.split('\n').filter((line) => line.endsWith(' end'))
  assert.deepEqual(lines.toSorted(), sent.toSorted(), consumed.stderr)
})

test('kafka-configs describes and alters a topic; kafka-get-offsets finds the end', { skip }, async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  const server = broker.brokers.join()
  const configs = (...args: string[]): Promise<Ended> =>
    run(server, 'org.apache.kafka.tools.ConfigCommand', [
      '--entity-type',
      'topics',
      '--entity-name',
      't',
      ...args,
    ])
  const altered = await configs('--alter', '--add-config', 'retention.bytes=1000')
  assert.equal(altered.status, 0, altered.stderr)
  assert.match((await configs('--describe')).stdout, /retention\.bytes=1000 sensitive=false/)
  const produced = await run(server, 'org.apache.kafka.tools.ConsoleProducer', ['--topic', 't'], 'a\nb\nc\n')
  assert.equal(produced.status, 0, produced.stderr)
  const offsets = await run(server, 'org.apache.kafka.tools.GetOffsetShell', ['--topic', 't'])
  assert.equal(offsets.stdout.trim(), 't:0:3')
})
