import { ProtocolError } from '../wire/protocol-error.ts'

/** What `step` returns, or the error of the protocol that it throws: a field of the response. Others are thrown on. */
export function attempt<Result>(step: () => Result): Result | ProtocolError {
  try {
    return step()
  } catch (error) {
    if (error instanceof ProtocolError) return error
    throw error
  }
}
