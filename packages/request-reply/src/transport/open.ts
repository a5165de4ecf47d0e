import { OptionsError } from '../errors.ts'
import { openKafka } from './kafka/open-kafka.ts'
import type { KafkaOptions } from './kafka/options.ts'
import type { Transport } from './transport.ts'

/** What is said when a `TransportSource` has none of the two, or both. */
export const eitherSource = 'give either kafka: { brokers } or an open transport'

/** Where a requester or replier gets its transport from: exactly one of the two. */
export interface TransportSource {
  /** Connects to these brokers; the connection is closed together with its owner. */
  readonly kafka?: KafkaOptions
  /** A transport that is open already, such as one shared by a requester and a replier; it is left open. */
  readonly transport?: Transport
}

export interface OpenedTransport {
  readonly transport: Transport
  /** Whether whoever opened it must close it. */
  readonly owned: boolean
}

/**
 * @throws OptionsError when none or both are given; TransportError as `openKafka` does.
 */
export async function openTransport(owner: string, source: TransportSource): Promise<OpenedTransport> {
  const { kafka, transport } = source
  if ((kafka === undefined) === (transport === undefined)) {
    throw new OptionsError(owner, [eitherSource])
  }
  if (transport !== undefined) return { transport, owned: false }
  return { transport: await openKafka(kafka!), owned: true }
}
