/** An answer would become larger than the broker allows. It costs the connection that asked for it, nothing else. */
export class ResponseTooLargeError extends Error {
  override readonly name = 'ResponseTooLargeError'
}
