/** The bytes of a request do not follow the protocol. It costs the connection that sent them, nothing else. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}
