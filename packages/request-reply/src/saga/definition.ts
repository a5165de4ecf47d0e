/**
 * A saga: steps that are done one after the other, each with what undoes it.
 *
 * ```ts
 * const trip = defineSaga({ name: 'trip', input: z.object({ days: z.number() }) })
 *   .step('hotel', bookHotel, { compensate: cancelHotel, timeout: 2_000, retry: { attempts: 3 } })
 *   .step('flight', ({ input, results }) => bookFlight(input, results.hotel), { compensate: cancelFlight })
 * ```
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { OptionsError } from '../errors.ts'
import { problemsOfSaga, problemsOfStep } from './definition-problems.ts'
import type { SagaOptions, StepOptions } from './definition-options.ts'
import type { SagaStatus } from './status.ts'
import type { StepContext, StepWork } from './work.ts'

/** A step, where its types do not matter. */
export interface AnyStep {
  readonly name: string
  readonly action: StepWork<never, unknown, never>
  readonly options: StepOptions<never, never, never, never>
}

/** What `createSagas` needs of a definition. */
export interface AnySaga<Transaction = never> {
  readonly name: string
  readonly input: StandardSchemaV1 | undefined
  readonly deadline: number | undefined
  readonly changed: ((saga: SagaStatus, transaction: Transaction) => void | Promise<void>) | undefined
  readonly steps: readonly AnyStep[]
}

/**
 * A saga's definition; each `step` gives a new one.
 *
 * `Given` is what `sagas.run` is given, `Input` what the steps get. `Transaction` is what the store must offer: `unknown`
 * while no step asks for a transaction.
 */
export interface Saga<Given, Input, Results, Transaction> extends AnySaga<Transaction> {
  /** Never there: ties the definition to its types. */
  readonly types?: { given: (given: Given) => void; input: Input; results: Results }
  /**
   * Adds a step, after those that are there.
   *
   * @param name its own within the saga, stored with it: 1 to 100 bytes, without `:`
   * @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem
   */
  step<Name extends string, Result, Needed = unknown, NeededToUndo = unknown>(
    name: Name,
    action: StepWork<StepContext<Input, Results>, Result, Needed>,
    options?: StepOptions<Input, Results, Result, NeededToUndo>,
  ): Saga<Given, Input, Results & Readonly<Record<Name, Result>>, Transaction & Needed & NeededToUndo>
}

type GivenOf<Schema> = Schema extends StandardSchemaV1<infer Given, unknown> ? Given : unknown
type InputOf<Schema> = Schema extends StandardSchemaV1<unknown, infer Input> ? Input : unknown

/**
 * Begins a saga's definition.
 *
 * @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem
 */
export function defineSaga<Schema extends StandardSchemaV1 | undefined = undefined, Transaction = unknown>(
  options: SagaOptions<Schema, Transaction>,
): Saga<GivenOf<Schema>, InputOf<Schema>, object, Transaction> {
  const problems = problemsOfSaga(options)
  if (problems.length > 0) throw new OptionsError('a saga', problems)
  const { name, input, deadline, changed } = options
  return new Definition({ name, input, deadline, changed, steps: [] }) as never
}

class Definition implements AnySaga {
  readonly name: string
  readonly input: StandardSchemaV1 | undefined
  readonly deadline: number | undefined
  readonly changed: AnySaga['changed']
  readonly steps: readonly AnyStep[]

  constructor({ name, input, deadline, changed, steps }: AnySaga) {
    this.name = name
    this.input = input
    this.deadline = deadline
    this.changed = changed
    this.steps = steps
  }

  step(name: string, action: AnyStep['action'], options: AnyStep['options'] = {}): Definition {
    const taken = this.steps.map((step) => step.name)
    const problems = problemsOfStep(name, action, options, taken)
    if (problems.length > 0) throw new OptionsError(`saga ${this.name}, step ${name}`, problems)
    return new Definition({
      name: this.name,
      input: this.input,
      deadline: this.deadline,
      changed: this.changed,
      steps: [...this.steps, { name, action, options }],
    })
  }
}
