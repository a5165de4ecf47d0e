/** For call sites that still have their requests encoded by the client: goes with the last of them. */
import { Reader as ClientReader, type Connection, type Writer as ClientWriter } from '@platformatic/kafka'
import type { Api } from '../protocol/api.ts'
import { newestVersion, type ApiVersionTable, type OfferedVersions } from './versions.ts'

interface Sending {
  send<Request, Answer>(
    api: Api<Request, Answer>,
    request: Request,
    done: (error: Error | null, answer?: Answer) => void,
  ): void
}

const bridges = new WeakMap<Sending, Connection>()
const picked = new WeakMap<Sending, Map<object, { version: number; api: unknown }>>()

/** What the client's APIs take for a connection of theirs. */
export function bridge(connection: Sending): Connection {
  let made = bridges.get(connection)
  if (made === undefined) {
    const send = (
      key: number,
      version: number,
      payload: () => ClientWriter,
      parse: (correlation: number, key: number, version: number, reader: ClientReader) => unknown,
      flexible: boolean,
      _flexibleAnswer: boolean,
      done: (error: Error | null, answer?: unknown) => void,
    ): void => {
      const api: Api<undefined, unknown> = {
        name: `API ${key}`,
        key,
        versions: { oldest: version, newest: version },
        flexibleFrom: flexible ? 0 : Infinity,
        throttledFrom: Infinity,
        write: (to) => void to.bytes(payload().buffer),
        read(from) {
          try {
            return { answer: parse(0, key, version, ClientReader.from(from.bytes.subarray(from.at))) }
          } catch (error) {
            return { error }
          }
        },
      }
      connection.send(api, undefined, (error, got) => {
        const { answer, error: refused } = (got ?? {}) as { answer?: unknown; error?: Error }
        done(error ?? refused ?? null, answer)
      })
    }
    bridges.set(connection, (made = { send } as unknown as Connection))
  }
  return made
}

export function pickFor<One>(
  connection: Sending,
  table: ApiVersionTable<One>,
  offered: OfferedVersions,
): { readonly version: number; readonly api: One } {
  let known = picked.get(connection)
  if (known === undefined) picked.set(connection, (known = new Map()))
  let found = known.get(table) as { version: number; api: One } | undefined
  if (found === undefined) known.set(table, (found = newestVersion(table, offered)))
  return found
}
