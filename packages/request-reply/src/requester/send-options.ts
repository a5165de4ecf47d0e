import type { AnyOperation } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { tryOrRefuse } from './read-options.ts'
import type { RequestOptions } from './reply.ts'

/**
 * What `send` can be given: of `RequestOptions` what is not about the reply. An abort takes back what is not on the wire yet.
 * After its `deadline` it need not be begun any more; by default it is handled however late.
 */
export type SendOptions = Pick<
  RequestOptions,
  'signal' | 'deadline' | 'headers' | 'key' | 'idempotencyKey' | 'partition'
>

const known: ReadonlySet<string> = new Set<keyof SendOptions>([
  'signal',
  'deadline',
  'headers',
  'key',
  'idempotencyKey',
  'partition',
])

/** @throws OptionsError of options that a request without a reply cannot have */
export function refuseSendOptions(operation: AnyOperation, options: object | undefined): void {
  if (typeof options !== 'object' || options === null) return // what is no object is told of where it is read
  const problems = tryOrRefuse(operation, 'options', () =>
    unknownOptions(`operation ${operation.name}`, options, known),
  )
  if (problems.length > 0) throw new OptionsError(`operation ${operation.name}, sent one way`, problems)
}
