/** Reads a command's options, so that every problem is told at once. */
import { randomBytes } from 'node:crypto'
import { messageOf, StartError } from './start-error.ts'

/** The values that `parse` finds. Throws a `StartError` in the place of what parseArgs throws. */
export function readArgs<Values>(parse: () => { values: Values }): Values {
  try {
    return parse().values
  } catch (error) {
    throw new StartError(`${firstSentence(messageOf(error))}; --help lists the options`)
  }
}

/** Gives a reader of options that are whole numbers, which adds what is wrong with one to `problems`. */
export function numberReader(
  problems: string[],
): (name: string, given: string | undefined, byDefault: number, least: number, most: number) => number {
  return (name, given, byDefault, least, most) => {
    if (given === undefined) return byDefault
    if (/^\d{1,9}$/.test(given) && Number(given) >= least && Number(given) <= most) return Number(given)
    problems.push(`--${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(given)}`)
    return byDefault
  }
}

/** Reads `--prefix`, which begins the names of what a run makes. */
export function readPrefix(problems: string[], given: string | undefined, byDefault: string): string {
  if (given !== undefined && !/^[a-z0-9._-]{1,40}$/.test(given))
    problems.push(`--prefix must be 1 to 40 of a-z, 0-9, '.', '_' and '-', not ${JSON.stringify(given)}`)
  return given ?? byDefault
}

/** For a run that shares its names with no other: the command's name and something random. */
export function randomPrefix(command: string): string {
  return `${command}-${randomBytes(3).toString('hex')}.`
}

/** Throws a `StartError` that lists every problem, if there is one. */
export function refuseOptions(problems: readonly string[]): void {
  if (problems.length > 0) throw new StartError(`${problems.join('; ')}; --help lists the options`)
}

/** parseArgs adds advice about `--` that does not apply here. */
function firstSentence(message: string): string {
  return message.split('. ')[0]!
}
