/** Transports, routings and schemas that do not answer. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Transport } from '../src/transport/transport.ts'
import { altered } from './requesting.ts'

export const hung = (transport: Transport): Transport =>
  altered(transport, {
    describeTopics: (names) =>
      names?.includes('requests') ? new Promise(() => {}) : transport.describeTopics(names),
  })

/** A schema that decides when it is told to. */
export function slowSchema(): { schema: StandardSchemaV1<string, string>; decide: (() => void)[] } {
  const decide: (() => void)[] = []
  const validate = (value: unknown): Promise<StandardSchemaV1.Result<string>> =>
    new Promise((resolve) => decide.push(() => resolve({ value: String(value) })))
  return { schema: { '~standard': { version: 1, vendor: 'test', validate } }, decide }
}
