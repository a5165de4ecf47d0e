/**
 * Which version of each API to speak with a broker: the newest that both sides have (ApiVersions, KIP-35). Asked on
 * each connection anew: a broker may come back as another version of itself. Apache Kafka 3.0 is the oldest broker for
 * which every API here has a version.
 */
import { TransportError } from '../../../errors.ts'
import type { Api } from '../protocol/api.ts'
import { apiVersions, type ApiVersionsAnswer } from '../protocol/api-versions.ts'
import type { NewConnection } from './connection.ts'
import { errorName, kafka } from '../protocol/error-codes.ts'
import { NetworkFailure } from './verdicts.ts'

/** What a broker offers: by API key, the lowest and highest version. */
export type OfferedVersions = ReadonlyMap<number, { readonly min: number; readonly max: number }>

/** How we call ourselves in the broker's metrics (KIP-511). */
export const software = { software: 'milena', softwareVersion: '0.1.0' } as const

/** The newest version of an API that both sides have. Throws `MILENA_BROKER_ERROR`, with both ranges, when there is none. */
export function commonVersion(
  { name, key, versions: { oldest, newest } }: Api<never, unknown>,
  offered: OfferedVersions,
  address: string,
): number {
  const range = offered.get(key)
  const version = Math.min(newest, range?.max ?? -1)
  if (range !== undefined && version >= oldest && version >= range.min) return version
  const offer = range === undefined ? 'does not offer it' : `offers ${range.min} to ${range.max}`
  throw new TransportError(
    'MILENA_BROKER_ERROR',
    `${name}: this client speaks versions ${oldest} to ${newest}, broker ${address} ${offer}`,
  )
}

/** Asks a broker what it offers: in the newest form, and in the oldest when it does not know that. */
export async function askVersions(connection: NewConnection): Promise<OfferedVersions> {
  let answer: ApiVersionsAnswer = await connection.exchange(
    apiVersions,
    apiVersions.versions.newest,
    software,
  )
  if (answer.errorCode === kafka.unsupportedVersion)
    answer = await connection.exchange(apiVersions, 0, software)
  if (answer.errorCode !== 0) {
    throw new NetworkFailure(`the broker does not say what it speaks: ${errorName(answer.errorCode)}`)
  }
  return new Map(answer.ranges.map((one) => [one.key, { min: one.oldest, max: one.newest }]))
}
