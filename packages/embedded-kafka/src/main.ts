import { parseArgs } from 'node:util'
import { startEmbeddedKafka } from './embedded-kafka.ts'
import type { EmbeddedKafka } from './embedded-kafka.ts'
import type { EmbeddedKafkaOptions } from './options.ts'

const help = `embedded-kafka [options]      (in a checkout of Milena: npm run broker -- [options])

Runs the embedded broker as a process of its own until Ctrl-C, and prints "ready HOST:PORT" once it serves.

  --port N                  where to listen (default 9092); 0 takes any free port
  --host ADDRESS            on which address (default 127.0.0.1)
  --advertised HOST[:PORT]  where clients are told to connect (default: where it listens), for a container or a
                            forwarded port; an IPv6 address in brackets
  --topic NAME[:COUNT]      a topic to begin with, with so many partitions (default 1); may be given again
  --auto-create-topics      make a topic when a client first asks for it, as Kafka's auto.create.topics.enable does
  --verbose                 say on standard error why a connection was closed
  --help`

/** What was asked for cannot be done; the message says what to do instead. */
class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Starts a broker as a process of its own; it ends on Ctrl-C or SIGTERM. */
async function run(): Promise<void> {
  const asked = readArguments()
  if (asked === undefined) {
    console.log(help)
    return
  }
  const stopped = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  const broker = await start(asked)
  console.log(`ready ${broker.brokers.join(',')}`)
  await stopped
  await broker.close()
}

function readArguments(): EmbeddedKafkaOptions | undefined {
  let values
  try {
    values = parseArgs({
      options: {
        port: { type: 'string', default: '9092' },
        host: { type: 'string', default: '127.0.0.1' },
        advertised: { type: 'string' },
        topic: { type: 'string', multiple: true, default: [] },
        'auto-create-topics': { type: 'boolean', default: false },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    const problem = error instanceof Error ? error.message.split('. ')[0] : String(error)
    throw new UsageError(`${problem}; --help lists the options`)
  }
  if (values.help) return undefined
  if (!/^\d{1,5}$/.test(values.port)) {
    throw new UsageError(`--port ${values.port} is no port; give a number from 0 (any free port) to 65535`)
  }
  return {
    host: values.host,
    port: Number(values.port),
    ...(values.advertised === undefined ? {} : readAdvertised(values.advertised)),
    topics: values.topic,
    autoCreateTopics: values['auto-create-topics'],
    warn: (line: string) => console.error(`broker: ${line}`),
    ...(values.verbose ? { report: (line: string) => console.error(line) } : {}),
  }
}

function readAdvertised(text: string): Pick<EmbeddedKafkaOptions, 'advertisedHost' | 'advertisedPort'> {
  const match = /^(?:\[(?<v6>[\da-fA-F:.]+)\]|(?<name>[^\s:[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text)
  const { v6, name, port } = match?.groups ?? {}
  const advertisedHost = v6 ?? name
  if (advertisedHost === undefined || Number(port ?? 1) < 1 || Number(port ?? 1) > 65_535) {
    throw new UsageError(
      `--advertised ${text} is no address; write HOST or HOST:PORT, such as localhost:19092`,
    )
  }
  return { advertisedHost, ...(port === undefined ? {} : { advertisedPort: Number(port) }) }
}

async function start(options: EmbeddedKafkaOptions): Promise<EmbeddedKafka> {
  try {
    return await startEmbeddedKafka(options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const place = `${options.host}:${options.port}`
    if (code === 'EADDRINUSE') {
      throw new UsageError(
        `${place} is taken; stop what listens there, or give another --port (0 takes a free one)`,
      )
    }
    if (code === 'EACCES')
      throw new UsageError(`${place} may not be used by this user; give a --port above 1023`)
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new UsageError(`this machine has no address ${options.host}; give another --host`)
    }
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

try {
  await run()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`broker: ${error.message}`)
  process.exitCode = 2
}
