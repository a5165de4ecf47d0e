import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { classOf } from '../words.ts'
import { correlationKey } from '../contract/outcome-query.ts'
import { idempotencyScope } from '../idempotency/key.ts'
import type { Found, IdempotencyId, IdempotencyStore } from '../idempotency/store.ts'
import { isDeadLettered } from '../idempotency/verdict.ts'
import { readIdempotencyKey } from '../wire/milena.ts'
import type { WholeDeadLetter } from './letter.ts'
import type { KnownEffect } from './replay.ts'

export interface EffectInOptions {
  /** As the replier's `idempotency` has them; default: as its defaults. */
  readonly scope?: (groupId: string, operation: string) => string
  readonly key?: (letter: WholeDeadLetter) => string | undefined
}

const known: ReadonlySet<string> = new Set<keyof EffectInOptions>(['scope', 'key'])

/**
 * What an idempotency store knows of a letter's request, for `ReplayOptions.effectOf`: what is stored of it other than its
 * own dead letter is its answer by now, and has taken place. A letter without group, operation or key is not known.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`
 */
export function effectIn(
  store: Pick<IdempotencyStore, 'find'>,
  options: EffectInOptions = {},
): (letter: WholeDeadLetter) => Promise<KnownEffect> {
  const problems = unknownOptions('effectIn', options, known)
  const { scope = idempotencyScope, key = usualKey } = options
  if (typeof Object(store).find !== 'function') problems.push('store must be an idempotency store')
  for (const [name, value] of Object.entries({ scope, key }))
    if (typeof value !== 'function') problems.push(`${name} must be a function, not ${classOf(value)}`)
  if (problems.length > 0) throw new OptionsError('effectIn', problems)
  return async (letter) => {
    const { group, operation } = letter
    const named = key(letter)
    if (group === undefined || operation === undefined || named === undefined) return 'unknown'
    const id: IdempotencyId = { scope: scope(group, operation), key: named }
    return effectOf(await store.find(id))
  }
}

function effectOf(found: Found): KnownEffect {
  if (found.kind === 'running') return 'running'
  if (found.kind !== 'stored') return 'unknown'
  const { outcome } = found
  if (isDeadLettered(outcome)) return outcome.kind === 'error' && outcome.effect === 'done' ? 'done' : 'none'
  // Its answer, which a replay would get again: what it says of its effect counts.
  if (outcome.kind === 'error') return outcome.effect === 'done' ? 'done' : 'unknown'
  return outcome.kind === 'passed over' ? 'unknown' : 'done'
}

function usualKey({ headers, correlationId }: WholeDeadLetter): string | undefined {
  const given = readIdempotencyKey(headers.raw)
  if (given !== undefined) return 'key' in given ? given.key : undefined
  return correlationId && correlationKey(correlationId.toString('hex'))
}
