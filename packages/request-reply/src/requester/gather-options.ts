/** Reads the options of `requestMany`. */
import type { AnyOperation } from '../contract/operation.ts'
import { classOf, said } from '../words.ts'
import type { GatherPlan } from './gathered.ts'
import { refused, tryOrRefuse } from './read-options.ts'
import type { RequestOptions } from './reply.ts'

const defaultMaxReplies = 1_000

/**
 * Takes our own options apart from those of any request.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export function readManyOptions(
  operation: AnyOperation,
  given: unknown,
): { readonly plan: GatherPlan; readonly rest: RequestOptions } {
  if (typeof given !== 'object' || given === null)
    throw refused(operation, `requestMany needs options with count or until, not ${classOf(given)}`)
  const { count, until, maxReplies, ...rest } = tryOrRefuse<Record<string, unknown>>(
    operation,
    'options',
    () => ({ ...given }),
  )
  if ((count === undefined) === (until === undefined))
    throw refused(operation, 'requestMany needs either count or until: when what has come is enough')
  const most = maxReplies ?? defaultMaxReplies
  if (!isCount(most)) throw refused(operation, `maxReplies must be a whole number from 1, not ${said(most)}`)
  if (count !== undefined && !(isCount(count) && count <= most))
    throw refused(
      operation,
      `count must be a whole number from 1 to ${most} (maxReplies), not ${said(count)}`,
    )
  if (until !== undefined && typeof until !== 'function')
    throw refused(operation, `until must be a function, not ${classOf(until)}`)
  const plan = { count, until: until as GatherPlan['until'], maxReplies: most }
  return { plan, rest }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1
}
