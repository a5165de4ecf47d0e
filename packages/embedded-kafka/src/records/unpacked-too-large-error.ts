/** A batch unpacks to more than it may. */
export class UnpackedTooLargeError extends Error {
  override readonly name = 'UnpackedTooLargeError'

  constructor(limit: number) {
    super(`it unpacks to more than the ${limit} bytes allowed`)
  }
}
