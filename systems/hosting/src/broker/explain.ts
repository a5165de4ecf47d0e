import { MilenaError } from '@milena/request-reply'
import { StartError } from '../process/start-error.ts'

/** Turns what a person can put right at the brokers into a line that says so. */
export async function explainBrokers<Result>(brokers: string, opening: Promise<Result>): Promise<Result> {
  try {
    return await opening
  } catch (error) {
    if (!(error instanceof MilenaError)) throw error
    throw new StartError(
      `the brokers at ${brokers}: ${error.message}: start them, correct KAFKA_BROKERS, or unset it to use the embedded one`,
      { cause: error },
    )
  }
}
