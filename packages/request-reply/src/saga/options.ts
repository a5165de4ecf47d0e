import { systemClock, type Clock } from '../clock.ts'
import { isTimeout, longestTimeout } from '../contract/operation.ts'
import { OptionsError } from '../errors.ts'
import { problemsOfDrain, problemsOfParts, unknownOptions } from '../given.ts'
import { systemRandom, type RandomBytes } from '../random.ts'
import { problemOfLogger, type Logger } from '../warnings.ts'
import { classOf, said } from '../words.ts'
import type { AnySaga } from './definition.ts'
import type { SagaOutbox, SagaRequester } from './outbox.ts'
import type { SagaStore } from './store.ts'

export interface SagasOptions<Transaction> {
  readonly store: SagaStore<Transaction>
  /** The definitions that this process works on. Others in the store are left to other processes. */
  readonly sagas: readonly AnySaga<Transaction>[]
  /** Sends the requests of `operation()`; needed where a step has one. It stays the caller's to close. */
  readonly requester?: SagaRequester | undefined
  /** Takes the commands of `command()`; needed where a step has one. */
  readonly outbox?: SagaOutbox<Transaction> | undefined
  /** Sagas worked on at the same time; more are stored and wait. Default 100. */
  readonly concurrency?: number | undefined
  /** Calls of `run` whose saga has not ended; more are refused with `MILENA_OVERLOADED`. Default 10 000. */
  readonly maxRuns?: number | undefined
  /** The most bytes of a saga's input, and of each result, as JSON. Default 65 536. */
  readonly maxBytes?: number | undefined
  /** Milliseconds after which the sagas of a process that is gone are taken up by others. Default 10 000. */
  readonly lease?: number | undefined
  /** Milliseconds between looks at what is due, and at what others have done. Default 500. */
  readonly interval?: number | undefined
  /** Milliseconds for which ended sagas are kept, and their ids known. Default 7 days. */
  readonly keep?: number | undefined
  /** Milliseconds that `close` waits for running steps, at most an hour. Default 10 000. */
  readonly drainTimeout?: number | undefined
  /** Where to tell what an operator should know; default: `process.emitWarning`. See `docs/warnings.md`. */
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
  readonly random?: RandomBytes | undefined
}

export interface SagasSettings {
  readonly store: SagaStore<unknown>
  readonly sagas: ReadonlyMap<string, AnySaga>
  readonly requester: SagaRequester | undefined
  readonly outbox: SagaOutbox<unknown> | undefined
  readonly concurrency: number
  readonly maxRuns: number
  readonly maxBytes: number
  readonly lease: number
  readonly interval: number
  readonly keep: number
  readonly drainTimeout: number
  readonly logger: Logger | undefined
  readonly clock: Clock
  readonly random: RandomBytes
}

const known: ReadonlySet<string> = new Set<keyof SagasOptions<never>>([
  'store',
  'sagas',
  'requester',
  'outbox',
  'concurrency',
  'maxRuns',
  'maxBytes',
  'lease',
  'interval',
  'keep',
  'drainTimeout',
  'logger',
  'clock',
  'random',
])

/** @throws OptionsError that lists every problem. */
export function readSagasOptions<Transaction>(options: SagasOptions<Transaction>): SagasSettings {
  const given: unknown = options
  if (typeof given !== 'object' || given === null) {
    throw new OptionsError('createSagas', [`the options must be an object, not ${classOf(given)}`])
  }
  const problems = [...unknownOptions('createSagas', given, known), ...problemsOfParts(given)]
  const wholeNumber = (name: string, value: number | undefined, least: number, most: number): void => {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return
    problems.push(`${name} must be a whole number from ${least} to ${most}, not ${said(value)}`)
  }
  const { lease = 10_000, interval = 500 } = options
  if (typeof options.store?.save !== 'function') problems.push('store must be a SagaStore')
  wholeNumber('concurrency', options.concurrency, 1, 100_000)
  wholeNumber('maxRuns', options.maxRuns, 1, Number.MAX_SAFE_INTEGER)
  wholeNumber('maxBytes', options.maxBytes, 1, 64 * 1024 * 1024)
  wholeNumber('lease', options.lease, 100, longestTimeout)
  wholeNumber('interval', options.interval, 10, longestTimeout)
  wholeNumber('keep', options.keep, 0, Number.MAX_SAFE_INTEGER)
  problems.push(...problemsOfDrain(options))
  const sagas = new Map<string, AnySaga>()
  for (const saga of Array.isArray(options.sagas) ? (options.sagas as readonly AnySaga[]) : []) {
    if (sagas.has(saga.name)) problems.push(`there are two sagas named ${saga.name}`)
    if (saga.steps.length === 0) problems.push(`saga ${saga.name} has no step`)
    sagas.set(saga.name, saga)
    for (const { name, action, options: step } of saga.steps) {
      for (const work of [action, step.compensate]) {
        if (work === undefined || typeof work === 'function') continue
        if (work.kind === 'operation' && options.requester === undefined)
          problems.push(`saga ${saga.name}, step ${name}: an operation needs a requester`)
        if (work.kind === 'command' && options.outbox === undefined)
          problems.push(`saga ${saga.name}, step ${name}: a command needs an outbox`)
      }
      const timeout = step.timeout ?? 1
      if (!isTimeout(timeout)) problems.push(`saga ${saga.name}, step ${name}: timeout is none`)
    }
  }
  if (sagas.size === 0) problems.push('sagas must be a list of definitions')
  const logger = problemOfLogger(options.logger)
  if (logger !== undefined) problems.push(logger)
  if (problems.length > 0) throw new OptionsError('createSagas', problems)

  const clock = options.clock ?? systemClock
  return {
    store: options.store,
    sagas,
    requester: options.requester,
    outbox: options.outbox,
    concurrency: options.concurrency ?? 100,
    maxRuns: options.maxRuns ?? 10_000,
    maxBytes: options.maxBytes ?? 65_536,
    lease,
    interval,
    keep: options.keep ?? 7 * 86_400_000,
    drainTimeout: options.drainTimeout ?? 10_000,
    logger: options.logger,
    clock,
    random: options.random ?? systemRandom,
  }
}
