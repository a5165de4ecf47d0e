/** What can be set about the connection to Apache Kafka, checked once. */
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { OptionsError } from '../../errors.ts'
import { unknownOptions } from '../../given.ts'
import { classOf, said, saidWord } from '../../words.ts'

/** How records are compressed on the wire and in the log. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** A SASL mechanism that Apache Kafka's brokers speak. */
export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'

/**
 * Who we are for the brokers. Secrets may be given as functions, asked at each connection; one that throws, or says
 * nothing for `connectTimeout`, is asked again at the next. A login is renewed before the broker's session ends (KIP-368).
 */
export interface SaslOptions {
  readonly mechanism: SaslMechanism
  /** For PLAIN and SCRAM. */
  readonly username?: string | (() => string | Promise<string>) | undefined
  /** For PLAIN and SCRAM. */
  readonly password?: string | (() => string | Promise<string>) | undefined
  /**
   * For OAUTHBEARER. What a function gives is used for all connections, until four fifths of the time to its `exp` are
   * over or a broker refuses it. A refused token is final (`MILENA_AUTHENTICATION_FAILED`) unless it had ended already
   * and a function may give another.
   */
  readonly token?: string | (() => string | Promise<string>) | undefined
}

export interface KafkaOptions {
  /** Where to begin: `host:port` of one or more brokers; the others are learnt from them. Port 9092 if left out. */
  readonly brokers: readonly string[]
  /** Names this client in the brokers' logs and quotas; default `milena`. */
  readonly clientId?: string | undefined
  /**
   * TLS: `true` for the system's certificate authorities, or Node's TLS options (`ca`, `cert`, `key`, …), read once;
   * default none. Brokers with a host name are told it (SNI, RFC 6066), unless `servername` is given.
   */
  readonly tls?: boolean | TlsOptions | undefined
  /** SASL authentication; default none. */
  readonly sasl?: SaslOptions | undefined
  /** Compression of what is sent; default `none`. */
  readonly compression?: Compression | undefined
  /**
   * Milliseconds that a record may wait for company before it is sent; default 0. Whatever else is for the same broker
   * goes along. Without it records already travel together: everything that gathers while a request is on its way
   * goes with the next.
   */
  readonly linger?: number | undefined
  /** Most bytes of one partition's records in one batch, before compression; default 900 000 (brokers take 1 048 588 unless told otherwise). */
  readonly batchSize?: number | undefined
  /** Milliseconds within which a record must be acknowledged, retries included; default 30 000. */
  readonly deliveryTimeout?: number | undefined
  /**
   * Milliseconds for which a broker that owes an answer may be silent; default 5 000. An answer that is arriving, or a
   * request that is going out, may take longer. Also how long a broker may wait for a record's replicas.
   */
  readonly requestTimeout?: number | undefined
  /** Milliseconds within which a connection must stand, authentication included; default 2 000. */
  readonly connectTimeout?: number | undefined
  /** Milliseconds after which the layout of the cluster is asked for again although nothing failed; default 30 000. */
  readonly metadataMaxAge?: number | undefined
  /**
   * Most bytes that a batch of records, or all batches of one fetch together, may become in memory: the records
   * unpacked, and 400 bytes for each, 300 for each of their headers; default 67 108 864 (64 MiB). A batch beyond that,
   * such as a few kilobytes that would unpack to gigabytes, is passed over and told.
   */
  readonly maxBatchMemory?: number | undefined
}

/** `KafkaOptions` with every default filled in. */
export interface ResolvedKafkaOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly tls: TlsOptions | undefined
  readonly sasl: SaslOptions | undefined
  readonly compression: Compression
  readonly linger: number
  readonly batchSize: number
  readonly deliveryTimeout: number
  readonly requestTimeout: number
  readonly connectTimeout: number
  readonly metadataMaxAge: number
  readonly maxBatchMemory: number
}

const known: ReadonlySet<string> = new Set([
  'brokers',
  'clientId',
  'tls',
  'sasl',
  'compression',
  'linger',
  'batchSize',
  'deliveryTimeout',
  'requestTimeout',
  'connectTimeout',
  'metadataMaxAge',
  'maxBatchMemory',
])
const knownOfSasl: ReadonlySet<string> = new Set<keyof SaslOptions>([
  'mechanism',
  'username',
  'password',
  'token',
])
const compressions: readonly unknown[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const mechanisms: readonly string[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']

/** Checks the options and fills in the defaults. Throws an `OptionsError` that lists every problem. */
export function resolveKafkaOptions(options: KafkaOptions): ResolvedKafkaOptions {
  const problems = unknownOptions('Kafka options', options, known)
  checkBrokers(options.brokers, problems)
  if (options.clientId !== undefined && (typeof options.clientId !== 'string' || options.clientId === '')) {
    problems.push('clientId must be a text that is not empty')
  }
  if (options.tls !== undefined && typeof options.tls !== 'boolean' && !isObject(options.tls)) {
    problems.push('tls must be true, false or an object of TLS options')
  }
  checkSasl(options.sasl, problems)
  const compression = options.compression ?? 'none'
  if (!compressions.includes(compression)) {
    problems.push(`compression must be one of ${compressions.join(', ')}, not ${saidWord(compression)}`)
  }
  const whole = (name: keyof KafkaOptions, fallback: number, min: number, max = 2 ** 31 - 1): number => {
    const value = options[name] ?? fallback
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    problems.push(`${name} must be a whole number from ${min} to ${max}, not ${said(value)}`)
    return fallback
  }
  const resolved: ResolvedKafkaOptions = {
    brokers: options.brokers,
    clientId: options.clientId ?? 'milena',
    tls: options.tls === true ? {} : options.tls === false ? undefined : options.tls,
    sasl: options.sasl,
    compression,
    linger: whole('linger', 0, 0, 60_000),
    batchSize: whole('batchSize', 900_000, 1),
    deliveryTimeout: whole('deliveryTimeout', 30_000, 1),
    requestTimeout: whole('requestTimeout', 5_000, 100),
    connectTimeout: whole('connectTimeout', 2_000, 50),
    metadataMaxAge: whole('metadataMaxAge', 30_000, 100),
    maxBatchMemory: whole('maxBatchMemory', 64 * 1024 * 1024, 65_536),
  }
  if (resolved.linger > 0 && resolved.linger >= resolved.deliveryTimeout) {
    problems.push(
      `linger (${resolved.linger} ms) must be shorter than deliveryTimeout (${resolved.deliveryTimeout} ms)`,
    )
  }
  if (problems.length > 0) throw new OptionsError('Kafka options', problems)
  return resolved
}

function checkBrokers(brokers: unknown, problems: string[]): void {
  if (!Array.isArray(brokers) || brokers.length === 0) {
    problems.push('brokers must be a list with at least one host:port')
    return
  }
  for (const broker of brokers) {
    if (parseAddress(broker) === undefined) problems.push(`brokers: ${saidWord(broker)} is not host:port`)
  }
}

/** `host`, `host:port` or `[IPv6]:port` taken apart; `undefined` when it is none of them. */
export function parseAddress(text: unknown): { readonly host: string; readonly port: number } | undefined {
  const match = typeof text === 'string' ? /^(?:\[([^\]\s]+)\]|([^:\s/]+))(?::(\d{1,5}))?$/.exec(text) : null
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3] ?? 9092)
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}

function checkSasl(sasl: SaslOptions | undefined, problems: string[]): void {
  if (sasl === undefined) return
  if (!isObject(sasl) || !mechanisms.includes(sasl.mechanism)) {
    const given = isObject(sasl) ? `not ${saidWord(sasl.mechanism)}` : `but sasl is ${classOf(sasl)}`
    problems.push(`sasl.mechanism must be one of ${mechanisms.join(', ')}, ${given}`)
    return
  }
  problems.push(...unknownOptions('sasl', sasl, knownOfSasl).map((problem) => `sasl: ${problem}`))
  const needed = sasl.mechanism === 'OAUTHBEARER' ? (['token'] as const) : (['username', 'password'] as const)
  for (const name of needed) {
    const value = sasl[name]
    if (typeof value !== 'function' && (typeof value !== 'string' || value === '')) {
      problems.push(`sasl.${name} is needed for ${sasl.mechanism}`)
    }
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
