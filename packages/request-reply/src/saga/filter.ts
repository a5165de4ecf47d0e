import { OptionsError } from '../errors.ts'
import { unknownOptions } from '../given.ts'
import { said } from '../words.ts'
import type { SagaState } from './status.ts'
import type { SagaFilter } from './store.ts'

const known: ReadonlySet<string> = new Set<keyof SagaFilter>([
  'saga',
  'state',
  'stuck',
  'since',
  'limit',
  'after',
])
const states: ReadonlySet<unknown> = new Set<SagaState>([
  'running',
  'completed',
  'compensating',
  'compensated',
])

/** @throws OptionsError that lists every problem */
export function checkFilter(filter: SagaFilter): void {
  const problems = unknownOptions('sagas.list', filter, known)
  const { saga, state, stuck, since, limit, after } = filter
  const unless = (fits: boolean, problem: string): void => void (fits || problems.push(problem))
  unless(saga === undefined || typeof saga === 'string', 'saga must be the name of a definition')
  unless(state === undefined || states.has(state), `state must be one of ${[...states].join(', ')}`)
  unless(stuck === undefined || typeof stuck === 'boolean', 'stuck must be true or false')
  unless(since === undefined || Number.isFinite(since), 'since must be in milliseconds since the Unix epoch')
  unless(
    limit === undefined || (Number.isSafeInteger(limit) && limit >= 1 && limit <= 1_000),
    `limit must be a whole number from 1 to 1000, not ${said(limit)}`,
  )
  unless(
    after === undefined || (typeof after === 'string' && /^\d{1,18}$/.test(after)),
    'after must be the cursor of a page',
  )
  if (problems.length > 0) throw new OptionsError('sagas.list', problems)
}
