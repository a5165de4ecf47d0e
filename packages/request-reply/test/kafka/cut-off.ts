import { mock } from 'node:test'
import { GroupCoordinator, type Identity } from '../../src/transport/kafka/group/coordinator-requests.ts'

/**
 * Cuts the next member that sends a heartbeat off from its coordinator, and from nothing else, until the condition is true:
 * what it asks never arrives. Resolves when the member has felt it.
 */
export function cutOff(over: () => boolean): Promise<void> {
  const felt = Promise.withResolvers<void>()
  let cut: GroupCoordinator | undefined
  for (const asks of ['heartbeat', 'join', 'sync', 'commit'] as const) {
    const original = GroupCoordinator.prototype[asks] as (...args: unknown[]) => Promise<unknown>
    mock.method(
      GroupCoordinator.prototype,
      asks,
      async function (this: GroupCoordinator, ...args: unknown[]) {
        if (cut === undefined && asks === 'heartbeat' && (args[0] as Identity).generation > 0) {
          cut = this // oxlint-disable-line typescript/no-this-alias
          felt.resolve()
        }
        if (this !== cut || over()) return original.apply(this, args)
        throw new Error('cut off')
      },
    )
  }
  return felt.promise
}
