/**
 * Something the person who started this can put right: no Java, a taken port, an option that does not exist.
 * Its message is one line that says what is wrong and what to do; a command that ends on it has status 2.
 */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}
