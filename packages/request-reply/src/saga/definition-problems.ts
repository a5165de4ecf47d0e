import { isTimeout, longestTimeout } from '../contract/operation.ts'
import { isSchema } from '../contract/payload.ts'
import { unknownOptions } from '../given.ts'
import { classOf, foreign } from '../words.ts'
import type { CompensationOptions, SagaOptions, StepOptions, StepRetry } from './definition-options.ts'

const sagaOptions: ReadonlySet<string> = new Set<keyof SagaOptions<undefined, never>>([
  'name',
  'input',
  'deadline',
  'changed',
])
const stepOptions: ReadonlySet<string> = new Set<keyof StepOptions<never, never, never, never>>([
  'compensate',
  'timeout',
  'retry',
  'idempotent',
  'compensation',
])
const retryOptions: ReadonlySet<string> = new Set<keyof StepRetry>(['attempts', 'backoff'])
const compensationOptions: ReadonlySet<string> = new Set<keyof CompensationOptions>([
  'timeout',
  'backoff',
  'stuckAfterAttempts',
  'stuckAfter',
])

type Given = Readonly<Record<string, unknown>>

export function problemsOfSaga(options: unknown): string[] {
  if (!isObject(options)) return [`its definition must be an object, not ${classOf(options)}`]
  const { name, input, deadline, changed } = options
  const problems = unknownOptions('a saga', options, sagaOptions)
  const nameProblem = problemOfName(name)
  if (nameProblem !== undefined) problems.push(`name ${nameProblem}`)
  if (input !== undefined && !isSchema(input)) problems.push('input must be a Standard Schema')
  if (changed !== undefined && typeof changed !== 'function') problems.push('changed must be a function')
  duration(problems, 'deadline', deadline)
  return problems
}

export function problemsOfStep(
  name: unknown,
  action: unknown,
  options: unknown,
  taken: readonly string[],
): string[] {
  const problems: string[] = []
  const nameProblem = problemOfName(name)
  if (nameProblem !== undefined) problems.push(`its name ${nameProblem}`)
  else if ((name as string).includes(':')) problems.push('its name must have no colon')
  else if (taken.includes(name as string)) problems.push('there is a step of this name already')
  if (!isWork(action)) problems.push(`its action ${wanted}`)
  if (!isObject(options)) return [...problems, `its options must be an object, not ${classOf(options)}`]
  const { compensate, timeout, retry, idempotent, compensation } = options
  problems.push(...unknownOptions('a step of a saga', options, stepOptions))
  if (compensate !== undefined && !isWork(compensate)) problems.push(`compensate ${wanted}`)
  duration(problems, 'timeout', timeout)
  if (idempotent !== undefined && typeof idempotent !== 'boolean') {
    problems.push('idempotent must be true or false')
  }
  if (retry !== undefined) {
    if (isObject(retry)) {
      problems.push(
        ...unknownOptions('retry of a step', retry, retryOptions).map((problem) => `retry: ${problem}`),
      )
      wholeNumber(problems, 'retry.attempts', retry.attempts)
      backoff(problems, 'retry.backoff', retry.backoff)
    } else problems.push('retry must be an object')
  }
  if (compensation !== undefined) {
    if (isObject(compensation)) {
      problems.push(
        ...unknownOptions('compensation of a step', compensation, compensationOptions).map(
          (problem) => `compensation: ${problem}`,
        ),
      )
      duration(problems, 'compensation.timeout', compensation.timeout)
      duration(problems, 'compensation.stuckAfter', compensation.stuckAfter)
      wholeNumber(problems, 'compensation.stuckAfterAttempts', compensation.stuckAfterAttempts)
      backoff(problems, 'compensation.backoff', compensation.backoff)
    } else problems.push('compensation must be an object')
  }
  return problems
}

const wanted = 'must be a function, or inTransaction(), operation() or command()'

function isWork(work: unknown): boolean {
  if (typeof work === 'function') return true
  if (!isObject(work)) return false
  const { kind, run, request, operation, replyTo } = work
  if (kind === 'transaction') return typeof run === 'function'
  if (kind !== 'operation' && kind !== 'command') return false
  if (typeof request !== 'function') return false
  if (typeof operation !== 'function' && !isObject(operation)) return false
  return (
    kind === 'operation' || typeof replyTo === 'function' || (typeof replyTo === 'string' && replyTo !== '')
  )
}

function problemOfName(name: unknown): string | undefined {
  if (typeof name !== 'string') return `must be a string, not ${classOf(name)}`
  const length = Buffer.byteLength(name)
  if (length === 0 || length > 100) return `must have 1 to 100 bytes, not ${length}`
  return foreign(name) === name ? undefined : 'must have no control characters and no lone surrogates'
}

function duration(problems: string[], name: string, value: unknown): void {
  if (value !== undefined && !isTimeout(value)) problems.push(`${name} must be 1 to ${longestTimeout} ms`)
}

function wholeNumber(problems: string[], name: string, value: unknown): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1)) return
  problems.push(`${name} must be a whole number from 1`)
}

function backoff(problems: string[], name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function')
    problems.push(`${name} must be fixed(), exponential() or a function`)
}

function isObject(value: unknown): value is Given {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
