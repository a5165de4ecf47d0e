/**
 * What a role needs of a broker, looked at when it opens: a broker that is too old would else be found out only by the
 * first request that it cannot answer, long after whoever opened has been told that all is well.
 */
import { TransportError } from '../../../errors.ts'
import { wordsOf } from '../../../words.ts'
import type { Api } from '../protocol/api.ts'
import type { BrokerConnection } from '../connection/connection.ts'
import { addressOf } from '../connection/connections.ts'

/** An API, whatever it asks and answers. Each in its oldest version that we speak is in Apache Kafka 3.0. */
export type NeededApi = Api<never, unknown>

/**
 * Throws `MILENA_BROKER_ERROR`, which names each API that the broker does not offer in a version of ours.
 *
 * @param what what is being opened, such as `join group g`
 */
export function requireApis(
  what: string,
  connection: Pick<BrokerConnection, 'broker' | 'version'>,
  needs: readonly NeededApi[],
): void {
  const problems = needs.flatMap((api) => problemWith(connection, api) ?? [])
  if (problems.length === 0) return
  throw new TransportError(
    'MILENA_BROKER_ERROR',
    `${what}: broker ${addressOf(connection.broker)} cannot do what that needs: ${problems.join('; ')}. ` +
      'Apache Kafka 3.0 or newer is needed',
    { retryable: false },
  )
}

function problemWith(connection: Pick<BrokerConnection, 'version'>, api: NeededApi): string | undefined {
  try {
    connection.version(api)
    return undefined
  } catch (error) {
    return wordsOf(error)
  }
}
