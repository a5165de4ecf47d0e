/**
 * Which version of each API to speak with a broker: the newest that both the broker (ApiVersions, KIP-35) and the
 * client's low-level exports have. Apache Kafka 2.8 is the oldest broker for which every API here has a version.
 */
import { apiVersionsV0, apiVersionsV3, type Connection } from '@platformatic/kafka'
import { TransportError } from '../../../errors.ts'
import { codesOf } from './kafka-errors.ts'

const UNSUPPORTED_VERSION = 35

/** What a broker offers: by API key, the lowest and highest version. */
export type OfferedVersions = ReadonlyMap<number, { readonly min: number; readonly max: number }>

/** An API as the client exports it, in the versions that we can speak. */
export interface ApiVersionTable<Api> {
  readonly name: string
  readonly key: number
  /** By version number. */
  readonly versions: Readonly<Record<number, Api>>
}

/** The newest version that both sides have. Throws `MILENA_BROKER_ERROR` when there is none. */
export function newestVersion<Api>(
  table: ApiVersionTable<Api>,
  offered: OfferedVersions,
): { readonly version: number; readonly api: Api } {
  const range = offered.get(table.key)
  const known = Object.keys(table.versions)
    .map(Number)
    .toSorted((a, b) => b - a)
  const version = known.find((one) => range !== undefined && one >= range.min && one <= range.max)
  if (version === undefined) {
    const offer = range === undefined ? 'does not offer it' : `offers ${range.min} to ${range.max}`
    throw new TransportError(
      'MILENA_BROKER_ERROR',
      `${table.name}: this client speaks versions ${known.at(-1)} to ${known[0]}, the broker ${offer}`,
    )
  }
  return { version, api: table.versions[version]! }
}

/** Asks a broker what it offers. */
export async function askVersions(connection: Connection): Promise<OfferedVersions> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, 'milena', '0.1.0').catch((error: unknown) => {
    if (!codesOf(error).includes(UNSUPPORTED_VERSION)) throw error
    return apiVersionsV0.api.async(connection, '', '')
  })
  return new Map(apiKeys.map((one) => [one.apiKey, { min: one.minVersion, max: one.maxVersion }]))
}
