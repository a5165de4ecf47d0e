import { parseArgs } from 'node:util'
import { brokerKinds } from './brokers/brokers.ts'
import { problemOfCheckout } from './run/beside.ts'
import { situations } from './situations/index.ts'
import { systems } from './systems/index.ts'

/** What was asked for cannot be done; one line says what can. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const ladderParts = ['closed', 'open']
const parts = [...ladderParts, ...situations.map(({ name }) => name)]

export const usage = `npm run bench [-- OPTION...]

Requester and replier of every system in processes of their own, blocks in turn and in random order, each result one
file in bench/results. Only ratios within one run count.

  --on KIND,...        brokers, one run each: ${Object.keys(brokerKinds).join(', ')} (embedded); KAFKA_BROKERS=host:port,... is used instead
  --only PART,...      only these: ${parts.join(', ')}; open goes with closed
  --systems TEXT,...   only systems whose name contains one of these (no blank after a comma), beside the baseline:
${systems.map(({ name }) => `                         ${name}`).join('\n')}
  --beside DIR         another checkout, installed: its Milena takes part in every block beside ours, so that two commits
                       are compared within one run; a trial
  --rounds N           blocks of each system at each load (5)
  --seconds N          of a closed-loop block (2)
  --open-seconds N     of an open-loop block (5)
  --repeats N          how often a block is repeated in which something else used the machine (2)
  --seed N             of orders and schedules (the time)
  --trial              figures that are no claim: the file ends in .local.json, which git ignores
  --quick              under two minutes: closed at 1 and 64 in flight, open at 50 %, short blocks; a trial
  --report             no run: writes docs/benchmarks.md from the newest results
  --help
`

export interface BenchOptions {
  readonly action: 'run' | 'report' | 'help'
  /** Keys of `brokerKinds`, or addresses. */
  readonly on: readonly string[]
  readonly parts: ReadonlySet<string>
  readonly systems: readonly string[]
  /** Another checkout whose Milena takes part. */
  readonly beside: string | undefined
  readonly quick: boolean
  readonly trial: boolean
  readonly rounds: number
  readonly closedMilliseconds: number
  readonly openMilliseconds: number
  readonly repeats: number
  readonly seed: number
}

/** Names have commas themselves, followed by a blank. */
const betweenNames = /,(?! )/

/** @throws UsageError */
export function readOptions(args: readonly string[], givenBrokers: string | undefined): BenchOptions {
  const values = parse(args)
  const quick = values.quick ?? false
  const on = givenBrokers === undefined ? list(values.on ?? 'embedded') : [givenBrokers]
  nonEmpty('--on', on)
  for (const kind of givenBrokers === undefined ? on : []) oneOf('--on', kind, Object.keys(brokerKinds))
  const only = list(values.only ?? (quick ? ladderParts.join(',') : parts.join(',')))
  nonEmpty('--only', only)
  for (const part of only) oneOf('--only', part, parts)
  const chosen = (values.systems ?? '').split(betweenNames).filter((name) => name !== '')
  for (const text of chosen) {
    if (!systems.some(({ name }) => contains(name, text)))
      throw new UsageError(`--systems ${text}: no system's name contains it; --help lists them`)
  }
  const seconds = number('--seconds', values.seconds, quick ? 0.5 : 2, 600)
  return {
    action: values.help ? 'help' : values.report ? 'report' : 'run',
    on,
    parts: new Set(only.includes('open') ? ['closed', ...only] : only),
    systems: chosen,
    beside: checkout(values.beside),
    quick,
    trial: quick || values.beside !== undefined || (values.trial ?? false),
    rounds: wholeNumber('--rounds', values.rounds, quick ? 3 : 5, 1, 1_000),
    closedMilliseconds: seconds * 1000,
    openMilliseconds: number('--open-seconds', values['open-seconds'], quick ? 0.5 : 5, 600) * 1000,
    repeats: wholeNumber('--repeats', values.repeats, quick ? 0 : 2, 0, 100),
    seed: wholeNumber('--seed', values.seed, Date.now() % 2 ** 32, 0, 2 ** 32),
  }
}

export function contains(name: string, text: string): boolean {
  return name.toLowerCase().includes(text.toLowerCase())
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...args],
      options: {
        on: text,
        only: text,
        systems: text,
        beside: text,
        rounds: text,
        seconds: text,
        'open-seconds': text,
        repeats: text,
        seed: text,
        trial: flag,
        quick: flag,
        report: flag,
        help: flag,
      },
    }).values
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(/\.\s/)[0]}; --help lists what there is`)
  }
}

function checkout(path: string | undefined): string | undefined {
  const problem = path === undefined ? undefined : problemOfCheckout(path)
  if (problem !== undefined) throw new UsageError(`--beside ${path}: it ${problem}`)
  return path
}

function list(text: string): string[] {
  return text.split(',').filter((part) => part !== '')
}

function oneOf(option: string, value: string, values: readonly string[]): void {
  if (!values.includes(value)) throw new UsageError(`${option} ${value}: there is ${values.join(', ')}`)
}

function nonEmpty(option: string, chosen: readonly string[]): void {
  if (chosen.length === 0) throw new UsageError(`${option} names nothing; --help lists what there is`)
}

function number(option: string, text: string | undefined, usual: number, most: number): number {
  const value = text === undefined ? usual : Number(text)
  if (text !== '' && value > 0 && value <= most) return value
  throw new UsageError(`${option} must be a number above 0 up to ${most}, not ${text || 'empty'}`)
}

function wholeNumber(
  option: string,
  text: string | undefined,
  usual: number,
  least: number,
  most: number,
): number {
  const value = text === undefined ? usual : Number(text)
  if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new UsageError(`${option} must be a whole number from ${least} to ${most}, not ${text || 'empty'}`)
}
