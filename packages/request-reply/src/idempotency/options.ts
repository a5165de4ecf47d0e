import { longestTimeout } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { problemsOfParts, unknownOptions } from '../given.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import type { RawRequest } from '../replier/raw-request.ts'
import { said, saidWord } from '../words.ts'
import { idempotencyScope } from './key.ts'
import type { IdempotencyStore } from './store.ts'

export interface IdempotencyOptions<Added extends object = object> {
  /** Shared by all repliers that could be given the same request: `memoryIdempotencyStore()` within one process. */
  readonly store: IdempotencyStore<Added>
  /** What the keys are kept under; default `<groupId>/<operation>`. Operations under one scope share their keys. */
  readonly scope?: (groupId: string, operation: string) => string
  /**
   * The request's key, of up to 600 bytes; `undefined`: it has none, and is handled as if this middleware were not there.
   * Default: its header `milena-idempotency-key`, else its correlation id; a one-way request may have neither.
   */
  readonly key?: (request: RawRequest) => string | undefined
  /** Milliseconds for which an outcome is kept; default 24 h. */
  readonly ttl?: number
  /** Milliseconds after which the claim of a process that is not heard of any more ends; default 30 000. Renewed while the handler runs. */
  readonly lease?: number
  /**
   * What becomes of a request whose key somebody is at work on: it waits in its key's lane, without a slot, until that has
   * ended or its own deadline is over; or it is refused with `MILENA_IN_PROGRESS` at once. Default `wait`. One that nobody
   * is answered for always waits: refused it would be lost.
   */
  readonly whileRunning?: 'wait' | 'refuse'
  /** For simulations; default: the system's. */
  readonly random?: RandomBytes
}

export interface IdempotencySettings {
  readonly store: IdempotencyStore
  readonly scope: (groupId: string, operation: string) => string
  readonly key: ((request: RawRequest) => string | undefined) | undefined
  readonly ttl: number
  readonly lease: number
  readonly refuses: boolean
  /** Names this process. */
  readonly owner: string
}

const known: ReadonlySet<string> = new Set<keyof IdempotencyOptions>([
  'store',
  'scope',
  'key',
  'ttl',
  'lease',
  'whileRunning',
  'random',
])

const needed: readonly (keyof IdempotencyStore)[] = ['claim', 'renew', 'complete', 'release', 'find']

/** @throws OptionsError that lists every problem. */
export function readIdempotencyOptions<Added extends object>(
  options: IdempotencyOptions<Added>,
): IdempotencySettings {
  const problems = [...unknownOptions('idempotency', options, known), ...problemsOfParts(options)]
  const { store, scope = idempotencyScope, key, whileRunning = 'wait', random = systemRandom } = options
  const { ttl = 24 * 60 * 60 * 1000, lease = 30_000 } = options
  if (needed.some((method) => typeof store?.[method] !== 'function'))
    problems.push(`store must be an idempotency store, such as memoryIdempotencyStore()`)
  if (typeof scope !== 'function') problems.push('scope must be a function')
  if (key !== undefined && typeof key !== 'function') problems.push('key must be a function')
  if (!Number.isSafeInteger(ttl) || ttl < 1)
    problems.push(`ttl must be a whole number from 1 on, not ${said(ttl)}`)
  if (!Number.isSafeInteger(lease) || lease < 100 || lease > longestTimeout)
    problems.push(`lease must be a whole number from 100 to ${longestTimeout}, not ${said(lease)}`)
  if (whileRunning !== 'wait' && whileRunning !== 'refuse')
    problems.push(`whileRunning must be 'wait' or 'refuse', not ${saidWord(whileRunning)}`)
  if (problems.length > 0) throw new OptionsError('idempotency', problems)
  const owner = random(8).toString('hex')
  return {
    store,
    scope,
    key,
    ttl,
    lease,
    refuses: whileRunning === 'refuse',
    owner,
  }
}
