// oxlint-disable-next-line import/no-unassigned-import -- it says which Node is needed before anything else is loaded
import './require-node.ts'
export { startEmbeddedKafka } from './embedded-kafka.ts'
export type { EmbeddedKafka, EmbeddedKafkaStats } from './embedded-kafka.ts'
export type { EmbeddedKafkaOptions, TopicInput, TopicSpec } from './options.ts'
export type { GroupOptions } from './groups/options.ts'
export { ProtocolError } from './wire/protocol-error.ts'
export { errorCodes } from './wire/error-codes.ts'
export type { ErrorCode } from './wire/error-codes.ts'
