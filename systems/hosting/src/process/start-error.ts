/** Something a person can put right: one line that says what is wrong and what to do; the command ends with status 2. */
export class StartError extends Error {
  override get name(): string {
    return 'StartError'
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
