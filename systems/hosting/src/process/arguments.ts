/** Reads a command's options, so that every problem is told at once. */
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

/** parseArgs adds advice about `--` that does not apply here. */
function firstSentence(message: string): string {
  return message.split('. ')[0]!
}
