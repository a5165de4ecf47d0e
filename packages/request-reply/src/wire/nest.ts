/**
 * The `nest` profile: what NestJS's Kafka transport (`ClientKafka`, `@MessagePattern`) writes and reads.
 *
 * `kafka_correlationId` text · `kafka_replyTopic` UTF-8 · `kafka_replyPartition` decimal digits: the names of Spring's, with
 * text for bytes. A reply that is the last one has `kafka_nest-is-disposed`, one byte 0; an error has `kafka_nest-err`, text
 * or a JSON object, and no value. Source: @nestjs/microservices 12, KafkaHeaders, ClientKafka, ServerKafka, KafkaParser,
 * KafkaResponseDeserializer, BaseRpcExceptionFilter.
 */
import { textCorrelation } from './correlation-form.ts'
import { lastHeader, type RawHeader } from './headers.ts'
import { cutError, headerBounds, type WireError } from './milena.ts'
import { decimalPartition } from './partition-form.ts'
import type { WireProfile } from './profile.ts'
import { threeHeaders } from './three-headers.ts'

const errorName = Buffer.from('kafka_nest-err')
const disposedName = Buffer.from('kafka_nest-is-disposed')

const disposed: RawHeader = [disposedName, Buffer.alloc(1)]
/** The most bytes of an error that are parsed; a longer one is its own message, cut. */
const longestParsed = 65_536
/** The code of an error that names none. */
const unnamed = 'NEST_ERROR'
const objectBegins = 0x7b

export const nestProfile: WireProfile = {
  name: 'nest',
  ...threeHeaders({
    correlation: 'kafka_correlationId',
    correlationForm: textCorrelation,
    topic: 'kafka_replyTopic',
    partition: 'kafka_replyPartition',
    partitionForm: decimalPartition,
  }),

  replyHeaders: [disposed],

  /** As Nest's own filter has an RpcException: an object with `status` and `message`; the code is ours. */
  errorHeaders({ code, message }) {
    const bounded = { code: code.slice(0, headerBounds.errorCode), message: cutError(message).toString() }
    return [[errorName, Buffer.from(JSON.stringify({ status: 'error', ...bounded }))]]
  },

  readError(headers): WireError | undefined {
    const error = lastHeader(headers, errorName)
    return error === undefined ? undefined : readNestError(error)
  },

  endsReplies: (headers) => lastHeader(headers, disposedName) !== undefined,
}

/** Whatever stands there, it is an error. */
function readNestError(error: Buffer | null): WireError {
  if (error === null) return { code: unnamed, message: '' }
  const said = error[0] === objectBegins && error.length <= longestParsed ? parse(error) : undefined
  if (said === undefined) return { code: unnamed, message: cutError(error).toString() }
  const { code, message } = said
  const named = typeof code === 'string' || typeof code === 'number' ? String(code) : ''
  return {
    code: named === '' ? unnamed : named.slice(0, headerBounds.errorCode),
    message: cutError(typeof message === 'string' ? message : error).toString(),
  }
}

function parse(error: Buffer): { readonly code?: unknown; readonly message?: unknown } | undefined {
  try {
    return JSON.parse(error.toString()) as object
  } catch {
    return undefined // then it is text
  }
}
