import { parseArgs } from 'node:util'
import { startKafka } from './cluster.ts'
import type { KafkaCluster, KafkaOptions } from './cluster.ts'
import { defaultJvmOptions } from './jvm.ts'
import { kafkaVersion } from './release.ts'
import { SetupError } from './setup-error.ts'

const usage = `npm run kafka -- [--kafka VERSION] [--brokers 3] [--port 19092] [--dir DIR] [--keep] [--config NAME=VALUE]... [--jvm OPTION]...

Starts Apache Kafka (KRaft, combined nodes) on 127.0.0.1 and prints one line, "ready host:port,...",
when it can be used. Ctrl-C stops it.

  --kafka VERSION      the release, 3.0.0 or newer (default KAFKA_VERSION, else ${kafkaVersion})
  --brokers N          number of brokers (default 3)
  --port PORT          port of the first broker, the others follow (default 19092; 0: any free ports)
  --dir DIR            where settings, logs and data go (default: a new temporary folder)
  --keep               leave settings, logs and data behind; the same --dir later goes on with them
  --config NAME=VALUE  a broker setting, as in server.properties; can be repeated
  --jvm=OPTION         an option of the Java machine instead of ours, which are for a small machine
                       (${defaultJvmOptions.join(' ')}); can be repeated
`

function readOptions(): KafkaOptions {
  const { values } = parseArgs({
    options: {
      kafka: { type: 'string' },
      brokers: { type: 'string', default: '3' },
      port: { type: 'string', default: '19092' },
      dir: { type: 'string' },
      keep: { type: 'boolean', default: false },
      config: { type: 'string', multiple: true, default: [] },
      jvm: { type: 'string', multiple: true },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    process.exit(0)
  }
  const configs = values.config.map((text) => {
    const at = text.indexOf('=')
    if (at < 1) throw new SetupError(`--config ${text}: write it as NAME=VALUE`)
    return [text.slice(0, at), text.slice(at + 1)] as const
  })
  return {
    brokers: wholeNumber('--brokers', values.brokers),
    port: wholeNumber('--port', values.port),
    keep: values.keep,
    configs: Object.fromEntries(configs),
    ...(values.kafka === undefined ? {} : { version: values.kafka }),
    ...(values.dir === undefined ? {} : { dir: values.dir }),
    ...(values.jvm === undefined ? {} : { jvmOptions: values.jvm }),
  }
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new SetupError(`${name} ${text}: a whole number is wanted`)
  return Number(text)
}

/** Tells of a node that ended by itself or was killed; the others go on, that is what a cluster is for. */
async function watch(cluster: KafkaCluster, stopping: AbortSignal): Promise<void> {
  await Promise.all(
    cluster.nodes.map(async (node) => {
      await node.ended
      if (!stopping.aborted) process.stderr.write(`broker ${node.id} (${node.address}): ${node.lastExit}\n`)
    }),
  )
}

async function main(): Promise<void> {
  const options = readOptions()
  const stopping = new AbortController()
  const asked = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        stopping.abort()
        resolve()
      })
    }
  })
  const starting = startKafka(options)
  // Stopped while it starts: there is nothing to wait for. The JVMs end, and their folders go, with this process.
  const cluster = await Promise.race([starting, asked])
  if (!cluster) process.exit(0)
  process.stdout.write(`ready ${cluster.brokers.join(',')}\n`)
  const allDead = watch(cluster, stopping.signal)
  await Promise.race([asked, allDead])
  await cluster.close()
  if (!stopping.signal.aborted) throw new Error('every broker has ended')
  process.exit(0)
}

main().catch((error: NodeJS.ErrnoException) => {
  const wrongUse = error instanceof SetupError || error.code?.startsWith('ERR_PARSE_ARGS')
  const unknown = error.code?.startsWith('ERR_PARSE_ARGS')
  const message = unknown ? `${error.message.split('. ')[0]}; --help lists the options` : error.message
  process.stderr.write(`kafka: ${message}\n`)
  process.exit(wrongUse ? 2 : 1)
})
